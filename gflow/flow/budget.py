"""Limits of the wall time, events, steps, memory and disk that a run may take, so that every run ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gflow.flow.state import Event

Gauges = Mapping[str, Callable[[], float]]
"""For `memory` and `disk`, what the process has taken of it by now, in bytes."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits for one start of a run; None: no limit.

    wall_time in seconds; events: changes of sides; steps: accepted steps; memory and disk in bytes.
    """

    wall_time: float | None = None
    events: int | None = None
    steps: int | None = None
    memory: float | None = None
    disk: float | None = None


class Account:
    """What was spent of a budget since the account was opened, and not before.

    clock: seconds, from any origin.  gauges are read only where their limit is set.
    """

    def __init__(
        self, budget: Budget, clock: Callable[[], float] = time.monotonic, gauges: Gauges | None = None
    ) -> None:
        self._budget, self._clock, self._opened, self._gauges = budget, clock, clock(), gauges or {}
        self._first_step, self._events = 0, 0
        self._last: Event | None = None
        self.is_open = False

    def open(self, steps: int) -> None:
        """Begin, or continue, a run after `steps` steps, which do not count here."""
        self._first_step, self.is_open = steps, True

    def enter(self, events: Sequence[Event]) -> None:
        """Count events that happened."""
        if events and self.is_open:
            self._events, self._last = self._events + len(events), events[-1]

    def spent(self, steps: int) -> str:
        """The limit that is reached after `steps` steps of the run, what was spent, and the remedy; empty while none is
        reached.
        """
        if not self.is_open:
            return ""
        steps, seconds, limits = steps - self._first_step, self._clock() - self._opened, self._budget
        used: list[tuple[str, float, float | None]] = [
            ("wall_time", seconds, limits.wall_time),
            ("events", self._events, limits.events),
            ("steps", steps, limits.steps),
            ("memory", self._gauged("memory", limits.memory), limits.memory),
            ("disk", self._gauged("disk", limits.disk), limits.disk),
        ]
        for name, value, limit in used:
            if limit is not None and value >= limit:
                taken = f"{_taken(name, value)}{steps} steps, {self._events} events, {seconds:.3g} s since this start"
                remedy = f"raise flow.budget.{name} or end sooner by flow.until"
                return f"flow.budget.{name} = {limit:g} is spent ({taken}; {self._where()}); {remedy}"
        return ""

    @property
    def last_step(self) -> float:
        """The number of the step behind which the budget of steps is spent; infinite where there is none."""
        limit = self._budget.steps
        return float("inf") if limit is None or not self.is_open else self._first_step + limit

    @property
    def events_left(self) -> float:
        """How many events more spend the budget of events; infinite where there is none."""
        limit = self._budget.events
        return float("inf") if limit is None or not self.is_open else float(max(limit - self._events, 0))

    def _gauged(self, name: str, limit: float | None) -> float:
        return 0.0 if limit is None else self._gauges[name]()

    def _where(self) -> str:
        last = self._last
        return "no event yet" if last is None else f"last event at neuron {last.neuron} surface {last.surface}"


def _taken(name: str, value: float) -> str:
    """What was spent, where the sentence does not tell it anyway."""
    return f"{name} {value:.3g} bytes, " if name in ("memory", "disk") else ""
