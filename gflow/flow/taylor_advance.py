"""The steps of a compiled loop as `Advance`s, for readers who ask for them: one polynomial for each step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

from gflow.arrays import Bools, Index
from gflow.flow.engine import Engine
from gflow.flow.items import Advance
from gflow.flow.taylor_ahead import Ahead
from gflow.ode.step import DenseStep


class StepShown(ABC):
    """One step of the compiled loop, from its start on, handed over in the parts that rows make of it."""

    def __init__(self, engine: Engine, ahead: Ahead, inexact: Bools) -> None:
        """At the state of `ahead`; inexact (m,): neurons held at kinks by decision."""
        self._ahead, self.start = ahead, ahead.steps
        self._stretch = engine.stretch(engine.resume(ahead.state(), inexact))
        self._low = 0.0
        self._step: DenseStep | None = None

    def upto(self, v: float, near: Index | None = None) -> Iterator[Advance]:
        """The part up to log(1 + t) = v, which lies in the step."""
        step = self._step = self._step or self.dense()
        high = max(self._low, self._elapsed(step, v))
        y = step.at(np.array([high / step.end]))[0]
        y[-1] = v
        yield Advance(self._stretch, step, self._low, high, y, near)
        self._low = high

    def whole(self, near: Index | None) -> Iterator[Advance]:
        """What is left of the step, which was taken; near (k,): the neurons with events at its end."""
        step = self._step = self._step or self.dense()
        if self._low < step.end:
            yield Advance(self._stretch, step, self._low, step.end, step.coefficients[-1], near)
            self._low = step.end

    def _elapsed(self, step: DenseStep, v: float) -> float:
        """When the clock of the step shows v, in units of the branch."""
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if step.at(np.array([middle]))[0, -1] < v else (low, middle)
        return high * step.end

    @abstractmethod
    def dense(self) -> DenseStep:
        """The step, which waits or was taken, in units of the branch."""
