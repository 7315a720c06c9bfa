"""The features of the margins on one mode, and an orthonormal basis of what they span: K = H H^T without cancellation.

Margin i is affine in the weights on a mode, with the gradient h_ji = y_i a_j phi'_ji P_j c_i.  An entry of K carries
a rounding of |h_i| |h_k|, so that K q is lost where the features cancel (almost antipodal or parallel samples); what
is made of the features themselves carries a rounding of |h_i| only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from gflow.field.clarke import ROUNDING
from gflow.field.mode import DualMode
from gflow.problem.span import row_norms

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Features:
    """h_i = largest sum_k H_ik basis_k: H (n, k), basis (m, r, k) orthonormal; the rank k is that to float64."""

    H: Array
    basis: Array
    largest: float  # max |h_i|

    @property
    def rank(self) -> int:
        return int(self.H.shape[1])


def factored(mode: DualMode) -> Features:
    """QR of the features with column pivoting and rows sorted by size, which is stable row by row.

    Small coordinates of large samples keep their digits (Cox and Higham, 1998, Stability of Householder QR
    factorization for weighted least squares problems).  What is left of a feature by cancellation, to rounding of what
    it was made of, counts as nothing.
    """
    h = mode.features()
    n, m, r = h.shape
    free = mode.free
    columns = (h.reshape(n, m * r) / np.where(free > 0.0, free, 1.0)[:, None]).T
    order = np.argsort(-np.abs(columns).max(axis=1), kind="stable")
    Q, R, pivots = qr(columns[order], mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(R)) > ROUNDING).sum())
    H, basis = np.empty((n, rank)), np.empty((m * r, rank))
    H[pivots] = R[:rank].T
    basis[order] = Q[:, :rank]
    lengths = free * row_norms(H)
    largest = float(lengths.max(initial=0.0)) or 1.0
    return Features((free / largest)[:, None] * H, basis.reshape(m, r, rank), largest)
