"""The rounding that a kernel K of a mode carries, entry by entry."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.field.mode import DualMode
from gflow.problem.span import row_norms

Array = NDArray[np.float64]

EPS = float(np.finfo(float).eps)


def kernel_error(mode: DualMode) -> Array:
    """Bound (n, n) of |computed K - exact K| for a kernel worked out from scratch.

    K_ik = y_i y_k sum_j a_j^2 s_ji s_jk c_i^T P_j c_k, P_j = I - N^T A, A = (N N^T)^-1 N.  A is off by at most
    grain sqrt(k) |A|^2 (a perturbation of N by its own rounding), |N c_i| <= sqrt(k) |c_i|: the product by at most
    grain (1 + k |A|^2) |c_i| |c_k|.
    """
    problem, m = mode.problem, mode.slopes.shape[0]
    lengths = row_norms(problem.span.C)
    grain = 8.0 * EPS * (problem.span.rank + mode.slots.shape[1] + m + 8)
    weight = problem.network.outer**2 * (1.0 + _amplification(mode))
    return np.asarray(grain * np.outer(lengths, lengths) * ((mode.slopes * weight[:, None]).T @ mode.slopes))


def _amplification(mode: DualMode) -> Array:
    """k_j |A_j|^2 (m,), 0 for neurons that do not slide."""
    sliding = (mode.side == 0).sum(axis=1)
    return np.asarray(sliding * np.linalg.norm(mode.force_map, axis=(1, 2)) ** 2)
