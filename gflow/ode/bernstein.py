"""Polynomials on [0, 1] in Bernstein form: a rigorous test for roots, and the first root at which the values fall.

A polynomial whose Bernstein coefficients have one sign has no root.  In general it has at most as many roots as the
coefficients have sign changes (Descartes), so two crossings inside one step cannot go unnoticed.
"""

from __future__ import annotations

from functools import cache
from math import comb

import numpy as np

from gflow.arrays import Array, Bools, Index

# Halvings of [0, 1] before a bracket is returned; the caller refines it on the exact guard.
DEPTH = 14


@cache
def nodes(degree: int) -> Array:
    """Chebyshev-Lobatto points of [0, 1], (degree + 1,), increasing, with 0 and 1 exactly."""
    points = 0.5 - 0.5 * np.cos(np.pi * np.arange(degree + 1) / degree)
    points[0], points[-1] = 0.0, 1.0
    points.setflags(write=False)
    return points


def basis(degree: int, theta: Array) -> Array:
    """Bernstein polynomials B_b of this degree at theta (k,) in [0, 1]: (k, degree + 1)."""
    b = np.arange(degree + 1)
    binomial = np.array([comb(degree, k) for k in range(degree + 1)], dtype=float)
    t = np.asarray(theta, dtype=float)[:, None]
    return np.asarray(binomial * t**b * (1.0 - t) ** (degree - b))


@cache
def from_nodes(degree: int) -> Array:
    """Matrix that turns values at `nodes(degree)` into Bernstein coefficients, (degree + 1, degree + 1)."""
    matrix = np.asarray(np.linalg.inv(basis(degree, nodes(degree))), dtype=np.float64)
    matrix.setflags(write=False)
    return matrix


@cache
def _halving(degree: int) -> tuple[Array, Array]:
    """Matrices (degree + 1, degree + 1) that give the coefficients on [0, 1/2] and on [1/2, 1] (de Casteljau at
    1/2).
    """
    left = np.zeros((degree + 1, degree + 1))
    for row in range(degree + 1):
        left[row, : row + 1] = [comb(row, k) / 2.0**row for k in range(row + 1)]
    return left, np.ascontiguousarray(left[::-1, ::-1])


def first_descents(coefficients: Array) -> tuple[Array, Array]:
    """Brackets [low, high] in [0, 1] of the first root at which each polynomial falls; inf where there is none.

    coefficients (k, degree + 1) of polynomials that are >= 0 at 0 -> two arrays (k,).  Two roots closer than 2**-DEPTH
    count as a touch, not as a crossing.
    """
    count, degree = coefficients.shape[0], coefficients.shape[1] - 1
    low, high = np.full(count, np.inf), np.full(count, np.inf)
    owner = np.flatnonzero((coefficients < 0.0).any(axis=1))
    piece, start, width = coefficients[owner], np.zeros(owner.size), 1.0
    left, right = _halving(degree)
    for _ in range(DEPTH):
        if owner.size == 0:
            return low, high
        width *= 0.5
        owner = np.repeat(owner, 2)
        start = np.repeat(start, 2) + np.tile([0.0, width], piece.shape[0])
        piece = np.stack([piece @ left.T, piece @ right.T], axis=1).reshape(-1, degree + 1)
        keep = _may_hold_first(owner, piece)
        owner, start, piece = owner[keep], start[keep], piece[keep]
    falls = (piece[:, 0] >= 0.0) & (piece[:, -1] <= 0.0)
    for j, s in zip(owner[falls][::-1], start[falls][::-1], strict=True):  # the earliest one is written last
        low[j], high[j] = s, s + width
    return low, high


def _may_hold_first(owner: Index, piece: Array) -> Bools:
    """Which pieces may hold the first descent of their polynomial, (pieces,); pieces are sorted by owner, then by
    start.
    """
    # Where a root falls exactly on the point where two pieces meet, the right piece starts at 0.
    alive = (piece < 0.0).any(axis=1) & ((piece > 0.0).any(axis=1) | (piece[:, 0] == 0.0))
    certain = (piece[:, 0] >= 0.0) & (piece[:, -1] < 0.0)
    before: Index = np.cumsum(certain) - certain  # certain descents in earlier pieces, all polynomials together
    first_of_owner = np.searchsorted(owner, owner, side="left")
    return np.asarray(alive & (before == before[first_of_owner]))
