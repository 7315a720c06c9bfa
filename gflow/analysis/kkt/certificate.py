"""What a point of the convex problem proves: a lower bound of the distance that no other weights can undercut.

Let r be the residual and h_c the gradients, each with the slopes at kinks that pull most.  If <r, h_c> <= 0 for all c,
every s = sum_c lambda_c h_c has <r, theta - s> >= <r, theta>, so that |theta - s| >= <r, theta> / |r|.  A residual
that misses this by little is mended with theta itself: margins are homogeneous, <h_c, theta> = L p_c > 0 (Euler), so
that u = r - mu theta has <u, h_c> <= 0 once mu is large enough, whatever the accuracy of r.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.kkt.problem import Gradients, Pulls, Weights

Array = NDArray[np.float64]

# Rounding of inner products of unit vectors.
ROUNDING = 256 * float(np.finfo(float).eps)
# Optimality conditions count as met when they miss by no more than this, in units of |theta|.
SOLVED = 1e-10


def steepest(gradients: Gradients, pull: Pulls) -> Array:
    """Pulls (N,) with the slopes at kinks that make them largest."""
    return pull.on_base + gradients.gathered(np.maximum(pull.on_kinks, 0.0))


def solved(gradients: Gradients, at: Weights) -> bool:
    """Are the optimality conditions met: nothing pulls, and the residual is orthogonal to what it is the rest of?"""
    pull = gradients.pulls(gradients.residual(at))
    along = float(pull.on_base @ at.lam + pull.on_kinks @ at.nu)
    return float(steepest(gradients, pull).max(initial=0.0)) <= SOLVED and abs(along) <= SOLVED


def proved_distance(gradients: Gradients, at: Weights) -> float:
    """A lower bound of |theta - sum_c lambda_c h_c| / |theta| over all weights; 0 where nothing is proved.

    The bound holds for any u, so that only inner products with it are off by rounding, not the residual itself.
    """
    residual = gradients.residual(at)
    theta = gradients.residual(Weights(np.zeros_like(at.lam), np.zeros_like(at.nu)))
    pull, euler = gradients.pulls(residual), gradients.pulls(theta)
    wrong = steepest(gradients, pull) + ROUNDING * _length(residual)
    least = euler.on_base + gradients.gathered(np.minimum(euler.on_kinks, 0.0)) - ROUNDING
    asked = gradients.live & (wrong > 0.0)
    if (least[asked] <= 0.0).any():
        return 0.0
    mu = float((wrong[asked] / least[asked]).max(initial=0.0))
    u = (residual[0] - mu * theta[0], residual[1] - mu * theta[1])
    size = _length(u)
    along = float(np.sum(u[0] * theta[0]) + np.sum(u[1] * theta[1])) - ROUNDING * size
    return along / size if along > 0.0 else 0.0


def _length(parts: tuple[Array, Array]) -> float:
    return float(np.hypot(np.linalg.norm(parts[0]), np.linalg.norm(parts[1])))
