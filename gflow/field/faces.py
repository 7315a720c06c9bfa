"""The motion of a neuron on kinks with dependent normals, along a face of their arrangement.

It takes a face on which the field is consistent: where the field of that face keeps the neuron in the face.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from gflow.arrays import Array, Sides
from gflow.field.clarke import ROUNDING, PivotError
from gflow.field.hull import independent, least_norm_in_hull, rank, span, velocities
from gflow.field.kink import Kink, settle

# The decision at dependent kinks looks ahead until velocities have changed by this part of their size.
LOOK_AHEAD = 1e-7


def sides_after(kink: Kink, patterns: Sides | None) -> tuple[Sides, bool, bool]:
    """The sides (k,) that `settle` or `settle_dependent` decides; whether they are exact; whether other solutions
    exist.

    patterns (c, k): as in `settle_dependent`.  Where normals are so nearly dependent that pivoting does not end, the
    neuron is held on its kinks, which is not exact.
    """
    if not independent(kink.normals):
        return settle_dependent(kink, patterns)
    try:
        return settle(kink), True, False
    except PivotError:
        return np.zeros(kink.normals.shape[0], dtype=np.int8), False, False


def settle_dependent(kink: Kink, patterns: Sides | None) -> tuple[Sides, bool, bool]:
    """The sides (k,) after this instant; whether they are exact; whether they were chosen among several solutions.

    patterns (c, k): the cells around the kinks, None where they are too many.  If the hull of the velocities contains
    0, that is the minimum-norm element and the neuron rests.  Otherwise it moves along a face of the arrangement on
    which the field is consistent (its velocity points into the face, and keeps it on the surfaces on which it slides),
    with the largest speed if there are several.  Where no face is consistent, the neuron is held, which is not exact.
    """
    at_rest = np.zeros(kink.normals.shape[0], dtype=np.int8)
    if patterns is None:
        return at_rest, False, False
    kink = _ahead(kink)
    agreeing = _agreeing(kink, patterns)
    if not least_norm_in_hull(velocities(kink, patterns)).any():
        return at_rest, True, bool(agreeing)
    if not agreeing:
        return at_rest, False, False
    return max(agreeing, key=lambda choice: choice[0])[1], True, len(agreeing) > 1


def _ahead(kink: Kink) -> Kink:
    """The kink a moment later.

    Where 0 has just left the hull, the speed on the way out is 0 at the instant itself, which would decide nothing.
    """
    # 1-norms, because derivatives of samples without a share can be 1e-200, and their squares are 0.
    size = float(np.abs(kink.drift).sum() + np.abs(kink.jump).sum())
    change = float(np.abs(kink.drift_dot).sum() + np.abs(kink.jump_dot).sum())
    ahead = LOOK_AHEAD * size / change if change > 0.0 else 0.0
    return replace(
        kink,
        drift=kink.drift + ahead * kink.drift_dot,
        jump=kink.jump + ahead * kink.jump_dot,
        tolerance=kink.tolerance + ROUNDING * size,
    )


def _agreeing(kink: Kink, patterns: Sides) -> list[tuple[float, Sides]]:
    """(speed, sides (k,)) of all faces but the centre on which the field is consistent, the widest faces first.

    Every face lies beside a cell and takes over its signs on the surfaces in which it does not lie.  Signs made like
    this need not be checked to belong to a face: where the field is consistent, the velocity itself is a point of it.
    """
    within, found = span(kink.normals), list[tuple[float, Sides]]()
    for codimension in range(rank(kink.normals)):
        for on in combinations(range(kink.normals.shape[0]), codimension):
            if not independent(kink.normals[list(on)]):
                continue  # no share is determined on dependent surfaces
            faces = _distinct(patterns, on)
            speeds = _speeds(kink, list(on), faces, within)
            found += [(float(speeds[c]), faces[c]) for c in np.flatnonzero(np.isfinite(speeds))]
    return found


def _distinct(patterns: Sides, on: tuple[int, ...]) -> Sides:
    """The distinct patterns (c, k) with the surfaces `on` set to 0, sorted; rows are compared as bytes, which is
    fast.
    """
    faces = patterns.copy()
    faces[:, on] = 0
    rows = np.ascontiguousarray(faces + 1).view(np.dtype((np.void, faces.shape[1])))
    return faces[np.unique(rows, return_index=True)[1]]


def _speeds(kink: Kink, on: list[int], faces: Sides, within: Array) -> Array:
    """|velocity| in the span of the normals (projector: within) on faces (f, k) that lie in the surfaces `on`, (f,).

    -inf where the field does not keep the neuron in its face.
    """
    drift = kink.drift + np.where(faces > 0, kink.jump, 0.0) @ kink.normals
    agrees = np.ones(faces.shape[0], dtype=bool)
    if on:
        held, jump = kink.normals[on], kink.jump[on]
        force = np.linalg.solve(held @ held.T, -held @ drift.T).T
        low, high = np.minimum(jump, 0.0) - kink.tolerance, np.maximum(jump, 0.0) + kink.tolerance
        agrees &= ((force >= low) & (force <= high)).all(axis=1)
        drift = drift + force @ held
    velocity = drift @ within
    rates = faces * (velocity @ kink.normals.T)
    rates[:, on] = np.inf
    agrees &= (rates > kink.tolerance).all(axis=1)
    return np.where(agrees, np.linalg.norm(velocity, axis=1), -np.inf)
