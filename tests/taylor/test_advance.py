"""The steps of the compiled loop as `Advance`s: they join, hold the states of rows, and leave the flow as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.field.branch import Measure
from gflow.field.transition import EventKind
from gflow.flow.items import Advance, Event, Finish, FlowRow, Item
from tests.test_integrate import Told, by_arrays
from tests.test_steps import PARTS, of, posed

Array = NDArray[np.float64]
ENDS = {"early": gflow.log_time(4.0), "late": gflow.log_time(1e4), "loss": gflow.log_loss(-3.0)}
FLOWS = pytest.mark.parametrize(
    "name, end", [("leaky", "early"), ("relu", "early"), ("leaky", "late"), ("relu", "loss")]
)


def stream(name: str, end: str, **more: Any) -> list[Item]:  # Any: keywords of steps
    given: Told = {"method": "taylor", "until": ENDS[end], "rows": 8, "spacing": "loglog"} | more
    return list(gflow.steps(*posed(name), **given))


@FLOWS
def test_it_has_the_rows_events_and_end_of_integrate_to_the_last_bit(name: str, end: str) -> None:
    """Which calls the compiled loop for many steps at once."""
    items, flow = stream(name, end), by_arrays(name, method="taylor", until=ENDS[end])
    states = [row.state for row in of(FlowRow, items)]
    np.testing.assert_array_equal([state.v for state in states], flow.log1p_time)
    np.testing.assert_array_equal([state.U for state in states], flow.read("inner"))
    np.testing.assert_array_equal([event.v for event in of(Event, items)], flow.events.log1p_time)
    last = items[-1]
    assert isinstance(last, Finish) and last.sentence == flow.outcome_sentence


@FLOWS
def test_the_parts_join_and_hold_the_rows(name: str, end: str) -> None:
    """Each part begins where the one before ended, a row lies at the end of one, and tau is their length."""
    items = stream(name, end, rows=40)
    tau, before, steps = -1.0, np.empty(0), 0
    for item in items:
        if isinstance(item, Advance):
            ends = item.tau([0.0, 1.0])
            if steps:
                assert ends[0] == pytest.approx(tau, rel=1e-12)
                np.testing.assert_allclose(item.margins(0.0)[0], before, rtol=1e-9, atol=1e-9)
            v = item.log1p_time(PARTS)
            assert (np.diff(v) >= 0.0).all() and v[-1] == pytest.approx(float(item.y[-1]), rel=1e-9)
            tau, before, steps = float(ends[1]), item.margins(1.0)[0], steps + 1
        if isinstance(item, FlowRow) and steps:
            np.testing.assert_allclose(before, item.state.p, rtol=2e-8, atol=1e-8)
            assert item.state.tau == pytest.approx(tau, rel=1e-7)
        if isinstance(item, Measure) and steps:
            np.testing.assert_allclose(before, item.p, rtol=2e-8, atol=1e-8)
    assert steps > 40
    met = [item for item in of(Advance, items) if item.near is not None]
    assert len({(float(item.y[-1])) for item in met}) >= len({event.v for event in of(Event, items)}) - 1


def test_a_flow_in_closed_form_inside_its_steps() -> None:
    """As in `tests.test_steps`: e^(s w) = e^(s w_0) + s^2 t up to w = 0, then e^w = 1 + t - t_0."""
    problem, start = gflow.from_arrays(
        [[1.0]], [1.0], [[-1.0]], [1.0], activation="leaky_relu", slope=0.5, loss="exponential"
    )
    crossed, seen = 4.0 * (1.0 - np.exp(-0.5)), 0
    for item in gflow.steps(problem, start, gflow.time(20.0), method="taylor", rtol=1e-10, atol=1e-12):
        if isinstance(item, Event):
            assert item.kind is EventKind.CROSS_UP and np.expm1(item.v) == pytest.approx(crossed, rel=1e-9)
        if isinstance(item, Advance):
            t = np.expm1(item.log1p_time(PARTS))
            before, after = np.exp(-0.5) + 0.25 * t, 1.0 + t - crossed
            w = 2.0 * np.log(before) if item.side[0, 0] < 0 else np.log(after)
            assert problem.weights(item.parameters(PARTS).U, start)[:, 0, 0] == pytest.approx(w, abs=1e-8)
            assert item.margins(PARTS)[:, 0] == pytest.approx(w if item.side[0, 0] > 0 else np.log(before), abs=1e-8)
            seen |= 1 if item.side[0, 0] < 0 else 2
    assert seen == 3, "both sides were seen"
