"""The plan of a comparison: which runs of descent, how far, in which manner, and the options that ask for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gflow.arrays import Integers
from gflow.comparison.timetable import Timetable, checked_etas, horizon, record_steps, timetable
from gflow.errors import GflowError
from gflow.scenario import Scenario

PrecisionName = Literal["double", "single"]
Stage = Literal["ahead", "descent", "flow", "modified"]


@dataclass(frozen=True, slots=True)
class CompareProgress:
    """How far a comparison is: `ahead` counts steps of the flow followed to its limit, `descent` those of all runs,
    `flow` times at which both are compared."""

    stage: Stage
    done: int
    total: int


CompareCallback = Callable[[CompareProgress], None]
Alive = Callable[[], None]
"""Raises KeyboardInterrupt after an interruption."""
Counted = Callable[[int, int], None]
"""Told what is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class DescentManner:
    """How descent is done: batch size (None: all samples) and its seed, torch's device, and the arithmetic."""

    batch: int | None = None
    seed: int = 0
    device: str = "cpu"
    precision: PrecisionName = "double"

    @classmethod
    def of(
        cls, scenario: Scenario, batch: int | None, seed: int | None, device: str, precision: PrecisionName
    ) -> DescentManner:
        """The manner asked for; seed None: that of the scenario.

        Raises GflowError for a seed without a batch size, and for what is no integer, device or precision.
        """
        _check_integer("--sgd", batch, least=1)
        _check_integer("--seed", seed, least=0)
        _check_choice("--device", device, ("cpu", "cuda"))
        _check_choice("--precision", precision, get_args(PrecisionName))
        if seed is not None and batch is None:
            raise GflowError(f"--seed {seed}: only stochastic descent draws; add --sgd BATCH or leave --seed out")
        return cls(batch, scenario.seed if seed is None else seed, device, precision)

    @property
    def kind(self) -> str:
        """`gd` or `sgd`."""
        return "gd" if self.batch is None else "sgd"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `gflow compare` as it is given: the facts of `descent.h5` that keep it (None: it has no such fact),
    and the words that ask for it again, empty where it is the default."""

    name: str
    facts: dict[str, str | float | int | None]
    words: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Which runs, how far and in which manner, which steps are rows, and the times of these.

    modified: also beside the flow of L + (eta / 4) |grad L|^2.
    """

    etas: tuple[float, ...]
    end: float
    manner: DescentManner
    modified: bool
    steps: tuple[Integers, ...]
    table: Timetable

    @classmethod
    def of(cls, etas: Sequence[float], end: float, manner: DescentManner, modified: bool = False) -> Plan:
        """Runs until t = end."""
        steps = tuple(record_steps(etas, end))
        return cls(tuple(etas), end, manner, modified, steps, timetable(etas, steps))

    @property
    def rows(self) -> int:
        """The number of rows of all runs together."""
        return sum(len(each) for each in self.steps)

    @property
    def options(self) -> tuple[Option, ...]:
        """All options of the comparison; the command that resumes it must have the same."""
        manner = self.manner
        batch, seed = manner.batch, None if manner.batch is None else manner.seed
        return (
            Option("--eta", {"etas": json.dumps(self.etas)}, " ".join(f"--eta {eta!r}" for eta in self.etas)),
            Option("--until-time", {"until_time": self.end}, f"--until-time {self.end!r}"),
            Option("--sgd", {"descent": manner.kind, "batch": batch}, "" if batch is None else f"--sgd {batch}"),
            Option("--seed", {"batch_seed": seed}, "" if seed is None else f"--seed {seed}"),
            Option(
                "--device", {"device": manner.device}, "" if manner.device == "cpu" else f"--device {manner.device}"
            ),
            Option(
                "--precision",
                {"precision": manner.precision},
                "" if manner.precision == "double" else f"--precision {manner.precision}",
            ),
            Option("--modified", {}, "--modified" if self.modified else ""),
        )

    @property
    def facts(self) -> dict[str, str | float | int]:
        """What `descent.h5` keeps of the options."""
        kept = [fact for option in self.options for fact in option.facts.items()]
        return {name: value for name, value in kept if value is not None}

    def command(self, folder: str) -> str:
        """The command line that gives the same comparison of the run in a folder, whose name is quoted."""
        return " ".join(["gflow compare", folder, *(option.words for option in self.options if option.words)])


def _check_integer(option: str, value: object, least: int) -> None:
    """Raise GflowError unless the value is None or an integer of at least `least`."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise GflowError(f"{option} {value!r}: must be an integer of at least {least}")


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise GflowError unless the value is one of the choices."""
    if value not in choices:
        raise GflowError(f"{option} {value!r}: is not available; use one of {', '.join(choices)}")


def planned(
    scenario: Scenario,
    etas: Sequence[float] | None,
    until_time: float | None,
    flow_end: float,
    manner: DescentManner | None = None,
    modified: bool = False,
) -> Plan:
    """The plan of a comparison; None: what the scenario says.  Raises GflowError."""
    asked = scenario.descent
    if not etas and asked is None:
        raise GflowError(
            "--eta: no step size is given, and the scenario has no `descent.eta`; add for example --eta 0.1"
        )
    chosen = checked_etas(etas or (asked.eta if asked is not None else ()))
    if until_time is None and asked is not None and asked.until is not None:
        until_time = asked.until.time
    return Plan.of(chosen, horizon(until_time, flow_end, chosen), manner or DescentManner(), modified)
