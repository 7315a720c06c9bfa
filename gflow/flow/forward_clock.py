"""A clock that never goes back: log(1 + t) of all states that a stretch of flow hands over, in their order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gflow.arrays import Array
from gflow.ode.step import DenseStep, Stepper


def no_earlier(y: Array, v: float) -> Array:
    """The state y (p,), whose last component is log(1 + t), or the same with the clock at v where it is before that."""
    return y if y[-1] >= v else np.append(y[:-1], v)


class ForwardClock:
    """A stepper on whose states the clock is no earlier than at the accepted state before them.

    log(1 + t) is integrated with the rest: it is known to a tolerance, and a state inside a step, which a shorter step
    from the same start delivers, is rounded otherwise than the end of the step before it.  Along the flow the clock
    rises.  So it does here, and with it in all that is made of these states, whatever the rounding.
    """

    def __init__(self, stepper: Stepper, v: float) -> None:
        """v: the clock where the stepper starts."""
        self._stepper, self._since, self._now = stepper, v, v

    def step(self) -> DenseStep:
        """As for every stepper; only the end of the step is put right, its polynomial is not read for the clock."""
        step = self._stepper.step()
        end = no_earlier(step.coefficients[-1], self._now)
        self._since, self._now = self._now, float(end[-1])
        return replace(step, coefficients=np.vstack([step.coefficients[:-1], end]))

    def state_at(self, t: float) -> Array:
        """As for every stepper."""
        return no_earlier(self._stepper.state_at(t), self._since)

    @property
    def proposed(self) -> float:
        """As for every stepper."""
        return self._stepper.proposed
