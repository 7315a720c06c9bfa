"""Which events and sides the tolerances determine: none of a neuron from where its weights stay below atol.

Such a neuron may come to 0 within the tolerance or not, and then lies on all kinks at once, or on none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Bools
from gflow.flow.state import Event
from gflow.problem.span import row_norms
from gflow.trajectory.recorded_run import RecordedRun


@dataclass(frozen=True, slots=True)
class Determined:
    """until (m,): log(1 + t) of the last row at which the weights of each neuron were above atol, infinite where those
    of the last row are."""

    until: Array

    @classmethod
    def all_of(cls, recorded: RecordedRun) -> Determined:
        """All events and sides."""
        return cls(np.full(recorded.problem.network.width, np.inf))

    @classmethod
    def by_weights(cls, recorded: RecordedRun) -> Determined:
        """Those of neurons above atol, as the rows show them."""
        atol, until, v = float(recorded.trajectory.facts["atol"]), cls.all_of(recorded).until, recorded.log1p_time
        last = recorded.trajectory.n_rows - 1
        small = _norms(recorded, last) <= atol
        until[small] = 0.0
        for row in range(last - 1, -1, -1):
            if not small.any():
                break
            above = small & (_norms(recorded, row) > atol)
            until[above] = v[row]
            small &= ~above
        return cls(until)

    @property
    def everything(self) -> bool:
        """Is all determined?"""
        return bool(np.isinf(self.until).all())

    @property
    def words(self) -> str:
        """What is left out, for a sentence."""
        left = int(np.isfinite(self.until).sum())
        return "" if self.everything else f" (without {left} neurons from where their weights stay below atol)"

    @property
    def neurons(self) -> Bools:
        """Neurons (m,) whose sides at the end are determined."""
        return np.isinf(self.until)

    def stored(self, recorded: RecordedRun, row: int) -> list[float]:
        """log(1 + t) of the events of the run up to a row that are determined."""
        count, events = int(recorded.event_counts[row]), recorded.trajectory.events
        v, neurons = np.asarray(events.log1p_time[:count]), np.asarray(events.neuron[:count])
        return [float(each) for each in v[v <= self.until[neurons]]]

    def met(self, events: Iterable[Event]) -> list[float]:
        """log(1 + t) of those that another integration met, which are determined."""
        return [event.v for event in events if event.v <= self.until[event.neuron]]


def _norms(recorded: RecordedRun, row: int) -> Array:
    return np.hypot(recorded.outside_norms, row_norms(recorded.row(row).U))
