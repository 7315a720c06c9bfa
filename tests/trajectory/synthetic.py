"""A trajectory whose every number is a function of its row and entry, so that any part of a file can be checked."""

from __future__ import annotations

import numpy as np

from gflow.trajectory import EventEntry, Header, Row, Trajectory
from gflow.trajectory.layout import EVENT_COUNT

N, D, M, R = 3, 5, 4, 2
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


def row(number: int) -> Row:
    """Row `number`, after `events_before(number)` entries."""
    return Row(
        log1p_time=1.5 * number,
        tau=2.0 * number,
        inner=np.arange(M * R, dtype=float).reshape(M, R) + number / 3.0,
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


def assert_committed_content(trajectory: Trajectory) -> None:
    """Every committed row and event, and the header, equal what was written, bit for bit."""
    expected = [row(number) for number in range(trajectory.n_rows)]
    for name in ("log1p_time", "tau", "inner", "margins", "log_loss", "pattern"):
        np.testing.assert_array_equal(getattr(trajectory, name), [getattr(each, name) for each in expected], name)
    for name, values in trajectory.series.items():
        np.testing.assert_array_equal(values, [each.series[name] for each in expected], name)
    assert trajectory.n_events == events_before(trajectory.n_rows - 1)
    entries = [event(entry) for entry in range(trajectory.n_events)]
    for name in EventEntry._fields:
        np.testing.assert_array_equal(getattr(trajectory.events, name), [getattr(each, name) for each in entries], name)
    for name in ("X", "y", "W_initial", "basis", "outer"):
        np.testing.assert_array_equal(getattr(trajectory, name), getattr(HEADER, name), name)
