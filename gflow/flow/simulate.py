"""The loop: integrate one mode until a guard or a target is reached, decide what is next, go on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Measure
from gflow.flow.budget import Account, Budget
from gflow.flow.certified import Watch
from gflow.flow.choice import PATIENCE, Choice
from gflow.flow.engine import Engine, Segment
from gflow.flow.state import Checkpoint, Event, Finish, FlowState, Item, Notes, Outcome, Progress, Row
from gflow.flow.stopping import Until, log_time
from gflow.ode.locate import root
from gflow.ode.step import DenseStep, StepError, Stepper

Array = NDArray[np.float64]

# Events in a row without progress of tau (relative) after which a run ends with an explanation.
STALLED, MOST_STALLED = 1e-13, 1000
# Guards are measured in units of their rounding.
GUARD_RESOLUTION = 0.25
# Margins that float64 resolves only to this leave the dual variables, and so the flow, undetermined.
UNRESOLVED = 1e-3


@dataclass(frozen=True, slots=True)
class Target:
    """A function of the state that is positive until the target is reached: a record time or an end."""

    value: Callable[[Array], float]
    end: Outcome | None = None
    v: float | None = None  # log(1 + t) of a target on the clock
    resolution: float = 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a segment ends: `elapsed` in tau, the state y there and the step the integrator would try next.

    near: neurons among which a guard is at zero; reached: targets met; stiff: the method has to change;
    spent: which budget is, in words.
    """

    elapsed: float
    y: Array
    h: float
    steps: int
    near: NDArray[np.intp] | None = None
    reached: Sequence[Target] = ()
    stiff: bool = False
    failure: str = ""
    at_rest: bool = False
    certified: bool = False
    spent: str = ""


def simulate(
    engine: Engine,
    until: Until,
    rows: Iterator[float],
    choice: Choice,
    origin: FlowState | Checkpoint | None = None,
    account: Account | None = None,
) -> Iterator[Item]:
    """Events, rows at the record times and at both ends, progress after every step, and how the run ended.

    The flow is measured before each row, at every accepted step, and on both modes where the mode changes.  What
    follows a row depends on its checkpoint alone.
    rows: record times as v = log(1 + t), increasing, after the start.  origin: begin with a state instead of the start
    at t = 0, or go on after the row of a checkpoint with the very items that came next.  account: of the budget that
    ends the run, looked at after every step and event.
    """
    account = account or Account(Budget())
    if isinstance(origin, Checkpoint):
        at = replace(origin, state=engine.resume(origin.state, origin.inexact))
    else:
        at = yield from _begun(engine, origin)
    if (rounding := engine.margin_rounding(at.state)) > UNRESOLVED:
        begun = _shown_at_start(at.state, origin)
        yield Finish(Outcome.PRECISION, _unresolved(begun, rounding), begun, at.steps)
        return
    if at.resting:
        yield from _rest(engine, at, until, rows)
        return
    watch = Watch(engine.problem) if until.certified else None
    due = next(rows, None)
    while True:
        segment = engine.segment(at.state)
        targets = _targets(segment, until, due)
        ahead = _next_time(targets)
        yield _measure_at_start(segment, ahead)
        cut = yield from _integrate(segment, choice, at.stiff, targets, at.steps, watch, account)
        v = _shown_time(segment, cut, ahead)
        yield replace(segment.branch.measure(cut.y), v=v)
        at, events = _after(engine, segment, cut, at)
        yield from events
        cut = replace(cut, spent=account.spent(at.steps, events)) if events else cut
        yield Progress(v, at.state.log_loss, int((at.state.side == 0).sum()), at.steps)
        if cut.at_rest:
            if until.v_end is None:
                yield Row(at.state, _checkpoint(engine, at), last=True)
            yield from _rest(engine, at, until, chain([] if due is None else [due], rows))
            return
        rounding = max(segment.branch.margin_rounding(cut.y), engine.margin_rounding(at.state))
        outcome = _outcome(cut, rounding, at.stalled)
        if cut.reached or outcome:
            checkpoint, shown = _checkpoint(engine, at), replace(at.state, v=v)
            if watch is not None:
                watch.forget()
            yield Row(shown, checkpoint, last=outcome is not None)
            due = next(rows, None)
        if outcome:
            said = _sentence(outcome, cut, shown, events, rounding)
            yield Finish(outcome, said + at.notes.sentence(), shown, at.steps)
            return


def _begun(engine: Engine, origin: FlowState | None) -> Generator[Measure | Row, None, Checkpoint]:
    """Row 0 with its measure, at t = 0 or at the origin."""
    state, notes = engine.start() if origin is None else (engine.resume(origin), Notes())
    at = Checkpoint(state, engine.inexact, notes=notes)
    shown = _shown_at_start(state, origin)
    yield _measure_at_start(engine.segment(state), shown.v)
    yield Row(shown, at)
    return at


def _shown_at_start(state: FlowState, origin: FlowState | Checkpoint | None) -> FlowState:
    """A leap of the clock before the first step is not shown yet."""
    return replace(state, v=0.0, tau=0.0) if origin is None else state


