"""A flow in memory: the rows and events that a file would keep, without a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.columns import row_columns
from gflow.trajectory.record import Record, Rows
from gflow.trajectory.rows import Events, Fact, Header, Row


class Flow(Record):
    """The rows of a flow that was integrated from arrays; its names are those of a `Trajectory`."""

    def __init__(self, header: Header, rows: Sequence[Row], events: Events, ended: Mapping[str, Fact]):
        """ended: outcome and its sentence, as attributes.  Raises TrajectoryError where a row does not fit the form."""
        form = header.form(
            sorted(rows[0].series), sorted(rows[0].neurons), resumable=True
        )  # listed as a file lists them
        super().__init__(form, {**header.facts, **ended}, len(rows))
        self._header = header
        self._columns = row_columns(rows, form, header.sizes(), first=0)
        self.n_events = len(events)
        self._events = events

    @property
    def place(self) -> str:
        """Where the rows are kept, for messages."""
        return "a flow in memory"

    def read(self, name: str, rows: Rows = slice(None)) -> NDArray[Any]:
        """Rows (T, ...) of one dataset; a copy, so that a caller cannot change what others read."""
        if name not in self._columns:
            raise TrajectoryError(f"{name} is no dataset of this flow: it has {', '.join(sorted(self._columns))}")
        return np.array(self._columns[name][self.selection(rows)])

    def whole(self, name: str) -> NDArray[Any]:
        """A dataset without rows, X (n, d) for instance.  Raises TrajectoryError for any other name."""
        if name not in {variable.name for variable in self.form.fixed}:
            raise TrajectoryError(f"{name} is no array of this flow without rows")
        return np.array(getattr(self._header, name))

    @property
    def events(self) -> Events:
        """All events."""
        return self._events

    @property
    def scenario_resolved(self) -> str:
        """The scenario that would give this flow, with every default filled in."""
        return self._header.scenario_resolved


def ended(outcome: str, sentence: str) -> dict[str, Fact]:
    """How a flow ended, as attributes."""
    return {layout.OUTCOME: outcome, layout.OUTCOME_SENTENCE: sentence}
