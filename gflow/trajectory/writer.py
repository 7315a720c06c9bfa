"""The writer of `trajectory.h5`, which leaves every committed row readable at whatever instruction a run is killed.

A block is appended to the closed file: open, append, flush, `n_committed`, flush, close.  Whatever changes
the structure of the file beyond that (its creation, larger chunks, the outcome at the end) is written to a
second file that takes the first one's place in one step.  SWMR is not used: a killed SWMR writer leaves a
file that ordinary readers refuse.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from gflow.errors import NoRoomError, TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.columns import (
    Columns,
    check_header,
    check_neuron_series,
    check_series_names,
    event_columns,
    row_columns,
)
from gflow.trajectory.content import Changes, HdfFile, append, copy_content, create_datasets, form_of, write_header
from gflow.trajectory.layout import EVENT, EVENT_COUNT, ROW, UNLIMITED, Form
from gflow.trajectory.rows import EventEntry, Events, Header, Row
from gflow.trajectory.space import bytes_needed, noticing_losses, refusals, reserve

ROW_CAPACITY = 256
EVENT_CAPACITY = 65_536
GROWTH = 4


class TrajectoryWriter:
    """Appends blocks of rows and events to one file; made by `create` or `reopen`.  `n_rows` are safe on disk."""

    def __init__(self, path: Path, sizes: Mapping[str, int], form: Form) -> None:
        self.path = path
        self.n_rows = 0
        self._n_events = 0
        self._attempted = 0  # n_rows if the last block counts, whether or not its commit returned
        self._sizes = dict(sizes)
        self._form = form
        self._capacity = {ROW: ROW_CAPACITY, EVENT: EVENT_CAPACITY}

    @classmethod
    def create(
        cls,
        path: str | Path,
        header: Header,
        series_names: Sequence[str],
        *,
        neuron_series: Sequence[str] = (),
        records_events: bool = True,
        resumable: bool = False,
        expected_rows: int = ROW_CAPACITY,
    ) -> Self:
        """A new file with the header and no rows; its folder is made.

        `series_names` come from `layout.SERIES` and contain `events`, `neuron_series` from
        `layout.NEURON_SERIES`; every row must bring exactly these, and `Form.resume` if `resumable`.  More
        rows than expected cost one copy of the file for each factor of `GROWTH`.  TrajectoryError if the arrays
        of the header do not fit each other, there is a file already, or the place cannot be written.
        """
        check_series_names(series_names)
        check_neuron_series(neuron_series)
        form = header.form(series_names, neuron_series, records_events, resumable)
        check_header(header, form)
        writer = cls(Path(path), header.sizes(), form)
        writer._capacity[ROW] = max(expected_rows, layout.MAX_CHUNKS)
        with refusals(f"{path} cannot be created", "choose another folder with --out"):
            writer.path.parent.mkdir(parents=True, exist_ok=True)
            refuse_existing(writer.path)
            texts = [header.scenario, header.scenario_resolved, json.dumps([header.provenance])]
            room = writer._room(writer._capacity, (0, 0), texts)
            part = writer._write_part(writer._capacity, lambda file: write_header(file, header, form), room)
            publish(part, writer.path)
        return writer

    @classmethod
    def reopen(
        cls, path: Path, provenance: Mapping[str, Any], changes: Changes, expected_rows: int = ROW_CAPACITY
    ) -> Self:
        """Go on with a file after its committed rows: a copy of them, with one more entry of `provenance` and without
        the outcome, takes its place in one step.

        `provenance`: any JSON value.  TrajectoryError if the disk refuses; the file is what it was then.
        """
        with refusals(f"{path} cannot be resumed"):
            with h5py.File(path, "r") as file:
                form, n_rows = form_of(file), int(file.attrs[layout.N_COMMITTED])
                sizes = {axis.name: file[axis.name].len() for axis in form.dimensions if axis.name not in UNLIMITED}
                counted = int(file[f"series/{EVENT_COUNT}"][n_rows - 1]) if form.records_events else 0
                entries = [*json.loads(file["provenance"].asstr()[()]), dict(provenance)]
            writer = cls(path, sizes, form)
            writer.n_rows = writer._attempted = n_rows
            writer._n_events = counted
            writer._capacity = {
                ROW: max(n_rows, expected_rows, layout.MAX_CHUNKS),
                EVENT: grown(EVENT_CAPACITY, counted),
            }
            without = {layout.OUTCOME: None, layout.OUTCOME_SENTENCE: None}
            texts = {"provenance": json.dumps(entries), **changes.texts}
            writer._replace(Changes({**without, **changes.attributes}, texts), writer._capacity)
        return writer

    def commit(self, rows: Sequence[Row], events: Events | Sequence[EventEntry] = ()) -> None:
        """Append rows, and the events up to them; on return they survive a kill.

        TrajectoryError if a row does not fit the file (nothing is written then), or if the disk refuses (the
        rows committed before stay, and the same block may be offered again).
        """
        row_block, event_block = self._blocks(rows, events)
        n_rows, n_events = self.n_rows + len(rows), self._n_events + len(events)
        with refusals(f"{self.path}: row {self.n_rows} could not be saved", full=self._no_room):
            self._make_room({ROW: n_rows, EVENT: n_events})
            self._attempted = n_rows
            self._append(row_block, event_block, n_rows, n_events)
        self.n_rows, self._n_events = n_rows, n_events

    def finish(
        self, outcome: str, sentence: str, rows: Sequence[Row] = (), events: Events | Sequence[EventEntry] = ()
    ) -> None:
        """Store how the run ended with its last rows, both or neither.  TrajectoryError if the disk refuses; the rows
        committed before stay."""
        row_block, event_block = self._blocks(rows, events)
        n_rows, n_events = self.n_rows + len(rows), self._n_events + len(events)
        ended = Changes({layout.OUTCOME: outcome, layout.OUTCOME_SENTENCE: sentence, layout.N_COMMITTED: n_rows})
        capacity = self._enough({ROW: n_rows, EVENT: n_events})
        with refusals(f"{self.path}: the outcome could not be saved", full=self._no_room):
            self._attempted = n_rows
            n_new = len(rows), len(events)
            self._replace(ended, capacity, n_new, lambda file: self._append_blocks(file, row_block, event_block))
        self.n_rows, self._n_events, self._capacity = n_rows, n_events, capacity

    @property
    def _no_room(self) -> type[TrajectoryError]:
        """The error for a full disk: of a run that keeps its rows, or of one that never began."""
        return NoRoomError if self.n_rows else TrajectoryError

    def _blocks(self, rows: Sequence[Row], events: Events | Sequence[EventEntry]) -> tuple[Columns, Columns]:
        """What to append along the rows and along the events, checked before the file is touched."""
        if events and not self._form.records_events:
            raise TrajectoryError(f"{self.path}: {len(events)} events for a file created without events")
        row_block = row_columns(rows, self._form, self._sizes, self.n_rows) if rows else {}
        given = events if isinstance(events, Events) else Events.of(events)
        event_block = event_columns(given, self._n_events) if events else {}
        if rows and self._form.records_events:
            self._check_event_count(rows[-1].series[EVENT_COUNT], self._n_events + len(events))
        return row_block, event_block

    def _check_event_count(self, counted: float, stored: int) -> None:
        if counted > stored or not float(counted).is_integer():
            raise TrajectoryError(
                f"{self.path}: the last row counts {counted:g} events where {stored} have been handed over: "
                "commit the events up to a row with it or before it"
            )

    def _append(self, row_block: Columns, event_block: Columns, n_rows: int, n_events: int) -> None:
        after = {**self._sizes, ROW: n_rows, EVENT: n_events}
        before = {**self._sizes, ROW: self.n_rows, EVENT: self._n_events}
        reserve(self.path, bytes_needed(self._form, before, after, self._capacity))
        with noticing_losses() as losses, open_for_append(self.path) as file:
            self._check_sole_writer(file)
            self._append_blocks(file, row_block, event_block)
            file.flush()
            losses.check()
            file.attrs.modify(layout.N_COMMITTED, np.int64(n_rows))
            file.flush()

    def _append_blocks(self, file: HdfFile, row_block: Columns, event_block: Columns) -> None:
        for name, block in row_block.items():
            append(file, name, self.n_rows, block)
        for name, block in event_block.items():
            append(file, name, self._n_events, block)

    def _check_sole_writer(self, file: HdfFile) -> None:
        found = int(file.attrs[layout.N_COMMITTED])
        if not self.n_rows <= found <= self._attempted:
            raise TrajectoryError(
                f"{self.path} holds {found} rows where this run has written {self.n_rows}: another run uses the "
                "same file: give each its own folder with --out"
            )

    def _make_room(self, needed: Mapping[str, int]) -> None:
        """Larger chunks when a dataset would otherwise have more than `layout.MAX_CHUNKS` of them."""
        enough = self._enough(needed)
        if enough != self._capacity:
            self._replace(Changes(), enough)
            self._capacity = enough

    def _enough(self, needed: Mapping[str, int]) -> dict[str, int]:
        return {axis: grown(self._capacity[axis], length) for axis, length in needed.items()}

    def _replace(
        self,
        changes: Changes,
        capacity: Mapping[str, int],
        n_new: tuple[int, int] = (0, 0),
        more: Callable[[HdfFile], None] = lambda file: None,
    ) -> None:
        """Put a copy of the committed content, with some changes and after it `more` (so many rows and events), in the
        place of the file."""
        changes = replace(changes, attributes={layout.N_COMMITTED: self.n_rows, **changes.attributes})

        def fill(new: HdfFile) -> None:
            copy_content(old, new, self._form, changes)
            more(new)

        with h5py.File(self.path, "r") as old:
            self._check_sole_writer(old)
            texts = [*changes.texts.values(), *(old[name].asstr()[()] for name in layout.TEXTS)]
            room = self._room(capacity, (self.n_rows + n_new[0], self._n_events + n_new[1]), texts)
            part = self._write_part(capacity, fill, room)
        os.replace(part, self.path)

    def _room(self, capacity: Mapping[str, int], counts: tuple[int, int], texts: Sequence[str]) -> int:
        """The bytes of a new file with these numbers of rows and events."""
        after = {**self._sizes, ROW: counts[0], EVENT: counts[1]}
        return bytes_needed(self._form, {}, after, capacity, sum(len(text.encode()) for text in texts))

    def _write_part(self, capacity: Mapping[str, int], fill: Callable[[HdfFile], None], room: int) -> Path:
        """A complete file beside the real one, of at most `room` bytes, on disk also if the power fails; removed if
        that cannot be."""
        part = self.path.with_name(self.path.name + layout.PART_SUFFIX)
        part.unlink(missing_ok=True)
        sizes = {**self._sizes, ROW: self.n_rows, EVENT: self._n_events}
        try:
            with noticing_losses() as losses:
                with h5py.File(part, "x", **layout.PAGES) as file:
                    create_datasets(file, self._form, sizes, capacity)
                reserve(part, room)
                with h5py.File(part, "r+", **layout.PAGES) as file:
                    fill(file)
            losses.check()
            synchronise(part)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return part


def refuse_existing(path: Path) -> None:
    """Raise TrajectoryError where the path exists."""
    if path.exists():
        raise TrajectoryError(
            f"{path} exists already; go on with it by --resume, replace it by --overwrite, or choose another --out"
        )


def publish(part: Path, path: Path) -> None:
    """Give a complete new file its name, unless another run took it meanwhile."""
    try:
        os.link(part, path)
    except FileExistsError:
        part.unlink()
        refuse_existing(path)
    except OSError:  # a file system without hard links
        refuse_existing(path)
        os.replace(part, path)
    else:
        part.unlink()


def open_for_append(path: Path) -> HdfFile:
    """The file opened for appending, without HDF5's lock if a viewer holds it: viewing a run must not end the run."""
    try:
        return h5py.File(path, "r+", **layout.PAGES)
    except BlockingIOError:
        return h5py.File(path, "r+", locking=False, **layout.PAGES)


def synchronise(path: Path) -> None:
    """Wait until the file is on disk, also if the power fails."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def grown(capacity: int, needed: int) -> int:
    """The capacity, multiplied by `GROWTH` until it holds what is needed."""
    while capacity < needed:
        capacity *= GROWTH
    return capacity
