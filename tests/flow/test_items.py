"""The order of what a flow hands over is a contract: who reads it needs no engine of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gflow
from gflow.field.branch import Measure
from gflow.flow import taylor
from gflow.flow.choice import SWITCHING, TAYLOR
from gflow.flow.items import Advance, Item
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import spaced
from gflow.pipeline.ends import End
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import problem_of, until_log_time
from tests.reference.setting import drawn

LETTERS = {Advance: "a", Measure: "m", Event: "e", FlowProgress: "p", FlowRow: "r", Finish: "f"}
# Of a stretch: its measure; whole steps with the rows in them; its end, in a part of a step and with its events or not.
STRETCH = r"m((amr)*amp)*((amr)*a)?me*p"
REST = r"(mr)+"
WHOLE = re.compile(rf"mr(({STRETCH})+(r|{REST})|(mr)*)f")


def items(engine: str, method: str, slope: float, log_t: float = 6.0) -> Iterator[Item]:
    setting, W = drawn("wide", slope, "logistic", seed=1)
    until = until_log_time(log_t)
    return steps(problem_of(setting), W, until, Manner(engine, method), spaced("log", 9, until), advances=True)


def letters(flow: Iterator[Item]) -> str:
    return "".join(LETTERS[type(item)] for item in flow)


CASES = pytest.mark.parametrize(
    "engine, method, slope",
    [
        ("dual", TAYLOR, 0.0),
        ("dual", TAYLOR, 0.3),
        ("dual", SWITCHING, 0.0),
        ("dual", SWITCHING, 0.3),
        ("primal", SWITCHING, 0.3),
    ],
)


@CASES
def test_the_order(engine: str, method: str, slope: float) -> None:
    order = letters(items(engine, method, slope))
    assert WHOLE.fullmatch(order), order
    assert order.count("r") == 9 and order.count("e") >= 5


@pytest.mark.parametrize("method, seam", [(TAYLOR, "ampmamp"), (SWITCHING, "pmpm")])
def test_stretches_that_end_with_a_step(method: str, seam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after 64 steps and a turn to an implicit method end a stretch where no guard does."""
    monkeypatch.setattr(taylor, "MARKED", 64)
    order = letters(items("dual", method, 0.3, 2000.0))
    assert WHOLE.fullmatch(order), order
    assert seam in order


@pytest.mark.parametrize(
    "outer, scale, end, order",
    [
        (0.0, 1.0, gflow.time(1.0), "mrmmpmrmrmrf"),  # nothing moves: rows at rest
        (0.0, 1.0, gflow.log_loss(-1.0), "mrmmprf"),  # nor will it ever
        (1.0, 1e18, gflow.time(1.0), "mrf"),  # margins of 1e18, whose differences float64 does not know
    ],
)
def test_flows_that_do_not_move(outer: float, scale: float, end: End, order: str) -> None:
    problem, start = gflow.from_arrays(np.eye(2), [1.0, -1.0], scale * np.eye(2), outer * np.array([1.0, -1.0]))
    assert letters(gflow.steps(problem, start, end, rows=4)) == order and WHOLE.fullmatch(order)


@pytest.mark.parametrize("end, more", [(gflow.certified(), {}), (gflow.time(100.0), {"budget": {"steps": 5}})])
def test_ends_after_a_whole_step(end: End, more: dict[str, Any]) -> None:  # Any: keywords of steps
    setting, W = drawn("wide", 0.3, "logistic", seed=1)
    order = letters(gflow.steps(problem_of(setting), W, end, **more))
    assert WHOLE.fullmatch(order) and order.endswith("mprf"), order


@pytest.mark.parametrize("wrong", ["rmf", "mrmarmprf", "mrmamepmprfm", "mrmampmaeprf", "mrmamprampf", "mrmampepmprf"])
def test_the_pattern_can_fail(wrong: str) -> None:
    assert not WHOLE.fullmatch(wrong)


@CASES
def test_the_parts_of_a_stretch_join_and_end_where_something_happens(engine: str, method: str, slope: float) -> None:
    flow = list(items(engine, method, slope))
    advances = [item for item in flow if isinstance(item, Advance)]
    for one, other in zip(advances, advances[1:], strict=False):
        assert other.low == (one.high if other.stretch is one.stretch else 0.0)
        assert other.step.start <= other.low <= other.high <= other.step.end
    following = {id(item): after for item, after in zip(flow, flow[2:], strict=False)}
    events = [item for item in advances if isinstance(following[id(item)], Event)]
    assert events and all(item.near is not None for item in events)
    rows = [item for item in advances if isinstance(following[id(item)], FlowRow)]
    assert len(rows) == 7 and all(item.near is None for item in rows)


SAME = 1e-12  # relative, of the instants of a row by the part that ends there and by the row
ROUNDING = 32 * np.finfo(float).eps


@CASES
def test_the_states_are_those_of_the_rows(engine: str, method: str, slope: float) -> None:
    """The part before a row ends where the row is, and with its weights; tau is the length of all parts.

    |dw_j/dtau| <= |a_j| max |x_i|, since the q_i add up to 1: weights may be apart by what instants are.
    """
    tau, end, before, last = 0.0, 0.0, np.empty(0), None
    for item in items(engine, method, slope):
        if isinstance(item, Advance):  # now: an event changes the mode by which the branch knows its weights
            branch = item.stretch.branch
            tau += (item.high - item.low) * branch.unit
            end, before = item.stretch.state.tau + item.high * branch.unit, branch.weights(item.y[None])[0]
            fastest = np.abs(branch.problem.network.outer).max() * np.linalg.norm(branch.problem.X, axis=1).max()
        if isinstance(item, FlowRow):
            last = item.state
            if last.v > 0.0 and not item.last:
                assert end == pytest.approx(last.tau, rel=SAME)
                apart = np.linalg.norm(before - last.U, axis=1).max()
                assert apart <= fastest * abs(end - last.tau) + ROUNDING * (np.abs(last.U).max() + fastest * last.tau)
    assert last is not None and tau == pytest.approx(last.tau, rel=SAME)


def test_a_leap_of_the_clock_shows_in_the_checkpoint_of_row_0() -> None:
    """Margins of 100 at the start: the clock passes e^100 before a weight moves."""
    problem = Problem.of(np.eye(2), np.array([1.0, -1.0]), Network(np.array([1.0, -1.0]), 0.0), LOSSES["logistic"])
    flow = list(steps(problem, np.array([[100.0, -1.0], [-1.0, 100.0]]), until_log_time(200.0), advances=True))
    first = next(item for item in flow if isinstance(item, FlowRow))
    begun = next(item for item in flow if isinstance(item, Advance)).stretch.state
    assert first.state.tau == 0.0 and first.checkpoint.state.tau == begun.tau > 0.0
