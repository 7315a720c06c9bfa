"""The recording of a flow, which turns what the flow hands over into rows and events, for a file or for memory."""

from __future__ import annotations

from dataclasses import replace

from gflow.arrays import Array, Integers
from gflow.assembly import Setup
from gflow.field.branch import Measure, Measures
from gflow.flow.state import Event, FlowRow
from gflow.pipeline.resumption import kept_of
from gflow.trajectory import EventEntry, Events, Row, Trajectory
from gflow.trajectory.extremes import Extremes
from gflow.trajectory.recorder import Recorder


class Recording:
    """Rows with their series and running extremes; `events` counts those so far."""

    def __init__(self, setup: Setup) -> None:
        self._problem = setup.problem
        self._recorder = Recorder(setup.problem, setup.W_initial, setup.test)
        self._extremes = Extremes(setup.problem)
        self.events = 0

    def restore(self, kept: Trajectory) -> None:
        """Go on after the last row of a file."""
        self.events = int(kept.read("series/events", -1))
        self._extremes.restore({name: float(kept.read(f"series/{name}", -1)) for name in kept.series})
        self._extremes.at_row(kept.read("margins", -1), float(kept.read("log_loss", -1)))

    def measure(self, at: Measure | Measures) -> None:
        """One or more instants at which the flow was measured, in the order of time."""
        self._extremes.update(at)

    def event(self, event: Event) -> EventEntry:
        """The entry of an event."""
        self.events += 1
        return self._recorder.entry(event)

    def event_block(self, v: Array, neuron: Integers, surface: Integers, kind: Integers) -> Events:
        """The entries of some events at once, (E,) each, in the order of time."""
        self.events += len(v)
        return self._recorder.entries(v, neuron, surface, kind)

    def row(self, at: FlowRow) -> Row:
        """The row as it is kept, with what a continuation needs."""
        row = self._recorder.row(at.state, self.events, at.steps)
        self._extremes.at_row(at.state.p, at.state.log_loss)
        return replace(row, series=row.series | self._extremes.values(), resume=kept_of(at.checkpoint, self._problem))
