"""Journals: files of one JSON line for every run that began or ended, each written by one process only.

A line is written by one call, so that a process that is killed loses at most the line of the run it was in.  A line
that was cut off is no line.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gflow.sweeps.run.columns import Row


class Journal:
    """A journal that is being written.  It comes to be with its first line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def begin(self, run: str) -> None:
        """Note that a run begins: if no end follows, its process died in it."""
        self._write({"begin": run})

    def end(self, run: str, row: Row) -> None:
        """Keep the row of a run that ended."""
        self._write({"id": run, "row": row})

    def _write(self, entry: Mapping[str, Any]) -> None:  # Any: JSON values
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.write(self._descriptor, (json.dumps(entry) + "\n").encode("ascii"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def entries(path: Path) -> Iterator[dict[str, Any]]:  # Any: JSON values
    """The whole lines of a journal, in the order in which they were written."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:  # taken into the common journal meanwhile
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def rows_in(paths: list[Path]) -> dict[str, Row]:
    """The rows of all runs that ended, by id.  Of two rows of one run the first that did not fail counts."""
    rows: dict[str, Row] = {}
    for path in paths:
        for entry in entries(path):
            if "id" in entry and (entry["id"] not in rows or rows[entry["id"]]["failure"] is not None):
                rows[entry["id"]] = entry["row"]
    return rows


def cut_off(paths: list[Path]) -> Counter[str]:
    """How often each run began without an end, in the last place of a journal."""
    deaths: Counter[str] = Counter()
    for path in paths:
        begun = ""
        for entry in entries(path):
            begun = str(entry.get("begin", ""))
        if begun:
            deaths[begun] += 1
    return deaths
