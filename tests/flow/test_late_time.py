"""Limits with known answers, read off the flow at log t = 1e3 to 1e6 (claims 3.B to 3.D, frei.lemB8, kou.lemF3)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, until_log_time

Array = NDArray[np.float64]
LOG_TIMES = [1e3, 1e4, 1e5, 1e6]
E = 1.0 / 72.0


def three_samples(loss: str) -> Problem:
    """The example of frei.lemB8: slope 1/2, m1 = m2."""
    X = np.array([[-1.0, 0.0, 0.0], [E, np.sqrt(1.0 - E * E), 0.0], [0.0, 0.0, 1.0]])
    outer = np.repeat([1.0, -1.0], 4) / np.sqrt(8.0)
    return Problem.of(X, np.array([-1.0, 1.0, 1.0]), Network(outer, 0.5), LOSSES[loss])


def orthonormal(slope: float, n: int, half: int) -> Problem:
    """x_i = e_i, balanced labels, Kou scaling."""
    outer = np.repeat([1.0, -1.0], half) / half
    y = np.where(np.arange(n) < n // 2, 1.0, -1.0)
    return Problem.of(np.eye(n), y, Network(outer, slope), LOSSES["logistic"])


@cache
def three_samples_run(loss: str) -> tuple[Result, Array]:
    W = 0.2 * np.random.default_rng(8).normal(size=(8, 3))
    return flow(three_samples(loss), W, until_log_time(LOG_TIMES[-1]), rtol=1e-9, rows=LOG_TIMES[:-1]), W


def multipliers(P: Problem, result: Result, row: int) -> Array:
    """(t / n) g_i, formed from its logarithm."""
    state = result.rows[row].state
    return np.asarray(np.exp(P.loss.log_slope(state.p) + state.v - np.log(P.samples)))


def limit_features(P: Problem, result: Result, row: int, lam: Array) -> Array:
    """-t grad L (m, d): sum_i lam_i a_j y_i phi'_ji x_i with the sides of the row; it tends to W*."""
    pattern = P.sample_sides(result.rows[row].state.side)
    slopes = np.where(pattern > 0, 1.0, np.where(pattern < 0, P.network.slope, 0.0))
    return np.asarray(P.network.outer[:, None] * (slopes * P.y * lam) @ P.X)


def stable_rank(A: Array) -> float:
    singular = np.linalg.svd(A, compute_uv=False)
    return float((singular**2).sum() / singular[0] ** 2)


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("row", [1, 2, 3, 4])
def test_three_samples_with_known_multipliers(row: int, loss: str) -> None:
    """lam_1 = lam_2 = 8 / (4e + 5), lam_3 = 8/5, z as printed, and z is no linear max-margin direction."""
    P, (result, _) = three_samples(loss), three_samples_run(loss)
    lam = multipliers(P, result, row)
    assert lam == pytest.approx([8.0 / (4.0 * E + 5.0), 8.0 / (4.0 * E + 5.0), 8.0 / 5.0], rel=1e-7)
    z = P.network.outer @ limit_features(P, result, row, lam)
    pull = 6.0 / (4.0 * E + 5.0)
    assert z == pytest.approx(pull * P.X[1] + 1.2 * P.X[2] - pull * P.X[0], rel=1e-6, abs=1e-9)
    assert z @ P.X[1] == pytest.approx(pull * (E + 1.0), rel=1e-6)
    assert z @ P.X[2] == pytest.approx(1.2, rel=1e-6)


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_multipliers_are_those_of_the_kernel(loss: str) -> None:
    """lam = K^-1 1 from the frozen mode; t L -> sum lam = |W*|^2; margins differ by log(lam_k / lam_i)."""
    P, (result, _) = three_samples(loss), three_samples_run(loss)
    lam = np.asarray(np.linalg.solve(result.kernel, np.ones(3)), dtype=np.float64)
    state = result.state
    assert multipliers(P, result, -1) == pytest.approx(lam, rel=1e-7)
    assert state.log_loss + state.v == pytest.approx(np.log(lam.sum()), abs=1e-7)
    star = limit_features(P, result, -1, lam)
    assert (star**2).sum() == pytest.approx(lam.sum(), rel=1e-12)
    gaps = state.p[:, None] - state.p
    assert gaps == pytest.approx(np.log(lam / lam[:, None]), abs=1e-7)
    assert state.p - state.v == pytest.approx(-np.log(3.0 * lam), abs=1e-7)
    assert np.ptp(state.p) / state.p.min() < 1e-6


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_the_secant_of_the_weights_is_the_limit(loss: str) -> None:
    """(W(t2) - W(t1)) / log(t2 / t1) -> W* (the velocity direction), while W / log t is late by 1 / log t."""
    P, (result, W) = three_samples(loss), three_samples_run(loss)
    lam = np.array([8.0 / (4.0 * E + 5.0), 8.0 / (4.0 * E + 5.0), 1.6])
    star = limit_features(P, result, -1, lam)
    secant = (result.weights(W, 4) - result.weights(W, 3)) / (1e6 - 1e5)
    assert secant == pytest.approx(star, abs=1e-7)
    late = [np.linalg.norm(result.weights(W, row) / t - star) * t for row, t in enumerate(LOG_TIMES, start=1)]
    assert late == pytest.approx([late[-1]] * 4, rel=1e-3)


