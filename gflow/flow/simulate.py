"""The loop: stretch after stretch, each on one mode, from the start or from a checkpoint to the end of the run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import chain

from gflow.field.branch import Measure
from gflow.flow.budget import Account, Budget
from gflow.flow.certified import Watch
from gflow.flow.choice import TAYLOR, Choice
from gflow.flow.due import Due
from gflow.flow.ending import UNRESOLVED, unresolved
from gflow.flow.engine import Engine
from gflow.flow.items import Item
from gflow.flow.state import Checkpoint, Finish, FlowState, Notes, Outcome, Row
from gflow.flow.stopping import Until
from gflow.flow.stretch import Run, Standing, measure_at_start, rest, stretch


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
        yield from rest(engine, at, until, rows)
    else:
        due = Due(rows if shown is None else chain([shown], rows), until.v_end)
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
    if run.choice.name == TAYLOR:
        from gflow.flow.taylor import moving  # loads numba

        yield from moving(run, at)
        return
    standing: Standing | None = (at, at)
    while standing is not None:
        standing = yield from stretch(run, *standing)


def _begun(engine: Engine, origin: FlowState | None) -> Generator[Measure | Row, None, Checkpoint]:
    """Row 0 with its measure, at t = 0 or at the origin."""
    state, notes = engine.start() if origin is None else (engine.resume(origin), Notes())
    at = Checkpoint(state, engine.inexact, notes=notes)
    shown = _shown_at_start(state, origin)
    yield measure_at_start(engine.segment(state), shown.v)
    yield Row(shown, at, 0, state.v)
    return at


def _shown_at_start(state: FlowState, origin: FlowState | Checkpoint | None) -> FlowState:
    """A leap of the clock before the first step is not shown yet."""
    return replace(state, v=0.0, tau=0.0) if origin is None else state
