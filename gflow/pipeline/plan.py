"""What a comparison is to do: which runs of descent, how far, in which manner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gflow.arrays import Integers
from gflow.comparison.timetable import Timetable, checked_etas, horizon, record_steps, timetable
from gflow.errors import GflowError
from gflow.scenario import Scenario

COMPARISON_FILE_NAME = "comparison.json"


@dataclass(frozen=True, slots=True)
class CompareProgress:
    """How far a comparison is: `descent` counts steps of all runs, `flow` times at which both are compared."""

    stage: Literal["descent", "flow", "modified"]
    done: int
    total: int


CompareCallback = Callable[[CompareProgress], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which runs, how far, which steps are rows, and the times of these."""

    etas: tuple[float, ...]
    end: float
    steps: tuple[Integers, ...]
    table: Timetable

    @classmethod
    def of(cls, etas: Sequence[float], end: float) -> Plan:
        """Runs until t = end."""
        steps = tuple(record_steps(etas, end))
        return cls(tuple(etas), end, steps, timetable(etas, steps))


@dataclass(frozen=True, slots=True)
class Manner:
    """How descent is done: batch size (None: all samples) and its seed, torch's device, and the arithmetic."""

    batch: int | None
    seed: int
    device: str
    precision: Literal["double", "single"]

    @property
    def kind(self) -> str:
        """`gd` or `sgd`."""
        return "gd" if self.batch is None else "sgd"


def planned(scenario: Scenario, etas: Sequence[float] | None, until_time: float | None, flow_end: float) -> Plan:
    """The plan of a comparison; None: what the scenario says.  Raises GflowError."""
    asked = scenario.descent
    if not etas and asked is None:
        raise GflowError(
            "--eta: no step size is given, and the scenario has no `descent.eta`; add for example --eta 0.1"
        )
    chosen = checked_etas(etas or (asked.eta if asked is not None else ()))
    if until_time is None and asked is not None and asked.until is not None:
        until_time = asked.until.time
    return Plan.of(chosen, horizon(until_time, flow_end, chosen))
