"""The loop of a flow: integrate one mode until there is a reason to end the stretch, decide what follows, repeat."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from gflow.field.branch import Measure
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import TAYLOR, Choice
from gflow.flow.ending import UNRESOLVED, precision_sentence
from gflow.flow.engine import Engine
from gflow.flow.items import Item
from gflow.flow.one_stretch import Standing, measure_at_start, one_stretch, rest
from gflow.flow.record_times import RecordTimes
from gflow.flow.state import Checkpoint, Finish, FlowRow, FlowState, Notes, Outcome
from gflow.flow.stopping import Until
from gflow.flow.stretch import FlowRun

if TYPE_CHECKING:
    from gflow.flow.certified import Watch


def flow_items(
    engine: Engine,
    until: Until,
    rows: Iterator[float],
    choice: Choice,
    origin: FlowState | Checkpoint | None = None,
    account: Account | None = None,
    advances: bool = False,
) -> Iterator[Item]:
    """The flow, item by item, in the order of `flow.items`.

    It is measured before each row, at every accepted step, and on both modes where the mode changes.  What follows a
    row depends on its checkpoint alone; steps and events do not depend on the rows.

    rows: record times as v = log(1 + t), increasing, after the start.  origin: a state to begin with instead of the
    start at t = 0, or the checkpoint of a row after which to continue, with exactly the items that came next.  account:
    of the budget that ends the run; it is checked after every step and before every event.  advances: whether an engine
    that works in batches hands over its steps one by one, which takes longer and changes no bit.
    """
    account, shown = account or Account(Budget()), None
    if isinstance(origin, Checkpoint):
        at, shown = replace(origin, state=engine.resume(origin.state, origin.inexact), shown=None), origin.shown
    else:
        at = yield from _begun(engine, origin)
    if (rounding := engine.margin_rounding(at.state)) > UNRESOLVED:
        begun = _shown_at_start(at.state, origin)
        yield Finish(Outcome.PRECISION, precision_sentence(begun, rounding), begun, at.steps)
    elif at.resting:
        yield from rest(engine, at, until, rows)
    else:
        due = RecordTimes(rows if shown is None else chain([shown], rows), until.v_end)
        watch = _watch(engine, until.expected) if until.certified else None
        items = _moving(FlowRun(engine, until, choice, due, watch, account, advances), at)
        if shown is None:
            account.open(at.steps)
        else:
            yield from _in_silence(items, account)
        yield from items


def _watch(engine: Engine, expected: float) -> Watch:
    from gflow.flow.certified import Watch  # loads the proofs, which few runs ask for

    return Watch(engine.problem, expected)


def _in_silence(items: Iterator[Item], account: Account) -> Iterator[Finish]:
    """The items up to the first row, which was handed over before the stop, passed over: nothing is spent or proved.

    Only a `Finish` is handed over.
    """
    for item in items:
        if isinstance(item, Finish):  # on another machine or with other versions the run may end before that row
            yield item
        if isinstance(item, FlowRow):
            account.open(item.steps)
            return


def _moving(run: FlowRun, at: Checkpoint) -> Iterator[Item]:
    """The loop over stretches, each on one mode, until the run ends."""
    if run.choice.name == TAYLOR:
        from gflow.flow.taylor import compiled_items  # loads numba

        yield from compiled_items(run, at)
        return
    standing: Standing | None = (at, at)
    while standing is not None:
        standing = yield from one_stretch(run, *standing)


def _begun(engine: Engine, origin: FlowState | None) -> Generator[Measure | FlowRow, None, Checkpoint]:
    """Row 0 with its measure, at t = 0 or at the origin."""
    state, notes = engine.start() if origin is None else (engine.resume(origin), Notes())
    at = Checkpoint(state, engine.inexact, notes=notes)
    shown = _shown_at_start(state, origin)
    yield measure_at_start(engine.stretch(state), shown.v)
    yield FlowRow(shown, at, 0, state.v)
    return at


def _shown_at_start(state: FlowState, origin: FlowState | Checkpoint | None) -> FlowState:
    """The state of row 0, without a leap of the clock before the first step."""
    return replace(state, v=0.0, tau=0.0) if origin is None else state
