"""The sharpness, which bounds the step size: the largest eigenvalue of the Hessian of L on a pattern."""

from __future__ import annotations

from math import exp, inf

import numpy as np

from gflow.analysis.hessian import Hessian
from gflow.arrays import Array
from gflow.problem.loss import LARGEST_EXPONENT, Loss
from gflow.reference.point import Point


def sharpness(point: Point) -> float:
    """lambda_max(hess L) on the pattern of a point, where neurons that slide keep their share; inf on overflow.

    Where margins are linear on a pattern it is that of (1/n) D K D, D^2 = diag(l''(p)), K the tangent kernel (n, n).
    """
    largest = float(point.log_g.max())
    if largest >= LARGEST_EXPONENT:
        return inf
    network = point.problem.network
    linear = not network.trains_outer and network.outputs == 1 and network.smoothing is None
    value = of_kernel(point.kernel, point.problem.loss, point.p) if linear else Hessian(point, largest).largest
    return value * exp(largest)


def of_kernel(K: Array, loss: Loss, p: Array) -> float:
    """lambda_max((1/n) D K D) over the largest g, K (n, n), p (n,); l'' = g (-d log g / dp)."""
    log_g = loss.log_slope(p)
    D = np.sqrt(np.exp(log_g - log_g.max()) * -loss.log_slope_rate(p))
    return largest_eigenvalue(D[:, None] * K * D) / p.size


def stability_threshold(K: Array) -> float | None:
    """8 n / lambda_max(K) of a kernel K (n, n): for smaller step sizes the logistic loss never rises on this pattern,
    since l'' <= 1/4.  None for K = 0."""
    largest = largest_eigenvalue(K)
    return 8.0 * K.shape[0] / largest if largest > 0.0 else None


def largest_eigenvalue(K: Array) -> float:
    """The largest eigenvalue, >= 0, of a symmetric positive semidefinite matrix K (n, n)."""
    return max(float(np.linalg.eigvalsh(K)[-1]), 0.0)
