"""The flow beyond the last row of a run: whether its mode stays for ever, and which limit the flow goes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gflow.analysis.followed_flow import Allowance, FollowedFlow, followed
from gflow.analysis.progress import Tell, untold
from gflow.arrays import Index
from gflow.field.branch import Tolerances
from gflow.flow.certified import foreseen
from gflow.flow.state import FlowState
from gflow.limit.certificate import Finding
from gflow.limit.limit_point import LimitPoint
from gflow.problem.problem import Problem

# The flow ahead is followed for at most so many steps, and for fewer while samples are misclassified, since it is then
# unknown whether the loss goes to 0 at all.  It is stopped earlier where it hardly advances: after so many idle steps.
MOST_STEPS, FEWER_STEPS, MOST_IDLE = 10_000, 2_000, 500
AHEAD = "the way ahead"


Standing = Literal["proved", "proved_from_state", "expected", "none"]
"""How well a limit of the flow is known.  `proved_from_state` needs the path from the start, so no continuation has
it."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """What lies ahead of a state.

    finding: of the mode it is in; log1p_time, last_change: where the certificate closed and where the last mode change
    before it was (None: none after the state); events ahead: (neuron, surface) of each in order, (k, 2); followed: how
    the flow went ahead, None where it was not followed.
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
    events: Index
    followed: FollowedFlow | None = None

    @property
    def left(self) -> str:
        """What was left open ahead, as words that follow a sentence; empty where the flow ahead reached its end."""
        return f"; {self.followed.stopped}" if self.followed is not None and self.followed.stopped else ""


def continuation_of(problem: Problem, state: FlowState, tolerances: Tolerances, tell: Tell = untold) -> Continuation:
    """Judge the mode of a state with linear modes, and follow the flow ahead where that mode does not stay."""
    finding, here = foreseen(problem, state.side, state.U)
    none_ahead = np.zeros((0, 2), dtype=np.intp)
    if finding.proved:
        standing: Standing = "none" if here is None else "proved"
        reason = finding.no_limit
        return Continuation(finding, standing, reason, here, here, state.v, None, none_ahead)
    if here is None and not state.p.min() > 0.0:
        return Continuation(finding, "none", finding.reason, None, None, state.v, None, none_ahead)
    way = _ahead(problem, state, tolerances, tell)
    pairs = np.array([(e.neuron, e.surface) for e in way.events], dtype=np.intp).reshape(-1, 2)
    changed, end = way.events[-1].v if way.events else None, way.end
    last, limit = foreseen(problem, end.side, end.U)
    if last.proved:
        return Continuation(finding, "proved", "", limit, here, end.v, changed, pairs, way)
    expected = limit is not None and not len(last.pending)
    reason = f"{last.reason}; {way.stopped}" if way.stopped else last.reason
    standing, known = ("expected", limit) if expected else ("none", None)
    return Continuation(finding, standing, reason, known, here, end.v, changed, pairs, way)


def _ahead(problem: Problem, state: FlowState, tolerances: Tolerances, tell: Tell) -> FollowedFlow:
    """How the flow goes on from the state."""
    most = MOST_STEPS if state.p.min() > 0.0 else FEWER_STEPS
    allowed = Allowance(AHEAD, most, MOST_IDLE)
    return followed(problem, state.U @ problem.span.B, tolerances, allowed, state, tell)
