"""The problem of a scenario, and the start of its flow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gflow.arrays import Array
from gflow.assembly.dataset import build_data
from gflow.assembly.start import scalar_start, two_layer_start
from gflow.problem.activation import Smoothing, smoothing_of
from gflow.problem.dataset import Dataset, Split
from gflow.problem.initialisation import ScalarStart, Start
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.problem.sizes import check_products
from gflow.scenario import Scenario
from gflow.scenario.schema import (
    GaussianInit,
    LeakyRelu,
    Linear,
    ScalarModel,
    SmoothActivation,
    TwoLayerModel,
    UniformInit,
)


@dataclass(frozen=True, slots=True)
class Setup:
    """A problem and its start.  inner: W (m, d), with a bias as last column, or b (m, 1) of a scalar network.

    test: samples that are predicted and not trained on, with the inputs of the problem (1 in the last one with a bias);
    None where none are asked for.
    """

    problem: Problem
    inner: Array
    test: Dataset | None = None

    @property
    def W_initial(self) -> Array:  # noqa: N802 (the matrix of the literature)
        """W (m, d) at the start."""
        directions = self.problem.network.directions
        return self.inner if directions is None else self.inner * directions


def build_setup(scenario: Scenario, flow: bool = True) -> Setup:
    """Data, network and start of a scenario; flow: see `build_data`.

    Raises ScenarioError for unusable files and sizes, lack of memory."""
    split = build_data(scenario, flow)
    model, d = scenario.model, split.train.X.shape[1]
    start = (
        scalar_start(scenario, model.width, d)
        if isinstance(model, ScalarModel)
        else two_layer_start(scenario, model, d)
    )
    return assembled(scenario, split, start)


def drawn_start(scenario: Scenario, setup: Setup, seed: int) -> Setup:
    """The same problem from the start that `init` draws with this seed; for two layers, and no file."""
    model, network = scenario.model, setup.problem.network
    assert isinstance(model, TwoLayerModel) and isinstance(scenario.init, GaussianInit | UniformInit)
    again = scenario.model_copy(update={"init": scenario.init.model_copy(update={"seed": seed})})
    start = two_layer_start(again, model, setup.problem.X.shape[1] - int(model.bias))
    assert start.outer is not None
    W = start.W if start.bias is None else np.hstack([start.W, start.bias[:, None]])
    problem = replace(setup.problem, network=replace(network, outer=start.outer, output_bias=start.output_bias))
    check_products(problem, W)
    return replace(setup, problem=problem, inner=W)


def assembled(scenario: Scenario, split: Split, start: Start | ScalarStart) -> Setup:
    """The problem of given data and a given start.  Raises ScenarioError where sizes would leave float64."""
    setup = _setup(scenario, split.train, start)
    check_products(setup.problem, setup.inner)
    if split.test is None:
        return setup
    bias = isinstance(scenario.model, TwoLayerModel) and scenario.model.bias
    return replace(setup, test=replace(split.test, X=_with_constant(split.test.X)) if bias else split.test)


def _setup(scenario: Scenario, dataset: Dataset, start: Start | ScalarStart) -> Setup:
    model, loss, X = scenario.model, LOSSES[scenario.loss], dataset.X
    slope, smoothing = _activation(model)
    if isinstance(start, ScalarStart):
        network = Network(start.outer, slope, trains_outer=True, directions=start.directions)
        return Setup(Problem.of(X, dataset.y, network, loss), start.inner.reshape(-1, 1))
    assert isinstance(model, TwoLayerModel) and start.outer is not None
    W = start.W
    if model.bias:  # one more input, constant 1, whose weights are the biases
        assert start.bias is not None
        X = _with_constant(X)
        W = np.hstack([W, start.bias[:, None]])
    network = Network(start.outer, slope, model.outer.train, smoothing, None, start.output_bias)
    return Setup(Problem.of(X, dataset.y, network, loss), W)


def _with_constant(X: Array) -> Array:
    """X (n, d) with one more input, the constant 1."""
    return np.hstack([X, np.ones((X.shape[0], 1))])


def _activation(model: TwoLayerModel | ScalarModel) -> tuple[float, Smoothing | None]:
    """The slope at -infinity, and the smooth activation if it is one."""
    activation = model.activation
    if isinstance(activation, SmoothActivation):
        smoothing = smoothing_of(activation.kind, activation.numbers(model.width))
        assert smoothing is not None, f"{activation.kind} is not among SMOOTHINGS"
        return smoothing.slope, smoothing
    if isinstance(activation, LeakyRelu):
        return activation.slope, None
    return (1.0 if isinstance(activation, Linear) else 0.0), None
