"""Rows and events, checked and stacked into the blocks that are appended to the datasets of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.layout import EVENT, EVENT_COUNT, EVENTS, ROW, ROWS, Variable
from gflow.trajectory.rows import EventEntry, Row

Columns = dict[str, NDArray[Any]]  # dataset name -> (K, ...) block; dtypes differ between datasets


def check_series_names(names: Sequence[str]) -> None:
    """TrajectoryError unless all names stand in `layout.SERIES`, none twice, and `events` is among them."""
    unknown = sorted(set(names) - set(layout.SERIES))
    if unknown or len(set(names)) < len(names) or EVENT_COUNT not in names:
        raise TrajectoryError(
            f"series {', '.join(names)}: unknown {unknown}; each may come once, and {EVENT_COUNT!r} must be "
            "among them: see layout.SERIES"
        )


def row_columns(rows: Sequence[Row], series_names: Sequence[str], sizes: Mapping[str, int], first: int) -> Columns:
    """One block a dataset for rows `first`, `first + 1`, ...; TrajectoryError: a wrong key, shape or NaN."""
    for number, row in enumerate(rows, first):
        check_series_keys(row, series_names, number)
    columns = {ROW: np.array([row.log1p_time for row in rows], dtype="f8")}
    for variable in ROWS:
        columns[variable.name] = stacked(rows, variable, sizes, first)
    for name in series_names:
        variable = layout.series_variable(name)
        columns[variable.name] = np.array([row.series[name] for row in rows], dtype=variable.dtype)
    for name, block in columns.items():
        check_numbers(name, block, first)
    return columns


def check_series_keys(row: Row, series_names: Sequence[str], number: int) -> None:
    if row.series.keys() != set(series_names):
        differing = sorted(row.series.keys() ^ set(series_names))
        raise TrajectoryError(
            f"row {number}: series {', '.join(differing)} missing or not announced: every row brings the "
            "series that the file was created with"
        )


def stacked(rows: Sequence[Row], variable: Variable, sizes: Mapping[str, int], first: int) -> NDArray[Any]:
    """(K, ...) block of one field; a wrong shape is named here, since HDF5 would broadcast it silently."""
    expected = tuple(sizes[axis] for axis in variable.dims[1:])
    values = [np.asarray(getattr(row, variable.field), dtype=variable.dtype) for row in rows]
    for number, value in enumerate(values, first):
        if value.shape != expected:
            raise TrajectoryError(
                f"row {number}: {variable.field} has shape {value.shape} where the header implies {expected}"
            )
    return np.stack(values)


def check_numbers(name: str, block: NDArray[Any], first: int) -> None:
    if np.isnan(block).any():
        number = first + int(np.argwhere(np.isnan(block))[0, 0])
        raise TrajectoryError(f"row {number}: {name} is NaN: leave out a series not defined in every row")


def event_columns(events: Sequence[EventEntry], first: int) -> Columns:
    """One block a dataset for the entries `first`, `first + 1`, ...; TrajectoryError: an unknown kind."""
    unknown = {event.kind for event in events} - layout.EVENT_KINDS.keys()
    if unknown:
        raise TrajectoryError(f"event kind {unknown} is not one of {layout.EVENT_KINDS}")
    columns: Columns = {EVENT: np.arange(first, first + len(events))}
    for variable in EVENTS:
        values = [getattr(event, variable.field) for event in events]
        columns[variable.name] = np.array(values, dtype=variable.dtype)
    return columns
