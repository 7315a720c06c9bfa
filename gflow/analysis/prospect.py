"""What lies ahead of the last row of a run: does its mode stay for ever, and where does the flow go?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.times import time_text
from gflow.field.branch import Tolerances
from gflow.flow.certified import foreseen
from gflow.flow.choice import Choice
from gflow.flow.dual import dual_engine
from gflow.flow.simulate import simulate
from gflow.flow.state import Event, Finish, FlowState, Outcome, Progress, Row
from gflow.flow.stopping import Until
from gflow.limit.certificate import Finding
from gflow.limit.point import LimitPoint
from gflow.problem.problem import Problem

# The way ahead is followed up to this log(1 + t), in at most this many steps; fewer while samples are misclassified,
# for nobody knows then whether the loss goes to 0 at all.
FARTHEST, MOST_STEPS, FEWER_STEPS = 1e9, 20_000, 4_000


Standing = Literal["proved", "expected", "none"]


@dataclass(frozen=True, slots=True)
class Prospect:
    """What lies ahead of a state.

    finding: of the mode it is in; log1p_time, last_change: where the certificate closed and where the last mode change
    before it was (None: none after the state); events ahead: (neuron, surface) of each in order, (k, 2).
    standing of the limit: `proved`: the flow that starts in this state converges in direction to it (the certificate
    closed there, or on the way ahead, which was integrated); `expected`: nothing is pending where the way ahead ends,
    and no certificate closed; `none`.  reason: why it is not proved, else empty.
    """

    finding: Finding
    standing: Standing
    reason: str
    limit: LimitPoint | None
    here: LimitPoint | None  # of the present mode
    log1p_time: float
    last_change: float | None
    events: NDArray[np.intp]


def prospect_of(problem: Problem, state: FlowState, tolerances: Tolerances) -> Prospect:
    """Judge the mode of a state with linear modes, and follow the flow ahead where that mode does not stay."""
    finding, here = foreseen(problem, state.side, state.U)
    none_ahead = np.zeros((0, 2), dtype=np.intp)
    if finding.proved:
        standing: Standing = "none" if here is None else "proved"
        reason = finding.no_limit
        return Prospect(finding, standing, reason, here, here, state.v, None, none_ahead)
    if here is None and not state.p.min() > 0.0:
        return Prospect(finding, "none", finding.reason, None, None, state.v, None, none_ahead)
    way = _followed(problem, state, tolerances)
    pairs = np.array([(e.neuron, e.surface) for e in way.events], dtype=np.intp).reshape(-1, 2)
    changed, end = way.events[-1].v if way.events else None, way.end
    last, limit = foreseen(problem, end.side, end.U)
    if last.proved:
        return Prospect(finding, "proved", "", limit, here, end.v, changed, pairs)
    expected = limit is not None and not len(last.pending)
    reason = f"{last.reason}; {way.stopped}" if way.stopped else last.reason
    return Prospect(
        finding, "expected" if expected else "none", reason, limit if expected else None, here, end.v, changed, pairs
    )


@dataclass(frozen=True, slots=True)
class _Way:
    """The way ahead: its events, its last known state, and why it ended before a proof, else empty."""

    events: list[Event]
    end: FlowState
    stopped: str


def _followed(problem: Problem, state: FlowState, tolerances: Tolerances) -> _Way:
    """Integrate from the state until the mode is proved to stay, or as far as is reasonable."""
    engine = dual_engine(problem, state.U @ problem.span.B, tolerances)
    until = Until(max(FARTHEST, 10.0 * state.v), Outcome.LOG_TIME, None, certified=True)
    rows = (state.v + gap for gap in np.geomspace(1.0, until.v_end or FARTHEST, 50))
    end, events, steps = state, list[Event](), 0
    most = MOST_STEPS if state.p.min() > 0.0 else FEWER_STEPS
    for said in simulate(engine, until, rows, Choice("auto"), origin=state):
        if isinstance(said, Event):
            events.append(said)
        elif isinstance(said, Row):
            end = said.state
        elif isinstance(said, Progress):
            steps += 1
            if steps > most:
                return _Way(events, end, f"the way ahead was left at {time_text(said.v)} after {steps} steps")
        elif isinstance(said, Finish):
            short = said.outcome not in (Outcome.LOG_TIME, Outcome.CERTIFIED)
            return _Way(events, said.state, f"the way ahead ends early: {said.sentence}" if short else "")
    raise AssertionError("the flow ended without saying how")
