"""Headers, rows and events, checked; rows and events stacked into the blocks that are appended to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.layout import EVENT, EVENT_COUNT, EVENTS, ROW, Form, Variable
from gflow.trajectory.rows import Events, Header, Row

Columns = dict[str, NDArray[Any]]  # dataset name -> (T, ...) block; dtypes differ between datasets


def check_series_names(names: Sequence[str]) -> None:
    """TrajectoryError unless all names stand in `layout.SERIES`, none twice, and `events` is among them."""
    unknown = sorted(set(names) - set(layout.SERIES))
    if unknown or len(set(names)) < len(names) or EVENT_COUNT not in names:
        raise TrajectoryError(
            f"series {', '.join(names)}: unknown {unknown}; each may come once, and {EVENT_COUNT!r} must be "
            "among them: see layout.SERIES"
        )


def check_neuron_series(names: Sequence[str]) -> None:
    """TrajectoryError unless all names stand in `layout.NEURON_SERIES`, none twice."""
    unknown = sorted(set(names) - set(layout.NEURON_SERIES))
    if unknown or len(set(names)) < len(names):
        raise TrajectoryError(
            f"series of neurons {', '.join(names)}: unknown {unknown}; each may come once: see layout.NEURON_SERIES"
        )


def check_header(header: Header, form: Form) -> None:
    """TrajectoryError: an array whose shape HDF5 would broadcast silently, or a span for a scalar network."""
    sizes = header.sizes()
    initial = (variable for variable in form.rows if variable.name == "outer")
    for variable in (*form.fixed, *initial):
        expected = tuple(sizes[axis] for axis in variable.dims if axis != ROW)
        found = np.shape(getattr(header, variable.name))
        if found != expected:
            raise TrajectoryError(f"header: {variable.name} has shape {found}, the other arrays imply {expected}")
    if form.has_directions and (sizes["span"] != 1 or np.any(header.basis)):
        raise TrajectoryError("header: with directions, basis must be one row of zeros: see the layout")


def row_columns(rows: Sequence[Row], form: Form, sizes: Mapping[str, int], first: int) -> Columns:
    """One block (T, ...) per dataset for rows `first`, `first + 1`, ...; TrajectoryError: a wrong key, shape or NaN."""
    for number, row in enumerate(rows, first):
        check_keys(row, form, number)
    columns = {ROW: np.array([row.log1p_time for row in rows], dtype="f8")}
    for variable in form.rows:
        columns[variable.name] = stacked([getattr(row, variable.field) for row in rows], variable, sizes, first)
    for name in form.series:
        variable = layout.series_variable(name)
        columns[variable.name] = np.array([row.series[name] for row in rows], dtype=variable.dtype)
    for name in form.neuron_series:
        variable = layout.neuron_variable(name)
        columns[variable.name] = stacked([row.neurons[name] for row in rows], variable, sizes, first)
    for variable in form.resume:
        columns[variable.name] = stacked([row.resume[variable.field] for row in rows], variable, sizes, first)
    for name, block in columns.items():
        check_numbers(name, block, first)
    return columns


def check_keys(row: Row, form: Form, number: int) -> None:
    """TrajectoryError unless a row brings exactly what the file was created with."""
    check_names(row.series.keys(), form.series, f"row {number}: series")
    check_names(row.neurons.keys(), form.neuron_series, f"row {number}: series of neurons")
    kept = [variable.field for variable in form.resume]
    check_names(row.resume.keys(), kept, f"row {number}: fields of resume")
    trained = {"outer": form.trains_outer, "output_bias": form.has_output_bias}
    for name, needed in trained.items():
        if needed and getattr(row, name) is None:
            raise TrajectoryError(f"row {number}: {name} is missing: every row brings it when it is trained")
        if not needed and getattr(row, name) is not None:
            raise TrajectoryError(f"row {number}: {name} is given, but by the header it is not trained")
    of_descent = {"eta": form.has_runs, "step": form.has_runs, "seed": form.has_seeds, "outside": form.has_decay}
    for name, has in of_descent.items():
        if has != (getattr(row, name) is not None):
            raise TrajectoryError(f"row {number}: {name} is given exactly in files of descent: see the layout")


def check_names(found: Set[str], announced: Sequence[str], what: str) -> None:
    """Raise TrajectoryError unless the names found are those announced; `what` begins the message."""
    if found != set(announced):
        raise TrajectoryError(
            f"{what} {', '.join(sorted(found ^ set(announced)))} missing or not announced: every row brings the "
            "series that the file was created with"
        )


def stacked(values: Sequence[Any], variable: Variable, sizes: Mapping[str, int], first: int) -> NDArray[Any]:
    """(T, ...) block of one dataset; a wrong shape is named here, since HDF5 would broadcast it silently."""
    expected = tuple(sizes[axis] for axis in variable.dims[1:])
    arrays = [np.asarray(value, dtype=variable.dtype) for value in values]
    for number, array in enumerate(arrays, first):
        if array.shape != expected:
            raise TrajectoryError(
                f"row {number}: {variable.field} has shape {array.shape} where the header implies {expected}"
            )
    return np.stack(arrays)


def check_numbers(name: str, block: NDArray[Any], first: int) -> None:
    """TrajectoryError if a block (T, ...) of rows from number `first` on holds a NaN."""
    if np.isnan(block).any():
        number = first + int(np.argwhere(np.isnan(block))[0, 0])
        raise TrajectoryError(f"row {number}: {name} is NaN: leave out a series not defined in every row")


def event_columns(events: Events, first: int) -> Columns:
    """One block (E,) per dataset for entries `first`, `first + 1`, ...; TrajectoryError: an unknown kind."""
    unknown = set(np.unique(events.kind).tolist()) - layout.EVENT_KINDS.keys()
    if unknown:
        raise TrajectoryError(f"event kind {unknown} is not one of {layout.EVENT_KINDS}")
    numbers: Columns = {EVENT: np.arange(first, first + len(events))}
    return numbers | {variable.name: getattr(events, variable.field) for variable in EVENTS}
