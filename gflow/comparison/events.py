"""Event times side by side: when a pair takes its last side in the flow, and from which row on it has that side in
descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Bools, Index, Sides
from gflow.comparison.patterns import EventColumns

MOST_PAIRS = 200


@dataclass(frozen=True, slots=True)
class SettledPair:
    """A pair that takes the side for good which it has at the end.

    Where the flow leaves a slide to that side, descent may have been on it in every row before, too.

    flow_log1p_time: the event itself; None if the flow never switches it.  descent_log1p_time: for every run the first
    row from which its sign is that of the run's last row (the change lies between that row and the one before); None
    if no row differs.
    """

    neuron: int
    sample: int
    flow_log1p_time: float | None
    descent_log1p_time: tuple[float | None, ...]


def settled_at(v: Array, sides: Sides) -> Array:
    """The time (m, H) of v (T,) from which on sides (T, m, H) of a pair equal the last; inf if they always do."""
    differs = sides != sides[-1]
    since = len(v) - np.argmax(differs[::-1], axis=0)
    return np.asarray(np.where(differs.any(axis=0), v[np.minimum(since, len(v) - 1)], np.inf))


def settled_pairs(
    events: EventColumns, v_end: float, sliding: Bools, descents: Sequence[Array], first_sample: Index
) -> tuple[SettledPair, ...]:
    """The `MOST_PAIRS` pairs (neuron, surface) that settle last, in the order in which they do.

    sliding (m, H): pairs that slide in the flow at the end, left out, since descent settles on no side of them.
    descents: `settled_at` of every run, (m, H) each.
    """
    flow = np.full(sliding.shape, np.inf)
    within = events.v <= v_end
    flow[events.neuron[within], events.surface[within]] = events.v[within]  # the last of several stays
    changes = np.isfinite(np.stack([flow, *descents])).any(axis=0) & ~sliding
    neurons, surfaces = np.nonzero(changes)
    times = np.stack([each[neurons, surfaces] for each in (flow, *descents)])
    last = np.where(np.isfinite(times[0]), times[0], np.where(np.isfinite(times), times, -np.inf).max(axis=0))
    order = np.argsort(last, kind="stable")[-MOST_PAIRS:]
    return tuple(
        SettledPair(
            int(neurons[k]), int(first_sample[surfaces[k]]), _finite(times[0, k]), tuple(map(_finite, times[1:, k]))
        )
        for k in order
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
