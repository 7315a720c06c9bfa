"""The Clarke set at kinks with dependent normals, where only sign patterns that are attained nearby count.

Near such a point the field is constant on each cell of a central arrangement of hyperplanes.  The Clarke set is the
convex hull of the velocities on these cells.

Normals of data are rarely dependent exactly, so every combinatorial decision rests on one threshold: a cell no wider
than `NEARLY_DEPENDENT` counts as empty.  A cell counts where some unit vector has that distance from all its walls.
Each cell is tested by itself and no rank is passed on, so that no two decisions can contradict each other.
"""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np

from gflow.arrays import Array, Bools, Sides
from gflow.field.kink import Kink

MOST_CELLS = 512
# Unit normals with a smaller singular value than this count as dependent, and cells no wider than this as empty.
NEARLY_DEPENDENT = 1e-7
# A minimum-norm element below this part of the largest velocity counts as zero.
ZERO = 1e-11
# The normals hold a neuron in the directions of singular values above this.
SPANNED = 1e-13


def independent(normals: Array) -> bool:
    """Whether unit normals (k, r) are independent, so that their Gram matrix can be solved to seven digits or
    better.
    """
    return bool(each_independent(normals[None])[0])


def each_independent(normals: Array) -> Bools:
    """`independent` of each of many sets of as many normals, (m, k, r) -> (m,)."""
    if normals.shape[1] <= 1:
        return np.ones(normals.shape[0], dtype=bool)
    singular = np.linalg.svd(normals, compute_uv=False)
    return np.asarray((singular > NEARLY_DEPENDENT).sum(axis=1) == normals.shape[1])


def rank(normals: Array) -> int:
    """The number of singular values of unit normals (k, r) above `NEARLY_DEPENDENT`."""
    return int((np.linalg.svd(normals, compute_uv=False) > NEARLY_DEPENDENT).sum())


def cells(normals: Array) -> Sides | None:
    """The sign patterns (c, k) that sign(normals @ x) attains without zeros, sorted; normals (k, r).

    None where there could be more than `MOST_CELLS`.  Each surface in turn cuts the cells of those before it, and each
    cell carries a unit vector inside it.  A cell of all surfaces lies in a cell of the first few that is at least as
    wide, so that none is missed.
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
    """A unit vector x (r,) with walls @ x > `NEARLY_DEPENDENT`, walls (h, r); None where there is none.

    `start` (r,) is tried first.  The deepest x points to the point of the hull of the walls that is nearest to 0, and
    its depth is the distance of that point.
    """
    if walls[-1] @ start > NEARLY_DEPENDENT:
        return start
    nearest = least_norm_in_hull(walls)
    depth = float(np.linalg.norm(nearest))
    if depth == 0.0:
        return None
    return nearest / depth if (walls @ nearest > NEARLY_DEPENDENT * depth).all() else None


def least_norm_in_hull(points: Array) -> Array:
    """The point (r,) of least norm in the convex hull of `points` (c, r); exactly 0 where the hull contains the origin.

    Least-distance programming (Lawson and Hanson, ch. 23): min |x| subject to points @ x >= 1, by nnls.
    """
    size = float(np.linalg.norm(points, axis=1).max())
    if size == 0.0:
        return np.zeros(points.shape[1])
    matrix = np.vstack([points.T / size, np.ones(points.shape[0])])
    target = np.zeros(matrix.shape[0])
    target[-1] = 1.0
    weights = _nonnegative_least_squares(matrix, target)
    # The norm of the point is its distance.  The residual 1 - sum of weights is the square of that, which below 1e-8 is
    # rounding and differs from processor to processor.
    nearest = (points.T @ weights) / weights.sum()
    return nearest if np.linalg.norm(nearest) > ZERO * size else np.zeros(points.shape[1])


def _nonnegative_least_squares(matrix: Array, target: Array) -> Array:
    """argmin |matrix w - target| over w >= 0; by an interior method where pivoting cycles between equal columns."""
    from scipy.optimize import lsq_linear, nnls  # half a second to load, which most runs do not need

    try:
        return np.asarray(nnls(matrix, target, maxiter=30 * matrix.shape[1])[0])
    except RuntimeError:
        return np.asarray(lsq_linear(matrix, target, bounds=(0.0, np.inf), tol=1e-15).x)


def span_basis(normals: Array) -> Array:
    """An orthonormal basis (s, r) of the span of normals (k, r), to rounding.

    A direction that they span weakly counts, as they hold a neuron in it.
    """
    _, singular, Vt = np.linalg.svd(normals, full_matrices=False)
    return np.asarray(Vt[singular > SPANNED])


def span(normals: Array) -> Array:
    """The projector (r, r) on the span of normals (k, r)."""
    basis = span_basis(normals)
    return np.asarray(basis.T @ basis)


def velocities(kink: Kink, patterns: Sides) -> Array:
    """The velocity of each cell, projected on the span of the normals, patterns (c, k) -> (c, r)."""
    return np.asarray((kink.drift + np.where(patterns > 0, kink.jump, 0.0) @ kink.normals) @ span(kink.normals))
