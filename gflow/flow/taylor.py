"""The loop of the Taylor engine: compiled from event to event, by the steppers of `flow.stretch` where it cannot.

The compiled loop comes back with a reason.  Rows and the end are read off the step that waits.  Dependent kinks, masses
that cancel, rest and late, stiff times are one stretch of the other loop each, from the very state; then the compiled
one goes on.  It begins anew from a checkpoint every so many steps, so that a row needs no more than that to go on from.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from gflow.arrays import Bools
from gflow.field.branch import Measure
from gflow.field.mode import DualMode
from gflow.flow.choice import SWITCHING, Choice
from gflow.flow.ending import SLOW, UNRESOLVED, long_samples, outcome_of, sentence
from gflow.flow.engine import Stretch
from gflow.flow.items import Item
from gflow.flow.one_stretch import Standing, checkpoint, leapt_over, measure_at_start, one_stretch
from gflow.flow.reason import BudgetSpent, EndReached, Proved, Reason
from gflow.flow.state import Checkpoint, Event, Finish, FlowProgress, FlowRow, FlowState, Outcome
from gflow.flow.stretch import FlowRun
from gflow.flow.taylor_advance import StepShown
from gflow.flow.taylor_ahead import Ahead, Ends, Leave
from gflow.flow.taylor_dual_series import DualSeries
from gflow.flow.taylor_primal import PrimalSeries
from gflow.problem.loss import log_mean
from gflow.taylor.loop import CLOCK_PASSED, LOG_FULL, LOSS_PASSED, STEPS_DONE

# Steps from checkpoint to checkpoint.
MARKED = 8192
# Most steps of one call of the compiled loop, after which budgets are looked at; a step is work like n^2, and a call is
# to take a tenth of a second at most.
BATCH, WORK = 256, 2.5e6
# Where the compiled loop came back only to be looked at.
GOES_ON = (LOG_FULL, STEPS_DONE)
# As `flow.ending.MOST_STALLED`, less what the other loop needs to say so.
MOST_STALLED = 1000


def compiled_items(run: FlowRun, at: Checkpoint) -> Iterator[Item]:
    """The run from where it stands to its end."""
    other = replace(run, choice=Choice(SWITCHING))
    dual = isinstance(run.engine.mode, DualMode)
    series: KindOfSeries = DualSeries(run.engine) if dual else PrimalSeries(run.engine)
    standing: Standing | None = (at, at)
    while standing is not None:
        here, mark = standing
        # In stiff times the compiled loop is asked again at checkpoints, as it has strides of its own.
        if here.left or (here.stiff and here is not mark):
            standing = yield from one_stretch(other, replace(here, left=False), mark)
            continue
        # What follows, the choice of the loop included, is that of a run that goes on from this checkpoint.
        here = here if here is mark else checkpoint(run.engine, here)
        if run.engine.margin_rounding(here.state) <= UNRESOLVED and series.suits(here.state):
            standing = yield from CompiledLoop(run, series, here).items()
        else:
            standing = yield from one_stretch(other, here, here)


class KindOfSeries(Protocol):
    """What differs between the loops of fixed and of trained outer layers."""

    def suits(self, state: FlowState) -> bool:
        """Can the compiled loop go on from a state, whose mode is the current one?"""

    def ahead(self, stretch: Stretch, at: Checkpoint, keeps: bool) -> Ahead:
        """The compiled loop from a checkpoint on; stretch: that which begins there; keeps: steps will be shown."""

    def shown(self, ahead: Ahead, inexact: Bools) -> StepShown:
        """The step that comes next, for whoever asks for it; inexact (m,): neurons held at kinks by decision."""


class CompiledLoop:
    """The compiled loop from a checkpoint on, where the mode of the engine is the one of that state."""

    def __init__(self, run: FlowRun, series: KindOfSeries, at: Checkpoint) -> None:
        engine, until = run.engine, run.until
        self._run, self._series, self._mark = run, series, replace(at, inexact=engine.inexact)
        self._stretch, self._steps_of_call = engine.stretch(at.state), self._batch(run)
        self._ahead = series.ahead(self._stretch, at, run.advances)
        v_end = np.inf if until.v_end is None else until.v_end
        self._ends = Ends(v_end, -np.inf if until.log_loss is None else until.log_loss)
        self._shown: StepShown | None = None
        # The tau at which a proof was looked for last.
        self._looked_at = self._ahead.tau
        # The measure of a mode that nothing was told of yet, where steps are asked for.
        self._begun: list[Measure] = []
        # The budget that the next step spends, in words.
        self._spent = ""

    @staticmethod
    def _batch(run: FlowRun) -> int:
        """Steps of one call, so that it takes a tenth of a second at most."""
        return int(np.clip(WORK / run.engine.problem.samples**2, 1.0, BATCH))

    def items(self) -> Generator[Item, None, Standing | None]:
        """The items of the flow; returns where the loop then stands, None at the end of the run."""
        run, ahead, due, v_end = self._run, self._ahead, self._run.due, self._ends.v
        yield from leapt_over(self._stretch, due, self._mark, self._mark)
        yield measure_at_start(self._stretch, v_end)
        while True:
            if run.advances and (self._shown is None or self._shown.start != ahead.steps):
                self._shown = self._series.shown(ahead, self._mark.inexact)
            goal = min(due.v, v_end)
            status = ahead.go(ahead.next_clock if self._spent else due.v, self._ends, self._leave())
            yield from self._told()
            if status == CLOCK_PASSED and self._spent:
                goal = ahead.clock_at(0.5 * ahead.end)
            if status == CLOCK_PASSED and goal < v_end and ahead.log_loss_at(goal) > self._ends.log_loss:
                yield from self._rows_until(goal)
                if self._spent:
                    yield from self._last(ahead.at_clock(goal), goal, BudgetSpent(self._spent))
                    return None
            elif status in (CLOCK_PASSED, LOSS_PASSED):
                yield from self._end(of_loss=status == LOSS_PASSED or goal < v_end)
                return None
            elif status not in GOES_ON:
                return (yield from self._handed_over(left=True))
            elif status == STEPS_DONE and (yield from self._over()):
                return None
            elif ahead.steps >= self._mark.steps + MARKED:
                return (yield from self._handed_over(left=False))

    def _leave(self) -> Leave:
        """When the compiled loop is to come back, whatever happens: where a batch ends, or a budget is spent.

        A run ends inside the step that spends its budget, and after a stride that does.  A proof is looked for
        behind the step in which tau passes a mark of the watch.
        """
        account, ahead, batch, watch = self._run.account, self._ahead, self._steps_of_call, self._run.watch
        if self._spent or self._run.advances:
            return Leave(ahead.steps + 1, MOST_STALLED)
        last = account.last_step - (0 if ahead.strides else 1)
        steps = min(self._mark.steps + MARKED, ahead.steps - ahead.steps % batch + batch, max(last, ahead.steps))
        look = np.inf if watch is None else max(watch.next_look(self._looked_at), np.nextafter(ahead.tau, np.inf))
        return Leave(int(steps), MOST_STALLED, int(min(account.events_left, 2**62)), float(look))

    def _over(self) -> Generator[Item, None, bool]:
        """The progress after some steps, and the end where the mode is proved to stay, or a stride spent a budget;
        returns whether the run is over.
        """
        ahead = self._ahead
        if self._shown is None:
            yield self._progress(ahead.v, log_mean(self._run.engine.problem.loss.log_value(ahead.model.p)))
        # The step that spent the budget was to be left halfway, and the clock did not move in it.
        passed = bool(self._spent)
        self._spent = self._run.account.spent(ahead.steps if ahead.strides else ahead.steps + 1)
        reason: Reason | None = Proved() if self._proved() else None
        if reason is None and self._spent and (ahead.strides or passed):
            reason = BudgetSpent(self._spent)
        if reason is not None:
            yield from self._last(0.0, ahead.v, reason)
        return reason is not None

    def _told(self) -> Iterator[Item]:
        """What happened since the loop was called."""
        measures, events = self._ahead.told()
        if self._shown is not None and len(measures):
            yield from self._step_told(self._shown, list(measures.each()), events)
        elif self._ahead.strode:  # strides meet no event
            for measure in measures.each():
                yield from self._rows_passed(measure.v)
                yield measure
        elif len(measures):
            yield measures
            yield from events
        self._run.account.enter(events)

    def _step_told(self, shown: StepShown, measures: list[Measure], events: list[Event]) -> Iterator[Item]:
        """A step with its states, and the events at its end; a second measure is that of the mode after them."""
        end, *after = measures
        yield from self._rows_passed(end.v)
        neurons = np.unique([event.neuron for event in events]).astype(np.intp)
        yield from shown.whole(neurons if events else None)
        yield end
        yield from events
        yield self._progress(end.v, end.log_loss)
        yield from after
        self._begun = after

    def _rows_passed(self, v: float) -> Iterator[Item]:
        """The rows that a stride has passed before its end at log(1 + t) = v."""
        for due in self._run.due.before(v) if self._ahead.strode else ():
            state, measure = self._ahead.passed(due)
            yield from self._part(due)
            yield measure
            yield FlowRow(state, replace(self._mark, shown=due), self._ahead.steps, due)

    def _progress(self, v: float, log_loss: float) -> FlowProgress:
        return FlowProgress(v, log_loss, int((self._ahead.model.mode.side == 0).sum()), self._ahead.steps)

    def _part(self, v: float) -> Iterator[Item]:
        """The step that waits, or was made, up to log(1 + t) = v, where steps are asked for."""
        if self._shown is not None:
            yield from self._shown.upto(v)

    def _rows_until(self, v: float) -> Iterator[Item]:
        """The rows up to log(1 + t) = v in the step that waits."""
        for due in self._run.due.before(v):
            u = self._ahead.at_clock(due)
            state = self._ahead.state(u, due)
            yield from self._part(due)
            yield self._ahead.measure(u, due)
            yield FlowRow(state, replace(self._mark, shown=due), self._ahead.steps + 1, due)

    def _end(self, of_loss: bool) -> Iterator[Item]:
        """The end of the run in the step that waits, on the clock or on the loss, whichever comes first; of_loss: the
        step is known to pass that of the loss.
        """
        ahead, ends, loss = self._ahead, self._ends, self._run.engine.problem.loss
        u = ahead.end if of_loss else ahead.at_clock(ends.v)

        def left(u: float) -> float:
            return log_mean(loss.log_value(ahead.margins_at(u))) - ends.log_loss

        if of_loss or left(u) <= 0.0:
            from scipy.optimize import brentq  # slow to load

            # What is passed to rounding only is reached at the end of the step.
            u = float(brentq(left, 0.0, u, xtol=1e-16, rtol=8.9e-16)) if left(u) < 0.0 else u
            yield from self._last(u, ahead.clock_at(u), EndReached(Outcome.LOG_LOSS))
        else:
            yield from self._last(u, ends.v, EndReached(self._run.until.outcome))

    def _proved(self) -> bool:
        """Is the mode proved to stay, where a proof is asked for and tau passed a mark of the watch?

        A run does not end at the instant of an event: there a look waits for the end of the next step.
        """
        run, since, ahead = self._run, self._looked_at, self._ahead
        if run.watch is None or ahead.at_event or not run.watch.due(since, ahead.tau):
            return False
        self._looked_at, model = ahead.tau, ahead.model
        if not run.account.is_open or run.watch.clearly_open(model.mode.side, model.p):
            return False
        state = ahead.state()
        return run.watch.proved_at(state.side, state.U)

    def _last(self, u: float, v: float, reason: Reason) -> Iterator[Item]:
        """The last row, and how the run ended, at log(1 + t) = v: at u of the step that waits, or now with u = 0."""
        engine, state, measure = self._run.engine, self._ahead.state(u, v), self._ahead.measure(u, v)
        steps = self._ahead.steps + (1 if u > 0.0 else 0)
        if u > 0.0:
            yield from self._part(v)
        yield measure
        yield self._progress(v, state.log_loss)
        yield FlowRow(state, replace(self._mark, shown=v), steps, v, last=True)
        rounding = engine.margin_rounding(state)
        outcome = outcome_of(reason, rounding, 0)
        assert outcome is not None, "each of these reasons ends a run"
        said = sentence(outcome, reason, state, rounding, [])
        said += long_samples(engine.problem) if outcome in SLOW else ""
        yield Finish(outcome, said + self._mark.notes.sentence(), state, steps)

    def _handed_over(self, left: bool) -> Generator[Item, None, Standing]:
        """A checkpoint at the state reached, which ends a stretch; left: the other loop has to go on there."""
        engine, ahead = self._run.engine, self._ahead
        for measure in self._begun:
            yield measure
            yield self._progress(measure.v, measure.log_loss)
        # Whoever was held by decision still is: the compiled loop turns none of them.
        state = engine.resume(ahead.state(), self._mark.inexact)
        here = replace(
            self._mark, state=state, inexact=engine.inexact, steps=ahead.steps, left=left, stalled=ahead.stalled
        )
        return here, here
