"""Rigorous lower bounds of linear functions of q in the simplex, subject to KL(q_inf || q) <= D.

The problem min f.q over {q in the simplex: sum_i q_inf_i log(q_inf_i / q_i) <= D} is convex, and its Lagrange dual has
one variable:

    for every mu <= min_i f_i,   f.q >= mu + e^-D exp( sum_i q_inf_i log(f_i - mu) )   for all such q,

with equality at the best mu.  Every mu yields a valid bound, so no root must be found: for small D the best one lies
near mean - sqrt(variance / 2D), the mean and variance of f under q_inf, and a few values around it are tried.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.arrays import EPS, Array

# Exponents below which e^x - 1 - x is summed as a series.
SERIES_BELOW = 1e-4
# Multiples of the best mean - mu for small D, at which the bound is evaluated.
TRIED = (0.7, 1.0, 1.5, 3.0)


def divergence(q_inf: Array, log_q: Array) -> float:
    """KL(q_inf || q) >= 0, q_inf (n,), log_q (n,); samples with q_inf = 0 count only by their part of the sum of q."""
    on = q_inf > 0.0
    return float(q_inf[on] @ _excess(log_q[on] - np.log(q_inf[on])) + np.exp(log_q[~on]).sum())


def _excess(gap: Array) -> Array:
    """e^x - 1 - x >= 0, elementwise.

    As sum q_inf (e^gap - 1) is 0, the sum of q_inf excess(gap) is KL, without cancellation at small gaps.
    """
    near = np.clip(gap, -SERIES_BELOW, SERIES_BELOW)
    series = 0.5 * near**2 * (1.0 + near / 3.0 + near**2 / 12.0)
    return np.asarray(np.where(np.abs(gap) < SERIES_BELOW, series, np.expm1(gap) - gap))


def lower_bounds(F: Array, q_inf: Array, D: float) -> Array:
    """Lower bounds (k,) of F q, F (k, n), over all q of the simplex with KL(q_inf || q) <= D, q_inf (n,).

    Rounding is accounted for.
    """
    mean = F @ q_inf
    centred = F - mean[:, None]
    gap = -centred.min(axis=1)  # mean - min_i f_i >= 0
    deviation = np.sqrt(centred**2 @ q_inf)
    bounds = mean - gap
    for multiple in TRIED:
        distance = np.maximum(multiple * deviation / np.sqrt(2.0 * max(D, 1e-300)), 1.01 * gap)
        safe = np.where(distance > 0.0, distance, 1.0)
        exponent = np.log1p(centred / safe[:, None]) @ q_inf
        bounds = np.maximum(bounds, mean + distance * np.expm1(exponent - D))
    # Rounding of the mean, of the terms of the exponent (which is at most of order D + 1), and of the sum.
    size = np.abs(F).max(axis=1, initial=0.0)
    return np.asarray(np.where(gap > 0.0, bounds, mean) - 8.0 * F.shape[1] * EPS * size)


def coordinate_range(q_inf: Array, D: float, shift: Array | float = 0.0) -> tuple[Array, Array]:
    """Bounds (n,) below and above of log q_i, where the binary divergence of x_i and q_i is at most D.

    It holds for every x_i > 0 within shift (n,) of q_inf_i > 0.  Both bounds rise with x_i, as d/dx of x log(x / q) +
    (1 - x) log((1 - x) / (1 - q)) has the sign of x - q.
    """
    least = np.maximum(q_inf - shift, 1e-300)  # for which D / x is a number
    most = np.minimum(q_inf + shift, 1.0)
    down = _farthest_gap(least, D, (D + 1.0) / least, lambda gap: -gap)
    up = _farthest_gap(most, D, -np.log(most), _rise)
    return np.log(least) - down, np.log(most) + up


def _rise(gap: Array) -> Array:
    return gap


def _farthest_gap(q_inf: Array, D: float, beyond: Array, signed: Callable[[Array], Array]) -> Array:
    """The size of log(q_i / q_inf_i) at which the binary divergence reaches D, rounded up; below `beyond`."""
    inner, outer = np.zeros_like(q_inf), beyond
    for _ in range(100):
        middle = 0.5 * (inner + outer)
        inside = _binary(q_inf, signed(middle)) <= D * (1.0 + 1e-9)
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return np.asarray(outer * (1.0 + 1e-9))


def _binary(q_inf: Array, gap: Array) -> Array:
    """The divergence of coins with probabilities q_inf and q_inf e^gap; inf where no mass remains for the other
    side.
    """
    rest = 1.0 - q_inf
    moved = q_inf * np.expm1(gap)
    with np.errstate(divide="ignore", invalid="ignore"):
        other = np.where(rest > 0.0, rest * _excess(np.log1p(-np.minimum(moved / rest, 1.0))), 0.0)
    return np.asarray(np.where(np.isnan(other), np.inf, q_inf * _excess(gap) + other))
