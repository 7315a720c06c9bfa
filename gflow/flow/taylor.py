"""The loop of the Taylor engine: compiled from event to event, by the steppers of `flow.stretch` where it cannot.

The compiled loop comes back with a reason.  Rows and the end are read off the step that waits.  Dependent kinks, masses
that cancel, rest and late, stiff times are one stretch of the other loop each, from the very state; then the compiled
one goes on.  It begins anew from a checkpoint every so many steps, so that a row needs no more than that to go on from.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from gflow.field.branch import Measure
from gflow.field.feature_branch import FeatureBranch
from gflow.field.mode import DualMode
from gflow.flow.choice import Choice
from gflow.flow.ending import SLOW, UNRESOLVED, long_samples, outcome_of, sentence
from gflow.flow.engine import Engine
from gflow.flow.items import Item
from gflow.flow.one_stretch import Standing, leapt_over, measure_at_start, one_stretch
from gflow.flow.reason import BudgetSpent, EndReached, Proved, Reason
from gflow.flow.state import Checkpoint, Event, Finish, FlowProgress, FlowRow, FlowState, Outcome
from gflow.flow.stretch import FlowRun
from gflow.flow.taylor_arrays import Ahead, Ground
from gflow.problem.loss import log_mean
from gflow.taylor.advance import CLOCK_PASSED, LOG_FULL, LOSS_PASSED, STEPS_DONE, STIFF
from gflow.taylor.model import END

# Steps from checkpoint to checkpoint; of one call of the compiled loop, after which budgets are looked at; and of one
# where a proof is asked for.
MARKED, BATCH, WATCHED = 8192, 256, 16
# As `flow.ending.MOST_STALLED`, less what the other loop needs to say so.
MOST_STALLED = 1000


def compiled_items(run: FlowRun, at: Checkpoint) -> Iterator[Item]:
    """The run from where it stands to its end."""
    other = replace(run, choice=Choice("auto"))
    ground = Ground.of(run.engine.problem, run.engine.tolerances, run.engine.norms_initial)
    standing: Standing | None = (at, at)
    undecided = False
    while standing is not None:
        here, mark = standing
        if undecided or here.stiff or not suits(run.engine, here.state):
            standing, undecided = (yield from one_stretch(other, here, mark)), False
        else:
            standing, undecided = yield from _compiled(run, ground, here)


def suits(engine: Engine, state: FlowState) -> bool:
    """Can the compiled loop go on from a state, whose mode is the current one?"""
    mode = engine.mode
    assert isinstance(mode, DualMode)
    if mode.dependent or not mode.live.any() or engine.margin_rounding(state) > UNRESOLVED:
        return False
    branch = engine.segment(state).branch
    return not isinstance(branch, FeatureBranch) and not branch.at_rest(branch.y0)


def _compiled(run: FlowRun, ground: Ground, at: Checkpoint) -> Generator[Item, None, tuple[Standing | None, bool]]:
    """The flow by the compiled loop from a checkpoint on; and is the next stretch one that it cannot decide?"""
    engine, until, due = run.engine, run.until, run.due
    mark = replace(at, inexact=engine.inexact)
    mode, norms = engine.mode, engine.weight_norms(at.state.U)
    assert isinstance(mode, DualMode)
    segment = engine.segment(at.state)
    yield from leapt_over(segment, due, at, mark)
    yield measure_at_start(segment, np.inf if until.v_end is None else until.v_end)
    ahead = Ahead(ground, at.state, mode, norms, at.steps, at.stalled)
    v_end, log_loss = (np.inf if until.v_end is None else until.v_end), until.log_loss
    while True:
        goal = min(due.v, v_end)
        batch, tau = (BATCH if run.watch is None else WATCHED), ahead.tau
        stop = int(min(mark.steps + MARKED, ahead.steps + batch, max(run.account.last_step, ahead.steps + 1)))
        status = ahead.go(due.v, v_end, -np.inf if log_loss is None else log_loss, stop, MOST_STALLED)
        events = yield from _told(run, ahead, mark)
        run.account.enter(events)
        if status == CLOCK_PASSED and goal < v_end:
            yield from _row(run, ahead, mark, goal)
        elif status in (CLOCK_PASSED, LOSS_PASSED):
            yield from _end(run, ahead, mark, goal if status == CLOCK_PASSED else None)
            return None, False
        elif status not in (LOG_FULL, STEPS_DONE) or ahead.steps >= mark.steps + MARKED:
            undecided = status not in (LOG_FULL, STEPS_DONE)
            return _handed_over(engine, ahead, at, stiff=status == STIFF), undecided
        elif status == STEPS_DONE:
            state = ahead.state()
            yield FlowProgress(state.v, state.log_loss, int((state.side == 0).sum()), ahead.steps)
            spent, proved = run.account.spent(ahead.steps), _proved(run, state, tau)
            if spent or proved:
                yield from _last(run, state, mark, ahead.steps, Proved() if proved else BudgetSpent(spent))
                return None, False


def _told(run: FlowRun, ahead: Ahead, mark: Checkpoint) -> Generator[Item, None, list[Event]]:
    """What happened, and of it the events; rows that strides have passed in between."""
    events = []
    for item in ahead.told():
        if isinstance(item, Measure):
            for v in run.due.before(item.v) if ahead.strode else ():
                state, measure = ahead.passed(v)
                yield measure
                yield FlowRow(state, replace(mark, shown=v), ahead.steps, v)
        if isinstance(item, Event):
            events.append(item)
        yield item
    return events


def _row(run: FlowRun, ahead: Ahead, mark: Checkpoint, v: float) -> Iterator[Item]:
    """The row at log(1 + t) = v of the step that waits."""
    for due in run.due.before(v):
        u = ahead.at_clock(due)
        state = ahead.state(u, due)
        yield ahead.measure(u, due)
        yield FlowRow(state, replace(mark, shown=due), ahead.steps + 1, due)


def _end(run: FlowRun, ahead: Ahead, mark: Checkpoint, v: float | None) -> Iterator[Item]:
    """The end of the run in the step that waits, on the clock at v or (None) on the loss."""
    if v is None:
        outcome, loss, level = Outcome.LOG_LOSS, run.engine.problem.loss, run.until.log_loss or 0.0

        def left(u: float) -> float:
            return log_mean(loss.log_value(ahead.margins_at(u))) - level

        u = float(brentq(left, 0.0, float(ahead.model.step[END]), xtol=1e-16, rtol=8.9e-16))
        state = ahead.state(u, ahead.clock_at(u))
    else:
        outcome, state = run.until.outcome, ahead.state(ahead.at_clock(v), v)
    yield from _last(run, state, mark, ahead.steps + 1, EndReached(outcome))


def _proved(run: FlowRun, state: FlowState, since: float) -> bool:
    """Is the mode proved to stay, where a proof is asked for?  since: tau at the last look."""
    if run.watch is None or not run.account.is_open:
        return False
    segment = run.engine.segment(run.engine.resume(state))
    return run.watch.proved(segment, segment.branch.y0, (since - state.tau) / segment.branch.unit, 0.0)


def _last(run: FlowRun, state: FlowState, mark: Checkpoint, steps: int, reason: Reason) -> Iterator[Item]:
    """The last row, and how the run ended."""
    run.engine.resume(state)
    yield replace(measure_at_start(run.engine.segment(state), np.inf), v=state.v)
    yield FlowRow(state, replace(mark, shown=state.v), steps, state.v, last=True)
    rounding = run.engine.margin_rounding(state)
    outcome = outcome_of(reason, rounding, 0)
    assert outcome is not None, "each of these reasons ends a run"
    said = sentence(outcome, reason, state, rounding, [])
    said += long_samples(run.engine.problem) if outcome in SLOW else ""
    yield Finish(outcome, said + mark.notes.sentence(), state, steps)


def _handed_over(engine: Engine, ahead: Ahead, at: Checkpoint, stiff: bool) -> Standing:
    """A checkpoint at the state reached, from which whoever is next goes on."""
    state = engine.resume(ahead.state())
    here = replace(at, state=state, inexact=engine.inexact, steps=ahead.steps, stiff=stiff, stalled=ahead.stalled)
    return here, here
