"""The loop: integrate one mode until a guard or a target is reached, decide what is next, go on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from gflow.field.branch import Measure
from gflow.flow.budget import Account, Budget
from gflow.flow.certified import Watch
from gflow.flow.choice import PATIENCE, Choice
from gflow.flow.cut import Cut, Target, end_time, first_cut, halfway, targets_of
from gflow.flow.ending import SLOW, UNRESOLVED, long_samples, outcome_of, sentence, unresolved, when
from gflow.flow.engine import Engine, Segment
from gflow.flow.forward_clock import ForwardClock
from gflow.flow.items import Advance, Item
from gflow.flow.record_times import Passed, RecordTimes
from gflow.flow.state import Checkpoint, Event, Finish, FlowProgress, FlowState, Notes, Outcome, Row
from gflow.flow.stopping import Until
from gflow.ode.step import DenseStep, StepError

# A guard that fires no further in tau (relative) behind the one before made no progress.
STALLED = 1e-13
# Steps after which the loop makes a checkpoint.  What a row goes on from is that far behind it at most; and it costs a
# mode from scratch, as much as tens of steps where there are many neurons.
MARKED = 64


@dataclass(frozen=True, slots=True)
class Run:
    """What does not change while the loop runs; watch: None where no proof is asked for."""

    engine: Engine
    until: Until
    choice: Choice
    due: RecordTimes
    watch: Watch | None
    account: Account


def simulate(
    engine: Engine,
    until: Until,
    rows: Iterator[float],
    choice: Choice,
    origin: FlowState | Checkpoint | None = None,
    account: Account | None = None,
) -> Iterator[Item]:
    """The flow, item by item, in the order that `flow.items` tells.

    It is measured before each row, at every accepted step, and on both modes where the mode changes.  What follows a
    row depends on its checkpoint alone, and the steps and the events not on the rows.
    rows: record times as v = log(1 + t), increasing, after the start.  origin: begin with a state instead of the start
    at t = 0, or go on after the row of a checkpoint with the very items that came next.  account: of the budget that
    ends the run, looked at after every step and before every event.
    """
    account, shown = account or Account(Budget()), None
    if isinstance(origin, Checkpoint):
        at, shown = replace(origin, state=engine.resume(origin.state, origin.inexact), shown=None), origin.shown
    else:
        at = yield from _begun(engine, origin)
    if (rounding := engine.margin_rounding(at.state)) > UNRESOLVED:
        begun = _shown_at_start(at.state, origin)
        yield Finish(Outcome.PRECISION, unresolved(begun, rounding), begun, at.steps)
    elif at.resting:
        yield from _rest(engine, at, until, rows)
    else:
        due = RecordTimes(rows if shown is None else chain([shown], rows), until.v_end)
        watch = Watch(engine.problem) if until.certified else None
        items = _moving(Run(engine, until, choice, due, watch, account), at)
        if shown is None:
            account.open(at.steps)
        else:
            yield from _in_silence(items, account)
        yield from items


def _in_silence(items: Iterator[Item], account: Account) -> Iterator[Finish]:
    """Up to the first row, which was handed over before: nothing is said, spent or proved on the way."""
    for item in items:
        if isinstance(item, Finish):  # not by this machine and these versions
            yield item
        if isinstance(item, Row):
            account.open(item.steps)
            return


def _moving(run: Run, at: Checkpoint) -> Iterator[Item]:
    """The loop itself: stretch after stretch, each on one mode, until the run ends."""
    engine, until, due, mark = run.engine, run.until, run.due, at
    while True:
        segment = engine.segment(at.state)
        targets = targets_of(segment, until)
        end = end_time(targets)
        yield from _leapt_over(segment, due, at, mark)
        yield _measure_at_start(segment, end)
        cut = yield from _integrate(run, segment, at, mark, targets)
        v = min(segment.clock(cut.y), end)
        yield replace(segment.branch.measure(cut.y), v=v)
        at, events = _after(engine, segment, cut, at)
        yield from events
        run.account.enter(events)
        yield FlowProgress(v, at.state.log_loss, int((at.state.side == 0).sum()), at.steps)
        if cut.at_rest:
            if until.v_end is None:
                yield Row(at.state, _checkpoint(engine, at), at.steps, at.state.v, last=True)
            yield from _rest(engine, at, until, due.rest())
            return
        rounding = max(segment.branch.margin_rounding(cut.y), engine.margin_rounding(at.state))
        if outcome := outcome_of(cut, rounding, at.stalled):
            shown = replace(at.state, v=v)
            yield Row(shown, replace(mark, shown=v), at.steps, at.state.v, last=True)
            said = sentence(outcome, cut, shown, events, rounding)
            said += long_samples(engine.problem) if outcome in SLOW else ""
            yield Finish(outcome, said + at.notes.sentence(), shown, at.steps)
            return
        if at.steps - mark.steps >= MARKED or at.notes != mark.notes:
            at = mark = _checkpoint(engine, at)


def _begun(engine: Engine, origin: FlowState | None) -> Generator[Measure | Row, None, Checkpoint]:
    """Row 0 with its measure, at t = 0 or at the origin."""
    state, notes = engine.start() if origin is None else (engine.resume(origin), Notes())
    at = Checkpoint(state, engine.inexact, notes=notes)
    shown = _shown_at_start(state, origin)
    yield _measure_at_start(engine.segment(state), shown.v)
    yield Row(shown, at, 0, state.v)
    return at


def _shown_at_start(state: FlowState, origin: FlowState | Checkpoint | None) -> FlowState:
    """A leap of the clock before the first step is not shown yet."""
    return replace(state, v=0.0, tau=0.0) if origin is None else state


def _leapt_over(segment: Segment, due: RecordTimes, at: Checkpoint, mark: Checkpoint) -> Iterator[Measure | Row]:
    """Rows that the clock leapt over at the start; nothing else has moved since."""
    state = segment.state
    for v in due.before(state.v):
        yield replace(segment.branch.measure(segment.branch.y0), v=v)
        yield Row(replace(state, v=v), replace(mark, shown=v), at.steps, state.v)


def _after(engine: Engine, segment: Segment, cut: Cut, at: Checkpoint) -> tuple[Checkpoint, list[Event]]:
    """Where the loop stands after a cut, and the events there."""
    # Whole steps since the last cut are progress; the cut itself counts as one step.
    stalled = 0 if cut.steps > at.steps + 1 else at.stalled
    at = replace(at, steps=cut.steps, stiff=cut.stiff, resting=cut.at_rest, stalled=stalled)
    if cut.near is None:
        return replace(at, state=engine.moved(segment, cut.elapsed, cut.y, cut.h)), []
    state, events, said = engine.turned(segment, cut.elapsed, cut.y, cut.near, cut.h)
    # A guard that fires and changes nothing is noise; one after the other, they would creep on without end.
    idle = not events or cut.elapsed * segment.branch.unit <= STALLED * state.tau
    return replace(at, state=state, notes=at.notes + said, stalled=stalled + 1 if idle else 0), events


def _checkpoint(engine: Engine, at: Checkpoint) -> Checkpoint:
    """Make what follows depend on the checkpoint alone, which is returned."""
    engine.refresh()
    return replace(at, inexact=engine.inexact)


def _measure_at_start(segment: Segment, end: float) -> Measure:
    """The measure at the start of a segment, shown no later than the end of the run, which the clock may leap over."""
    measure = segment.branch.measure(segment.branch.y0)
    return replace(measure, v=min(measure.v, end))


def _integrate(
    run: Run, segment: Segment, at: Checkpoint, mark: Checkpoint, targets: list[Target]
) -> Generator[Advance | Measure | FlowProgress | Row, None, Cut]:
    """Step through one mode, from where the loop stands, until something happens."""
    branch, choice, stiff, steps = segment.branch, run.choice, at.stiff, at.steps
    stepper = ForwardClock(choice.stepper(branch, segment.state.h / branch.unit, stiff), segment.state.v)
    sliding = int((segment.state.side == 0).sum())
    elapsed, y, held_back = 0.0, branch.y0, 0
    while True:
        if branch.at_rest(y):
            return Cut(elapsed, y, stepper.proposed, steps, at_rest=True)
        try:
            step = stepper.step()
            cut = first_cut(segment, stepper, step, targets, steps + 1)
            if cut is not None and (spent := run.account.spent(cut.steps)):
                cut = replace(cut if cut.near is None else halfway(stepper, step, cut), spent=spent)
            passed = run.due.passed(stepper, step, cut)
        except StepError as error:
            return Cut(elapsed, y, segment.state.h / branch.unit, steps, failure=str(error))
        low = step.start
        for row in passed:
            low, state = yield from _row_passed(run.engine, segment, step, low, row, stepper.proposed)
            yield Row(replace(state, v=row.v), replace(mark, shown=row.v), steps + 1, state.v)
        if cut is not None:
            yield Advance(segment, step, low, cut.elapsed, cut.y, cut.near)
            stays = cut.near is None or choice.stays_stiff(branch, cut.y, cut.h)
            return replace(cut, stiff=stiff and stays)
        elapsed, y, steps = step.end, step.coefficients[-1], steps + 1
        yield Advance(segment, step, low, elapsed, y)
        yield (measure := branch.measure(y))
        yield FlowProgress(measure.v, measure.log_loss, sliding, steps)
        here = Cut(elapsed, y, stepper.proposed, steps, stiff=stiff)
        if stop := _stopped(run, segment, here, step.start):
            return stop
        if steps - mark.steps >= MARKED:
            return here
        held_back += not stiff and choice.held_back(branch, y, step.end - step.start)
        if held_back > PATIENCE:
            return replace(here, stiff=True)


def _row_passed(
    engine: Engine, segment: Segment, step: DenseStep, low: float, row: Passed, h: float
) -> Generator[Advance | Measure, None, tuple[float, FlowState]]:
    """The flow from `low` in a step to a row in it, where it is then, and its state there; h: the step tried next."""
    high = max(low, row.elapsed)
    yield Advance(segment, step, low, high, row.y)
    yield replace(segment.branch.measure(row.y), v=row.v)
    return high, engine.moved(segment, row.elapsed, row.y, h)


def _stopped(run: Run, segment: Segment, here: Cut, since: float) -> Cut | None:
    """The cut after an accepted step in which nothing happened, where that ends the run; None where it does not.

    since: where that step began.
    """
    proved = run.watch is not None and run.watch.proved(segment, here.y, since, here.elapsed)
    if proved and run.account.is_open:
        return replace(here, certified=True)
    # What comes next is another branch from here, which starts with no masses, or which needs none.
    if segment.branch.margin_rounding(here.y) > UNRESOLVED or segment.branch.cancels(here.y, here.h):
        return here
    spent = run.account.spent(here.steps)
    return replace(here, spent=spent) if spent else None


def _rest(engine: Engine, at: Checkpoint, until: Until, rows: Iterator[float]) -> Iterator[Measure | Row | Finish]:
    """The rest of a run in which nothing but the clock moves: its rows, and its end."""
    state, known = at.state, "" if engine.dead else " to float64"
    if until.v_end is None:
        said = f"stationary at {when(state)}: nothing moves{known}, and the loss stays at log loss {state.log_loss:.6g}"
        yield Finish(Outcome.STATIONARY, said + at.notes.sentence(), state, at.steps)
        return
    at = _checkpoint(engine, at)
    measure = _measure_at_start(engine.segment(state), np.inf)
    v_end = until.v_end
    for v in chain((v for v in rows if v < v_end), [v_end]):
        yield replace(measure, v=v)
        yield Row(replace(state, v=v), at, at.steps, state.v, last=v == v_end)
    last = replace(state, v=v_end)
    cut = Cut(0.0, np.empty(0), 0.0, at.steps)
    said = sentence(until.outcome, cut, last, [], 0.0) + f"; nothing but the clock moved after {when(state)}{known}"
    yield Finish(until.outcome, said + at.notes.sentence(), last, at.steps)
