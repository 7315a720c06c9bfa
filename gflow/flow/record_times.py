"""The rows that are due: read off the flow inside its steps, which they leave as they are.

Steps, and with them all that hangs on their last bits, depend on the problem and the tolerances only: a step that a
record time cut short would move every later one, and an event that float64 can only just decide with it.
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
    """A record time v = log(1 + t) in a step: `elapsed` in tau since the stretch began, and the state y there."""

    v: float
    elapsed: float
    y: Array


class RecordTimes:
    """Record times v = log(1 + t) still to come, increasing, those before the end at v_end (None: no such end)."""

    def __init__(self, times: Iterator[float], v_end: float | None) -> None:
        self._times, self._end = times, np.inf if v_end is None else v_end
        self.v = next(times, np.inf)

    def before(self, v: float) -> Iterator[float]:
        """The times up to v, which are no longer due then; none at or behind the end."""
        while self.v <= v and self.v < self._end:
            now, self.v = self.v, next(self._times, np.inf)
            yield now

    def rest(self) -> Iterator[float]:
        """All that are left."""
        return self.before(np.inf)

    def passed(self, stepper: Stepper, step: DenseStep, cut: Cut | None) -> list[Passed]:
        """Those in an accepted step, up to its cut, each with the state that the method itself delivers there.

        Each is looked for in the whole step: a run that goes on after one of them finds the others to the same bits.
        Raises StepError where such a state cannot be found.
        """
        elapsed, y = (step.end, step.coefficients[-1]) if cut is None else (cut.elapsed, cut.y)
        last, found = (elapsed - step.start) / (step.end - step.start), list[Passed]()
        for v in self.before(float(y[-1])):

            def left(state: Array, v: float = v) -> float:
                return v - float(state[-1])

            at, there = root(stepper, step, left, 0.0, last, resolution_of(v)) or (elapsed, y)
            found.append(Passed(v, at, no_earlier(there, v)))
        return found
