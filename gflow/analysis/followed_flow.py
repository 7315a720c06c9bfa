"""A flow followed until a certificate proves that its mode stays.  Its work is bounded in steps, not in seconds, so
that the result does not depend on the machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.progress import AnalysisProgress, Tell, untold
from gflow.arrays import Array
from gflow.field.branch import Tolerances
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow, FlowState, Notes, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.flow_time import time_text
from gflow.problem.problem import Problem

# The flow is followed up to this log(1 + t), or to ten times the log(1 + t) where it starts, if that is later.
FARTHEST = 1e9
ROWS = 50


@dataclass(frozen=True, slots=True)
class FollowedFlow:
    """A flow that was followed: its events, its last state, notes on its decisions at kinks, and its number of steps.

    proved: its mode was proved to stay at the end; stopped: why it ended before that, else empty.
    """

    events: tuple[Event, ...]
    end: FlowState
    notes: Notes
    steps: int
    proved: bool
    stopped: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """What following a flow may cost: steps in all, and idle steps, that is successive steps without an event during
    which log(1 + t) has not doubled (None: no such limit).  doing: what it is for, in words; expected: the tau before
    which no proof is expected."""

    doing: str
    steps: int
    idle: int | None = None
    expected: float = 0.0


def followed(
    problem: Problem,
    W: Array,
    tolerances: Tolerances,
    allowed: Allowance,
    origin: FlowState | None = None,
    tell: Tell = untold,
) -> FollowedFlow:
    """Integrate from W (m, d), or from a state of its flow, until a mode is proved to stay or the allowance ends."""
    start = 0.0 if origin is None else origin.v
    v_end = max(FARTHEST, 10.0 * start)
    until = Until(v_end, Outcome.LOG_TIME, None, True, allowed.expected)
    rows = (start + gap for gap in np.geomspace(1.0, v_end, ROWS))
    events, count, gained, gained_at = list[Event](), 0, start, 0
    row: FlowRow | None = None
    for item in steps(problem, W, until, Manner("dual", tolerances=tolerances), rows, origin):
        if isinstance(item, Event):
            events.append(item)
            gained, gained_at = item.v, count
        elif isinstance(item, FlowRow):
            row = item
        elif isinstance(item, FlowProgress):
            count = item.steps
            tell(AnalysisProgress(allowed.doing, item.v, count, allowed.steps))
            if item.v >= 2.0 * gained:
                gained, gained_at = item.v, count
            if left := _left(allowed, count, count - gained_at):
                assert row is not None, "a flow begins with a row"
                stopped = f"{allowed.doing} was left at {time_text(item.v)} after {count} steps{left}"
                return FollowedFlow(tuple(events), row.state, row.checkpoint.notes, count, False, stopped)
        elif isinstance(item, Finish):
            notes = Notes() if row is None else row.checkpoint.notes
            short = item.outcome not in (Outcome.LOG_TIME, Outcome.CERTIFIED)
            stopped = f"{allowed.doing} ends early: {item.sentence}" if short else ""
            return FollowedFlow(tuple(events), item.state, notes, count, item.outcome is Outcome.CERTIFIED, stopped)
    raise AssertionError("the flow ended without saying how")


def _left(allowed: Allowance, steps: int, idle: int) -> str | None:
    """Why the flow is followed no further, in words that come after the number of steps; None where it goes on."""
    if steps >= allowed.steps:
        return ", the most that are done"
    if allowed.idle is not None and idle >= allowed.idle:
        return f", in the last {idle} of which nothing switched and log t did not double"
    return None
