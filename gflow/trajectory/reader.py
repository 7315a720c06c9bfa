"""Read `trajectory.h5`: the committed rows, lazily, without holding the file open between two accesses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.content import Fact, HdfFile, check_format, check_rows, form_of, plain
from gflow.trajectory.layout import EVENTS, ROW, UNLIMITED, Form
from gflow.trajectory.opening import explained, located, opened
from gflow.trajectory.rows import Floats

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, slots=True)
class Events:
    """The committed entries of `events/`, in the order of time; all arrays (E,)."""

    log1p_time: Floats
    neuron: NDArray[np.int32]
    sample: NDArray[np.int32]
    kind: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.kind)


class Series(Mapping[str, Floats]):
    """The datasets of one group by name, `series` (T,) or `neurons` (T, m) each, read when asked for."""

    def __init__(self, trajectory: Trajectory, group: str, names: tuple[str, ...]):
        self._trajectory = trajectory
        self._group = group
        self._names = names

    def __getitem__(self, name: str) -> Floats:
        if name not in self._names:
            found = ", ".join(self._names) or "none"
            raise KeyError(f"no series {name!r} in {self._group} of {self._trajectory.path}: it has {found}")
        return self._trajectory.read(f"{self._group}/{name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Trajectory:
    """The rows of one file that were committed when it was opened; made by `open_trajectory`.

    Every property reads the file anew, so bind a large one to a name, or take rows of it with `read`.  A run
    that goes on writing does not change what is seen here: open again to see its new rows.
    """

    def __init__(self, path: Path, file: HdfFile, form: Form):
        self.path = path
        self.form = form
        """which datasets there are"""
        self._attributes: dict[str, Fact] = {name: plain(value) for name, value in file.attrs.items()}
        self.n_rows = int(self._attributes[layout.N_COMMITTED])
        self.series = Series(self, "series", form.series)
        self.neurons = Series(self, "neurons", form.neuron_series)
        self.records_events = form.records_events
        self.trains_outer = form.trains_outer
        counted = int(file["series"][layout.EVENT_COUNT][self.n_rows - 1])
        self.n_events = counted if self.records_events else 0
        self.sizes = {axis.name: file[axis.name].len() for axis in form.dimensions if axis.name not in UNLIMITED}

    def read(self, name: str, rows: int | slice | NDArray[np.intp] = slice(None)) -> NDArray[Any]:
        """Committed rows of one dataset, `inner` or `series/stable_rank` for instance; an int takes one row.

        An array takes the rows that it names, increasing.  IndexError beyond the committed rows; TrajectoryError if the
        dataset is not there or not readable.
        """
        with opened(self.path) as file:
            return np.asarray(file[name][self._selection(rows)])

    def _selection(self, rows: int | slice | NDArray[np.intp]) -> int | slice | NDArray[np.intp]:
        if isinstance(rows, np.ndarray):
            if rows.size and not 0 <= rows[0] <= rows[-1] < self.n_rows:
                raise IndexError(f"rows {rows[0]} .. {rows[-1]} of {self.path}, which has {self.n_rows}")
            return rows
        return slice(*rows.indices(self.n_rows)) if isinstance(rows, slice) else range(self.n_rows)[rows]

    @property
    def log1p_time(self) -> Floats:
        return self.read(ROW)

    @property
    def tau(self) -> Floats:
        return self.read("tau")

    @property
    def inner(self) -> Floats:
        """(T, m, r)"""
        return self.read("inner")

    @property
    def margins(self) -> Floats:
        """(T, n)"""
        return self.read("margins")

    @property
    def log_loss(self) -> Floats:
        return self.read("log_loss")

    @property
    def pattern(self) -> NDArray[np.int8]:
        """(T, m, n): +1, -1, 0 = sliding"""
        return self.read("pattern")

    @property
    def X(self) -> Floats:  # noqa: N802 (the matrix of the literature)
        """(n, d)"""
        return self._whole("X")

    @property
    def y(self) -> Floats:
        return self._whole("y")

    @property
    def W_initial(self) -> Floats:  # noqa: N802 (the matrix of the literature)
        """(m, d)"""
        return self._whole("W_initial")

    @property
    def basis(self) -> Floats:
        """(r, d)"""
        return self._whole("basis")

    @property
    def outer(self) -> Floats:
        """(m,), or (T, m) where trained; with K outputs (K, m) or (T, K, m)"""
        return self.read("outer") if self.trains_outer else self._whole("outer")

    def outer_at(self, row: int) -> Floats:
        """(m,) or (K, m) at one row, which matters only where it is trained; IndexError beyond the rows."""
        if self.trains_outer:
            return self.read("outer", row)
        range(self.n_rows)[row]  # the IndexError
        return self.outer

    @property
    def output_bias(self) -> Floats | None:
        """(T, K); None without one"""
        return self.read("output_bias") if self.form.has_output_bias else None

    @property
    def directions(self) -> Floats | None:
        """(m, d), unit rows, of a scalar network; None for all others"""
        return self._whole("directions") if self.form.has_directions else None

    @property
    def events(self) -> Events:
        """The events up to the last committed row; empty if the run records none."""
        if not self.records_events:
            return Events(*(np.empty(0, dtype=variable.dtype) for variable in EVENTS))
        with opened(self.path) as file:
            return Events(*(file[variable.name][: self.n_events] for variable in EVENTS))

    @property
    def resumable(self) -> bool:
        """Does the file keep what a continuation needs?"""
        return self.form.resumable

    def resume_at(self, row: int) -> dict[str, NDArray[Any]]:
        """The fields of `Form.resume` at one row; empty where the file keeps none."""
        with opened(self.path) as file:
            number = range(self.n_rows)[row]
            return {v.field: np.asarray(file[v.name][number]) for v in self.form.resume}

    def weights(self, row: int) -> Floats:
        """W (m, d) at one row: W_initial + (inner[row] - inner[0]) @ basis, or inner[row] * directions."""
        inner: Floats = self.read("inner", row)
        if self.form.has_directions:
            scaled: Floats = inner * self._whole("directions")
            return scaled
        moved: Floats = inner - self.read("inner", 0)
        return self.W_initial + moved @ self.basis

    @property
    def scenario(self) -> str:
        return self._text("scenario")

    @property
    def scenario_resolved(self) -> str:
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
    def outcome(self) -> str | None:
        """Name of the outcome; None while the run goes on, or when it was killed."""
        return self._attribute(layout.OUTCOME)

    @property
    def outcome_sentence(self) -> str | None:
        return self._attribute(layout.OUTCOME_SENTENCE)

    @property
    def kind(self) -> str:
        return str(self._attributes["kind"])

    @property
    def format_version(self) -> int:
        return int(self._attributes["format_version"])

    @property
    def gflow_version(self) -> str:
        return str(self._attributes["gflow_version"])

    @property
    def scenario_sha256(self) -> str:
        return str(self._attributes["scenario_sha256"])

    @property
    def facts(self) -> dict[str, Fact]:
        """What the run says of itself: name, model, activation, loss, engine, method, ..."""
        return {name: value for name, value in self._attributes.items() if name not in layout.ATTRIBUTES}

    def to_xarray(self) -> xarray.DataTree:
        """The committed content in memory, with named dimensions; groups `series`, `neurons`, `events` and
        `resume` as in the file.
        """
        try:
            import xarray
        except ModuleNotFoundError as error:
            raise TrajectoryError("to_xarray needs xarray: pip install 'gflow[xarray]'") from error
        coordinates = {axis.name: self._coordinate(axis.name) for axis in self.form.dimensions}
        root = {v.name: (v.dims, self.read(v.name), attributes_of(v)) for v in self.form.rows}
        root |= {v.name: (v.dims, self._whole(v.name), attributes_of(v)) for v in self.form.fixed}
        events = self.events
        groups = {
            "/": xarray.Dataset(root, coordinates, self._attributes),
            "series": xarray.Dataset({name: (ROW, values) for name, values in self.series.items()}),
            "events": xarray.Dataset({v.field: (v.dims, getattr(events, v.field), attributes_of(v)) for v in EVENTS}),
        }
        if self.neurons:
            neurons = {name: ((ROW, "neuron"), values) for name, values in self.neurons.items()}
            groups["neurons"] = xarray.Dataset(neurons)
        if self.resumable:
            resume = {v.field: (v.dims, self.read(v.name), attributes_of(v)) for v in self.form.resume}
            groups["resume"] = xarray.Dataset(resume)
        return xarray.DataTree.from_dict(groups)

    def _coordinate(self, axis: str) -> NDArray[Any]:
        if axis == ROW:
            return self.log1p_time
        return np.arange(self.n_events if axis == layout.EVENT else self.sizes[axis])

    def _whole(self, name: str) -> Floats:
        with opened(self.path) as file:
            values: Floats = file[name][...]
        return values

    def _text(self, name: str) -> str:
        with opened(self.path) as file:
            return str(file[name].asstr()[()])

    def _attribute(self, name: str) -> str | None:
        return str(self._attributes[name]) if name in self._attributes else None


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


def attributes_of(variable: layout.Variable) -> dict[str, str]:
    return {"units": "1", "long_name": variable.long_name}
