"""Bounds over the divergence ball against direct minimisation and against points of the ball."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from gflow.limit.divergence import coordinate_range, divergence, lower_bounds

Array = NDArray[np.float64]


def kl(q_inf: Array, q: Array) -> float:
    on = q_inf > 0.0
    return float(np.sum(q_inf[on] * np.log(q_inf[on] / q[on])))


def smallest(f: Array, q_inf: Array, D: float) -> float:
    """min f.q over the ball, by the softmax parametrisation and a general solver."""
    start = np.log(np.maximum(q_inf, 0.1 * D))
    ball = {"type": "ineq", "fun": lambda x: 1.0 - kl(q_inf, softmax(x)) / D}
    best = minimize(
        lambda x: f @ softmax(x), start, method="SLSQP", constraints=[ball], options={"maxiter": 500, "ftol": 1e-13}
    )
    return float(best.fun)


def softmax(x: Array) -> Array:
    weights = np.exp(x - x.max())
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("D", [1e-4, 1e-2, 0.5])
@pytest.mark.parametrize("zeros", [0, 2])
def test_lower_bounds_are_valid_and_sharp(D: float, zeros: int) -> None:
    rng = np.random.default_rng(int(1e6 * D) + zeros)
    q_inf = np.append(rng.dirichlet(np.ones(5)), np.zeros(zeros))
    F = rng.standard_normal((20, q_inf.size))
    bounds = lower_bounds(F, q_inf, D)
    found = np.array([smallest(f, q_inf, D) for f in F])
    width = F @ q_inf - found
    assert (bounds <= found + 1e-5 * np.abs(F).max()).all()
    assert (F @ q_inf - bounds <= 1.35 * width + 1e-6).all()


def test_no_point_of_the_ball_is_below() -> None:
    rng = np.random.default_rng(4)
    q_inf = rng.dirichlet(np.ones(6))
    F = rng.standard_normal((8, 6))
    for size in (1e-3, 0.1, 1.0):
        for _ in range(200):
            q = softmax(np.log(q_inf) + size * rng.standard_normal(6))
            D = kl(q_inf, q)
            assert (F @ q >= lower_bounds(F, q_inf, D)).all()
            low, high = coordinate_range(q_inf, D)
            assert (np.log(q) >= low).all() and (np.log(q) <= high).all()


def test_negative_control_a_smaller_ball_is_left() -> None:
    """The bound is no trivial one: with a tenth of the divergence some point of the true ball lies below it."""
    rng = np.random.default_rng(5)
    q_inf = rng.dirichlet(np.ones(6))
    F = rng.standard_normal((8, 6))
    below = [
        (F @ q < lower_bounds(F, q_inf, 0.1 * kl(q_inf, q))).any()
        for q in (softmax(np.log(q_inf) + 0.3 * rng.standard_normal(6)) for _ in range(50))
    ]
    assert any(below)


def test_divergence_without_cancellation() -> None:
    """Near the centre KL is the quadratic form to leading order, far below the rounding of its terms."""
    q_inf = np.array([0.2, 0.3, 0.5])
    shift = 1e-9 * np.array([0.3, -0.5, 0.18])  # sums to zero with weights q_inf
    assert divergence(q_inf, np.log(q_inf) + shift) == pytest.approx(0.5 * float(q_inf @ shift**2), rel=1e-5)


def test_mass_off_the_support_counts() -> None:
    q_inf, q = np.array([0.4, 0.6, 0.0]), np.array([0.3, 0.5, 0.2])
    assert divergence(q_inf, np.log(q)) == pytest.approx(kl(q_inf, q), rel=1e-12)


@pytest.mark.parametrize("D", [1e-20, 1e-16, 1e-12, 1e-6])
def test_coordinate_ranges_of_tiny_balls(D: float) -> None:
    """For small D the ends are +-sqrt(2 D (1 - q) / q) away."""
    q_inf = np.array([1e-6, 0.01, 0.3, 0.689999])
    low, high = coordinate_range(q_inf, D)
    for end, sign in ((low, -1.0), (high, 1.0)):
        gap = sign * (end - np.log(q_inf))
        expected = np.sqrt(2.0 * D * (1.0 - q_inf) / q_inf)
        small = expected < 1e-4
        rounding = 4e-16 * np.abs(np.log(q_inf))
        assert (gap[small] >= (1.0 - 1e-4) * expected[small] - rounding[small]).all()
        assert (gap[small] <= (1.0 + 1e-4) * expected[small] + rounding[small]).all()


def plain_gap(x: Array, D: float, beyond: Array, sign: float) -> Array:
    """The size of log(q / x) at which the divergence of two coins reaches D, by bisection of [0, beyond]."""

    def excess(gap: Array) -> Array:
        near = np.clip(gap, -1e-4, 1e-4)
        series = 0.5 * near**2 * (1.0 + near / 3.0 + near**2 / 12.0)
        return np.where(np.abs(gap) < 1e-4, series, np.expm1(gap) - gap)

    inner, outer = np.zeros_like(x), beyond
    for _ in range(400):
        middle = 0.5 * (inner + outer)
        share = np.minimum(x * np.expm1(sign * middle) / (1.0 - x), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = x * excess(sign * middle) + (1.0 - x) * excess(np.log1p(-share))
        inside = apart <= D
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return outer


@pytest.mark.parametrize("seed", range(40))
def test_coordinate_ranges_are_those_of_a_bisection(seed: int) -> None:
    """Over all sizes of q and of the divergence; never inside of it, and hardly outside."""
    rng = np.random.default_rng(seed)
    few = rng.dirichlet(np.full(30, 10.0 ** rng.uniform(-1.0, 1.0)))
    q = np.where(rng.random(30) < 0.5, np.maximum(few, 1e-250), 10.0 ** rng.uniform(-250.0, 0.0, 30))
    q[0] = 1.0 - 10.0 ** rng.uniform(-15.0, -1.0)
    D = 10.0 ** rng.uniform(-22.0, 3.0)
    low, high = coordinate_range(q, D)
    log_q = np.log(q)
    rounding = 4e-16 * (1.0 + np.abs(log_q))
    for gap, expected in (
        (log_q - low, plain_gap(q, D, (D + 1.0) / q, -1.0)),
        (high - log_q, plain_gap(q, D, -log_q, 1.0)),
    ):
        assert (gap >= expected - rounding).all()
        assert (gap <= (1.0 + 1e-8) * expected + rounding).all()


def test_coordinate_ranges_at_the_ends() -> None:
    """A certain event, a tiny share, no divergence, and one without bound."""
    q = np.array([1.0, 1e-300, 0.5])
    low, high = coordinate_range(q, 1e-3)
    assert low[0] == pytest.approx(-1e-3, rel=1e-8) and high[0] == pytest.approx(0.0, abs=1e-15)
    assert np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()
    assert np.concatenate(coordinate_range(q, 0.0)) == pytest.approx(np.tile(np.log(q), 2), rel=1e-15)
    low, high = coordinate_range(q, np.inf)
    assert (low == -np.inf).all() and high == pytest.approx(0.0, abs=1e-6)
