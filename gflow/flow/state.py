"""What a flow is at one instant, and what it hands over while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Self

from gflow.arrays import Array, Bools, Sides
from gflow.field.transition import EventKind
from gflow.problem.loss import log_mean
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class FlowState:
    """tau: rescaled time; v = log(1 + t); parameters; side (m, H); p (n,) margins; log L.

    h: the step in tau the integrator would try next.
    """

    tau: float
    v: float
    parameters: Parameters
    side: Sides
    p: Array
    log_loss: float
    h: float

    @classmethod
    def of(cls, problem: Problem, tau: float, v: float, parameters: Parameters, side: Sides, h: float) -> Self:
        """The state with its margins and loss."""
        p = problem.margins(parameters.U, problem.sample_sides(side), parameters.outer, parameters.output_bias)
        return cls(tau, v, parameters, side, p, log_mean(problem.loss.log_value(p)), h)

    @property
    def U(self) -> Array:  # noqa: N802 (the matrix of the literature)
        """Inner parameters (m, r)."""
        return self.parameters.U


@dataclass(frozen=True, slots=True)
class Notes:
    """What a user should know of the decisions at kinks: pairs where solutions are not unique (starts on a pushing
    kink, arrivals at dependent kinks: the minimum-norm element, then steepest descent), and decisions not exact."""

    unsettled: int = 0
    conservative: int = 0

    def sentence(self) -> str:
        """Empty when there is nothing to say."""
        said = ""
        if self.unsettled:
            said += f"; {self.unsettled} pairs were on kinks that can be left in several ways, where the policy decided"
        if self.conservative:
            said += f"; selection: conservative at {self.conservative} instants with dependent kinks"
        return said

    def __add__(self, other: Notes) -> Notes:
        return Notes(self.unsettled + other.unsettled, self.conservative + other.conservative)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that the rest of a run depends on beside its scenario: it goes on from here to the same bits.

    state: from which the loop goes on.  It lies before what was handed over last, since rows are read off the flow
    and leave its steps alone: up to the row at log(1 + t) = shown (None: nothing) the way is gone again in silence.
    inexact (m,): neurons held at a kink by decision, which their sides do not tell.  stalled: guards in
    a row that fired without progress of tau, or changed no side.  resting: nothing but the clock moves any more.
    """

    state: FlowState
    inexact: Bools
    steps: int = 0
    stiff: bool = False
    stalled: int = 0
    notes: Notes = Notes()
    resting: bool = False
    shown: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One side change: neuron, surface and what happened, at log(1 + t) = v."""

    v: float
    neuron: int
    surface: int
    kind: EventKind


@dataclass(frozen=True, slots=True)
class FlowProgress:
    """Where the flow is, cheap enough for every accepted step."""

    v: float
    log_loss: float
    sliding: int
    steps: int


class Outcome(Enum):
    """Foreseen ends of a run, each with the code stored in the file."""

    TIME = "time"
    LOG_TIME = "log_time"
    LOG_LOSS = "log_loss"
    CERTIFIED = "certified"
    STEP_UNDERFLOW = "step_underflow"
    EVENTS_ACCUMULATE = "events_accumulate"
    PRECISION = "precision"
    STATIONARY = "stationary"
    BUDGET = "budget"

    @property
    def is_limit(self) -> bool:
        """Was the run stopped short of what was asked (exit code 3)?"""
        return self not in (Outcome.TIME, Outcome.LOG_TIME, Outcome.LOG_LOSS, Outcome.CERTIFIED)


@dataclass(frozen=True, slots=True)
class FlowRow:
    """The flow at a record time, and from where it goes on after it.  last: the end of the run, a `Finish` follows.

    steps: accepted so far, with the one that the row lies in.  clock: log(1 + t) at which the flow has the tau of the
    state; what the row shows is another where the clock leaps at the start, and where nothing else moves.
    """

    state: FlowState
    checkpoint: Checkpoint
    steps: int
    clock: float
    last: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """How the run ended, in a sentence for people."""

    outcome: Outcome
    sentence: str
    state: FlowState
    steps: int
