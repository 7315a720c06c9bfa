"""The record of a flow: the names by which its rows are read, the same for a file and for a flow in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array, Index, Sides
from gflow.errors import TrajectoryError
from gflow.trajectory import layout
from gflow.trajectory.layout import ROW, Form
from gflow.trajectory.rows import Events, Fact
from gflow.trajectory.tables import frame_of, tree_of

if TYPE_CHECKING:
    import pandas
    import xarray

Rows = int | slice | Index
"""Which rows: one, a slice, or an increasing array of numbers."""


class Series(Mapping[str, Array]):
    """The datasets of one group by name, `series` (T,) or `neurons` (T, m) each, read when asked for."""

    def __init__(self, record: Record, group: str, names: tuple[str, ...]):
        self._record, self._group, self._names = record, group, names

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            found = ", ".join(self._names) or "none"
            raise KeyError(f"no series {name!r} in {self._group} of {self._record.place}: it has {found}")
        return self._record.read(f"{self._group}/{name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Record(ABC):
    """The rows of one flow (or descent).  T rows, n samples, d inputs, m neurons, r rank of the data, K outputs.

    What keeps them says how to read a dataset by its name in the layout; everything else follows from that.
    """

    def __init__(self, form: Form, attributes: Mapping[str, Fact], n_rows: int):
        self.form = form
        """which datasets there are"""
        self._attributes = dict(attributes)
        self.n_rows = n_rows
        self.series = Series(self, "series", form.series)
        self.neurons = Series(self, "neurons", form.neuron_series)
        self.records_events = form.records_events
        self.trains_outer = form.trains_outer
        self.n_events: int
        """entries of the event log up to the last row"""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the rows are kept, for messages."""

    @abstractmethod
    def read(self, name: str, rows: Rows = slice(None)) -> NDArray[Any]:
        """Rows of one dataset, `inner` (T, m, r) or `series/stable_rank` (T,) for instance; an int takes one row.

        An array takes the rows that it names, increasing.  IndexError beyond the rows; TrajectoryError if the dataset
        is not there or not readable.
        """

    @abstractmethod
    def whole(self, name: str) -> NDArray[Any]:
        """A dataset without rows, `X` (n, d) for instance."""

    @property
    @abstractmethod
    def events(self) -> Events:
        """The events up to the last row; empty if the run records none."""

    @property
    @abstractmethod
    def scenario_resolved(self) -> str:
        """The scenario with every default filled in, as YAML text; that of a flow from arrays names no real files."""

    def selection(self, rows: Rows) -> Rows:
        """The same rows, counted from the first; IndexError beyond them."""
        if isinstance(rows, np.ndarray):
            if rows.size and not 0 <= rows[0] <= rows[-1] < self.n_rows:
                raise IndexError(f"rows {rows[0]} .. {rows[-1]} of {self.place}, which has {self.n_rows}")
            return rows
        return slice(*rows.indices(self.n_rows)) if isinstance(rows, slice) else self.number_of(rows)

    def number_of(self, row: int) -> int:
        """The number of a row, which may be negative to count from the end.  Raises IndexError beyond the rows."""
        try:
            return range(self.n_rows)[row]
        except IndexError:
            raise IndexError(f"row {row} of {self.place}, which has {self.n_rows}") from None

    @property
    def log1p_time(self) -> Array:
        """(T,) v = log(1 + t)"""
        return self.read(ROW)

    @property
    def t(self) -> Array:
        """(T,) the time of the flow, infinite beyond float64 (log t > 709), where `log1p_time` stays finite."""
        with np.errstate(over="ignore"):
            return np.asarray(np.expm1(self.log1p_time))

    @property
    def tau(self) -> Array:
        """(T,) rescaled time, d tau = (1/n) sum of g_i dt over the live samples."""
        return self.read("tau")

    @property
    def inner(self) -> Array:
        """(T, m, r) U, the first layer in span coordinates; (T, m, 1) for scalar networks"""
        return self.read("inner")

    @property
    def margins(self) -> Array:
        """(T, n) p"""
        return self.read("margins")

    @property
    def log_loss(self) -> Array:
        """(T,) log of the mean loss L"""
        return self.read("log_loss")

    @property
    def pattern(self) -> Sides:
        """(T, m, n): +1, -1, 0 = sliding"""
        return self.read("pattern")

    @property
    def X(self) -> Array:  # noqa: N802 (the matrix of the literature)
        """(n, d) the samples; the last column is 1 where neurons have a bias"""
        return self.whole("X")

    @property
    def y(self) -> Array:
        """(n,) labels, -1 or +1, or classes 0, ..., K - 1"""
        return self.whole("y")

    @property
    def X_test(self) -> Array | None:  # noqa: N802
        """(k, d) the test samples, with the inputs of `X`; None without them"""
        return self.whole("X_test") if self.form.has_test else None

    @property
    def y_test(self) -> Array | None:
        """(k,) the labels of the test samples, as in `y`; None without them"""
        return self.whole("y_test") if self.form.has_test else None

    @property
    def W_initial(self) -> Array:  # noqa: N802 (the matrix of the literature)
        """(m, d) the first layer at the start"""
        return self.whole("W_initial")

    @property
    def basis(self) -> Array:
        """(r, d) orthonormal basis of the span of the samples"""
        return self.whole("basis")

    @property
    def outer(self) -> Array:
        """(m,), or (T, m) where trained; with K outputs (K, m) or (T, K, m)"""
        return self.read("outer") if self.trains_outer else self.whole("outer")

    def outer_at(self, row: int) -> Array:
        """(m,) or (K, m) at one row, which matters only where it is trained; IndexError beyond the rows."""
        if self.trains_outer:
            return self.read("outer", row)
        self.number_of(row)  # the IndexError
        return self.outer

    @property
    def output_bias(self) -> Array | None:
        """(T, K); None without one"""
        return self.read("output_bias") if self.form.has_output_bias else None

    @property
    def directions(self) -> Array | None:
        """(m, d), unit rows, of a scalar network; None for all others"""
        return self.whole("directions") if self.form.has_directions else None

    @property
    def resumable(self) -> bool:
        """Does the file keep what a continuation needs?"""
        return self.form.resumable

    def resume_at(self, row: int) -> dict[str, NDArray[Any]]:
        """The fields of `Form.resume` by name at one row, with the shapes of `layout.RESUME`, such as (m, r) or (n,);
        empty where the record keeps none."""
        number = self.number_of(row)
        return {v.field: self.read(v.name, number) for v in self.form.resume}

    def weights(self, row: int) -> Array:
        """W (m, d) at one row: W_initial + (inner[row] - inner[0]) @ basis, or inner[row] * directions.

        TrajectoryError where every seed has its own start, of which the record does not hold the part outside the span.
        """
        if self.facts.get("starts") == "drawn":
            raise TrajectoryError(
                f"{self.place}: every seed has its own start, and W needs it: take `inner`, or draw the start with "
                "init.seed"
            )
        inner: Array = self.read("inner", row)
        if self.form.has_directions:
            scaled: Array = inner * self.whole("directions")
            return scaled
        start: Array = self.read("inner", 0)
        if self.form.has_decay:
            outside = self.W_initial - start @ self.basis
            return np.asarray(float(self.read("outside", row)) * outside + inner @ self.basis)
        return self.W_initial + (inner - start) @ self.basis

    @property
    def outcome(self) -> str | None:
        """Name of the outcome; None while the run goes on, or when it was killed."""
        return self._attribute(layout.OUTCOME)

    @property
    def outcome_sentence(self) -> str | None:
        """How the run ended, in words; None while it has no outcome."""
        return self._attribute(layout.OUTCOME_SENTENCE)

    @property
    def facts(self) -> dict[str, Fact]:
        """The facts of the run: name, model, activation, loss, engine, method, ..."""
        return {name: value for name, value in self._attributes.items() if name not in layout.ATTRIBUTES}

    @property
    def attributes(self) -> dict[str, Fact]:
        """All that is known of the run as one number or text each: the facts, and how the run ended."""
        return dict(self._attributes)

    def to_xarray(self) -> xarray.DataTree:
        """All that is recorded, in memory, with named dimensions; groups `series`, `neurons`, `events` and `resume` as
        in a file.  The times of events are seen by `tree["events"].to_dataset(inherit=False)`, since those of rows have
        the same name.
        """
        return tree_of(self)

    def to_pandas(self) -> pandas.DataFrame:
        """A row a record time: index log(1 + t), columns t (infinite beyond float64), `log_loss` and every series."""
        return frame_of(self)

    def __repr__(self) -> str:
        end = "not ended" if self.outcome is None else self.outcome
        last = float(self.read(ROW, -1))
        return (
            f"<{type(self).__name__} ({self.place}): {self.n_rows} rows to log(1 + t) = {last:.6g}, "
            f"{self.n_events} events, {end}>"
        )

    def _attribute(self, name: str) -> str | None:
        return str(self._attributes[name]) if name in self._attributes else None
