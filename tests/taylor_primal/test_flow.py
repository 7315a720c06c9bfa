"""Runs of the series of trained outer layers: rows, ends, budgets and steps that are handed over."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.field.branch import Measure
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import SWITCHING
from gflow.flow.items import Advance, Event, FlowRow
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.taylor.primal.advance import advance
from tests.both_loops import Way, way
from tests.flow.driver import until_log_time
from tests.primal.driver import parity
from tests.test_integrate import by_arrays
from tests.test_steps import PARTS, of, posed

Array = NDArray[np.float64]
ENDS = {"early": gflow.log_time(4.0), "late": gflow.log_time(100.0), "loss": gflow.log_loss(-3.0)}


def same_bits(one: Way, two: Way) -> None:
    assert one.events == two.events and one.times == two.times
    np.testing.assert_array_equal(one.weights, two.weights)


@pytest.mark.parametrize("seed, slope, loss", [(0, 0.0, "logistic"), (1, 0.1, "exponential")])
def test_it_finds_what_the_steppers_find(seed: int, slope: float, loss: str) -> None:
    """To log t = 20, with a hundred events and neurons that slide."""
    problem, W = parity(16, 8, 6, seed, slope, loss)
    ours, theirs = (
        way(problem, W, until_log_time(20.0), method, rtol, rows=5)
        for method, rtol in (("taylor", 1e-8), (SWITCHING, 1e-11))
    )
    assert len(ours.events) > 40 and 3 in {kind for _, _, kind in ours.events}
    assert ours.events == theirs.events
    np.testing.assert_allclose(ours.times, theirs.times, rtol=1e-8)
    assert float(np.abs(ours.weights - theirs.weights).max()) < 1e-9 * theirs.size
    assert [row.state.v for row in ours.rows] == [row.state.v for row in theirs.rows]


def test_rows_leave_the_flow_as_it_is() -> None:
    problem, W = parity(12, 6, 5, seed=4)
    same_bits(*(way(problem, W, until_log_time(8.0), rows=rows) for rows in (2, 60)))


def test_the_loss_ends_a_run_where_it_says() -> None:
    problem, W = parity(12, 6, 5, seed=4)
    until = Until(None, Outcome.TIME, -3.0)
    ours, theirs = (way(problem, W, until, method) for method in ("taylor", SWITCHING))
    assert ours.finish.outcome is theirs.finish.outcome is Outcome.LOG_LOSS
    assert ours.finish.state.log_loss == pytest.approx(-3.0, abs=1e-12)
    assert ours.finish.state.v == pytest.approx(theirs.finish.state.v, rel=1e-7)


def test_the_compiled_loop_is_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python runs the very functions that are compiled, and finds the same."""
    problem, W = parity(6, 4, 3, seed=0)
    compiled = way(problem, W, until_log_time(3.0))
    monkeypatch.setattr("gflow.flow.taylor_primal.advance", advance.function)
    plain = way(problem, W, until_log_time(3.0))
    assert plain.events == compiled.events and len(plain.events) > 2
    np.testing.assert_allclose(plain.weights, compiled.weights, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("budget, said", [(Budget(events=7), "events = 7"), (Budget(steps=9), "steps = 9")])
def test_a_budget_ends_a_run(budget: Budget, said: str) -> None:
    problem, W = parity(12, 6, 5, seed=4)
    ended, whole = (way(problem, W, until_log_time(8.0), account=Account(each)) for each in (budget, Budget()))
    assert ended.finish.outcome is Outcome.BUDGET and said in ended.finish.sentence
    assert ended.events == whole.events[: len(ended.events)] and ended.times == whole.times[: len(ended.times)]
    assert budget.events is None or len(ended.events) == 7


@pytest.mark.parametrize("end", ENDS)
def test_steps_join_and_hold_the_rows(end: str) -> None:
    """Each part begins where the one before ended; rows, events and the end are those of `integrate` to the bit."""
    items = list(gflow.steps(*posed("both layers"), method="taylor", until=ENDS[end], rows=40, spacing="loglog"))
    flow = by_arrays("both layers", method="taylor", until=ENDS[end], rows=40, spacing="loglog")
    states = [row.state for row in of(FlowRow, items)]
    np.testing.assert_array_equal([state.v for state in states], flow.log1p_time)
    np.testing.assert_array_equal([state.U for state in states], flow.read("inner"))
    np.testing.assert_array_equal([event.v for event in of(Event, items)], flow.events.log1p_time)
    tau, before, steps = -1.0, np.empty(0), 0
    for item in items:
        if isinstance(item, Advance):
            ends, v = item.tau([0.0, 1.0]), item.log1p_time(PARTS)
            if steps:
                assert ends[0] == pytest.approx(tau, rel=1e-12)
                np.testing.assert_allclose(item.margins(0.0)[0], before, rtol=1e-9, atol=1e-9)
            assert (np.diff(v) >= 0.0).all() and v[-1] == pytest.approx(float(item.y[-1]), rel=1e-9)
            tau, before, steps = float(ends[1]), item.margins(1.0)[0], steps + 1
        if isinstance(item, FlowRow) and steps:
            np.testing.assert_allclose(before, item.state.p, rtol=1e-9, atol=1e-9)
            assert item.state.tau == pytest.approx(tau, rel=1e-9)
        if isinstance(item, Measure) and steps:
            np.testing.assert_allclose(before, item.p, rtol=1e-9, atol=1e-9)
    assert steps > 40


def test_measures_are_those_of_the_steppers() -> None:
    """At the rows of both: norm, speed, rates and clock, which the loop reads off its own series."""
    problem, start = posed("both layers")

    def measured(method: str) -> list[Measure]:
        end = gflow.log_time(4.0)
        items = gflow.steps(problem, start, end, method=method, rows=9, rtol=1e-10, atol=1e-12)
        last, found = None, []
        for item in items:
            last = item if isinstance(item, Measure) else last
            if isinstance(item, FlowRow) and last is not None:
                found.append(last)
        return found

    ours, theirs = measured("taylor"), measured("DOP853")
    assert len(ours) == len(theirs) == 9
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.margin_rates, two.margin_rates, rtol=1e-7, atol=1e-9)
        for name in ("v", "log_loss", "norm", "speed", "log_clock", "rounding"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-7), name