def _shown_time(segment: Segment, cut: Cut, ahead: float) -> float:
    """The root is at rounding distance from a target on the clock; what is shown is the target itself."""
    reached = _next_time(cut.reached)
    return min(segment.clock(cut.y) if np.isinf(reached) else reached, ahead)


def _next_time(targets: Sequence[Target]) -> float:
    """The earliest v among the targets on the clock; infinite where there is none."""
    return min((target.v for target in targets if target.v is not None), default=np.inf)


def _after(engine: Engine, segment: Segment, cut: Cut, at: Checkpoint) -> tuple[Checkpoint, list[Event]]:
    """Where the loop stands after a cut, and the events there."""
    at = replace(at, steps=cut.steps, stiff=cut.stiff, resting=cut.at_rest)
    if cut.near is None:
        return replace(at, state=engine.moved(segment, cut.elapsed, cut.y, cut.h)), []
    state, events, said = engine.turned(segment, cut.elapsed, cut.y, cut.near, cut.h)
    stalled = at.stalled + 1 if cut.elapsed * segment.branch.unit <= STALLED * state.tau else 0
    return replace(at, state=state, notes=at.notes + said, stalled=stalled), events


def _checkpoint(engine: Engine, at: Checkpoint) -> Checkpoint:
    """Make what follows depend on the checkpoint alone, which is returned."""
    engine.refresh()
    return replace(at, inexact=engine.inexact)


def _measure_at_start(segment: Segment, ahead: float) -> Measure:
    """The measure at the start of a segment, shown no later than the next time that has to be shown.

    After a leap of the clock the times on the way are still to be shown, and nothing has moved since.
    """
    measure = segment.branch.measure(segment.branch.y0)
    return replace(measure, v=min(measure.v, ahead))


def _targets(segment: Segment, until: Until, due: float | None) -> list[Target]:
    targets = []
    if due is not None and (until.v_end is None or due < until.v_end):
        targets.append(Target(lambda y: due - float(y[-1]), None, due, _rounding(due)))
    if until.v_end is not None:
        v_end = until.v_end
        targets.append(Target(lambda y: v_end - float(y[-1]), until.outcome, v_end, _rounding(v_end)))
    if until.log_loss is not None:
        level = until.log_loss
        targets.append(
            Target(lambda y: segment.branch.log_loss(y) - level, Outcome.LOG_LOSS, None, _rounding(abs(level) + 1.0))
        )
    return targets


def _rounding(value: float) -> float:
    return 4.0 * float(np.finfo(float).eps) * abs(value)


def _integrate(
    segment: Segment,
    choice: Choice,
    stiff: bool,
    targets: Sequence[Target],
    steps: int,
    watch: Watch | None,
    account: Account,
) -> Generator[Measure | Progress, None, Cut]:
    """Step through one mode until something happens; `steps` lie behind."""
    branch = segment.branch
    h = choice.first_step(branch, segment.state.h / branch.unit, stiff)
    stepper = choice.method(stiff)(branch.system, branch.y0, h)
    sliding = int((segment.state.side == 0).sum())
    elapsed, y, held_back = 0.0, branch.y0, 0
    while True:
        if branch.at_rest(y):
            return Cut(elapsed, y, stepper.proposed, steps, at_rest=True)
        try:
            step = stepper.step()
            cut = _first_cut(segment, stepper, step, targets, steps + 1)
        except StepError as error:
            return Cut(elapsed, y, segment.state.h / branch.unit, steps, failure=str(error))
        elapsed, y, steps = step.end, step.coefficients[-1], steps + 1
        if cut is not None:
            return Cut(cut.elapsed, cut.y, cut.h, steps, cut.near, cut.reached, stiff and cut.near is None)
        yield (measure := branch.measure(y))
        yield Progress(measure.v, measure.log_loss, sliding, steps)
        if watch is not None and watch.proved(segment, y, steps, stiff):
            return Cut(elapsed, y, stepper.proposed, steps, stiff=stiff, certified=True)
        if branch.margin_rounding(y) > UNRESOLVED:
            return Cut(elapsed, y, stepper.proposed, steps, stiff=stiff)
        if spent := account.spent(steps):
            return Cut(elapsed, y, stepper.proposed, steps, stiff=stiff, spent=spent)
        held_back += not stiff and choice.held_back(branch, y, step.end - step.start)
        if held_back > PATIENCE:
            return Cut(elapsed, y, stepper.proposed, steps, stiff=True)


def _first_cut(
    segment: Segment, stepper: Stepper, step: DenseStep, targets: Sequence[Target], steps: int
) -> Cut | None:
    """The first guard or target in the step, at a state the method itself delivers."""
    elapsed, y, near = step.end, step.coefficients[-1], None
    bracket = segment.guards.brackets(step)
    if bracket is not None:
        found = _first_guard(segment, stepper, step, *bracket)
        if found is not None:
            (elapsed, y), near = found, bracket[0]
    reached = [target for target in targets if target.value(y) <= 0.0]
    if reached:
        return _first_target(stepper, step, reached, elapsed, steps)
    return None if near is None else Cut(elapsed, y, stepper.proposed, steps, near)


