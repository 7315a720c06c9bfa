"""A trajectory whose every number is a function of its row and entry, so that any part of a file can be checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.trajectory import EventEntry, Header, Row, Trajectory, TrajectoryWriter
from gflow.trajectory.layout import EVENT_COUNT

N, D, M, R, K = 3, 5, 4, 2, 6
SERIES_NAMES = ("weight_norm", "stable_rank", "normalized_margin", "margin_spread", "sliding", EVENT_COUNT, "steps")
EVENTS_A_ROW = 3
HEADER = Header(
    scenario="gflow: 1\nname: tiny  # as given, with a slope γ\n",
    scenario_resolved="gflow: 1\nname: tiny\nseed: 0\n",
    scenario_sha256="0" * 64,
    provenance={
        "started": "2026-01-02T03:04:05+00:00",
        "command": ["gflow", "simulate", "tiny.yaml"],
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    },
    X=np.arange(N * D, dtype=float).reshape(N, D) / 7.0,
    y=np.array([1.0, -1.0, 1.0]),
    W_initial=np.arange(M * D, dtype=float).reshape(M, D) / 11.0,
    basis=np.eye(R, D),
    outer=np.array([0.5, -0.5, 0.5, -0.5]),
    facts={
        "name": "tiny",
        "model": "two_layer",
        "activation": "leaky_relu",
        "slope": 0.1,
        "loss": "logistic",
        "engine": "dual",
        "method": "Radau",
        "rtol": 1e-8,
        "atol": 1e-10,
    },
    gflow_version="0.1.0",
)
OUTPUTS = replace(HEADER, y=np.array([0.0, 5.0, 2.0]), outer=np.arange(K * M, dtype=float).reshape(K, M) / 3.0)
DIRECTIONS = np.eye(M, D)[::-1]


@dataclass(frozen=True)
class Case:
    """One form of a trajectory: the header and the series of the neurons say what its rows bring."""

    header: Header
    neuron_series: tuple[str, ...] = ()
    resumable: bool = False

    def create(self, path: str | Path, expected_rows: int = 256) -> TrajectoryWriter:
        return TrajectoryWriter.create(
            path,
            self.header,
            SERIES_NAMES,
            neuron_series=self.neuron_series,
            resumable=self.resumable,
            expected_rows=expected_rows,
        )


PLAIN = Case(HEADER)
TRAINED = Case(replace(HEADER, trains_outer=True), ("balancedness", "rotation", "norm"))
CASES = {
    "plain": PLAIN,
    "trained": TRAINED,
    "outputs": Case(OUTPUTS),
    "trained outputs": Case(replace(OUTPUTS, trains_outer=True, has_output_bias=True), ("norm",)),
    "one output with a bias": Case(replace(HEADER, trains_outer=True, has_output_bias=True)),
    "descent": Case(replace(HEADER, kind="descent")),
    "tested": Case(
        replace(HEADER, X_test=np.arange(7.0 * D).reshape(7, D) / 3.0, y_test=np.array([1.0, -1.0] * 3 + [1.0]))
    ),
    "scalar": Case(
        replace(
            HEADER,
            trains_outer=True,
            directions=DIRECTIONS,
            W_initial=np.arange(1.0, M + 1.0)[:, None] * DIRECTIONS,
            basis=np.zeros((1, D)),
        ),
        ("balancedness",),
    ),
    "resumable": Case(HEADER, (), resumable=True),
    "resumable, all trained": Case(
        replace(OUTPUTS, trains_outer=True, has_output_bias=True), ("norm",), resumable=True
    ),
}


def row(number: int, case: Case = PLAIN) -> Row:
    """Row `number`, after `events_before(number)` entries."""
    header, sizes = case.header, case.header.sizes()
    return replace(
        plain_row(number),
        inner=inner(number, sizes["span"]),
        outer=header.outer + number / 17.0 if header.trains_outer else None,
        output_bias=np.arange(sizes["output"], dtype=np.float64) - number / 19.0 if header.has_output_bias else None,
        eta=0.5**number if header.kind == "descent" else None,
        step=3 * number if header.kind == "descent" else None,
        neurons={name: np.arange(M) / 2.0 - (k + number) / 23.0 for k, name in enumerate(case.neuron_series)},
        resume=resume(number, case),
    )


def resume(number: int, case: Case) -> dict[str, float | NDArray[Any]]:
    """Integers that fit every type, in the shape of each dataset."""
    sizes, form = case.header.sizes(), case.header.form(SERIES_NAMES, resumable=case.resumable)
    shapes = {variable.field: tuple(sizes[axis] for axis in variable.dims[1:]) for variable in form.resume}
    return {name: np.full(shape, number % 2 + k)[()] for k, (name, shape) in enumerate(shapes.items())}


def inner(number: int, rank: int) -> Array:
    """(m, rank); a scalar network has b = 1, ..., m in row 0, as its `W_initial` says."""
    start = np.arange(M * rank, dtype=float).reshape(M, rank)
    return (start if rank > 1 else start + 1.0) + number / 3.0


def plain_row(number: int) -> Row:
    return Row(
        log1p_time=1.5 * number,
        tau=2.0 * number,
        inner=inner(number, R),
        margins=np.arange(N, dtype=np.float64) + number / 9.0,
        log_loss=-number / 7.0,
        pattern=((np.arange(M * N).reshape(M, N) + number) % 3 - 1).astype(np.int8),
        series=dict.fromkeys(SERIES_NAMES, number / 13.0) | {EVENT_COUNT: float(events_before(number))},
    )


def events_before(number: int) -> int:
    """No event before row 1, then `EVENTS_A_ROW` before each row."""
    return EVENTS_A_ROW * number


def event(entry: int) -> EventEntry:
    return EventEntry(0.5 * (entry + 1), entry % M, entry % N, 1 + entry % 5)


def events_up_to(number: int) -> list[EventEntry]:
    """The entries that came after the row before."""
    return [event(entry) for entry in range(events_before(max(number - 1, 0)), events_before(number))]


def assert_committed_content(trajectory: Trajectory, case: Case = PLAIN) -> None:
    """Every committed row and event, and the header, equal what was written, bit for bit."""
    expected = [row(number, case) for number in range(trajectory.n_rows)]
    assert_fields(trajectory, case, expected)
    for name, values in trajectory.series.items():
        np.testing.assert_array_equal(values, [each.series[name] for each in expected], name)
    for number in range(trajectory.n_rows):
        kept, written = trajectory.resume_at(number), expected[number].resume
        assert kept.keys() == written.keys() and all(np.array_equal(kept[name], written[name]) for name in kept)
    assert tuple(sorted(trajectory.neurons)) == tuple(sorted(case.neuron_series))
    for name, values in trajectory.neurons.items():
        np.testing.assert_array_equal(values, [each.neurons[name] for each in expected], name)
    assert trajectory.n_events == events_before(trajectory.n_rows - 1)
    entries = [event(entry) for entry in range(trajectory.n_events)]
    for name in EventEntry._fields:
        np.testing.assert_array_equal(getattr(trajectory.events, name), [getattr(each, name) for each in entries], name)


def assert_fields(trajectory: Trajectory, case: Case, expected: list[Row]) -> None:
    """The datasets at the root: the fields of the rows, and those of the header that do not change."""
    header = case.header
    trained = ["outer"] if header.trains_outer else []
    trained += ["output_bias"] if header.has_output_bias else []
    for name in ["log1p_time", "tau", "inner", "margins", "log_loss", "pattern", *trained]:
        np.testing.assert_array_equal(getattr(trajectory, name), [getattr(each, name) for each in expected], name)
    fixed = {"X", "y", "W_initial", "basis", "outer", "directions", "X_test", "y_test"} - set(trained)
    for name in fixed:
        found, written = getattr(trajectory, name), getattr(header, name)
        assert (found is None) == (written is None)
        np.testing.assert_array_equal(found, written, name)
