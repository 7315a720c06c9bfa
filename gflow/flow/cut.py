"""Where a stretch of flow ends: the first guard or target in a step, at a state the method itself delivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.flow.engine import Segment
from gflow.flow.forward_clock import no_earlier
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.ode.locate import root
from gflow.ode.step import DenseStep, Stepper

# Guards are measured in units of their rounding.
GUARD_RESOLUTION = 0.25


@dataclass(frozen=True, slots=True)
class Target:
    """A function of the state that is positive until the end of the run that it stands for is reached."""

    value: Callable[[Array], float]
    end: Outcome
    v: float | None = None  # log(1 + t) of a target on the clock
    resolution: float = 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a segment ends: `elapsed` in tau, the state y there and the step the integrator would try next.

    near: neurons among which a guard is at zero; reached: targets met; stiff: the method has to change;
    spent: which budget is, in words.  firing: (neuron, surface) of the guards that are at zero, asked for on demand.
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
    firing: Callable[[], Sequence[tuple[int, int]]] = tuple


def targets_of(segment: Segment, until: Until) -> list[Target]:
    """The ends of the run, as functions of the segment's states."""
    targets = []
    if until.v_end is not None:
        v_end = until.v_end
        targets.append(Target(lambda y: v_end - float(y[-1]), until.outcome, v_end, rounding(v_end)))
    if until.log_loss is not None:
        level = until.log_loss
        targets.append(
            Target(lambda y: segment.branch.log_loss(y) - level, Outcome.LOG_LOSS, None, rounding(abs(level) + 1.0))
        )
    return targets


def rounding(value: float) -> float:
    return 4.0 * float(np.finfo(float).eps) * abs(value)


def end_time(targets: Sequence[Target]) -> float:
    """v of the target on the clock; infinite where there is none."""
    return min((target.v for target in targets if target.v is not None), default=np.inf)


def first_cut(segment: Segment, stepper: Stepper, step: DenseStep, targets: Sequence[Target], steps: int) -> Cut | None:
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
    if near is None:
        return None
    return Cut(elapsed, y, stepper.proposed, steps, near, firing=partial(segment.guards.at_zero, y, near))


def halfway(stepper: Stepper, step: DenseStep, cut: Cut) -> Cut:
    """A cut in the middle between the start of the step and its event, apart from both; the event is not met."""
    elapsed = 0.5 * (step.start + cut.elapsed)
    return replace(cut, elapsed=elapsed, y=stepper.state_at(elapsed), near=None)


def _first_target(stepper: Stepper, step: DenseStep, reached: Sequence[Target], elapsed: float, steps: int) -> Cut:
    """The first of the targets that are reached by `elapsed`, and those reached with it."""
    theta = (elapsed - step.start) / (step.end - step.start)
    # A target reached at the end of [0, theta] is reached somewhere in it, so that no root can be missing.
    hits = [(root(stepper, step, t.value, 0.0, theta, t.resolution), t) for t in reached]
    found = [(hit, target) for hit, target in hits if hit is not None]
    first, y = min((hit for hit, _ in found), key=lambda hit: hit[0])
    met = [target for hit, target in found if hit[0] <= first]
    earliest = min((target.v for target in met if target.v is not None), default=None)
    # The root is at rounding distance from a target on the clock: what is reached is the target itself.
    y = y if earliest is None else no_earlier(y, earliest)
    return Cut(first, y, stepper.proposed, steps, reached=met)


def _first_guard(
    segment: Segment, stepper: Stepper, step: DenseStep, near: NDArray[np.intp], low: float, high: float
) -> tuple[float, Array] | None:
    """The first instant at which some guard of the neurons `near` is zero."""
    guards = segment.guards

    def lowest(y: Array) -> float:
        return guards.lowest(y, near)

    return root(stepper, step, lowest, low, high, resolution=GUARD_RESOLUTION)
