"""The order of what a flow hands over is a contract: who reads it needs no engine of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from gflow.field.branch import Measure
from gflow.flow.items import Advance, Item
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import spaced
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import problem_of, until_log_time
from tests.reference.setting import drawn

LETTERS = {Advance: "a", Measure: "m", Event: "e", FlowProgress: "p", FlowRow: "r", Finish: "f"}
# Of a stretch: its measure; whole steps with the rows in them; a part of a step that ends it, with its events.
STRETCH = r"m((amr)*amp)*((amr)*ame*p)?"
WHOLE = re.compile(rf"mr({STRETCH})+rf")


def items(engine: str, slope: float) -> Iterator[Item]:
    setting, W = drawn("wide", slope, "logistic", seed=1)
    until = until_log_time(6.0)
    return steps(problem_of(setting), W, until, Manner(engine), spaced("log", 9, until))


CASES = pytest.mark.parametrize("engine, slope", [("dual", 0.0), ("dual", 0.3), ("primal", 0.3)])


@CASES
def test_the_order(engine: str, slope: float) -> None:
    told = "".join(LETTERS[type(item)] for item in items(engine, slope))
    assert WHOLE.fullmatch(told), told
    assert told.count("r") == 9 and told.count("e") >= 5


@pytest.mark.parametrize("wrong", ["rmf", "mrmarmprf", "mrmamepmprfm", "mrmampmaeprf"])
def test_the_pattern_can_fail(wrong: str) -> None:
    assert not WHOLE.fullmatch(wrong)


@CASES
def test_the_parts_of_a_stretch_join_and_end_where_something_happens(engine: str, slope: float) -> None:
    flow = list(items(engine, slope))
    advances = [item for item in flow if isinstance(item, Advance)]
    for one, other in zip(advances, advances[1:], strict=False):
        assert other.low == (one.high if other.segment is one.segment else 0.0)
        assert other.step.start <= other.low <= other.high <= other.step.end
    following = {id(item): after for item, after in zip(flow, flow[2:], strict=False)}
    events = [item for item in advances if isinstance(following[id(item)], Event)]
    assert events and all(item.near is not None for item in events)
    rows = [item for item in advances if isinstance(following[id(item)], FlowRow)]
    assert len(rows) == 7 and all(item.near is None for item in rows)


@CASES
def test_the_states_are_those_of_the_rows(engine: str, slope: float) -> None:
    """The state at the end of the part before a row is that of the row; tau is the length of all parts."""
    tau, before, last = 0.0, np.empty(0), None
    for item in items(engine, slope):
        if isinstance(item, Advance):  # now: an event changes the mode by which the branch knows its weights
            tau, before = (
                tau + (item.high - item.low) * item.segment.branch.unit,
                item.segment.branch.weights(item.y[None])[0],
            )
        if isinstance(item, FlowRow):
            last = item.state
            if last.v > 0.0 and not item.last:
                np.testing.assert_allclose(before, last.U, rtol=0.0, atol=1e-13)
    assert last is not None and tau == pytest.approx(last.tau, rel=1e-12)


def test_a_leap_of_the_clock_shows_in_the_checkpoint_of_row_0() -> None:
    """Margins of 100 at the start: the clock passes e^100 before a weight moves."""
    problem = Problem.of(np.eye(2), np.array([1.0, -1.0]), Network(np.array([1.0, -1.0]), 0.0), LOSSES["logistic"])
    flow = list(steps(problem, np.array([[100.0, -1.0], [-1.0, 100.0]]), until_log_time(200.0)))
    first = next(item for item in flow if isinstance(item, FlowRow))
    begun = next(item for item in flow if isinstance(item, Advance)).segment.state
    assert first.state.tau == 0.0 and first.checkpoint.state.tau == begun.tau > 0.0
