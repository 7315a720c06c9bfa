"""Record times of rows, whose states are computed inside the steps of the integrator without changing these.

So the steps, down to their last bits, depend on the problem and the tolerances only.  If a record time cut a step
short, it would shift all later ones, and could change an event that float64 can only just decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.flow.cut import resolution_of
from gflow.flow.forward_clock import no_earlier
from gflow.flow.reason import Cut
from gflow.ode.locate import root
from gflow.ode.step import DenseStep, Stepper


@dataclass(frozen=True, slots=True)
class Passed:
    """A record time v = log(1 + t) inside a step.

    elapsed: tau since the stretch began, in units of its branch; y (p,): the state there.
    """

    v: float
    elapsed: float
    y: Array


class RecordTimes:
    """The record times v = log(1 + t) still to come, increasing, and before the end at v_end (None: no such end)."""

    def __init__(self, times: Iterator[float], v_end: float | None) -> None:
        self._times, self._end = times, np.inf if v_end is None else v_end
        self.v = next(times, np.inf)

    def before(self, v: float) -> Iterator[float]:
        """The times up to v, which are then no longer due; none at the end of the run or after it."""
        while self.v <= v and self.v < self._end:
            now, self.v = self.v, next(self._times, np.inf)
            yield now

    def rest(self) -> Iterator[float]:
        """All times that are left."""
        return self.before(np.inf)

    def passed(self, stepper: Stepper, step: DenseStep, cut: Cut | None) -> list[Passed]:
        """The record times in an accepted step, up to its cut, each with the state of the method there.

        Each is searched for in the whole step, so that a run that continues after one of them finds the others with the
        same bits.  Raises StepError where such a state cannot be found.
        """
        elapsed, y = (step.end, step.coefficients[-1]) if cut is None else (cut.elapsed, cut.y)
        last, found = (elapsed - step.start) / (step.end - step.start), list[Passed]()
        for v in self.before(float(y[-1])):

            def left(state: Array, v: float = v) -> float:
                return v - float(state[-1])

            at, there = root(stepper, step, left, 0.0, last, resolution_of(v)) or (elapsed, y)
            found.append(Passed(v, at, no_earlier(there, v)))
        return found
