"""Frobenius norm, spectral norm and stable rank of W from span coordinates, without an (m, d) array per row."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh_tridiagonal, eigvalsh

from gflow.arrays import EPS, Array

# Gram matrices of at most this order are quicker decomposed at once.
SMALL = 128
# Steps of Lanczos' method from one look at its values to the next, and at most.
LOOK, MOST = 8, 256
# A residual below this part of the largest value may be good enough, since the error goes with its square; whether it
# is, is proved, to this relative error.
NEARLY, PROVED = 1e-8, 1e-13


@dataclass(frozen=True, slots=True)
class Norms:
    """|W|_F, |W|_2 and |W|_F^2 / |W|_2^2 (0 for W = 0)."""

    frobenius: float
    spectral: float

    @property
    def stable_rank(self) -> float:
        """|W|_F^2 / |W|_2^2; 0 for W = 0."""
        return (self.frobenius / self.spectral) ** 2 if self.spectral > 0.0 else 0.0


class Spectrum(Protocol):
    """Norms of some rows of W = W_perp + U B, whose W_perp part is fixed, from U (k, r)."""

    def norms(self, U: Array) -> Norms:
        """U (k, r) -> the norms of these rows."""


def spectrum_of(W_perp: Array, rank: int) -> Spectrum:
    """The spectrum of rows with W_perp (k, d), the part outside the span of the samples, whose rank is r.

    Where both Gram matrices of W are large, only r directions of k move: that is made use of.
    """
    k, d = W_perp.shape
    return MovedSpectrum(W_perp) if k > SMALL and k <= rank + d and 2 * rank <= k else GramSpectrum(W_perp)


class GramSpectrum:
    """Norms from a Gram matrix.

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
        return Norms(largest * float(np.linalg.norm(A)), largest * sqrt(_largest_eigenvalue(gram)))


class MovedSpectrum:
    """Norms from the fixed spectrum of W_perp W_perp^T = Q diag(D) Q^T, which U moves by rank r.

    In these axes W W^T = diag(D) + V V^T, V = Q^T U.  Lanczos' method gives a value that the largest eigenvalue is at
    least; that it is not larger by more than a part of 1e-13 is proved: of s > max D no eigenvalue of diag(D) + V V^T
    exceeds s exactly where I - V^T (s - diag(D))^-1 V (r, r) is positive semidefinite (Sylvester's law of inertia).
    """

    def __init__(self, W_perp: Array) -> None:
        """W_perp (k, d): the part of these rows outside the span of the samples."""
        self._size = float(np.abs(W_perp).max(initial=0.0))
        scaled = W_perp / self._size if self._size > 0.0 else W_perp
        D, self._axes = np.linalg.eigh(scaled @ scaled.T)
        self._fixed = np.maximum(D, 0.0)  # D / size^2 (k,)
        start = np.random.default_rng(0).normal(size=D.size)
        self._start = start / np.linalg.norm(start)  # the same in every run

    def norms(self, U: Array) -> Norms:
        """U (k, r) -> the norms of these rows."""
        largest = max(float(np.abs(U).max(initial=0.0)), self._size)
        if largest == 0.0:
            return Norms(0.0, 0.0)
        V, D = self._axes.T @ (U / largest), self._fixed * (self._size / largest) ** 2
        squared = float(np.vdot(V, V) + D.sum())
        return Norms(largest * sqrt(squared), largest * sqrt(_top(D, V, self._start)))


def _top(D: Array, V: Array, start: Array) -> float:
    """The largest eigenvalue of diag(D) + V V^T, for D (k,) and V (k, r), from the unit vector `start` (k,)."""
    before, now, b = np.zeros_like(start), start, 0.0
    diagonal, beside = np.empty(MOST), np.empty(MOST)
    for step in range(MOST):
        after = D * now + V @ (now @ V) - b * before
        diagonal[step] = after @ now
        after -= diagonal[step] * now
        beside[step] = b = float(np.linalg.norm(after))
        if (step + 1) % LOOK == 0 or b <= EPS * diagonal[0]:
            found, vectors = eigh_tridiagonal(
                diagonal[: step + 1], beside[:step], select="i", select_range=(step, step), check_finite=False
            )
            value = float(found[0])
            if b * abs(vectors[-1, 0]) <= NEARLY * value and _is_top(value, D, V):
                return value
            if b == 0.0:
                break
        before, now = now, after / b
    return _largest_eigenvalue(np.diag(D) + V @ V.T)


def _is_top(value: float, D: Array, V: Array) -> bool:
    """Is no eigenvalue of diag(D) + V V^T above `value`, to the relative error `PROVED`?"""
    above = value * (1.0 + PROVED) - D
    if above.min() <= 0.0:
        return False
    scaled = V / np.sqrt(above)[:, None]
    try:
        cholesky(np.eye(V.shape[1]) - scaled.T @ scaled, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return False
    return True


def _largest_eigenvalue(gram: Array) -> float:
    """The largest eigenvalue of a symmetric matrix (k, k)."""
    top = gram.shape[0] - 1
    return float(eigvalsh(gram, subset_by_index=[top, top])[0])
