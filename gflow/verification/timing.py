"""The conditioning of event times: how far a small change of the state moves the time of each event.

A guard is zero at its event: the distance of a pair to its kink, or the room of a share.  A change of the state by a
part eps changes a guard by eps of its size, and so moves its root by eps size / |rate|: little where a kink is crossed
at full speed, much where it is nearly only touched.  The size is that of the terms, |w_j|, as they are at the event: in
a long stretch they may have grown far beyond what they were when it began.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gflow.arrays import Array, Index
from gflow.field.clarke import ROUNDING
from gflow.field.guards import Values
from gflow.flow.engine import Stretch
from gflow.flow.items import Advance
from gflow.flow.state import Event
from gflow.problem.span import row_norms

# How far back along the flow the rate of guards is measured, in units of the tau in which margins move by about 1: far
# enough to be well above rounding, near enough for the guards to be linear.
BACK = 1e-5


class Timing:
    """Computes for each event its leverage: the change of its log(1 + t) per relative change of the state."""

    def __init__(self, outside: Array) -> None:
        """outside (m,): |w_j| outside the span of the samples."""
        self.leverages: list[float] = []
        self._outside = outside
        self._guards: tuple[Values, Values, float, Array]

    def advance(self, at: Advance) -> None:
        """Look at the guards where some are zero, before the events there change the mode."""
        if at.near is None:
            return
        branch, guards, y = at.stretch.branch, at.stretch.guards, at.y
        rate = branch.system.field(at.high, y)
        now, before = (guards.values(state, at.near) for state in (y, y - BACK * rate))
        clock = max(1.0, float(np.abs(branch.measure(y).p).max())) * float(rate[-1])
        self._guards = now, before, clock, self._grown(at.stretch, y, at.near)

    def event(self, event: Event) -> None:
        """Take one of the events at the instant of the last `advance`."""
        self.leverages += _leverages([event], *self._guards)

    def _grown(self, stretch: Stretch, y: Array, near: Index) -> Array:
        """Rounding of zeta (k,) at a state, in units of that which the guards of the stretch count in, at least 1."""
        norms = np.hypot(self._outside, row_norms(stretch.branch.weights(y[None])[0]))[near]
        return np.asarray(np.maximum(ROUNDING * norms / stretch.guards.off_band[near, 0], 1.0))


def _leverages(events: Iterable[Event], now: Values, before: Values, clock: float, grown: Array) -> list[float]:
    """The leverage of each event, whose guard is the lowest of its neuron; inf where no guard falls (judged by a hull).

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
