"""Where a neuron on dependent kinks goes: along a face of their arrangement on which the field agrees with itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from gflow.arrays import Array, Sides
from gflow.field.clarke import ROUNDING, PivotError
from gflow.field.hull import independent, least_norm_in_hull, rank, span, velocities
from gflow.field.kink import Kink, settle

# Part of their size by which velocities may change until a decision at dependent kinks is taken.
LOOK_AHEAD = 1e-7


def sides_after(kink: Kink, patterns: Sides | None) -> tuple[Sides, bool, bool]:
    """`settle` or `settle_dependent`, whichever the normals call for: sides, exact, chosen among several.

    Where normals are so nearly dependent that pivoting does not end, the neuron is held, inexactly.
    """
    if not independent(kink.normals):
        return settle_dependent(kink, patterns)
    try:
        return settle(kink), True, False
    except PivotError:
        return np.zeros(kink.normals.shape[0], dtype=np.int8), False, False


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
    agreeing = _agreeing(kink, patterns)
    if not least_norm_in_hull(velocities(kink, patterns)).any():
        return at_rest, True, bool(agreeing)
    if not agreeing:
        return at_rest, False, False
    return max(agreeing, key=lambda choice: choice[0])[1], True, len(agreeing) > 1


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


def _agreeing(kink: Kink, patterns: Sides) -> list[tuple[float, Sides]]:
    """(speed, sides) of all faces but the centre on which the field agrees with itself, the widest faces first.

    Every face lies beside a cell, from which it has its signs off the surfaces that it lies in.  Whether signs made
    like this are those of a face need not be asked: where the field agrees, the velocity is a point of it.
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
    """Patterns (c, k) with the surfaces `on` at 0, each once, sorted; rows are compared as bytes, which is fast."""
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
