"""Span coordinates: X = C B with orthonormal B, so that W = W_perp + U B and only U ever moves (exact)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array


@dataclass(frozen=True, slots=True)
class Span:
    """The factorisation of one data set.  C (n, r) sample coordinates, B (r, d) orthonormal rows, r = rank X."""

    C: Array
    B: Array

    @property
    def rank(self) -> int:
        return int(self.B.shape[0])

    def outside(self, W: Array) -> Array:
        """The part of the rows of W (m, d) outside the span; exactly 0 where the samples span all of R^d.

        Projected twice: what one projection leaves in the span is the rounding of W, which may be far larger than
        weights that have come to rest near 0 (Parlett, The Symmetric Eigenvalue Problem, 6.9: twice is enough).
        """
        if self.rank == self.B.shape[1]:
            return np.zeros_like(W)
        once = W - (W @ self.B.T) @ self.B
        return np.asarray(once - (once @ self.B.T) @ self.B)


def factor_span(X: Array) -> Span:
    """X (n, d) without zero rows -> Span.  Rows are normalised first: the rank must not depend on their scales."""
    norms = row_norms(X)
    _, singular, Vt = np.linalg.svd(X / norms[:, None], full_matrices=False)
    rank = int(np.sum(singular > max(X.shape) * np.finfo(float).eps * singular[0]))
    B = np.ascontiguousarray(Vt[:rank])
    return Span(C=norms[:, None] * ((X / norms[:, None]) @ B.T), B=B)


def row_norms(A: Array) -> Array:
    """Euclidean norms of the rows, (k, l) -> (k,), without overflow or underflow in the squares."""
    if A.shape[1] == 0:
        return np.zeros(A.shape[0])
    largest = np.abs(A).max(axis=1)
    safe = np.where(largest > 0.0, largest, 1.0)
    return np.asarray(largest * np.linalg.norm(A / safe[:, None], axis=1))
