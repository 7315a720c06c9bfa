"""Rigorous lower bounds of linear functions of q in the simplex, subject to KL(q_inf || q) <= D.

The problem min f.q over {q in the simplex: sum_i q_inf_i log(q_inf_i / q_i) <= D} is convex, and its Lagrange dual has
one variable:

    for every mu <= min_i f_i,   f.q >= mu + e^-D exp( sum_i q_inf_i log(f_i - mu) )   for all such q,

with equality at the best mu.  Every mu yields a valid bound, so no root must be found: for small D the best one lies
near mean - sqrt(variance / 2D), the mean and variance of f under q_inf, and a few values around it are tried.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array

# Exponents below which e^x - 1 - x is summed as a series.
SERIES_BELOW = 1e-4
# Multiples of the best mean - mu for small D, at which the bound is evaluated.
TRIED = (0.7, 1.0, 1.5, 3.0)
# The roots of divergences are found to this part, in at most so many steps, and widened by a factor above all rounding.
CONVERGED, MOST_NEWTON_STEPS, UP = 1e-12, 100, 1.0 + 1e-9


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
    fallen = (1.0 - most) * -np.expm1(-_farthest_fall(1.0 - most, most, D))  # what the other side of the coin loses
    return np.log(least) - _farthest_fall(least, 1.0 - least, D), np.log(most) + np.log1p(fallen / most) * UP


def _farthest_fall(x: Array, rest: Array, D: float) -> Array:
    """The largest g (n,) with a divergence of at most D of coins with probabilities x and x e^-g, rounded up.

    x (n,), rest (n,) = 1 - x, without the rounding of that difference where x is near 1.  The divergence f is convex in
    g, so that Newton's method, from the right of the root, comes down to it without passing it, but for rounding.  It
    starts where x g^2 / (2 + g) = D, as e^-g - 1 + g >= g^2 / (2 + g) and f >= x (e^-g - 1 + g).
    """
    most = D * UP
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = most / x
        gap = 0.5 * (ratio + np.sqrt(ratio) * np.sqrt(ratio + 8.0))
        for _ in range(MOST_NEWTON_STEPS):
            moved = -x * np.expm1(-gap)
            step = (_binary(x, rest, -gap) - most) * (rest + moved) / moved
            step = np.where(np.abs(step) > CONVERGED * gap, step, 0.0)  # also where it is not a number
            if not step.any():
                break
            gap = gap - step
    return np.asarray(np.where(x > 0.0, gap * UP, 0.0))


def _binary(x: Array, rest: Array, gap: Array) -> Array:
    """The divergence of coins with probabilities x and x e^gap <= x, with rest = 1 - x; all (n,)."""
    moved = -x * np.expm1(gap)
    with np.errstate(divide="ignore", invalid="ignore"):
        other = np.where(rest > 0.0, rest * _excess(np.log1p(moved / rest)), moved)
    return np.asarray(x * _excess(gap) + other)
