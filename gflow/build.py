"""Specification to objects: the one place where the words of a scenario become data, networks and engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.errors import ScenarioError
from gflow.field.dual import Tolerances
from gflow.flow.choice import Choice
from gflow.flow.dual import DualEngine
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until, log1p_of_log_time, log1p_of_time, spaced
from gflow.problem import data, initialisation
from gflow.problem.dataset import Dataset
from gflow.problem.loss import LOSSES
from gflow.problem.problem import Problem, TwoLayer
from gflow.scenario import Scenario
from gflow.scenario.schema import (
    BreastCancerData,
    DigitsData,
    FileData,
    FileInit,
    GaussianData,
    GaussianInit,
    GaussianMixtureData,
    GivenTimes,
    GramData,
    LeakyRelu,
    OnesMean,
    OrthogonalData,
    Outer,
    Relu,
)

Array = NDArray[np.float64]

# Streams of one seed: the data do not change when the initialisation is drawn differently, nor the reverse.
DATA_STREAM, INIT_STREAM = 0, 1


@dataclass(frozen=True, slots=True)
class Setup:
    """A problem and where its flow starts, W_initial (m, d)."""

    problem: Problem
    W_initial: Array


def build_setup(scenario: Scenario) -> Setup:
    """Data, network and initial weights of a scenario.  Raises ScenarioError for unusable files."""
    dataset = _dataset(scenario)
    width, d = scenario.model.width, dataset.X.shape[1]
    W, outer = _initial(scenario, width, d)
    network = TwoLayer(_outer(scenario.model.outer, width) if outer is None else outer, _slope(scenario))
    return Setup(Problem.of(dataset.X, dataset.y, network, LOSSES[scenario.loss]), W)


def build_engine(scenario: Scenario, setup: Setup) -> DualEngine:
    """The engine that follows the flow; every model of this version has a fixed outer layer, so it is the dual one."""
    return DualEngine(setup.problem, setup.W_initial, Tolerances(scenario.flow.rtol, scenario.flow.atol))


def build_choice(scenario: Scenario) -> Choice:
    """The integration method, or the automatic choice."""
    return Choice(scenario.flow.method)


def build_until(scenario: Scenario) -> Until:
    """The ends of the run on the clock v = log(1 + t) and on the loss."""
    until = scenario.flow.until
    ends = []
    if until.time is not None:
        ends.append((log1p_of_time(until.time), Outcome.TIME))
    if until.log_time is not None:
        ends.append((log1p_of_log_time(until.log_time), Outcome.LOG_TIME))
    v_end, outcome = min(ends, key=lambda end: end[0]) if ends else (None, Outcome.TIME)
    return Until(v_end, outcome, until.log_loss)


def build_rows(scenario: Scenario, until: Until) -> Iterator[float]:
    """Record times after the start, as v.  Raises ScenarioError for a time after the end of the run."""
    times = scenario.record.times
    if not isinstance(times, GivenTimes):
        return spaced(times.spacing, times.count, until)
    values = [(t, log1p_of_time(t)) for t in times.at if t > 0.0]
    for t, v in values:
        if until.v_end is not None and v > until.v_end:
            raise ScenarioError(
                f"record.times.at: {t!r} is after the end of the run (flow.until, log(1 + t) = {until.v_end:.6g}): "
                "remove it or let the run go on longer"
            )
    return iter([v for _, v in values])


def _rng(seed: int | None, scenario: Scenario, stream: int) -> np.random.Generator:
    return np.random.default_rng([scenario.seed if seed is None else seed, stream])


def _dataset(scenario: Scenario) -> Dataset:
    spec = scenario.data
    if isinstance(spec, FileData):
        return data.read_file(scenario.folder / spec.path)
    rng = _rng(spec.seed, scenario, DATA_STREAM)
    match spec:
        case GaussianData():
            return data.gaussian(spec.n, spec.d, spec.std, spec.labels, rng)
        case GaussianMixtureData():
            mean = _mean(spec, rng)
            return data.gaussian_mixture(spec.n, mean, spec.std, spec.label_noise, spec.labels, rng)
        case OrthogonalData():
            return data.orthogonal(spec.n, spec.d, spec.replacement, spec.norm, spec.labels, rng)
        case GramData():
            return data.gram(spec.n, spec.d, spec.norms, spec.coherence, spec.labels, rng)
        case DigitsData():
            return data.digits(spec.classes, spec.n, spec.scaling, rng)
        case BreastCancerData():
            return data.breast_cancer(spec.n, spec.scaling, rng)


def _mean(spec: GaussianMixtureData, rng: np.random.Generator) -> Array:
    mean = spec.mean
    if not isinstance(mean, OnesMean):
        return data.gaussian_mean(spec.d, mean.std, rng)
    if mean.norm is not None:
        return data.ones_mean(spec.d, mean.norm)
    assert mean.power is not None
    return data.ones_mean(spec.d, float(spec.d) ** mean.power)


def _initial(scenario: Scenario, width: int, d: int) -> tuple[Array, Array | None]:
    """W (m, d), and the outer layer of an initialisation file if it has one."""
    init = scenario.init
    if isinstance(init, FileInit):
        return initialisation.read_file(scenario.folder / init.path, width, d)
    return initialisation.gaussian(width, d, _std(init, width, d), _rng(init.seed, scenario, INIT_STREAM)), None


def _std(init: GaussianInit, width: int, d: int) -> float:
    if init.std is not None:
        return init.std
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


def _slope(scenario: Scenario) -> float:
    activation = scenario.model.activation
    if isinstance(activation, LeakyRelu):
        return activation.slope
    return 0.0 if isinstance(activation, Relu) else 1.0
