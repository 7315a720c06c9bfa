"""The values that a run hands over to be kept: a header at the start, then rows and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gflow.arrays import Array, Sides
from gflow.trajectory.layout import DESCENT, EVENTS, Form

Fact = str | float | int
"""What a root attribute says of a run."""


@cache
def installed_version() -> str:
    """Version of the installed gflow, or "unknown" when it runs from a folder that is not installed."""
    try:
        return metadata.version("gflow")
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """All that is fixed when a run starts.  n samples, d inputs, m neurons, r rank of the data, K outputs.

    X (n, d), y (n,), W_initial (m, d) and basis (r, d).  outer (m,), or (K, m) for several outputs, holds the values at
    the start; if it is trained, every row brings its own.  With a bias of the neurons the last of the d inputs is the
    constant 1.  With directions (m, d), which make a scalar network, basis is (1, d) zeros.  X_test (k, d) and y_test
    (k,) are given together, where samples are predicted that are not trained on.
    `facts` become root attributes (name, model, activation, slope, loss, engine, method, rtol, atol, ...).
    `provenance` is the entry of this start; a resume appends its own.
    """

    kind: str = "flow"
    scenario: str
    scenario_resolved: str
    scenario_sha256: str
    provenance: dict[str, Any]  # any JSON value: what is known about a machine differs between machines
    X: Array  # (n, d)
    y: Array  # (n,)
    W_initial: Array  # (m, d)
    basis: Array  # (r, d)
    outer: Array  # (m,), or (K, m) with several outputs
    trains_outer: bool = False
    has_output_bias: bool = False
    directions: Array | None = None  # (m, d)
    X_test: Array | None = None  # (k, d)
    y_test: Array | None = None  # (k,)
    facts: dict[str, str | float | int] = field(default_factory=dict)
    gflow_version: str = field(default_factory=installed_version)

    def sizes(self) -> dict[str, int]:
        """Length of each fixed dimension by its name in the file."""
        (n, d), (m, _), (r, _) = self.X.shape, self.W_initial.shape, self.basis.shape
        sizes = {"sample": n, "input": d, "neuron": m, "span": r}
        if self.outer.ndim > 1 or self.has_output_bias:
            sizes["output"] = len(self.outer) if self.outer.ndim > 1 else 1
        if self.X_test is not None:
            sizes["test_sample"] = len(self.X_test)
        return sizes

    def form(
        self,
        series: Sequence[str],
        neuron_series: Sequence[str] = (),
        records_events: bool = True,
        resumable: bool = False,
    ) -> Form:
        """The form of a file with this header and these series."""
        return Form(
            series=tuple(series),
            neuron_series=tuple(neuron_series),
            records_events=records_events,
            trains_outer=self.trains_outer,
            has_outputs=self.outer.ndim > 1,
            has_output_bias=self.has_output_bias,
            has_directions=self.directions is not None,
            has_runs=self.kind == DESCENT,
            has_seeds="seeds" in self.facts,
            has_decay="weight_decay" in self.facts and self.directions is None,
            has_test=self.X_test is not None,
            resumable=resumable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The state of the flow at one time; `layout.ROWS` and `layout.SERIES` say what each field means.

    inner (m, r), or (m, 1) for scalar networks; margins (n,); pattern (m, n); outer (m,) or (K, m); output_bias (K,);
    neurons: series (m,) by name; resume: numbers, and arrays such as (m, r) or (n,), by name.
    `outer` and `output_bias` are given exactly where the header says that they are trained, `eta` and `step` exactly in
    a file of descent, `seed` in one of several seeds, `outside` in one with weight decay; `resume` holds the fields of
    `Form.resume` where the file keeps them, and is empty elsewhere.
    """

    log1p_time: float
    tau: float
    inner: Array  # (m, r); (m, 1) for scalar networks
    margins: Array  # (n,)
    log_loss: float
    pattern: Sides  # (m, n)
    series: dict[str, float]
    outer: Array | None = None  # (m,) or (K, m)
    output_bias: Array | None = None  # (K,)
    eta: float | None = None
    step: int | None = None
    seed: int | None = None
    outside: float | None = None
    neurons: dict[str, Array] = field(default_factory=dict)  # (m,) each
    resume: Mapping[str, float | NDArray[Any]] = field(default_factory=dict)


class EventEntry(NamedTuple):
    """One change of side of a (neuron, surface) pair; `sample`: the surface's first; `kind`: see
    `EVENT_KINDS`.
    """

    log1p_time: float
    neuron: int
    sample: int
    kind: int


@dataclass(frozen=True, slots=True)
class Events:
    """Entries of the event log, in the order of time.

    log1p_time (E,): log(1 + t); neuron (E,), sample (E,): indices, the sample being the first of its surface;
    kind (E,): as in `layout.EVENT_KINDS`.
    """

    log1p_time: Array
    neuron: NDArray[np.int32]
    sample: NDArray[np.int32]
    kind: NDArray[np.int8]

    @classmethod
    def of(cls, entries: Sequence[EventEntry]) -> Events:
        """These entries, one after the other."""
        return cls.from_columns(zip(*entries, strict=True) if entries else [()] * len(EVENTS))

    @classmethod
    def joined(cls, blocks: Sequence[Events]) -> Events:
        """The entries of these blocks, one after the other."""
        if not blocks:
            return cls.of([])
        return cls.from_columns(np.concatenate([getattr(each, name.field) for each in blocks]) for name in EVENTS)

    @classmethod
    def from_columns(cls, columns: Iterable[ArrayLike]) -> Events:
        """Times, neurons, samples and kinds (E,) of any numeric types; copied, since engines use theirs again."""
        return cls(*(np.array(each, variable.dtype, order="C") for each, variable in zip(columns, EVENTS, strict=True)))

    def __len__(self) -> int:
        return len(self.kind)


class EventLog:
    """Events on their way to be kept, handed over one by one or in blocks, in the order of time."""

    def __init__(self) -> None:
        self._blocks: list[Events] = []
        self._single: list[EventEntry] = []  # after the blocks

    def append(self, entry: EventEntry) -> None:
        """One event."""
        self._single.append(entry)

    def extend(self, block: Events) -> None:
        """Some events at once."""
        self._gather()
        self._blocks.append(block)

    def events(self) -> Events:
        """All events so far."""
        self._gather()
        return Events.joined(self._blocks)

    def _gather(self) -> None:
        """Make a block of the events that came one by one."""
        if self._single:
            self._blocks.append(Events.of(self._single))
            self._single = []


@dataclass(frozen=True, slots=True)
class Target:
    """The end that a run is measured against, label value / goal: `log t` 12.3 / 1e+06 for instance."""

    label: str
    value: float | None
    goal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far a run is.  `log_time`: None at t = 0; `share` of the way in [0, 1]: None if unknown."""

    log_time: float | None
    target: Target
    share: float | None
    log_loss: float
    events: int
    sliding: int
    steps: int
