"""Kinks with dependent normals: only sign patterns that are attained nearby count (design: Clarke set and min norm).

The field near such a point is constant on each cell of a central arrangement of hyperplanes; the Clarke set is the
convex hull of those few velocities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, nnls

from gflow.field.kink import Kink, Sides, settle

Array = NDArray[np.float64]

MOST_CELLS = 512
# Relative to the largest velocity: below it the minimum-norm element counts as zero.
ZERO = 1e-11


def independent(normals: Array) -> bool:
    """Are the unit normals (k, r) linearly independent to working precision?"""
    k, r = normals.shape
    return k <= 1 or (k <= r and float(np.linalg.svd(normals, compute_uv=False)[-1]) > 1e-10)


def cells(normals: Array) -> Sides | None:
    """Sign patterns (c, k) that sign(normals @ x) attains without zeros; None beyond MOST_CELLS.

    Built surface by surface: a pattern is extended by both signs where a linear program finds an interior point.
    """
    patterns = [np.array([s], dtype=np.int8) for s in (1, -1)]
    for k in range(1, normals.shape[0]):
        patterns = [p for old in patterns for p in _extended(old, normals[: k + 1])]
        if len(patterns) > MOST_CELLS:
            return None
    return np.array(patterns)


def _extended(pattern: Sides, normals: Array) -> list[Sides]:
    both = [np.append(pattern, np.int8(s)) for s in (1, -1)]
    return [p for p in both if _attained(p[:, None] * normals)]


def _attained(rows: Array) -> bool:
    """Is there an x with rows @ x > 0 (decided at slack 1e-9 for |x|_inf <= 1)?"""
    k, r = rows.shape
    found = linprog(
        np.append(np.zeros(r), -1.0), A_ub=np.hstack([-rows, np.ones((k, 1))]), b_ub=np.zeros(k),
        bounds=[(-1.0, 1.0)] * r + [(None, 1.0)],
    )  # fmt: skip
    return bool(found.status == 0 and found.x[-1] > 1e-9)


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
