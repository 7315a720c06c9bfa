"""A clock that never goes back: log(1 + t) of the states of a stretch does not fall from one state to the next."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gflow.arrays import Array
from gflow.ode.step import DenseStep, Stepper


def no_earlier(y: Array, v: float) -> Array:
    """The state y (p,), whose last component is log(1 + t); where that is before v, a copy with the clock at v."""
    return y if y[-1] >= v else np.append(y[:-1], v)


class ForwardClock:
    """A stepper whose states are never earlier, on the clock, than the accepted state before them.

    log(1 + t) is integrated with the other components, so it is known to a tolerance.  A state inside a step comes from
    a shorter step from the same start, and is rounded differently from the end of the step before it.  The exact clock
    rises along the flow; so does this one, and all that is derived from it, whatever the rounding.
    """

    def __init__(self, stepper: Stepper, v: float) -> None:
        """v: the clock where the stepper starts."""
        self._stepper, self._since, self._now = stepper, v, v

    def step(self) -> DenseStep:
        """Advance, as every `Stepper` does; only the end of the step is corrected, as no clock is read off its
        polynomial.
        """
        step = self._stepper.step()
        end = no_earlier(step.coefficients[-1], self._now)
        self._since, self._now = self._now, float(end[-1])
        return replace(step, coefficients=np.vstack([step.coefficients[:-1], end]))

    def state_at(self, t: float) -> Array:
        """The state (p,) at t inside the last step; see `Stepper`."""
        return no_earlier(self._stepper.state_at(t), self._since)

    @property
    def proposed(self) -> float:
        """The next step size; see `Stepper`."""
        return self._stepper.proposed
