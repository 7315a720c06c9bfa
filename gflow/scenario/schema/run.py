"""The run of a scenario: how the flow is integrated, where it ends, and what is recorded."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from gflow.scenario.schema.base import Positive, Spec, refuse


class Until(Spec):
    """Where a run ends; of several limits the first to come decides."""

    time: Positive | None = None
    """the end time t, > 0"""
    log_time: Positive | None = None
    """the natural logarithm of the end time (t = e^v), > 0"""
    log_loss: float | None = None
    """the natural logarithm of the loss at which the run ends, a finite number"""
    certified: bool | None = None
    """true: the run ends as soon as its activation pattern is proved to stay for ever (dual engine only)"""

    @model_validator(mode="after")
    def _some_end(self) -> Self:
        if self.time is None and self.log_time is None and self.log_loss is None and not self.certified:
            refuse("names no end of the run; give at least one of `time`, `log_time`, `log_loss` and `certified: true`")
        return self


class Budget(Spec):
    """What one start or resume of a run may cost; it ends short of its end after the step that reaches a limit."""

    wall_time: Positive | None = None
    """the time by the clock on the wall, in seconds, > 0"""
    events: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """crossings, slides and leaves, an integer >= 1; those of one instant are not split"""
    steps: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """accepted steps of the integrator, an integer >= 1"""
    memory: Positive | None = None
    """the most memory that the process has had at once, in bytes, > 0"""
    disk: Positive | None = None
    """the size of `trajectory.h5`, in bytes, > 0; room for rows is taken in blocks, the first of them about 1e6"""


class Flow(Spec):
    """The engine, the integrator with its tolerances, and the end of the run."""

    engine: Literal["auto", "dual", "primal"] = "auto"
    """the coordinates of the flow: `auto`, `dual` (one a sample; for a fixed outer layer, one output and a
    piecewise linear activation) or `primal` (the weights; for every network)"""
    method: Literal[
        "auto",
        "taylor",
        "DOP853-Radau",
        "DOP853",
        "RK45",
        "Radau",
        "dopri5",
        "dopri8",
        "bosh3",
        "adaptive_heun",
        "fehlberg2",
    ] = "auto"
    """the integrator: `auto` (`taylor` where it applies, else `DOP853-Radau`), `taylor` (compiled, for a piecewise
    linear activation, not for kind scalar), `DOP853-Radau` (DOP853 until the flow turns stiff, then Radau), `DOP853`,
    `RK45` or `Radau` (scipy), or `dopri5`, `dopri8`, `bosh3`, `adaptive_heun` or `fehlberg2` (torchdiffeq)"""
    rtol: float = Field(default=1e-8, ge=1e-13, le=1e-2)
    """the relative tolerance of a step, from 1e-13 (100 machine eps are 2.2e-14) to 1e-2"""
    atol: float = Field(default=1e-10, gt=0, le=1e-2)
    """the absolute tolerance of a step, > 0 and at most 1e-2"""
    until: Until
    """the end of the run: {time: t}, {log_time: v} with t = e^v, {log_loss: value}, {certified: true}, or several of
    them"""
    budget: Budget | None = None
    """what the run may cost: {wall_time: seconds, events: count, steps: count, memory: bytes, disk: bytes}, or
    several of them; by default nothing limits it"""


class SpacedTimes(Spec):
    """Row times spread over the run; the start and the end are always rows."""

    spacing: Literal["log", "loglog", "linear"] = "log"
    """how the rows are spread: evenly in log(1 + t) (`log`), in log(1 + log(1 + t)) (`loglog`) or in t
    (`linear`)"""
    count: int = Field(default=200, ge=2, le=100_000)
    """the number of rows, from 2 to 100000"""


class GivenTimes(Spec):
    """Row times t that are given; the start and the end are always rows."""

    at: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(strict=False, min_length=1)]
    """the times t of the rows: finite numbers >= 0, strictly increasing, at least one"""

    @model_validator(mode="before")
    @classmethod
    def _not_spaced(cls, value: Any) -> Any:  # Any: not yet validated
        for key in ("spacing", "count"):
            if isinstance(value, dict) and "at" in value and key in value:
                refuse("excludes `at`; keep one of them", key)
        return value

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        for k in range(1, len(self.at)):
            if self.at[k] <= self.at[k - 1]:
                refuse(f"is not above the entry before it ({self.at[k - 1]!r}); sort the times", "at", k)
        return self


class Commit(Spec):
    """How often rows become safe on disk: at the first row after so many seconds, or after so many rows."""

    seconds: float = Field(default=1.0, ge=0, le=86_400)
    """how long rows may wait, in seconds of wall-clock time from 0 (every row is saved at once) to 86400"""
    rows: int | None = Field(default=None, ge=1, le=100_000)
    """how many rows may wait, from 1 to 100000; any number by default"""


def times_shape(value: Any) -> str | None:  # Any: not yet validated
    """The tag of the two ways to give row times; `at` decides."""
    if isinstance(value, GivenTimes) or (isinstance(value, dict) and "at" in value):
        return "given"
    return "spaced" if isinstance(value, dict | SpacedTimes) else None
