"""The end of a stretch: the first guard or end of the run in a step, at a state of the method, not its interpolant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gflow.arrays import EPS, Array, Index
from gflow.flow.engine import Stretch
from gflow.flow.forward_clock import no_earlier
from gflow.flow.reason import Cut, EndReached, GuardReached, Reason
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.ode.locate import root
from gflow.ode.step import DenseStep, Stepper

# Guards are measured in units of their rounding.
GUARD_RESOLUTION = 0.25


@dataclass(frozen=True, slots=True)
class RunEnd:
    """An end of the run; left: a function of the state (p,) that is positive until the end is reached.

    v: log(1 + t) of an end on the clock, else None; resolution: values of `left` up to this size are rounding.
    """

    left: Callable[[Array], float]
    outcome: Outcome
    v: float | None = None
    resolution: float = 0.0


def ends_of(stretch: Stretch, until: Until) -> list[RunEnd]:
    """The ends of the run, as functions of the states of the stretch."""
    ends = []
    if until.v_end is not None:
        v_end = until.v_end
        ends.append(RunEnd(lambda y: v_end - float(y[-1]), until.outcome, v_end, resolution_of(v_end)))
    if until.log_loss is not None:
        level = until.log_loss
        resolution = resolution_of(abs(level) + 1.0)
        ends.append(RunEnd(lambda y: stretch.branch.log_loss(y) - level, Outcome.LOG_LOSS, None, resolution))
    return ends


def resolution_of(value: float) -> float:
    """The rounding of a difference of numbers of this size."""
    return 4.0 * EPS * abs(value)


def end_time(ends: Sequence[RunEnd]) -> float:
    """v of the end on the clock; infinite where there is no such end."""
    return min((end.v for end in ends if end.v is not None), default=np.inf)


def first_cut(stretch: Stretch, stepper: Stepper, step: DenseStep, ends: Sequence[RunEnd], steps: int) -> Cut | None:
    """The cut at the first guard or end of the run in the step; None where there is neither.

    steps: those accepted in the run, with this one.  Raises StepError where no root can be located.
    """
    elapsed, y, near = step.end, step.coefficients[-1], None
    bracket = stretch.guards.brackets(step)
    if bracket is not None:
        found = _first_guard(stretch, stepper, step, *bracket)
        if found is not None:
            (elapsed, y), near = found, bracket[0]
    reached = [end for end in ends if end.left(y) <= 0.0]
    if reached:
        return _first_end(stepper, step, reached, elapsed, steps)
    return None if near is None else Cut(GuardReached(near), elapsed, y, stepper.proposed, steps)


def halfway(stepper: Stepper, step: DenseStep, cut: Cut, reason: Reason) -> Cut:
    """A cut halfway between the start of the step and the cut at its guard; the guard is not met there."""
    elapsed = 0.5 * (step.start + cut.elapsed)
    return replace(cut, reason=reason, elapsed=elapsed, y=stepper.state_at(elapsed))


def _first_end(stepper: Stepper, step: DenseStep, reached: Sequence[RunEnd], elapsed: float, steps: int) -> Cut:
    """The cut at the first of the ends that are reached by `elapsed`."""
    theta = (elapsed - step.start) / (step.end - step.start)
    # An end that is reached at theta has a root in [0, theta], so that no root can be missing.
    hits = [(root(stepper, step, each.left, 0.0, theta, each.resolution), each) for each in reached]
    found = [(hit, end) for hit, end in hits if hit is not None]
    first, y = min((hit for hit, _ in found), key=lambda hit: hit[0])
    met = [end for hit, end in found if hit[0] <= first]
    # The root differs from an end on the clock by rounding, so the clock is set to that end.
    y = y if (earliest := end_time(met)) == np.inf else no_earlier(y, earliest)
    return Cut(EndReached(met[0].outcome), first, y, stepper.proposed, steps)


def _first_guard(
    stretch: Stretch, stepper: Stepper, step: DenseStep, near: Index, low: float, high: float
) -> tuple[float, Array] | None:
    """The first instant at which a guard of the neurons `near` is zero, and the state (p,) there."""
    guards = stretch.guards

    def lowest(y: Array) -> float:
        return guards.lowest(y, near)

    return root(stepper, step, lowest, low, high, resolution=GUARD_RESOLUTION)
