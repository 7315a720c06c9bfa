"""The reader of `trajectory.h5`: committed rows, read lazily; the file is not held open between two accesses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.content import HdfFile, check_format, check_rows, form_of, plain
from gflow.trajectory.layout import EVENTS, UNLIMITED, Form
from gflow.trajectory.opening import explained, located, opened
from gflow.trajectory.record import Record, Rows
from gflow.trajectory.rows import Events, Fact


class Trajectory(Record):
    """The rows of one file that were committed when it was opened; made by `open_trajectory`.

    Every property reads the file anew, so bind a large one to a name, or take rows of it with `read`.  A run
    that goes on writing does not change what is seen here: open again to see its new rows.
    """

    def __init__(self, path: Path, file: HdfFile, form: Form):
        attributes: dict[str, Fact] = {name: plain(value) for name, value in file.attrs.items()}
        super().__init__(form, attributes, int(attributes[layout.N_COMMITTED]))
        self.path = path
        counted = int(file["series"][layout.EVENT_COUNT][self.n_rows - 1])
        self.n_events = counted if self.records_events else 0
        self.sizes = {axis.name: file[axis.name].len() for axis in form.dimensions if axis.name not in UNLIMITED}

    @property
    def place(self) -> str:
        """Where the rows are kept, for messages."""
        return str(self.path)

    def read(self, name: str, rows: Rows = slice(None)) -> NDArray[Any]:
        """Committed rows (T, ...) of one dataset, as `Record.read`."""
        with opened(self.path) as file:
            return np.asarray(file[name][self.selection(rows)])

    def whole(self, name: str) -> NDArray[Any]:
        """A dataset without rows, X (n, d) for instance; errors as in `Record.read`."""
        with opened(self.path) as file:
            return np.asarray(file[name][...])

    @property
    def events(self) -> Events:
        """The events up to the last committed row; empty if the run records none."""
        if not self.records_events:
            return Events.of([])
        with opened(self.path) as file:
            return Events(*(file[variable.name][: self.n_events] for variable in EVENTS))

    @property
    def scenario(self) -> str:
        """The scenario as its author wrote it, as YAML text."""
        return self._text("scenario")

    @property
    def scenario_resolved(self) -> str:
        """The scenario with every default filled in, as YAML text."""
        return self._text("scenario_resolved")

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """One entry a start or resume, first to last."""
        text = self._text("provenance")
        try:
            entries: list[dict[str, Any]] = json.loads(text)
        except ValueError as error:
            raise TrajectoryError(explained(self.path, error)) from error
        return entries

    @property
    def kind(self) -> str:
        """`flow` or `descent`."""
        return str(self._attributes["kind"])

    @property
    def format_version(self) -> int:
        """The version of the layout."""
        return int(self._attributes["format_version"])

    @property
    def gflow_version(self) -> str:
        """The version of gflow that began the run."""
        return str(self._attributes["gflow_version"])

    @property
    def scenario_sha256(self) -> str:
        """The fingerprint of the scenario (`scenario.sha256`)."""
        return str(self._attributes["scenario_sha256"])

    def _text(self, name: str) -> str:
        with opened(self.path) as file:
            return str(file[name].asstr()[()])


def open_trajectory(path: str | Path) -> Trajectory:
    """The trajectory in a run folder or a file.

    TrajectoryError, with what to do, if it is missing, not HDF5, cut off, of another program, of a newer
    format, or without a committed row.
    """
    path = located(Path(path))
    with opened(path) as file:
        check_format(path, file)
        form = form_of(file)
        check_rows(path, file, form)
        return Trajectory(path, file, form)
