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
from gflow.field.clock import dual_variables
from gflow.field.feature_branch import FeatureBranch
from gflow.field.mode import DualMode
from gflow.flow.choice import Choice
from gflow.flow.ending import SLOW, UNRESOLVED, long_samples, outcome_of, sentence
from gflow.flow.engine import Engine
from gflow.flow.items import Item
from gflow.flow.one_stretch import Standing, checkpoint, leapt_over, measure_at_start, one_stretch
from gflow.flow.reason import BudgetSpent, EndReached, Proved, Reason
from gflow.flow.state import Checkpoint, Event, Finish, FlowProgress, FlowRow, FlowState, Outcome
from gflow.flow.stretch import FlowRun
from gflow.flow.taylor_arrays import Ahead, Ends, Ground, Leave
from gflow.flow.taylor_hulls import Hulls, basis_of
from gflow.problem.loss import log_mean
from gflow.taylor.advance import CLOCK_PASSED, LOG_FULL, LOSS_PASSED, STEPS_DONE
from gflow.taylor.model import END

# Steps from checkpoint to checkpoint, and from one look for a proof to the next.
MARKED, WATCHED = 8192, 16
# Most steps of one call of the compiled loop, after which budgets are looked at; a step is work like n^2, and a call is
# to take a tenth of a second at most.
BATCH, WORK = 256, 2.5e6
# Where the compiled loop came back only to be looked at.
GOES_ON = (LOG_FULL, STEPS_DONE)
# As `flow.ending.MOST_STALLED`, less what the other loop needs to say so.
MOST_STALLED = 1000


def compiled_items(run: FlowRun, at: Checkpoint) -> Iterator[Item]:
    """The run from where it stands to its end."""
    other = replace(run, choice=Choice("auto"))
    ground = Ground.of(run.engine.problem, run.engine.tolerances, run.engine.norms_initial)
    standing: Standing | None = (at, at)
    while standing is not None:
        here, mark = standing
        if here.left or here.stiff:
            standing = yield from one_stretch(other, replace(here, left=False), mark)
            continue
        # What follows, the choice of the loop included, is that of a run that goes on from this checkpoint.
        here = here if here is mark else checkpoint(run.engine, here)
        if suits(run.engine, here.state):
            standing = yield from _compiled(run, ground, here)
        else:
            standing = yield from one_stretch(other, here, here)


def suits(engine: Engine, state: FlowState) -> bool:
    """Can the compiled loop go on from a state, whose mode is the current one?"""
    mode = engine.mode
    assert isinstance(mode, DualMode)
    if not mode.live.any() or engine.margin_rounding(state) > UNRESOLVED:
        return False
    segment = engine.segment(state)
    branch, normals = segment.branch, engine.problem.surfaces.normals
    if isinstance(branch, FeatureBranch) or branch.at_rest(branch.y0):
        return False
    clear = all(basis_of(normals[mode.side[j] == 0]) is not None for j in mode.dependent)
    return clear and Hulls.of(segment).room(dual_variables(engine.problem.loss, state.p, mode.live)[0]) is not None


def _compiled(run: FlowRun, ground: Ground, at: Checkpoint) -> Generator[Item, None, Standing | None]:
    """The flow by the compiled loop from a checkpoint on; returns where the loop then stands, None at the end."""
    engine, until, due = run.engine, run.until, run.due
    mark = replace(at, inexact=engine.inexact)
    mode, norms = engine.mode, engine.weight_norms(at.state.U)
    assert isinstance(mode, DualMode)
    segment, v_end = engine.segment(at.state), np.inf if until.v_end is None else until.v_end
    yield from leapt_over(segment, due, at, mark)
    yield measure_at_start(segment, v_end)
    ahead = Ahead(ground, at.state, mode, norms, at.steps, at.stalled, Hulls.of(segment))
    ends, spent, tau = Ends(v_end, -np.inf if until.log_loss is None else until.log_loss), "", ahead.tau
    while True:
        goal = min(due.v, v_end)
        status = ahead.go(ahead.next_clock if spent else due.v, ends, _leave(run, ahead, mark, bool(spent)))
        events = yield from _told(run, ahead, mark)
        run.account.enter(events)
        if status == CLOCK_PASSED and spent:
            goal = ahead.clock_at(0.5 * float(ahead.model.step[END]))
        if status == CLOCK_PASSED and goal < v_end and ahead.log_loss_at(goal) > ends.log_loss:
            yield from _row(run, ahead, mark, goal)
            if spent:
                yield from _last(run, ahead.state_at(goal), mark, ahead.steps + 1, BudgetSpent(spent))
                return None
        elif status in (CLOCK_PASSED, LOSS_PASSED):
            yield from _end(run, ahead, mark, ends, status == LOSS_PASSED or goal < v_end)
            return None
        elif status not in GOES_ON or ahead.steps >= mark.steps + MARKED:
            return _handed_over(engine, ahead, mark, left=status not in GOES_ON)
        elif status == STEPS_DONE:
            spent, over = yield from _looked(run, ahead, mark, tau)
            tau = ahead.tau
            if over:
                return None


