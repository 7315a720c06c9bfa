"""Frobenius norm, spectral norm and stable rank of W from span coordinates, without an (m, d) array per row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh

from gflow.arrays import Array


@dataclass(frozen=True, slots=True)
class Norms:
    """|W|_F, |W|_2 and |W|_F^2 / |W|_2^2 (0 for W = 0)."""

    frobenius: float
    spectral: float

    @property
    def stable_rank(self) -> float:
        """|W|_F^2 / |W|_2^2; 0 for W = 0."""
        return (self.frobenius / self.spectral) ** 2 if self.spectral > 0.0 else 0.0


class Spectrum:
    """Norms of some rows of W = W_perp + U B, whose W_perp part (m, d) is fixed.

    Rotated, W is [U | V] with V V^T = W_perp W_perp^T, so the smaller of its two Gram matrices has at most
    min(m, d) rows; only its largest eigenvalue is asked for.
    """

    def __init__(self, W_perp: Array) -> None:
        """W_perp (k, d): the part of these rows outside the span of the samples."""
        triangular = np.asarray(np.linalg.qr(W_perp.T, mode="r"))
        self._outside = triangular.T  # (k, min(k, d))

    def norms(self, U: Array) -> Norms:
        """U (k, r) -> the norms of these rows."""
        A = np.hstack([U, self._outside])
        largest = float(np.abs(A).max(initial=0.0))
        if largest == 0.0:
            return Norms(0.0, 0.0)
        A = A / largest  # squares of weights beyond 1e154 would overflow
        gram = A @ A.T if A.shape[0] <= A.shape[1] else A.T @ A
        top = gram.shape[0] - 1
        squared = float(eigvalsh(gram, subset_by_index=[top, top])[0])
        return Norms(largest * float(np.linalg.norm(A)), largest * float(np.sqrt(squared)))
