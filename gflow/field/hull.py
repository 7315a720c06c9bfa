"""Kinks with dependent normals: only sign patterns that are attained nearby count (design: Clarke set and min norm).

The field near such a point is constant on each cell of a central arrangement of hyperplanes; the Clarke set is the
convex hull of those few velocities.

Normals of data are rarely dependent exactly, so all that is combinatorial here rests on one decision: what is no wider
than `NEARLY_DEPENDENT` is no room.  A cell counts where a unit vector has that distance from all its walls, which is
asked of every cell by itself: no rank is passed on, so there is nothing that could contradict itself.
"""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
from scipy.optimize import lsq_linear, nnls

from gflow.arrays import Array, Sides
from gflow.field.kink import Kink

MOST_CELLS = 512
# Unit normals whose smallest singular value is below this count as dependent, cells that are no wider as empty.
NEARLY_DEPENDENT = 1e-7
# Relative to the largest velocity: below it the minimum-norm element counts as zero.
ZERO = 1e-11
# Directions that the normals span by more than this are directions in which they hold a neuron.
SPANNED = 1e-13


def independent(normals: Array) -> bool:
    """Are the unit normals (k, r) independent, with a Gram matrix that can be solved to seven digits or better?"""
    return True if normals.shape[0] <= 1 else rank(normals) == normals.shape[0]


def rank(normals: Array) -> int:
    """Number of directions that unit normals (k, r) span by more than `NEARLY_DEPENDENT`."""
    return int((np.linalg.svd(normals, compute_uv=False) > NEARLY_DEPENDENT).sum())


def cells(normals: Array) -> Sides | None:
    """Sign patterns (c, k) that sign(normals @ x) attains without zeros, sorted; None if there could be too many.

    One surface after the other cuts the cells of those before; each cell carries a unit vector inside it.  A cell of
    all surfaces lies in one of the first few that is at least as wide, so that none is missed.
    """
    k, spanned = normals.shape[0], rank(normals)
    if 2 * sum(comb(k - 1, i) for i in range(spanned)) > MOST_CELLS:
        return None
    if spanned == k:  # every pattern is attained
        return np.array(list(product((-1, 1), repeat=k)), dtype=np.int8)
    half = [(np.ones(1, dtype=np.int8), normals[0])]  # the other half of all cells is opposite to these
    for h in range(1, k):
        half = [
            (np.append(signs, side).astype(np.int8), found)
            for signs, inside in half
            for side in (-1, 1)
            if (found := _inside(np.append(signs, side)[:, None] * normals[: h + 1], inside)) is not None
        ]
    patterns = np.array([signs for signs, _ in half], dtype=np.int8).reshape(-1, k)
    return np.unique(np.concatenate([patterns, -patterns]), axis=0)


def _inside(walls: Array, start: Array) -> Array | None:
    """A unit vector x with walls @ x > `NEARLY_DEPENDENT`, walls (h, r); None if there is none.  start: may be it.

    The deepest one points at the hull of the walls: its distance from 0 is the depth.
    """
    if walls[-1] @ start > NEARLY_DEPENDENT:
        return start
    nearest = least_norm_in_hull(walls)
    depth = float(np.linalg.norm(nearest))
    if depth == 0.0:
        return None
    return nearest / depth if (walls @ nearest > NEARLY_DEPENDENT * depth).all() else None


def least_norm_in_hull(points: Array) -> Array:
    """The point of least norm in the convex hull of `points` (c, r), exactly 0 (r,) when the hull holds the origin.

    Least-distance programming (Lawson and Hanson, ch. 23): min |x| with points @ x >= 1 by nnls.
    """
    size = float(np.linalg.norm(points, axis=1).max())
    if size == 0.0:
        return np.zeros(points.shape[1])
    matrix = np.vstack([points.T / size, np.ones(points.shape[0])])
    target = np.zeros(matrix.shape[0])
    target[-1] = 1.0
    weights = _nonnegative_least_squares(matrix, target)
    # The point itself tells how far it is; the residual, 1 - sum of weights, is the square of that, which is rounding
    # below 1e-8 and differs from processor to processor.
    nearest = (points.T @ weights) / weights.sum()
    return nearest if np.linalg.norm(nearest) > ZERO * size else np.zeros(points.shape[1])


def _nonnegative_least_squares(matrix: Array, target: Array) -> Array:
    """argmin |matrix w - target| over w >= 0; where pivoting cycles between equal columns, from inside."""
    try:
        return np.asarray(nnls(matrix, target, maxiter=30 * matrix.shape[1])[0])
    except RuntimeError:
        return np.asarray(lsq_linear(matrix, target, bounds=(0.0, np.inf), tol=1e-15).x)


def span(normals: Array) -> Array:
    """Projector (r, r) on what normals (k, r) span.

    To rounding: a direction that they span weakly is still one in which they hold a neuron.
    """
    _, singular, Vt = np.linalg.svd(normals, full_matrices=False)
    basis = Vt[singular > SPANNED]
    return np.asarray(basis.T @ basis)


def velocities(kink: Kink, patterns: Sides) -> Array:
    """Velocity of each cell, in the span of the normals, (c, k) -> (c, r)."""
    return np.asarray((kink.drift + np.where(patterns > 0, kink.jump, 0.0) @ kink.normals) @ span(kink.normals))