def _leave(run: FlowRun, ahead: Ahead, mark: Checkpoint, spent: bool) -> Leave:
    """When the compiled loop is to come back, whatever happens: where a batch ends, a budget is spent, or is to be
    looked at since rows took some time.

    A run ends inside the step that spends its budget, and after a stride that does; spent: this is the next step.
    """
    if spent:
        return Leave(ahead.steps + 1, MOST_STALLED)
    account, n = run.account, ahead.model.p.size
    batch = int(np.clip(WORK / n**2, 1.0, BATCH if run.watch is None else WATCHED))
    last = account.last_step - (0 if ahead.strides else 1)
    steps = min(mark.steps + MARKED, ahead.steps - ahead.steps % batch + batch, max(last, ahead.steps))
    return Leave(int(steps), MOST_STALLED, int(min(account.events_left, 2**62)))


def _looked(run: FlowRun, ahead: Ahead, mark: Checkpoint, since: float) -> Generator[Item, None, tuple[str, bool]]:
    """The progress after some steps; returns which budget the next step spends, and whether the run is over.

    since: tau at the last look.
    """
    state = ahead.state()
    yield FlowProgress(state.v, state.log_loss, int((state.side == 0).sum()), ahead.steps)
    spent = run.account.spent(ahead.steps if ahead.strides else ahead.steps + 1)
    reason = Proved() if _proved(run, state, mark, since) else BudgetSpent(spent) if spent and ahead.strides else None
    if reason is not None:
        yield from _last(run, state, mark, ahead.steps, reason)
    return spent, reason is not None


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


def _end(run: FlowRun, ahead: Ahead, mark: Checkpoint, ends: Ends, of_loss: bool) -> Iterator[Item]:
    """The end of the run in the step that waits, on the clock or on the loss, whichever comes first; of_loss: the step
    is known to pass that of the loss.
    """
    loss = run.engine.problem.loss
    u = float(ahead.model.step[END]) if of_loss else ahead.at_clock(ends.v)

    def left(u: float) -> float:
        return log_mean(loss.log_value(ahead.margins_at(u))) - ends.log_loss

    if of_loss or left(u) <= 0.0:
        # What is passed to rounding only is reached at the end of the step.
        u = float(brentq(left, 0.0, u, xtol=1e-16, rtol=8.9e-16)) if left(u) < 0.0 else u
        outcome, state = Outcome.LOG_LOSS, ahead.state(u, ahead.clock_at(u))
    else:
        outcome, state = run.until.outcome, ahead.state(u, ends.v)
    yield from _last(run, state, mark, ahead.steps + 1, EndReached(outcome))


def _proved(run: FlowRun, state: FlowState, mark: Checkpoint, since: float) -> bool:
    """Is the mode proved to stay, where a proof is asked for?  since: tau at the last look."""
    if run.watch is None or not run.account.is_open:
        return False
    segment = run.engine.segment(run.engine.resume(state, mark.inexact))
    return run.watch.proved(segment, segment.branch.y0, (since - state.tau) / segment.branch.unit, 0.0)


def _last(run: FlowRun, state: FlowState, mark: Checkpoint, steps: int, reason: Reason) -> Iterator[Item]:
    """The last row, and how the run ended."""
    run.engine.resume(state, mark.inexact)
    yield replace(measure_at_start(run.engine.segment(state), np.inf), v=state.v)
    yield FlowRow(state, replace(mark, shown=state.v), steps, state.v, last=True)
    rounding = run.engine.margin_rounding(state)
    outcome = outcome_of(reason, rounding, 0)
    assert outcome is not None, "each of these reasons ends a run"
    said = sentence(outcome, reason, state, rounding, [])
    said += long_samples(run.engine.problem) if outcome in SLOW else ""
    yield Finish(outcome, said + mark.notes.sentence(), state, steps)


def _handed_over(engine: Engine, ahead: Ahead, at: Checkpoint, left: bool) -> Standing:
    """A checkpoint at the state reached; left: the other loop has to go on there."""
    # Whoever was held by decision still is: the compiled loop turns none of them.
    state = engine.resume(ahead.state(), at.inexact)
    here = replace(at, state=state, inexact=engine.inexact, steps=ahead.steps, left=left, stalled=ahead.stalled)
    return here, here
