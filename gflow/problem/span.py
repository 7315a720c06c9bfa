"""Span coordinates: X = C B with orthonormal rows of B, so that W = W_perp + U B, where only U moves.

W_perp is orthogonal to all samples and stays as it is, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array


@dataclass(frozen=True, slots=True)
class Span:
    """The factors of X = C B: sample coordinates C (n, r) and orthonormal rows B (r, d), with r = rank X."""

    C: Array
    B: Array

    @property
    def rank(self) -> int:
        """The rank r of the data."""
        return int(self.B.shape[0])

    def outside(self, W: Array) -> Array:
        """The part (m, d) of the rows of W (m, d) that is orthogonal to the span; exactly 0 where the samples span R^d.

        It is projected twice.  After one projection the rounding of W remains in the span, which may be far larger than
        weights that have come to rest near 0 (Parlett, The Symmetric Eigenvalue Problem, 6.9: twice is enough).
        """
        if self.rank == self.B.shape[1]:
            return np.zeros_like(W)
        once = W - (W @ self.B.T) @ self.B
        return np.asarray(once - (once @ self.B.T) @ self.B)


def factor_span(X: Array) -> Span:
    """The span of X (n, d), which has no zero rows; they are normalised first, so that the rank does not depend on
    their lengths.
    """
    norms = row_norms(X)
    _, singular, Vt = np.linalg.svd(X / norms[:, None], full_matrices=False)
    rank = int(np.sum(singular > max(X.shape) * EPS * singular[0]))
    B = np.ascontiguousarray(Vt[:rank])
    return Span(C=norms[:, None] * ((X / norms[:, None]) @ B.T), B=B)


def row_norms(A: Array) -> Array:
    """Euclidean norms of the rows, (k, l) -> (k,), without overflow or underflow in the squares."""
    if A.shape[1] == 0:
        return np.zeros(A.shape[0])
    largest = np.abs(A).max(axis=1)
    safe = np.where(largest > 0.0, largest, 1.0)
    return np.asarray(largest * np.linalg.norm(A / safe[:, None], axis=1))
