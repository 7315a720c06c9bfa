"""How well the time of an event is determined: what a small change of the state does to it, found at each event.

A guard is zero at its event: the distance of a pair to its kink, or the room of a share.  A change of the state by a
part eps changes a guard by eps of its size, and so moves its root by eps size / |rate|: little where a kink is crossed
at full speed, much where it is nearly only touched.  The size is that of the terms, |w_j|, as they are at the event: in
a long stretch they may have grown far beyond what they were when it began.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.field.clarke import ROUNDING
from gflow.field.guards import Values
from gflow.flow.engine import Engine, Segment
from gflow.flow.state import Event, FlowState, Notes

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# Back along the flow to see how fast guards fall, in tau in which margins move by about 1: far beyond rounding, and so
# near that nothing bends.
BACK = 1e-5


class TimedEngine(Engine):
    """An engine that notes, for each of its events, by how much log(1 + t) moves per relative change of the state."""

    def __init__(self, leverages: list[float], *given: Any) -> None:  # Any: what `Engine` takes
        super().__init__(*given)
        self._leverages = leverages

    def turned(
        self, segment: Segment, elapsed: float, y: Array, near: Index, h: float
    ) -> tuple[FlowState, list[Event], Notes]:
        """As for every engine; the mode of the stretch is gone after this."""
        rate = segment.branch.system.field(elapsed, y)
        now, before = (segment.guards.values(state, near) for state in (y, y - BACK * rate))
        clock = max(1.0, float(np.abs(segment.branch.measure(y).p).max())) * float(rate[-1])
        grown = self._grown(segment, y, near)
        state, events, notes = super().turned(segment, elapsed, y, near, h)
        self._leverages += _leverages(events, now, before, clock, grown)
        return state, events, notes

    def _grown(self, segment: Segment, y: Array, near: Index) -> Array:
        """Rounding of zeta (k,) at a state, in units of that which the guards of the stretch count in, at least 1."""
        norms = self.weight_norms(self._coordinates.parameters(segment.branch, y).U)[near]
        return np.asarray(np.maximum(ROUNDING * norms / segment.guards.off_band[near, 0], 1.0))


def _leverages(events: Iterable[Event], now: Values, before: Values, clock: float, grown: Array) -> list[float]:
    """Of each event: the lowest guard of its neuron fired.  Infinite where nothing falls (neurons judged by a hull).

    clock: d log(1 + t) / dtau, times what a relative error of the state is in the duals that pull: an error of margins;
    grown (k,): how far pairs off their kink have outgrown their unit.
    """
    found = []
    for event in events:  # a handful
        k = int(np.searchsorted(now.neurons, event.neuron))
        at, earlier = (np.concatenate([values.off[k] / grown[k], values.share[k].ravel()]) for values in (now, before))
        fired = int(np.argmin(at))
        falls = (earlier[fired] - at[fired]) / BACK if np.isfinite(at[fired]) else 0.0  # in rounding, per tau
        found.append(clock / (ROUNDING * float(falls)) if falls > 0.0 else np.inf)
    return found
