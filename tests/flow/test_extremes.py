"""Sizes at the ends of float64: inputs, weights, outer weights, margins; no NaN, no warning, the same mathematics."""

from __future__ import annotations

from math import inf, log

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, until_log_time, until_time

Array = NDArray[np.float64]
PAIR = np.array([[1.0, 0.3], [0.3, 1.0]])


def problem(X: ArrayLike, y: ArrayLike, outer: ArrayLike, slope: float, loss: str = "logistic") -> Problem:
    inputs, labels, a = (np.asarray(part, dtype=float) for part in (X, y, outer))
    return Problem.of(inputs, labels, Network(a, slope), LOSSES[loss])


def weights(result: Result) -> Array:
    """The weights (m, d) of a run whose samples span everything the weights have."""
    return np.asarray(result.state.U @ result.engine.problem.span.B)


@pytest.mark.parametrize("scale", [1e-100, 1e-50, 1e-7, 1e-3, 1e3, 1e5, 1e7, 1e50, 1e100])
def test_inputs_of_any_size(scale: float) -> None:
    """x -> s x, W -> W / s, t -> t / s^2 leaves the margins, however large s."""
    W, T = np.array([[-0.1, 1.0], [1.0, 0.5]]), 5.0
    plain = flow(problem(PAIR, [1, -1], [1, -1], 0.3), W, until_time(T), rtol=1e-10)
    until = Until(float(np.logaddexp(0.0, log(T) - 2.0 * log(scale))), Outcome.TIME, None)
    scaled = flow(problem(scale * PAIR, [1, -1], [1, -1], 0.3), W / scale, until, rtol=1e-10)
    assert scaled.state.p == pytest.approx(plain.state.p, abs=1e-8)


@pytest.mark.parametrize("size", [1e-100, 1e-50])
def test_outer_weights_that_move_nothing(size: float) -> None:
    W = np.array([[-0.1, 1.0], [1.0, 0.5]])
    result = flow(problem(PAIR, [1, -1], [size, -size], 0.3), W, until_time(5.0))
    assert weights(result) == pytest.approx(W, abs=1e-14)
    assert result.finish.outcome is Outcome.TIME


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_weights_too_small_to_matter(slope: float) -> None:
    W = np.array([[-0.1, 1.0], [1.0, 0.5]])
    tiny = flow(problem(PAIR, [1, -1], [1, -1], slope), 1e-100 * W, until_time(5.0), rtol=1e-10)
    small = flow(problem(PAIR, [1, -1], [1, -1], slope), 1e-12 * W, until_time(5.0), rtol=1e-10)
    assert weights(tiny) == pytest.approx(weights(small), abs=1e-8)
    assert (tiny.state.side == small.state.side).all()


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("p", [20.0, 200.0, 400.0, 800.0, 1e4])
def test_large_margins_at_the_start(p: float, loss: str) -> None:
    """dt / dtau = e^p: nothing moves until log t is near p, and then margins follow log t: p - log t -> -log(n lam)."""
    P = problem(PAIR, [1, -1], [1, -1], 0.3, loss)
    W = p * np.array([[1.0, -1.0], [-1.0, 1.2]])
    still = flow(P, W, until_time(50.0))
    assert weights(still) == pytest.approx(W, rel=1e-6)
    late = flow(P, W, until_log_time(4.0 * p), rtol=1e-9)
    lam = np.linalg.solve(late.kernel, np.ones(2))
    assert late.state.p - late.state.v == pytest.approx(-np.log(2.0 * lam), abs=1e-5)


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("p", [-1e2, -1e4, -1e6])
def test_margins_far_below_zero_at_the_start(p: float, loss: str) -> None:
    """One sample, k = 1: p = log(e^p0 + t) for the exponential loss, p0 + t for the logistic one."""
    result = flow(problem([[1.0]], [1.0], [1.0], 1.0, loss), np.array([[p]]), until_time(50.0))
    exact = log(50.0) if loss == "exponential" else p + 50.0
    assert result.state.p[0] == pytest.approx(exact, abs=1e-5 + 1e-13 * abs(p))


@pytest.mark.parametrize("size", [1e4, pytest.param(1e6, marks=pytest.mark.slow)])
def test_two_samples_far_below_zero(size: float) -> None:
    """The exponential loss of margins -size: the run gets to the end without a warning and below its first loss."""
    W = size * np.array([[-1.0, 1.0], [1.0, -2.0]])
    result = flow(problem(PAIR, [1, -1], [1, -1], 0.3, "exponential"), W, until_time(50.0))
    assert result.finish.outcome is Outcome.TIME
    assert -inf < result.state.log_loss < 1.0
