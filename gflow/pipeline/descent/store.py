"""The file `descent.h5` while it is written: new rows are appended, and rows already on disk must be reproduced
exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gflow.errors import TrajectoryError
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, clear
from gflow.pipeline.resumption import entry
from gflow.trajectory import Header, Row, Trajectory, TrajectoryWriter, first_difference
from gflow.trajectory.content import Changes

# What else lies beside `descent.h5` and is about it: it would not fit a new one.
ABOUT_DESCENT = ("comparison.json", "descent.json")


class DescentStore:
    """The file of one descent, with all rows of all runs in the order in which they fall."""

    def __init__(self, path: Path, made: Header, expected: int, kept: Trajectory | None, anew: str) -> None:
        """made: the header; expected: rows of all runs; kept: the file of a descent that goes on; anew: how it is
        begun anew, for messages."""
        self._path, self._made, self._expected, self._kept, self._anew = path, made, expected, kept, anew
        self._writer: TrajectoryWriter | None = None

    @property
    def decays(self) -> bool:
        """Do rows say how much is left of W outside the span?"""
        return self._made.form([]).has_decay

    @property
    def n_rows(self) -> int:
        """Rows on disk."""
        before = 0 if self._kept is None else self._kept.n_rows
        return before if self._writer is None else self._writer.n_rows

    def put(self, rows: Sequence[Row], first: int) -> None:
        """Rows `first`, `first + 1`, ...; on return they are safe.  Those that are on disk are not written again.

        TrajectoryError if one was there before as another one; then nothing is changed.
        """
        again = 0 if self._kept is None else max(0, self._kept.n_rows - first)
        if rows[:again] and self._kept is not None:
            differs = first_difference(self._kept, rows[:again], first)
            if differs is not None:
                raise self._other(differs)
        new = rows[max(0, self.n_rows - first) :]
        if new:
            self._opened(new[0]).commit(new)

    def finish(self, outcome: str, sentence: str, n_rows: int) -> None:
        """Store that all runs have ended, with `n_rows` rows."""
        if self.n_rows > n_rows:
            raise self._other(n_rows)
        self._opened(None).finish(outcome, sentence)

    def _other(self, row: int) -> TrajectoryError:
        return TrajectoryError(
            f"{self._path}: row {row} is not, bit for bit, what this machine with its versions works out, so descent "
            f"cannot go on with it: {self._anew}"
        )

    def _opened(self, first: Row | None) -> TrajectoryWriter:
        """The file, which is not touched before there is something to write."""
        if self._writer is None and self._kept is not None:
            added = entry(self._made.provenance, self._kept)
            self._writer = TrajectoryWriter.reopen(self._path, added, Changes(), expected_rows=self._expected)
        if self._writer is None:
            assert first is not None, "every run has its row 0"
            _clear(self._path)
            series, neurons = list(first.series), list(first.neurons)
            self._writer = TrajectoryWriter.create(
                self._path,
                self._made,
                series,
                neuron_series=neurons,
                records_events=False,
                expected_rows=self._expected,
            )
        return self._writer


def _clear(path: Path) -> None:
    """Remove an older descent before the new file is made, its `descent.h5` last: its other files would not fit."""
    try:
        for name in ABOUT_DESCENT:
            path.with_name(name).unlink(missing_ok=True)
        clear(path.with_name(CHECKPOINT_FILE_NAME))
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be replaced: {error}: copy the run to a folder that can") from error
