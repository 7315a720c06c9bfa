"""One stretch of a flow with what follows it: the events at its end, the checkpoint after it, or the end of the run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import chain

import numpy as np

from gflow.arrays import Index
from gflow.field.branch import Measure
from gflow.flow.cut import end_time, ends_of
from gflow.flow.ending import SLOW, long_samples, opening, outcome_of, sentence, when
from gflow.flow.engine import Engine, Stretch
from gflow.flow.items import Item
from gflow.flow.reason import AtRest, Cut, GuardReached, TurnedStiff
from gflow.flow.record_times import RecordTimes
from gflow.flow.state import Checkpoint, Event, Finish, FlowProgress, FlowRow, Outcome
from gflow.flow.stopping import Until
from gflow.flow.stretch import MARKED, FlowRun, stretch_items

# A guard that fires within this part of tau after the guard before it has made no progress.
STALLED = 1e-13

Standing = tuple[Checkpoint, Checkpoint]
"""Where the loop stands, and the last checkpoint before."""


def one_stretch(run: FlowRun, at: Checkpoint, mark: Checkpoint) -> Generator[Item, None, Standing | None]:
    """The items of one stretch with the events at its end; returns where the loop then stands, None at the end of the
    run.  at: where the stretch begins; mark: the last checkpoint.
    """
    engine, until, due = run.engine, run.until, run.due
    stretch = engine.stretch(at.state)
    ends = ends_of(stretch, until)
    end = end_time(ends)
    yield from leapt_over(stretch, due, at, mark)
    yield measure_at_start(stretch, end)
    cut = yield from stretch_items(run, stretch, at, mark, ends)
    v = min(stretch.clock(cut.y), end)
    yield replace(stretch.branch.measure(cut.y), v=v)
    at, events = _after(run, stretch, cut, at)
    yield from events
    run.account.enter(events)
    yield FlowProgress(v, at.state.log_loss, int((at.state.side == 0).sum()), at.steps)
    if at.resting:
        if until.v_end is None:
            yield FlowRow(at.state, checkpoint(engine, at), at.steps, at.state.v, last=True)
        yield from rest(engine, at, until, due.rest())
        return None
    rounding = max(stretch.branch.margin_rounding(cut.y), engine.margin_rounding(at.state))
    if outcome := outcome_of(cut.reason, rounding, at.stalled):
        shown = replace(at.state, v=v)
        yield FlowRow(shown, replace(mark, shown=v), at.steps, at.state.v, last=True)
        said = sentence(outcome, cut.reason, shown, rounding, _last_pairs(stretch, cut, events))
        said += long_samples(engine.problem) if outcome in SLOW else ""
        yield Finish(outcome, said + at.notes.sentence(), shown, at.steps)
        return None
    if at.steps - mark.steps >= MARKED or at.notes != mark.notes:
        at = mark = checkpoint(engine, at)
    return at, mark


def leapt_over(stretch: Stretch, due: RecordTimes, at: Checkpoint, mark: Checkpoint) -> Iterator[Measure | FlowRow]:
    """The rows that the clock passed over in a leap at the start; nothing else has moved since."""
    state = stretch.state
    for v in due.before(state.v):
        yield replace(stretch.branch.measure(stretch.branch.y0), v=v)
        yield FlowRow(replace(state, v=v), replace(mark, shown=v), at.steps, state.v)


def _after(run: FlowRun, stretch: Stretch, cut: Cut, at: Checkpoint) -> tuple[Checkpoint, list[Event]]:
    """The point at which the loop continues after a cut, and the events there."""
    # A whole step since the last cut is progress; the cut itself counts as one step.
    stalled = 0 if cut.steps > at.steps + 1 else at.stalled
    at = replace(at, steps=cut.steps, stalled=stalled)
    match cut.reason:
        case GuardReached(near):
            return _turned(run, stretch, cut, near, at)
        case AtRest():
            at = replace(at, resting=True, stiff=False)
        case TurnedStiff():
            at = replace(at, stiff=True)
    return replace(at, state=run.engine.moved(stretch, cut.elapsed, cut.y, cut.h)), []


def _turned(run: FlowRun, stretch: Stretch, cut: Cut, near: Index, at: Checkpoint) -> tuple[Checkpoint, list[Event]]:
    """As `_after`, where guards of some of the neurons `near` (k,) are zero."""
    stiff = at.stiff and run.choice.stays_stiff(stretch.branch, cut.y, cut.h)
    state, events, notes = run.engine.turned(stretch, cut.elapsed, cut.y, near, cut.h)
    # A guard that fires without changing a side is noise; a run with only such guards would never end.
    idle = not events or cut.elapsed * stretch.branch.unit <= STALLED * state.tau
    stalled = at.stalled + 1 if idle else 0
    return replace(at, state=state, stiff=stiff, notes=at.notes + notes, stalled=stalled), events


def _last_pairs(stretch: Stretch, cut: Cut, events: list[Event]) -> list[tuple[int, int]]:
    """The pairs (neuron, surface) that changed at a cut or, where none did, those with a guard at zero."""
    if events or not isinstance(cut.reason, GuardReached):
        return [(event.neuron, event.surface) for event in events]
    return stretch.guards.at_zero(cut.y, cut.reason.near)


def checkpoint(engine: Engine, at: Checkpoint) -> Checkpoint:
    """The checkpoint from which the loop continues, made so that what follows depends on it alone."""
    engine.refresh()
    return replace(at, inexact=engine.inexact)


def measure_at_start(stretch: Stretch, end: float) -> Measure:
    """The measure at the start of a stretch, with a time no later than the end of the run, which the clock may leap
    over.
    """
    measure = stretch.branch.measure(stretch.branch.y0)
    return replace(measure, v=min(measure.v, end))


def rest(engine: Engine, at: Checkpoint, until: Until, rows: Iterator[float]) -> Iterator[Measure | FlowRow | Finish]:
    """The rest of a run in which nothing but the clock moves: its rows, and its end."""
    state, known = at.state, "" if engine.dead else " to float64"
    if until.v_end is None:
        said = f"stationary at {when(state)}: nothing moves{known}, and the loss stays at log loss {state.log_loss:.6g}"
        yield Finish(Outcome.STATIONARY, said + at.notes.sentence(), state, at.steps)
        return
    at = checkpoint(engine, at)
    measure = measure_at_start(engine.stretch(state), np.inf)
    v_end = until.v_end
    for v in chain((v for v in rows if v < v_end), [v_end]):
        yield replace(measure, v=v)
        yield FlowRow(replace(state, v=v), at, at.steps, state.v, last=v == v_end)
    last = replace(state, v=v_end)
    said = opening(until.outcome, v_end, last.log_loss) + f"; nothing but the clock moved after {when(state)}{known}"
    yield Finish(until.outcome, said + at.notes.sentence(), last, at.steps)
