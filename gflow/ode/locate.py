"""Roots of a function of the state inside one step, evaluated on states of the method, not of its interpolant."""

from __future__ import annotations

from collections.abc import Callable

from gflow.arrays import Array
from gflow.ode.step import DenseStep, StepError, Stepper

# Brent's method needs about 10 evaluations on smooth functions, and at most about 52 squared on any.
MOST_BISECTIONS = 1000


def root(
    stepper: Stepper,
    step: DenseStep,
    value: Callable[[Array], float],
    low: float,
    high: float,
    resolution: float,
) -> tuple[float, Array] | None:
    """The first time in the step at which `value(state)` is no longer positive, and the state (p,) there.

    [low, high], parts theta of the step in [0, 1], is where the interpolant changes its sign; the bracket is widened
    within [0, 1] where the states of the method disagree with it.  Values of at most `resolution` in size count as
    zero, since they are rounding.  None where the value is still positive at the end of the step.  Raises StepError
    where no root can be located.
    """
    span = step.end - step.start
    states: dict[float, Array] = {}

    def at(theta: float) -> float:
        states[theta] = stepper.state_at(step.start + theta * span) if theta < 1.0 else step.coefficients[-1]
        found = value(states[theta])
        return found if abs(found) > resolution else 0.0

    width = max(high - low, 2.0**-20)
    while (at_high := at(high)) > 0.0:
        if high >= 1.0:
            return None
        low, high, width = high, min(1.0, high + 4.0 * width), 4.0 * width
    while at_high < 0.0 and low > 0.0 and (at_low := at(low)) <= 0.0:
        high, at_high, low, width = low, at_low, max(0.0, low - 4.0 * width), 4.0 * width
    if at_high < 0.0:
        high = _between(at, low, high, step) if at(low) > 0.0 else low
    if high not in states:
        at(high)
    return step.start + high * span, states[high]


def _between(at: Callable[[float], float], low: float, high: float, step: DenseStep) -> float:
    """The theta in [low, high] at which the function `at` changes its sign.  Raises StepError where Brent's method
    fails.
    """
    from scipy.optimize import brentq  # slow to load

    theta, report = brentq(
        at, low, high, xtol=1e-16, rtol=8.9e-16, maxiter=MOST_BISECTIONS, full_output=True, disp=False
    )
    if not report.converged:
        raise StepError(
            f"{MOST_BISECTIONS} evaluations do not locate an event between t = {step.start:.17g} and {step.end:.17g}"
        )
    return float(theta)
