"""Sizes are measured against what determines them: scaled problems run alike, unlike samples do not slow each other."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.flow.state import Outcome
from gflow.flow.steps import Manner, engine_of
from gflow.flow_time import log_time_of
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, followed, until_log_time

Array = NDArray[np.float64]

RTOL = 1e-8


def drawn(seed: int, slope: float, loss: str, largest: float = 1.0) -> tuple[Problem, Array]:
    """10 Gaussian samples in 20 inputs, the first of them scaled by `largest`, and weights (8, 20)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(10, 20))
    X[0] *= largest
    y, outer = np.where(np.arange(10) % 2 == 0, 1.0, -1.0), np.where(np.arange(8) < 4, 1.0, -1.0)
    return Problem.of(X, y, Network(outer, slope), LOSSES[loss]), 0.25 * rng.normal(size=(8, 20))


def run(problem: Problem, W: Array, log_t: float, size: float = 1.0, engine: str = "dual") -> Result:
    """To log t; size: of the weights, in which atol is counted."""
    tolerances = Tolerances(RTOL, 1e-2 * RTOL * size)
    return followed(engine_of(problem, W, Manner(engine, tolerances=tolerances)), until_log_time(log_t), "auto", 2)


def sequence(result: Result) -> list[tuple[int, int, str]]:
    return [(event.neuron, event.surface, event.kind.name) for event in result.events]


def times(result: Result) -> Array:
    return np.array([log_time_of(event.v) for event in result.events], dtype=float)


@pytest.mark.parametrize(
    ("outer", "inputs", "engine"),
    [
        (1e12, 1.0, "dual"),
        (1e-12, 1.0, "dual"),
        (1.0, 1e8, "dual"),
        (1.0, 1e-8, "dual"),
        (1e12, 1.0, "primal"),
        (1.0, 1e-8, "primal"),
    ],
)
def test_scales_that_cancel_change_the_clock_only(outer: float, inputs: float, engine: str) -> None:
    """f is the same for a -> s a, x -> r x, W -> W / (s r), and dW/dt = s r (...): t -> t / (s r)^2."""
    problem, W = drawn(0, 0.1, "logistic")
    size = 1.0 / (outer * inputs)
    network = Network(outer * problem.network.outer, problem.network.slope)
    scaled = Problem.of(inputs * problem.X, problem.y, network, problem.loss)
    shift, log_t = 2.0 * float(np.log(size)), 4.0
    one, other = run(problem, W, log_t, engine=engine), run(scaled, size * W, log_t + shift, size, engine)
    assert len(one.events) > 10 and sequence(other) == sequence(one)
    np.testing.assert_allclose(times(other), times(one) + shift, rtol=0.0, atol=1e-5)
    # log(1 + t), which is integrated, has to pass as many e-folds more as t = 1 is moved down.
    assert other.steps <= 1.5 * one.steps + 6.0 * max(shift, 0.0)


def test_a_scale_that_does_not_cancel_is_another_flow() -> None:
    problem, W = drawn(0, 0.1, "logistic")
    assert sequence(run(problem, 1e-3 * W, 2.0)) != sequence(run(problem, W, 2.0))


@pytest.mark.parametrize(
    ("largest", "loss", "slope"),
    [(1e4, "logistic", 0.1), (1e6, "exponential", 0.0), (1e8, "logistic", 0.0), (1e8, "exponential", 0.1)],
)
def test_one_huge_sample_does_not_hold_the_others_back(largest: float, loss: str, slope: float) -> None:
    problem, W = drawn(0, slope, loss, largest)
    result = run(problem, W, 30.0)
    assert result.finish.outcome is Outcome.LOG_TIME
    # Judged mass by mass, the step is what moves the largest margin by rtol: thousands of steps to log t = 10.
    assert result.steps < 1500
    assert result.state.p.min() > 20.0


def test_the_size_of_a_huge_sample_is_forgotten() -> None:
    """Once its margin is positive, a huge sample only holds <w, x> in place: its size cannot matter any more."""
    small, large = (run(*drawn(0, 0.1, "logistic", size), 30.0) for size in (1e6, 1e8))
    assert sequence(small) == sequence(large)
    np.testing.assert_allclose(small.state.p[1:], large.state.p[1:], rtol=0.0, atol=1e-3)
