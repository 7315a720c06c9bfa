"""A compiled loop as Python sees it: it goes on until it is needed; its arrays are read as states and measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Measure, Measures
from gflow.field.transition import EventKind
from gflow.flow.state import Event, FlowState
from gflow.problem.loss import log_mean, log_means
from gflow.problem.problem import Problem
from gflow.taylor.model import CLOCK, DEGREE, END, EVENTS, INSTANTS, STALLED, STEPS, TAU, UNIT, WINNER, AnyModel
from gflow.taylor.series import clock_after, when_clock


class Ends(NamedTuple):
    """Where the run ends, on the clock log(1 + t) and on log L."""

    v: float
    log_loss: float


class Leave(NamedTuple):
    """When the compiled loop comes back at the latest: behind the step of this number of the run, after so many guards
    in a row without progress, after the instant with the last of so many events, and behind the step that reaches tau.
    """

    step: int
    stalled: int
    events: int = 2**62
    tau: float = np.inf


class Ahead(ABC):
    """The compiled loop from a state on: goes on until Python is needed, and tells what happened.

    Its series are of one kind or the other; what is read off the clock and the margins of a step is the same.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    @property
    @abstractmethod
    def model(self) -> AnyModel:
        """The arrays as they are now."""

    @abstractmethod
    def go(self, row: float, ends: Ends, leave: Leave) -> int:
        """Why the loop came back, with arrays that are full made larger.  row: log(1 + t) of the next one."""

    @abstractmethod
    def measure(self, u: float, v: float) -> Measure:
        """The flow at u of the step that waits, or now with u = 0, where log(1 + t) = v."""

    @abstractmethod
    def state(self, u: float = 0.0, v: float | None = None) -> FlowState:
        """The state now or, with u > 0, at u of the step that waits, where log(1 + t) = v."""

    @abstractmethod
    def passed(self, v: float) -> tuple[FlowState, Measure]:
        """The flow at log(1 + t) = v, which strides have just passed."""

    @property
    def strides(self) -> bool:
        """Is a stride next, not a step of the series?"""
        return False

    @property
    def strode(self) -> bool:
        """Did the loop just make strides, which may have passed rows?"""
        return False

    @property
    def steps(self) -> int:
        """Accepted so far."""
        return int(self.model.counts[STEPS])

    @property
    def tau(self) -> float:
        """Reached so far."""
        return float(self.model.now[TAU])

    @property
    def v(self) -> float:
        """log(1 + t) reached so far."""
        return float(self.model.now[CLOCK])

    @property
    def end(self) -> float:
        """The u at which the step that waits ends."""
        return float(self.model.step[END])

    @property
    def next_clock(self) -> float:
        """log(1 + t) of which the series waits in its very next step."""
        return float(np.nextafter(self.model.now[CLOCK], np.inf))

    @property
    def at_event(self) -> bool:
        """Did the last step end where a guard fired?"""
        return bool(self.model.tried[WINNER] >= 0)

    @property
    def stalled(self) -> int:
        """Guards in a row that fired without progress."""
        return int(self.model.counts[STALLED])

    def told(self) -> tuple[Measures, list[Event]]:
        """What is in the logs, each in the order of time; they are empty afterwards."""
        log, count = self.model.log, self.model.counts
        instants, events = int(count[INSTANTS]), int(count[EVENTS])
        count[INSTANTS] = count[EVENTS] = 0
        v, log_total, squared, speed, *rounding = log.measured[:instants].T.copy()
        p, rates = log.margins[:instants].copy(), log.rates[:instants].copy()
        log_loss, log_n = log_means(self._problem.loss.log_value(p)), float(np.log(self._problem.samples))
        norm, rate = (np.sqrt(np.maximum(each, 0.0)) for each in (squared, speed))
        happened = zip(log.when[:events].tolist(), log.what[:events, :3].tolist(), strict=True)
        return (
            Measures(
                v, p, log_loss, norm, rate, rates, log_total - log_n, rounding[0] if rounding else np.zeros(instants)
            ),
            [Event(when, j, h, EventKind(kind)) for when, (j, h, kind) in happened],
        )

    def at_clock(self, v: float) -> float:
        """The u of the step that waits at which log(1 + t) = v."""
        model, step = self.model, self.model.step
        return when_clock(float(model.now[CLOCK]), float(step[UNIT]), model.terms, self._degree, self.end, v)

    def clock_at(self, u: float) -> float:
        """log(1 + t) at u of the step that waits."""
        model, step = self.model, self.model.step
        return clock_after(float(model.now[CLOCK]), float(step[UNIT]), model.terms, self._degree, u)

    def log_loss_at(self, v: float) -> float:
        """log L in the step that waits where log(1 + t) = v."""
        return log_mean(self._problem.loss.log_value(self.margins_at(self.at_clock(v))))

    def margins_at(self, u: float) -> Array:
        """p (n,) at u of the step that waits; now, with u = 0."""
        return self._series(self.model.terms.p, u) if u > 0.0 else self.model.p.copy()

    @property
    def _degree(self) -> int:
        return int(self.model.tried[DEGREE])

    def _series(self, rows: Array, u: float) -> Array:
        """sum_k rows_k u^k of the step that waits, rows (degrees, k) -> (k,)."""
        return np.asarray(u ** np.arange(self._degree + 1.0) @ rows[: self._degree + 1])
