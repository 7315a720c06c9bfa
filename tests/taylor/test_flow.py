"""The Taylor engine beside the loop it is to replace: the same events, weights, rows and ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gflow.flow.choice import SWITCHING
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.taylor.advance import advance
from tests.flow.driver import Result, flow, until_log_time
from tests.fuzz.problems import TIED, built, drawn


def happened(result: Result) -> list[tuple[int, int, int]]:
    return [(event.neuron, event.surface, int(event.kind)) for event in result.events]


def gap(one: Result, two: Result) -> float:
    size = float(np.abs(two.state.U).max())
    return float(np.abs(one.state.U - two.state.U).max()) / max(size, 1e-300)


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("tied", [False, True])
def test_random_problems_of_every_kind(seed: int, tied: bool) -> None:
    """Starts on kinks, at 0, repeated, scaled and antipodal samples, neurons with a_j = 0, hypercubes and circles."""
    recipe = replace(drawn(seed), scales=(1.0, 1.0, 1.0), log_time=min(drawn(seed).log_time, 3.0))
    recipe = replace(recipe, shape=TIED[seed % len(TIED)]) if tied else recipe
    problem, W = built(recipe)
    until = until_log_time(recipe.log_time)
    theirs, tight = (flow(problem, W, until, rtol=rtol, rows=4) for rtol in (1e-8, 1e-11))
    if happened(theirs) != happened(tight):
        pytest.skip("the events hang on more digits than the tolerance: the other loop finds others at rtol 1e-11")
    ours = flow(problem, W, until, method="taylor", rows=4)
    assert happened(ours) == happened(tight)
    size = max(float(np.abs(row.state.U).max()) for row in tight.rows)
    assert float(np.abs(ours.state.U - tight.state.U).max()) <= 1e-8 * size
    assert ours.finish.outcome == tight.finish.outcome
    assert [row.state.v for row in ours.rows] == [row.state.v for row in tight.rows]


def test_the_loss_ends_a_run_where_it_says() -> None:
    problem, W = built(replace(drawn(1), scales=(1.0, 1.0, 1.0), shape="gaussian", labels="equal", loss="exponential"))
    until = Until(None, Outcome.TIME, -3.0)
    ours, theirs = (flow(problem, W, until, method=method) for method in ("taylor", SWITCHING))
    assert ours.finish.outcome is theirs.finish.outcome is Outcome.LOG_LOSS
    assert ours.state.log_loss == pytest.approx(-3.0, abs=1e-12)
    assert ours.state.v == pytest.approx(theirs.state.v, rel=1e-8)


def test_rows_leave_the_flow_as_it_is() -> None:
    """Steps, events and the end are the same to the bit however many rows are read off."""
    problem, W = built(replace(drawn(3), scales=(1.0, 1.0, 1.0), n=6, m=5))
    few, many = (flow(problem, W, until_log_time(3.0), method="taylor", rows=rows) for rows in (2, 40))
    assert happened(few) == happened(many) and [e.v for e in few.events] == [e.v for e in many.events]
    np.testing.assert_array_equal(few.state.U, many.state.U)


def test_the_compiled_loop_is_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python runs the very functions that are compiled, and finds the same."""
    problem, W = built(replace(drawn(5), scales=(1.0, 1.0, 1.0), shape="gaussian", n=5, d=4, m=5, log_time=3.0))
    compiled = flow(problem, W, until_log_time(3.0), method="taylor")
    monkeypatch.setattr("gflow.flow.taylor_dual.advance", advance.function)
    plain = flow(problem, W, until_log_time(3.0), method="taylor")
    assert happened(plain) == happened(compiled)
    assert gap(plain, compiled) < 1e-11
