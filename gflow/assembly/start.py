"""The weights at the start of a flow, drawn or read as a scenario says."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.assembly.named_files import named_by
from gflow.assembly.streams import INIT_STREAM, stream
from gflow.problem import initialisation
from gflow.problem.initialisation import ScalarStart, Start
from gflow.scenario import Scenario
from gflow.scenario.schema import (
    BalancedInit,
    FileInit,
    GaussianInit,
    Outer,
    OuterInit,
    TwoLayerModel,
    UniformInit,
)

Rng = np.random.Generator


def scalar_start(scenario: Scenario, width: int, d: int) -> ScalarStart:
    """Directions, a and b of a scalar network with d inputs.  Raises ScenarioError."""
    init = scenario.init
    if isinstance(init, FileInit):
        with named_by(scenario, "init.path", init.path):
            return initialisation.read_scalar_file(scenario.folder / init.path, width, d)
    assert isinstance(init, BalancedInit)
    size = width**-0.25 if init.size == "inverse_fourth_root_width" else init.size
    return initialisation.balanced(width, d, size, stream(init.seed, scenario, INIT_STREAM))


def two_layer_start(scenario: Scenario, model: TwoLayerModel, d: int) -> Start:
    """W (m, d), and whatever else the model needs; d: without the input of the biases.  Raises ScenarioError."""
    init, width, K = scenario.init, model.width, model.outputs
    if isinstance(init, FileInit):
        with named_by(scenario, "init.path", init.path):
            return completed(model, initialisation.read_file(scenario.folder / init.path, width, d, K, model.bias))
    assert isinstance(init, GaussianInit | UniformInit)
    rng = stream(init.seed, scenario, INIT_STREAM)
    return _gaussian(init, model, d, rng) if isinstance(init, GaussianInit) else _uniform(init, model, d, rng)


def _gaussian(init: GaussianInit, model: TwoLayerModel, d: int, rng: Rng) -> Start:
    """The output bias of several outputs with a bias starts at 0."""
    width, K = model.width, model.outputs
    std = _std(init, width, d)
    W = initialisation.gaussian(width, d, std, rng)
    outer = _outer(model.outer, width) if init.outer is None else _drawn_outer(init.outer, width, K, rng)
    bias = initialisation.gaussian(width, 1, std if init.bias == "same" else 0.0, rng)[:, 0] if model.bias else None
    return Start(W, outer, bias, _output_bias(model, None))


def _uniform(init: UniformInit, model: TwoLayerModel, d: int, rng: Rng) -> Start:
    """Both layers by the law of a library, with its biases: Keras starts them at 0, PyTorch draws them like weights."""
    width, K, torch = model.width, model.outputs, init.relative_to == "pytorch"
    bound = init.scale * (initialisation.pytorch_bound(d) if torch else initialisation.tensorflow_bound(width, d))
    W = initialisation.uniform(width, d, bound, rng)
    if init.outer is None:
        outer, outer_bound = _outer(model.outer, width), 0.0
    else:
        law = initialisation.pytorch_bound(width) if torch else initialisation.tensorflow_bound(K, width)
        outer_bound = init.outer.scale * law
        drawn = initialisation.uniform(K, width, outer_bound, rng)
        outer = drawn[0] if K == 1 else drawn
    bias = initialisation.uniform(width, 1, bound if torch else 0.0, rng)[:, 0] if model.bias else None
    output_bias = _output_bias(model, None)
    if output_bias is not None and torch:
        output_bias = initialisation.uniform(K, 1, outer_bound, rng)[:, 0]
    return Start(W, outer, bias, output_bias)


def completed(model: TwoLayerModel, given: Start) -> Start:
    """A start with what it leaves to the model: the outer layer, and biases of several outputs, which start at 0."""
    outer = _outer(model.outer, model.width) if given.outer is None else given.outer
    return Start(given.W, outer, given.bias, _output_bias(model, given.output_bias))


def _output_bias(model: TwoLayerModel, given: Array | None) -> Array | None:
    if given is None and model.bias and model.outputs > 1 and model.outer.train:
        return np.zeros(model.outputs)
    return given


def _drawn_outer(spec: OuterInit, width: int, K: int, rng: Rng) -> Array:
    """a (m,), or A (K, m) for several outputs."""
    named = {"inverse_sqrt_width": width**-0.5, "tensorflow": initialisation.tensorflow_std(width, K)}
    std = named[spec.std] if isinstance(spec.std, str) else spec.std
    drawn = initialisation.gaussian(K, width, std, rng)
    return drawn[0] if K == 1 else drawn


def _std(init: GaussianInit, width: int, d: int) -> float:
    if init.std is not None:
        return 1.0 / np.sqrt(d) if init.std == "inverse_sqrt_inputs" else init.std
    assert init.scale is not None
    default = (
        initialisation.pytorch_std(d) if init.relative_to == "pytorch" else initialisation.tensorflow_std(width, d)
    )
    return init.scale * default


def _outer(spec: Outer, width: int) -> Array:
    if spec.values == "signs":
        assert spec.positive is not None
        values = np.where(np.arange(width) < spec.positive, 1.0, -1.0)
    else:
        values = np.array(spec.values, dtype=float)
    named = {
        "inverse_sqrt_width": 1.0 / np.sqrt(width),
        "inverse_half_width": 2.0 / width,
        "inverse_width": 1.0 / width,
        "one": 1.0,
    }
    return values * (named[spec.scale] if isinstance(spec.scale, str) else spec.scale)
