"""What a point of the convex problem proves: a lower bound of the distance that no other weights can undercut.

Let r be the residual and h_c the gradients, each with the slopes at kinks that pull most.  If <r, h_c> <= 0 for all c,
every s = sum_c lambda_c h_c has <r, theta - s> >= <r, theta>, so that |theta - s| >= <r, theta> / |r|.  A residual
that misses this by little is mended with theta itself: margins are homogeneous, <h_c, theta> = L p_c > 0 (Euler), so
that u = r - mu theta has <u, h_c> <= 0 once mu is large enough, whatever the accuracy of r.  The bound rests on what u
is, not on how it was found.
"""

from __future__ import annotations

import numpy as np

from gflow.analysis.kkt.problem import Gradients, Multipliers, Pulls
from gflow.arrays import EPS, Array

Parts = tuple[Array, Array]  # of theta: what its inner and its outer layer hold

# Rounding of inner products of unit vectors, beside that of their length.
ROUNDING = 256 * EPS
# Optimality conditions count as met when they miss by no more than this, in units of |theta|.
SOLVED = 1e-10


def steepest(gradients: Gradients, pull: Pulls) -> Array:
    """Pulls (N,) with the slopes at kinks that make them largest."""
    return pull.on_base + gradients.gathered(np.maximum(pull.on_kinks, 0.0))


def solved(gradients: Gradients, at: Multipliers) -> bool:
    """Are the optimality conditions met: nothing pulls, and the residual is orthogonal to what it is the rest of?"""
    pull = gradients.pulls(gradients.residual(at))
    along = float(pull.on_base @ at.lam + pull.on_kinks @ at.nu)
    return float(steepest(gradients, pull).max(initial=0.0)) <= SOLVED and abs(along) <= SOLVED


def proved_distance(gradients: Gradients, at: Multipliers) -> float:
    """A lower bound of |theta - sum_c lambda_c h_c| / |theta| over all weights; 0 where nothing is proved.

    Never above what the weights in hand reach themselves, whatever they are.
    """
    residual = gradients.residual(at)
    return min(bound_along(gradients, residual), _length(residual))


def bound_along(gradients: Gradients, direction: Parts) -> float:
    """The bound that a direction proves, whichever it is: the residual of a fit that failed, or of none.

    How much theta must mend it is an estimate; that <u, h_c> <= 0 holds for every margin and slope is then looked at on
    u itself.  (Margins that the direction pushes back may pull once theta is taken off: <h_c, theta> > 0 is not so for
    all h_c where slopes at kinks are free.)  Only inner products with u are off by rounding, u is as it is.
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
    """Of an inner product of u and a gradient, both of length 1: sums over coordinates, neurons, and kinks."""
    (m, r), (K, _) = (part.shape for part in gradients.residual(_nothing(gradients)))
    return ROUNDING + EPS * float(m + r + K)


def _nothing(gradients: Gradients) -> Multipliers:
    return Multipliers(np.zeros(gradients.size.size), np.zeros(gradients.margin.size))


def _length(parts: Parts) -> float:
    return float(np.hypot(np.linalg.norm(parts[0]), np.linalg.norm(parts[1])))