def _first_target(stepper: Stepper, step: DenseStep, reached: Sequence[Target], elapsed: float, steps: int) -> Cut:
    """The first of the targets that are reached by `elapsed`, and those reached with it."""
    theta = (elapsed - step.start) / (step.end - step.start)
    # A target reached at the end of [0, theta] is reached somewhere in it, so that no root can be missing.
    hits = [(root(stepper, step, t.value, 0.0, theta, t.resolution), t) for t in reached]
    found = [(hit, target) for hit, target in hits if hit is not None]
    first, y = min((hit for hit, _ in found), key=lambda hit: hit[0])
    met = [target for hit, target in found if hit[0] <= first]
    # After a leap of the clock several times are passed at once: the earliest now, the others one stretch each.
    earliest = min((target.v for target in met if target.v is not None), default=None)
    met = [target for target in met if target.v is None or target.v == earliest]
    return Cut(first, y, stepper.proposed, steps, reached=met)


def _first_guard(
    segment: Segment, stepper: Stepper, step: DenseStep, near: NDArray[np.intp], low: float, high: float
) -> tuple[float, Array] | None:
    """The first instant at which some guard of the neurons `near` is zero.

    Seen from there every other guard must still be at rounding level or above; else that one was first.
    """
    guards = segment.guards

    def lowest(y: Array) -> float:
        return guards.lowest(y, near)

    return root(stepper, step, lowest, low, high, resolution=GUARD_RESOLUTION)


def _rest(engine: Engine, at: Checkpoint, until: Until, rows: Iterator[float]) -> Iterator[Measure | Row | Finish]:
    """The rest of a run in which nothing but the clock moves: its rows, and its end."""
    state = at.state
    if until.v_end is None:
        sentence = f"stationary at {_when(state)}: nothing moves, and the loss stays at log loss {state.log_loss:.6g}"
        yield Finish(Outcome.STATIONARY, sentence + at.notes.sentence(), state, at.steps)
        return
    at = _checkpoint(engine, at)
    measure = _measure_at_start(engine.segment(state), np.inf)
    v_end = until.v_end
    for v in chain((v for v in rows if v < v_end), [v_end]):
        yield replace(measure, v=v)
        yield Row(replace(state, v=v), at, last=v == v_end)
    last = replace(state, v=v_end)
    cut = Cut(0.0, np.empty(0), 0.0, at.steps)
    sentence = _sentence(until.outcome, cut, last, [], 0.0) + f"; nothing but the clock moved after {_when(state)}"
    yield Finish(until.outcome, sentence + at.notes.sentence(), last, at.steps)


def _outcome(cut: Cut, rounding: float, stalled: int) -> Outcome | None:
    if rounding > UNRESOLVED:
        return Outcome.PRECISION
    if cut.failure:
        return Outcome.STEP_UNDERFLOW
    if stalled > MOST_STALLED:
        return Outcome.EVENTS_ACCUMULATE
    if cut.certified:
        return Outcome.CERTIFIED
    reached = next((target.end for target in cut.reached if target.end), None)
    return reached or (Outcome.BUDGET if cut.spent else None)


def _sentence(outcome: Outcome, cut: Cut, state: FlowState, events: Sequence[Event], rounding: float) -> str:
    """rounding: of the margins."""
    reached = _when(state)
    match outcome:
        case Outcome.TIME:
            return f"reached t = {np.expm1(state.v):.6g}" if state.v < 700.0 else f"reached {reached}"
        case Outcome.LOG_TIME:
            return f"reached {reached}"
        case Outcome.LOG_LOSS:
            return f"reached log loss = {state.log_loss:.6g} at {reached}"
        case Outcome.CERTIFIED:
            return f"the activation pattern is proved to stay as it is for ever from {reached} on"
        case Outcome.STEP_UNDERFLOW:
            remedy = "explicit methods bound the reach: try flow.method=Radau or a larger flow.rtol"
            return f"stopped at {reached}: {cut.failure}; {remedy}"
        case Outcome.PRECISION:
            return _unresolved(state, rounding)
        case Outcome.BUDGET:
            return f"stopped at {reached}: {cut.spent}"
        case Outcome.STATIONARY:
            return f"stationary at {reached}"
        case Outcome.EVENTS_ACCUMULATE:
            pairs = ", ".join(f"neuron {e.neuron} surface {e.surface}" for e in events[:3])
            return f"stopped at {reached}: {MOST_STALLED} events without progress of time, last at {pairs}"


def _unresolved(state: FlowState, rounding: float) -> str:
    return (
        f"stopped at {_when(state)}: margins are sums of up to {rounding / np.finfo(float).eps:.3g}, which float64 "
        f"resolves to {rounding:.1g} only; scale the outer layer, the inputs or the start down"
    )


def _when(state: FlowState) -> str:
    log_t = log_time(state.v)
    return "t = 0" if log_t is None else f"log t = {log_t:.6g}"
