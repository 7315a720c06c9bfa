"""One stretch of a flow: steps on one mode until there is a reason to end it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gflow.field.branch import Measure
from gflow.flow.budget import Account
from gflow.flow.choice import PATIENCE, Choice
from gflow.flow.cut import RunEnd, first_cut, halfway
from gflow.flow.ending import UNRESOLVED
from gflow.flow.engine import Engine, Stretch
from gflow.flow.forward_clock import ForwardClock
from gflow.flow.items import Advance
from gflow.flow.reason import AtRest, BudgetSpent, Cut, GuardReached, Proved, Reason, Restart, StepFailed, TurnedStiff
from gflow.flow.record_times import Passed, RecordTimes
from gflow.flow.state import Checkpoint, FlowProgress, FlowRow, FlowState
from gflow.flow.stopping import Until
from gflow.ode.step import DenseStep, StepError, Stepper

if TYPE_CHECKING:
    from gflow.flow.certified import Watch

# Steps after which the loop makes a checkpoint, so that a row is at most this many steps after its checkpoint.  A
# checkpoint computes the mode anew, which costs as much as tens of steps where there are many neurons.
MARKED = 64


@dataclass(frozen=True, slots=True)
class FlowRun:
    """What does not change while the loop runs.

    watch: None where no proof is requested; advances: whether an engine that works in batches hands over its steps.
    """

    engine: Engine
    until: Until
    choice: Choice
    due: RecordTimes
    watch: Watch | None
    account: Account
    advances: bool = False


def stretch_items(
    run: FlowRun, stretch: Stretch, at: Checkpoint, mark: Checkpoint, ends: list[RunEnd]
) -> Generator[Advance | Measure | FlowProgress | FlowRow, None, Cut]:
    """The items of one stretch, step by step, until there is a reason to end it; returns the cut."""
    branch, choice, steps = stretch.branch, run.choice, at.steps
    stepper = ForwardClock(choice.stepper(branch, stretch.state.h / branch.unit, at.stiff), stretch.state.v)
    sliding = int((stretch.state.side == 0).sum())
    elapsed, y, held_back = 0.0, branch.y0, 0
    while True:
        if branch.at_rest(y):
            return Cut(AtRest(), elapsed, y, stepper.proposed, steps)
        try:
            step = stepper.step()
            cut = _cut_in(run, stretch, stepper, step, ends, steps + 1)
            passed = run.due.passed(stepper, step, cut)
        except StepError as error:
            return Cut(StepFailed(str(error)), elapsed, y, stretch.state.h / branch.unit, steps)
        low = step.start
        for row in passed:
            low, state = yield from _row_passed(run.engine, stretch, step, low, row, stepper.proposed)
            yield FlowRow(replace(state, v=row.v), replace(mark, shown=row.v), steps + 1, state.v)
        if cut is not None:
            near = cut.reason.near if isinstance(cut.reason, GuardReached) else None
            if cut.elapsed > low or near is not None:  # else the clock leapt over the end
                yield Advance(stretch, step, low, cut.elapsed, cut.y, near)
            return cut
        elapsed, y, steps = step.end, step.coefficients[-1], steps + 1
        yield Advance(stretch, step, low, elapsed, y)
        yield (measure := branch.measure(y))
        yield FlowProgress(measure.v, measure.log_loss, sliding, steps)
        here = Cut(Restart(), elapsed, y, stepper.proposed, steps)
        if reason := _reason_after(run, stretch, here, step.start):
            return replace(here, reason=reason)
        if steps - mark.steps >= MARKED:
            return here
        held_back += not at.stiff and choice.held_back(branch, y, step.end - step.start)
        if held_back > PATIENCE:
            return replace(here, reason=TurnedStiff())


def _cut_in(
    run: FlowRun, stretch: Stretch, stepper: Stepper, step: DenseStep, ends: list[RunEnd], steps: int
) -> Cut | None:
    """The cut inside a step, None where the stretch does not end in it; steps: those of the run, with this one.

    It lies before a guard whose events the budget does not allow.
    """
    cut = first_cut(stretch, stepper, step, ends, steps)
    if cut is None or not isinstance(cut.reason, GuardReached):
        return cut
    spent = run.account.spent(steps)
    return halfway(stepper, step, cut, BudgetSpent(spent)) if spent else cut


def _row_passed(
    engine: Engine, stretch: Stretch, step: DenseStep, low: float, row: Passed, h: float
) -> Generator[Advance | Measure, None, tuple[float, FlowState]]:
    """The flow from `low` to a row inside a step; returns where the row lies and its state.  h: the step tried next."""
    high = max(low, row.elapsed)
    yield Advance(stretch, step, low, high, row.y)
    yield replace(stretch.branch.measure(row.y), v=row.v)
    return high, engine.moved(stretch, row.elapsed, row.y, h)


def _reason_after(run: FlowRun, stretch: Stretch, here: Cut, since: float) -> Reason | None:
    """Why the stretch ends after an accepted step without a cut; None where it continues.

    since: where that step began.
    """
    proved = run.watch is not None and run.watch.proved(stretch, here.y, since, here.elapsed)
    if proved and run.account.is_open:
        return Proved()
    # What comes next is another branch from here, which starts with no masses, or which needs none.
    if stretch.branch.margin_rounding(here.y) > UNRESOLVED or stretch.branch.cancels(here.y, here.h):
        return Restart()
    spent = run.account.spent(here.steps)
    return BudgetSpent(spent) if spent else None
