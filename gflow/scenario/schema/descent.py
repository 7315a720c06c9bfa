"""Gradient descent as a scenario asks for it, alone (`gflow descend`) or beside the flow (`gflow compare`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, model_validator

from gflow.scenario.schema.base import (
    NAME,
    NOTHING,
    NUMBER,
    Count,
    Positive,
    PositiveList,
    Seed,
    Spec,
    exactly_one,
    refuse,
    shape_of,
)

# The most steps of a run: at 0.1 ms, the least that a step costs, they take three hours.
MOST_STEPS = 10**8
# The most runs, step sizes times seeds, of one program.
MOST_RUNS = 4096


class DescentUntil(Spec):
    """Where gradient descent ends: after a time or a number of steps, and before that at a loss, if one is named."""

    time: Positive | None = None
    """the end time t = (step size) * (number of steps), > 0; for constant step sizes"""
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = None
    """the number of steps of every run, from 1 to 10^8"""
    log_loss: float | None = None
    """the natural logarithm of a loss: a run ends at its first row whose loss is not larger, or after `steps` (by
    default 100000) or `time`"""

    @model_validator(mode="after")
    def _some_end(self) -> Self:
        if self.time is not None and self.steps is not None:
            refuse("`time` and `steps` are both given, and exclude each other; keep one of them")
        if self.time is None and self.steps is None and self.log_loss is None:
            refuse("names no end of descent; give `time`, `steps` or `log_loss`")
        return self


class LogSquaredSchedule(Spec):
    """eta_0 = first, then eta_k = factor log^2(1 / L_k) (Chatterji et al.); `first` again where L_k >= loss_guard."""

    kind: Literal["log_squared"]
    first: Positive
    """the first step size, > 0"""
    factor: Positive
    """the factor of log^2(1 / L), > 0 (Q1 of Chatterji et al.)"""
    loss_guard: float = Field(default=1.0, gt=0, le=1)
    """the loss from which on steps are `first`, in (0, 1]: the formula is meant for small losses"""


class Watch(Spec):
    """What is counted at every step (full batches only)."""

    losses: bool = True
    """whether losses that rise are counted, true or false"""
    bound: Positive | None = None
    """counts steps with eta_k L_k above this bound, > 0 (1 / (30 P) in Chatterji et al., Lemma 8)"""

    @model_validator(mode="after")
    def _seen(self) -> Self:
        if self.bound is not None and not self.losses:
            refuse("needs the loss of every step, and `losses` is false; remove one of the two", "bound")
        return self


def _numbers(value: Any) -> Any:  # Any: not yet validated
    """`first..last` as the list of its numbers; all else as it is."""
    first, dots, last = value.partition("..") if isinstance(value, str) else ("", "", "")
    if not (dots and first.isdecimal() and last.isdecimal()):
        return value
    if int(last) < int(first) or int(last) - int(first) >= MOST_RUNS:
        return value
    return tuple(range(int(first), int(last) + 1))


SeedList = Annotated[
    tuple[Seed, ...], Field(strict=False, min_length=1, max_length=MOST_RUNS), BeforeValidator(_numbers)
]


class Descent(Spec):
    """Gradient descent, alone or beside the flow."""

    eta: PositiveList | None = None
    """the step sizes: a list of numbers > 0, all different, for example [0.1, 0.01]; give this or `schedule`"""
    until: DescentUntil | None = None
    """the end of gradient descent: {time: t}, {steps: count}, {log_loss: value}; by default that of the flow"""
    schedule: LogSquaredSchedule | None = None
    """step sizes that follow the loss, in the place of `eta`: {kind: log_squared, first, factor, loss_guard}"""
    batch: Count | None = None
    """the number of samples of a step, an integer >= 1; by default all samples"""
    replacement: bool | None = None
    """whether the samples of a batch are drawn independently, true or false; by default (false) each epoch is a random
    order of the samples, cut into batches"""
    stream: bool | None = None
    """true: each step takes the next samples in the order of the data, each of them once in the run"""
    momentum: float | None = Field(default=None, gt=0, lt=1)
    """the momentum of the heavy ball, in (0, 1): v <- momentum v + gradient, and a step moves by -eta v"""
    weight_decay: float | None = Field(default=None, gt=0, le=1e10)
    """the factor of the weights that is added to the gradient of all that is trained, > 0"""
    at_kink: (
        Annotated[Literal["slope", "1/2"], NAME]
        | Annotated[Annotated[float, Field(ge=0, le=1)], NUMBER]
        | Annotated[None, NOTHING]
    ) = Field(default=None, discriminator=Discriminator(shape_of))
    """the derivative at a pre-activation of exactly 0: `slope` (that of the - side, the default), 1/2, or a number from
    0 to 1 (1 in Kou et al.)"""
    seeds: SeedList | None = None
    """the seeds: a list of integers >= 0, all different, or first..last, for example 0..9; every step size is run with
    each of them, which draws its batches and, with `starts: drawn`, its start"""
    starts: Literal["same", "drawn"] | None = None
    """where the runs begin: `same` (all at the start of the scenario, the default) or `drawn` (each at the start that
    `init` draws with its own seed, as `init.seed` would)"""
    precision: Literal["double", "single"] | None = None
    """the precision of the steps: `double` (the default) or `single`"""
    watch: Watch | None = None
    """what is counted at every step: {losses: true or false, bound: number}; by default rises of the loss, with full
    batches"""

    @property
    def etas(self) -> tuple[float, ...]:
        """The step sizes, or the first one of a schedule."""
        return (self.schedule.first,) if self.schedule is not None else self.eta or ()

    @model_validator(mode="after")
    def _different(self) -> Self:
        exactly_one(self, "eta", "schedule")
        for key, values in (("eta", self.eta), ("seeds", self.seeds)):
            for k, value in enumerate(values or ()):
                if value in (values or ())[:k]:
                    refuse("is listed twice; remove one of them", key, k)
        if len(self.etas) * len(self.seeds or (0,)) > MOST_RUNS:
            refuse(f"makes more than {MOST_RUNS} runs with {len(self.etas)} step sizes; use fewer", "seeds")
        return self

    @model_validator(mode="after")
    def _agree(self) -> Self:
        self._check_batches()
        self._check_schedule()
        self._check_seeds()
        return self

    def _check_batches(self) -> None:
        for key in ("replacement", "stream"):
            if getattr(self, key) and self.batch is None:
                refuse("says how batches are taken, and there are none; add for example `batch: 1`", key)
        if self.replacement and self.stream:
            refuse("takes each sample once, and `replacement` draws them; remove one of the two", "stream")
        if self.watch is not None and self.watch.losses and self.batch is not None:
            refuse("needs the loss of every step, which batches do not give; remove `watch` or `batch`", "watch")

    def _check_schedule(self) -> None:
        if self.schedule is None:
            return
        if self.batch is not None:
            refuse("follows the loss, which batches do not give; use `eta`, or remove `batch`", "schedule")
        if self.until is not None and self.until.time is not None:
            refuse("is not known in steps that follow the loss; use `steps`", "until", "time")

    def _check_seeds(self) -> None:
        if self.seeds is None and self.starts == "drawn":
            refuse("draws a start for every seed; add for example `seeds: 0..9`", "starts")
        if self.seeds is not None and self.starts != "drawn" and (self.batch is None or self.stream):
            refuse("decide nothing without random batches; add `batch`, or `starts: drawn`", "seeds")
