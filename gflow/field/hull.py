"""Kinks with dependent normals: only sign patterns that are attained nearby count (design: Clarke set and min norm).

The field near such a point is constant on each cell of a central arrangement of hyperplanes; the Clarke set is the
convex hull of those few velocities.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gflow.field.clarke import ROUNDING
from gflow.field.kink import Kink, Sides, settle

Array = NDArray[np.float64]

MOST_CELLS = 512
# Part of their size by which velocities may change until a decision at dependent kinks is taken.
LOOK_AHEAD = 1e-7
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
    if rank == k:  # every pattern is attained; ray by ray the work would grow like k!
        return np.array(list(product((-1, 1), repeat=k)), dtype=np.int8)
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


def settle_dependent(kink: Kink, patterns: Sides | None) -> tuple[Sides, bool, bool]:
    """Sides (k,) after this instant; are they exact; were they chosen among several solutions.

    If the hull holds 0, the minimum-norm element is 0 and the neuron rests.  Otherwise it goes on along a face of the
    arrangement on which the field agrees with itself (its velocity points into the face, and holds it on the surfaces
    it slides on), along the steepest descent if there are several.  Where nothing agrees it is held, inexactly.
    """
    at_rest = np.zeros(kink.normals.shape[0], dtype=np.int8)
    if patterns is None:
        return at_rest, False, False
    kink = _ahead(kink)
    speeds = ((face, _speed(kink, face)) for face in _faces(kink.normals))
    agreeing = [(face, speed) for face, speed in speeds if speed is not None]
    if not least_norm_in_hull(velocities(kink, patterns)).any():
        return at_rest, True, bool(agreeing)
    if not agreeing:
        return at_rest, False, False
    return max(agreeing, key=lambda choice: choice[1])[0], True, len(agreeing) > 1


def _ahead(kink: Kink) -> Kink:
    """The kink a moment later: where the hull has just let go of 0, the way out has speed 0 at the instant itself."""
    # 1-norms: squares of derivatives of 1e-200, which samples without a share have, are 0.
    size = float(np.abs(kink.drift).sum() + np.abs(kink.jump).sum())
    change = float(np.abs(kink.drift_dot).sum() + np.abs(kink.jump_dot).sum())
    ahead = LOOK_AHEAD * size / change if change > 0.0 else 0.0
    return replace(
        kink,
        drift=kink.drift + ahead * kink.drift_dot,
        jump=kink.jump + ahead * kink.jump_dot,
        tolerance=kink.tolerance + ROUNDING * size,
    )


def _velocity(kink: Kink, face: Sides) -> Array:
    """Velocity on a face in the span of the normals, held on the surfaces it lies in."""
    drift = kink.drift + np.where(face > 0, kink.jump, 0.0) @ kink.normals
    held = kink.normals[face == 0]
    if held.size:
        drift = drift - np.linalg.pinv(held) @ (held @ drift)
    return np.asarray(np.linalg.pinv(kink.normals) @ (kink.normals @ drift))


def _faces(normals: Array) -> list[Sides]:
    """Sign vectors (k,) of all faces of the arrangement but the centre, 0 on the surfaces a face lies in."""
    k, rank = normals.shape[0], int(np.linalg.matrix_rank(normals, tol=NEARLY_DEPENDENT))
    found: dict[bytes, Sides] = {}
    for codimension in range(rank):
        for subset in combinations(range(k), codimension):
            for face in _faces_within(normals, list(subset)):
                found[face.tobytes()] = face
    return list(found.values())


def _faces_within(normals: Array, subset: list[int]) -> Sides:
    """Faces (c, k) that are open in the flat where the surfaces of `subset` vanish."""
    _, singular, Vt = np.linalg.svd(normals[subset].reshape(len(subset), normals.shape[1]))
    within = normals @ Vt[int((singular > NEARLY_DEPENDENT).sum()) :].T
    size = np.linalg.norm(within, axis=1)
    apart = size > NEARLY_DEPENDENT
    local = cells(within[apart] / size[apart, None]) if apart.any() else None
    if local is None:
        return np.zeros((0, normals.shape[0]), dtype=np.int8)
    faces = np.zeros((local.shape[0], normals.shape[0]), dtype=np.int8)
    faces[:, apart] = local
    return faces


def _speed(kink: Kink, face: Sides) -> float | None:
    """|velocity| in the span of the normals on a face, None if the field does not keep the neuron in it."""
    on, off = face == 0, face != 0
    if on.any():
        held, jump = kink.normals[on], kink.jump[on]
        if not independent(held):
            return None
        drift = kink.drift + np.where(face > 0, kink.jump, 0.0) @ kink.normals
        force = np.linalg.solve(held @ held.T, -held @ drift)
        below = force < np.minimum(jump, 0.0) - kink.tolerance
        if (below | (force > np.maximum(jump, 0.0) + kink.tolerance)).any():
            return None
    velocity = _velocity(kink, face)
    if (face[off] * (kink.normals[off] @ velocity) <= kink.tolerance).any():
        return None
    return float(np.linalg.norm(velocity))


def sides_after(kink: Kink, patterns: Sides | None) -> tuple[Sides, bool, bool]:
    """`settle` or `settle_dependent`, whichever the normals call for: sides, exact, chosen among several."""
    if independent(kink.normals):
        return settle(kink), True, False
    return settle_dependent(kink, patterns)
