"""The plan of a comparison: which runs of descent, how far, in which manner, and the options that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from gflow.comparison.timetable import Timetable, timetable
from gflow.descent_plan.asked import asked_descent
from gflow.descent_plan.plan import DescentPlan, Option
from gflow.descent_plan.record import checked_etas, horizon
from gflow.errors import GflowError
from gflow.scenario import Scenario
from gflow.scenario.schema import Descent

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
    """How descent is done: batch size (None: all samples) and its seed, torch's device, the arithmetic (None: the
    scenario's, or double), and further keys of `descent` in a scenario, where they are not None."""

    batch: int | None = None
    seed: int = 0
    device: str = "cpu"
    precision: PrecisionName | None = None
    more: Mapping[str, Any] = field(default_factory=dict)  # Any: values of a scenario

    @classmethod
    def of(
        cls,
        scenario: Scenario,
        batch: int | None,
        seed: int | None,
        device: str,
        precision: PrecisionName | None,
        more: Mapping[str, Any],
    ) -> DescentManner:
        """The manner asked for; seed None: that of the scenario.

        Raises GflowError for a seed without a batch size, and for what is no integer, device or precision.
        """
        _check_integer("--sgd", batch, least=1)
        _check_integer("--seed", seed, least=0)
        _check_choice("--device", device, ("cpu", "cuda"))
        if precision is not None:
            _check_choice("--precision", precision, get_args(PrecisionName))
        asked = scenario.descent
        if seed is not None and batch is None and (asked is None or asked.batch is None):
            raise GflowError(f"--seed {seed}: only stochastic descent draws; add --sgd BATCH or leave --seed out")
        if seed is not None and more.get("seeds") is not None:
            raise GflowError(f"--seed {seed}: --seeds gives every run its own; leave one of them out")
        return cls(batch, scenario.seed if seed is None else seed, device, precision, more)


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs of descent until t = end, and the times of their rows.

    modified: also beside the flow of L + (eta / 4) |grad L|^2.
    """

    descent: DescentPlan
    end: float
    modified: bool
    table: Timetable

    @classmethod
    def of(cls, descent: DescentPlan, end: float, modified: bool = False) -> Plan:
        """These runs beside the flow."""
        runs = descent.runs
        table = timetable([run.eta for run in runs], [run.steps for run in runs])
        return cls(descent, end, modified, table)

    @property
    def etas(self) -> tuple[float, ...]:
        """The step size of each run."""
        return tuple(run.eta for run in self.descent.runs)

    @property
    def runs(self) -> tuple[tuple[float, int | None], ...]:
        """The step size of each run, and its seed where each has its own."""
        return tuple((run.eta, run.seed) for run in self.descent.runs)

    @property
    def options(self) -> tuple[Option, ...]:
        """All options of the comparison; the command that resumes it must have the same."""
        return *self.descent.options("--sgd"), Option("--modified", {}, "--modified" if self.modified else "")

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
    asked, manner = scenario.descent, manner or DescentManner()
    if not etas and asked is None:
        raise GflowError(
            "--eta: no step size is given, and the scenario has no `descent.eta`; add for example --eta 0.1"
        )
    if asked is not None:
        _check_comparable(asked, bool(etas), until_time is not None)
    if manner.more.get("seeds") is not None and manner.batch is None and (asked is None or asked.batch is None):
        raise GflowError("--seeds: all runs start where the flow does, and draw nothing; add --batch BATCH")
    if modified and (manner.more.get("seeds") is not None or (asked is not None and asked.seeds is not None)):
        raise GflowError("--modified: has one flow for each step size, whatever the seed; leave the seeds out")
    chosen = checked_etas(etas or (asked.eta if asked is not None and asked.eta is not None else ()))
    if until_time is None and asked is not None and asked.until is not None:
        until_time = asked.until.time
    end = horizon(until_time, flow_end, chosen)
    return Plan.of(
        DescentPlan.of(_merged(scenario, chosen, end, manner), end, manner.seed, manner.device), end, modified
    )


def _merged(scenario: Scenario, etas: Sequence[float], end: float, manner: DescentManner) -> Descent:
    """What the scenario asks for, with what the options of `gflow compare` ask for in its place."""
    given = {"eta": list(etas), "batch": manner.batch, "precision": manner.precision} | dict(manner.more)
    return asked_descent("gflow.compare", scenario, given, {"time": end})


def _check_comparable(asked: Descent, etas: bool, until: bool) -> None:
    """Raise GflowError for what has no place on the clock t = eta k of one flow."""
    if asked.starts == "drawn":
        raise GflowError("descent.starts = drawn: other starts have other flows; use gflow descend, or remove it")
    for key in ("momentum", "weight_decay"):
        if getattr(asked, key) is not None:
            raise GflowError(f"descent.{key}: it follows another flow, which gflow has not; use gflow descend")
    if asked.schedule is not None and not etas:
        raise GflowError("descent.schedule: a comparison needs constant step sizes; give --eta, or use gflow descend")
    if asked.until is not None and asked.until.time is None and not until:
        raise GflowError("descent.until: a comparison ends at a time; give --until-time, or use gflow descend")
