"""A proved lower bound of the distance in the convex problem: no multipliers and slopes at kinks reach less.

Let r be the residual and h_c the gradients, each with the slopes at kinks that pull most.  If <r, h_c> <= 0 for all c,
every s = sum_c lambda_c h_c has <r, theta - s> >= <r, theta>, so that |theta - s| >= <r, theta> / |r|.  A residual
that misses this by little is mended with theta itself: margins are homogeneous, <h_c, theta> = L p_c > 0 (Euler), so
that u = r - mu theta has <u, h_c> <= 0 once mu is large enough, whatever the accuracy of r.  The bound is a statement
about u alone: it holds however u was computed.
"""

from __future__ import annotations

import numpy as np

from gflow.analysis.kkt.problem import Gradients, Multipliers, Pulls
from gflow.arrays import EPS, Array

Parts = tuple[Array, Array]  # of theta: what its inner and its outer layer hold

# Rounding error of inner products of unit vectors, in addition to the one that grows with their length.
ROUNDING = 256 * EPS
# Optimality conditions count as met when they miss by no more than this, in units of |theta|.
SOLVED = 1e-10


def steepest(gradients: Gradients, pull: Pulls) -> Array:
    """Pulls (N,) with the slopes at kinks that make them largest."""
    return pull.on_base + gradients.gathered(np.maximum(pull.on_kinks, 0.0))


def solved(gradients: Gradients, at: Multipliers) -> bool:
    """Are the optimality conditions met: no gradient has a positive product with the residual, which is orthogonal
    to the combination of gradients that was subtracted?"""
    pull = gradients.pulls(gradients.residual(at))
    along = float(pull.on_base @ at.lam + pull.on_kinks @ at.nu)
    return float(steepest(gradients, pull).max(initial=0.0)) <= SOLVED and abs(along) <= SOLVED


def proved_distance(gradients: Gradients, at: Multipliers) -> float:
    """A lower bound of |theta - sum_c lambda_c h_c| / |theta| over all lambda >= 0; 0 where nothing is proved.

    It is never above the distance that the given multipliers reach themselves.
    """
    residual = gradients.residual(at)
    return min(bound_along(gradients, residual), _length(residual))


def bound_along(gradients: Gradients, direction: Parts) -> float:
    """The bound that a direction, (m, r) and (K, m), proves, be it the residual of a good fit, a failed one or none.

    The multiple mu of theta to subtract is an estimate, so <u, h_c> <= 0 is then checked on u itself, for every margin
    and slope.  (A margin with <r, h_c> < 0 may have <u, h_c> > 0: <h_c, theta> > 0 does not hold for all h_c where
    slopes at kinks are free.)  u itself is exact; only inner products with it have rounding errors.
    """
    length, theta = _length(direction), gradients.residual(_nothing(gradients))
    if not 0.0 < length < np.inf:
        return 0.0
    rounding = _rounding(gradients)
    unit = (direction[0] / length, direction[1] / length)
    wrong = steepest(gradients, gradients.pulls(unit)) + 2.0 * rounding
    euler = gradients.pulls(theta)
    least = euler.on_base + gradients.gathered(np.minimum(euler.on_kinks, 0.0)) - 2.0 * rounding
    asked = gradients.live & (wrong > 0.0) & (least > 0.0)
    mu = float((wrong[asked] / least[asked]).max(initial=0.0))
    u = (unit[0] - mu * theta[0], unit[1] - mu * theta[1])
    size = _length(u)
    pulls = steepest(gradients, gradients.pulls(u))[gradients.live]
    along = float(np.sum(u[0] * theta[0]) + np.sum(u[1] * theta[1]) - rounding * size)
    return along / size if along > 0.0 and (pulls <= -rounding * size).all() else 0.0


def _rounding(gradients: Gradients) -> float:
    """The rounding error of an inner product of u and a gradient, both of length 1."""
    (m, r), (K, _) = (part.shape for part in gradients.residual(_nothing(gradients)))
    return ROUNDING + EPS * float(m + r + K)


def _nothing(gradients: Gradients) -> Multipliers:
    return Multipliers(np.zeros(gradients.size.size), np.zeros(gradients.margin.size))


def _length(parts: Parts) -> float:
    return float(np.hypot(np.linalg.norm(parts[0]), np.linalg.norm(parts[1])))
