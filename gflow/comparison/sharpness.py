"""The sharpness, which bounds the step size: the largest eigenvalue of the Hessian of L on a pattern, from the tangent
kernel.

With margins p and J their Jacobian in the trained parameters, the Hessian is (1/n) J^T diag(l''(p)) J plus terms with
second derivatives of p, which vanish where these are piecewise linear (fixed outer layer, kinked activation); elsewhere
this is its Gauss-Newton part.  Its nonzero eigenvalues are those of (1/n) D K D, K = J J^T, D^2 = diag(l''(p)).
"""

from __future__ import annotations

from math import exp, inf

import numpy as np

from gflow.arrays import Array
from gflow.problem.loss import LARGEST_EXPONENT, Loss


def sharpness(K: Array, loss: Loss, p: Array) -> float:
    """lambda_max((1/n) D K D), K (n, n), D^2 = diag(l''(p)), p (n,); l'' = g (-d log g / dp); inf on overflow."""
    log_g = loss.log_slope(p)
    largest = float(log_g.max())
    D = np.sqrt(np.exp(log_g - largest) * -loss.log_slope_rate(p))
    scaled = largest_eigenvalue(D[:, None] * K * D) / p.size
    return scaled * exp(largest) if largest < LARGEST_EXPONENT else inf


def stability_threshold(K: Array) -> float | None:
    """8 n / lambda_max(K) of a kernel K (n, n): for smaller step sizes the logistic loss never rises on this pattern,
    since l'' <= 1/4.  None for K = 0."""
    largest = largest_eigenvalue(K)
    return 8.0 * K.shape[0] / largest if largest > 0.0 else None


def largest_eigenvalue(K: Array) -> float:
    """The largest eigenvalue, >= 0, of a symmetric positive semidefinite matrix K (n, n)."""
    return max(float(np.linalg.eigvalsh(K)[-1]), 0.0)
