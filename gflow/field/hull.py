"""Kinks with dependent normals: only sign patterns that are attained nearby count (design: Clarke set and min norm).

The field near such a point is constant on each cell of a central arrangement of hyperplanes; the Clarke set is the
convex hull of those few velocities.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gflow.field.kink import Kink, Sides, settle

Array = NDArray[np.float64]

MOST_CELLS = 512
# Unit normals whose smallest singular value is below this count as dependent.
NEARLY_DEPENDENT = 1e-7
# Relative to the largest velocity: below it the minimum-norm element counts as zero.
ZERO = 1e-11


def independent(normals: Array) -> bool:
    """Are the unit normals (k, r) independent, with a Gram matrix that can be solved to seven digits or better?"""
    k, r = normals.shape
    return k <= 1 or (k <= r and float(np.linalg.svd(normals, compute_uv=False)[-1]) > NEARLY_DEPENDENT)


def cells(normals: Array) -> Sides | None:
    """Sign patterns (c, k) that sign(normals @ x) attains without zeros, sorted; None if there could be too many.

    Every cell of a central arrangement of rank rho > 1 has a ray of the arrangement on its boundary, a line on which
    rho - 1 independent switching functions vanish.  Next to a ray the others keep their signs, and those that vanish
    run through the cells of their own arrangement, of rank rho - 1.
    """
    _, singular, Vt = np.linalg.svd(normals, full_matrices=False)
    rank = int((singular > NEARLY_DEPENDENT).sum())
    k = normals.shape[0]
    if 2 * sum(comb(k - 1, i) for i in range(rank)) > MOST_CELLS:
        return None
    reduced = normals @ Vt[:rank].T
    if rank == 1:
        signs = np.sign(reduced[:, 0]).astype(np.int8)
        return np.unique(np.array([signs, -signs]), axis=0)
    found = [_cells_at(reduced, ray) for ray in _rays(reduced)]
    return np.unique(np.concatenate(found), axis=0)


def _rays(normals: Array) -> Array:
    """Unit vectors (c, rho) on which rho - 1 independent ones of the normals (k, rho) vanish; both directions."""
    k, rank = normals.shape
    subsets = normals[np.array(list(combinations(range(k), rank - 1)))]
    _, singular, Vt = np.linalg.svd(subsets)
    lines = Vt[singular[:, -1] > NEARLY_DEPENDENT, -1]
    return np.concatenate([lines, -lines])


def _cells_at(normals: Array, ray: Array) -> Sides:
    """Sign patterns (c, k) of the cells next to one ray."""
    along = normals @ ray
    vanish = np.abs(along) <= NEARLY_DEPENDENT
    local = cells(normals[vanish])
    assert local is not None, "the arrangement around a ray has fewer cells than the whole"
    patterns = np.tile(np.sign(along).astype(np.int8), (local.shape[0], 1))
    patterns[:, vanish] = local
    return patterns


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
    weights, _ = nnls(matrix, target, maxiter=30 * points.shape[0])
    residual = matrix @ weights - target
    if -residual[-1] <= ZERO**2:
        return np.zeros(points.shape[1])
    nearest = (points.T @ weights) / weights.sum()
    return nearest if np.linalg.norm(nearest) > ZERO * size else np.zeros(points.shape[1])


def velocities(kink: Kink, patterns: Sides) -> Array:
    """Velocity of each cell, in the span of the normals, (c, k) -> (c, r)."""
    span = np.linalg.pinv(kink.normals) @ kink.normals
    return np.asarray((kink.drift + np.where(patterns > 0, kink.jump, 0.0) @ kink.normals) @ span)


def settle_dependent(kink: Kink, patterns: Sides | None) -> tuple[Sides, bool]:
    """Sides (k,) after this instant and whether they are exact (False: the box stood in for the hull).

    If the hull holds 0 the neuron stays.  Otherwise it moves along a ray on which the field agrees with itself: first
    the cell the minimum-norm element points into, then other cells, then faces with one sliding surface.
    """
    k = kink.normals.shape[0]
    if patterns is None:
        return np.zeros(k, dtype=np.int8), False
    fields = velocities(kink, patterns)
    least = least_norm_in_hull(fields)
    if not least.any():
        return np.zeros(k, dtype=np.int8), True
    rates = fields @ kink.normals.T
    agree = (patterns * rates > 0.0).all(axis=1)
    if agree.any():
        best = np.flatnonzero(agree)[np.argmax(fields[agree] @ least)]
        return patterns[best], True
    return _on_a_face(kink, patterns)


def _on_a_face(kink: Kink, patterns: Sides) -> tuple[Sides, bool]:
    """Two neighbouring cells that push towards their common surface: slide on it, if the others agree."""
    for h in range(kink.normals.shape[0]):
        others = np.arange(kink.normals.shape[0]) != h
        seen: set[bytes] = set()
        for pattern in patterns:
            if pattern[others].tobytes() not in seen:
                seen.add(pattern[others].tobytes())
                continue
            drift = kink.drift + np.where(pattern > 0, kink.jump, 0.0)[others] @ kink.normals[others]
            share = np.clip(-(kink.normals[h] @ drift), min(kink.jump[h], 0.0), max(kink.jump[h], 0.0))
            velocity = drift + share * kink.normals[h]
            rates = kink.normals @ velocity
            if abs(rates[h]) <= kink.tolerance and (pattern * rates > 0.0)[others].all():
                return np.where(others, pattern, 0).astype(np.int8), True
    return np.zeros(kink.normals.shape[0], dtype=np.int8), False


def sides_after(kink: Kink, patterns: Sides | None) -> tuple[Sides, bool]:
    """`settle` or `settle_dependent`, whichever the normals call for; the flag says whether the answer is exact."""
    if independent(kink.normals):
        return settle(kink), True
    return settle_dependent(kink, patterns)