@cache
def orthonormal_run(slope: float) -> tuple[Result, Array]:
    P = orthonormal(slope, 6, 10)
    W = 0.3 * np.random.default_rng(5).normal(size=(20, 6))
    return flow(P, W, until_log_time(LOG_TIMES[-1]), rtol=1e-9, rows=LOG_TIMES[:-1]), W


@pytest.mark.parametrize("slope", [0.1, 0.5])
def test_leaky_stable_ranks(slope: float) -> None:
    """SR(W_j) -> 1 with (SR - 1) log^2 t convergent; SR(W) -> 2 (1 + lk^2) / (1 + lk)^2."""
    result, W = orthonormal_run(slope)
    for rows in (slice(0, 10), slice(10, 20)):
        excess = [(stable_rank(result.weights(W, r)[rows]) - 1.0) * t**2 for r, t in enumerate(LOG_TIMES[:-1], start=1)]
        assert excess[1:] == pytest.approx([excess[-1]] * 2, rel=2e-3)
        assert excess[0] == pytest.approx(excess[-1], rel=2e-2)
    limit = 2.0 * (1.0 + slope**2) / (1.0 + slope) ** 2
    assert stable_rank(result.weights(W)) == pytest.approx(limit, rel=1e-5)


def test_relu_stable_ranks_follow_from_the_first_signs() -> None:
    """kou.lemF3: A = (m / |S_i|) 1[z_ji(0) >= 0] for the positive neurons, B for the negative ones, at m = 10."""
    P = orthonormal(0.0, 6, 10)
    result, W = orthonormal_run(0.0)
    own = (W > 0.0) & (P.network.outer[:, None] * P.y > 0.0)
    assert own.any(axis=0).all()
    predicted = own * (10.0 / own.sum(axis=0))
    secant = np.abs(result.weights(W, 4) - result.weights(W, 3)) / (1e6 - 1e5)
    assert secant == pytest.approx(predicted, abs=1e-7)
    velocity = limit_features(P, result, -1, multipliers(P, result, -1))
    for rows in (slice(0, 10), slice(10, 20), slice(0, 20)):
        assert stable_rank(velocity[rows]) == pytest.approx(stable_rank(predicted[rows]), rel=1e-7)
    A, B = predicted[:10], predicted[10:]
    both = ((A**2).sum() + (B**2).sum()) / max(np.linalg.norm(A, 2), np.linalg.norm(B, 2)) ** 2
    assert stable_rank(velocity) == pytest.approx(both, rel=1e-7)


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5])
def test_orthonormal_multipliers(slope: float) -> None:
    """lam_i = m / (1 + lk^2), or m^2 / |S_i| for ReLU."""
    P = orthonormal(slope, 6, 10)
    result, W = orthonormal_run(slope)
    active = ((W > 0.0) & (P.network.outer[:, None] * P.y > 0.0)).sum(axis=0)
    exact = 100.0 / active if slope == 0.0 else np.full(6, 10.0 / (1.0 + slope**2))
    assert multipliers(P, result, -1) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_general_data_reach_the_limit_of_their_last_mode(slope: float) -> None:
    """Gaussian data, sliding included: on the last mode (t / n) g tends to K^-1 1, and the margins come together."""
    rng = np.random.default_rng(12)
    X, y = rng.normal(size=(8, 60)) / 7.0, np.where(np.arange(8) % 2 == 0, 1.0, -1.0)
    outer = np.repeat([1.0, -1.0], 8) / 4.0
    P = Problem.of(X, y, Network(outer, slope), LOSSES["logistic"])
    W = 0.2 * rng.normal(size=(16, 60))
    result = flow(P, W, until_log_time(1e5), rtol=1e-9)
    lam = np.linalg.solve(result.kernel, np.ones(8))
    assert (lam > 0.0).all()
    assert result.events[-1].v < 1e3
    assert multipliers(P, result, -1) == pytest.approx(lam, rel=1e-6)
    assert np.ptp(result.state.p) == pytest.approx(np.ptp(np.log(lam)), rel=1e-6)


def test_one_sample_is_followed_in_a_bounded_number_of_steps() -> None:
    """q is 1 throughout, so nothing but the clock is stiff: explicit steps of a few units of tau would be 1e5 / 6."""
    problem = Problem.of(np.array([[1.0, 0.0]]), np.ones(1), Network(np.ones(2), 0.1), LOSSES["logistic"])
    result = flow(problem, 0.1 * np.ones((2, 2)), until_log_time(1e5))
    assert result.steps <= 60
    # dp/dt = 2 g: e^p grows like 2 t.
    assert result.state.p[0] == pytest.approx(1e5 + np.log(2.0), abs=1e-3)
