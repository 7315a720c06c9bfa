"""The state of a flow at one instant, and the values that the flow hands over while it runs."""

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
    """The state of a flow at one instant.

    tau: rescaled time; v = log(1 + t); parameters; side (m, H): +1, -1, or 0 for sliding; p (n,): margins; log_loss:
    log L; h: the step in tau that the integrator would try next, 0 if that is not known.
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
        """The state with these sides (m, H), and with the margins and the loss that follow."""
        p = problem.margins(parameters.U, problem.sample_sides(side), parameters.outer, parameters.output_bias)
        return cls(tau, v, parameters, side, p, log_mean(problem.loss.log_value(p)), h)

    @property
    def U(self) -> Array:  # noqa: N802 (the matrix of the literature)
        """The inner parameters (m, r)."""
        return self.parameters.U


@dataclass(frozen=True, slots=True)
class Notes:
    """Counts of decisions at kinks that a user should know about.

    unsettled: pairs where solutions are not unique (starts on a pushing kink, arrivals at dependent kinks), so that the
    policy decided: the minimum-norm element, then steepest descent.  conservative: decisions that are not exact.
    """

    unsettled: int = 0
    conservative: int = 0

    def sentence(self) -> str:
        """The notes in words; empty where there are none."""
        text = ""
        if self.unsettled:
            text += f"; {self.unsettled} pairs were on kinks that can be left in several ways, where the policy decided"
        if self.conservative:
            text += f"; selection: conservative at {self.conservative} instants with dependent kinks"
        return text

    def __add__(self, other: Notes) -> Notes:
        return Notes(self.unsettled + other.unsettled, self.conservative + other.conservative)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that the rest of a run depends on besides its scenario: from it the run continues with the same bits.

    state: the state from which the loop continues.  It lies before what was handed over last, since rows are computed
    inside steps without changing them; the flow up to the row at log(1 + t) = shown (None: no row) is repeated without
    handing over anything.  inexact (m,): neurons held at a kink by decision, which their sides do not tell.  stalled:
    guards in a row that fired without progress of tau, or changed no side.  resting: nothing but the clock moves any
    more.  left: the compiled loop leaves the next stretch to the steppers.
    """

    state: FlowState
    inexact: Bools
    steps: int = 0
    stiff: bool = False
    stalled: int = 0
    notes: Notes = Notes()
    resting: bool = False
    shown: float | None = None
    left: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one side: neuron, surface and kind, at log(1 + t) = v."""

    v: float
    neuron: int
    surface: int
    kind: EventKind


@dataclass(frozen=True, slots=True)
class FlowProgress:
    """The progress of a flow, cheap enough for every accepted step."""

    v: float
    log_loss: float
    sliding: int
    steps: int


class Outcome(Enum):
    """The ways in which a run may end, each with the code that the file stores."""

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
        """Whether the run stopped short of what was requested (exit code 3)."""
        return self not in (Outcome.TIME, Outcome.LOG_TIME, Outcome.LOG_LOSS, Outcome.CERTIFIED)


@dataclass(frozen=True, slots=True)
class FlowRow:
    """The flow at a record time, and the checkpoint from which it continues after it.

    steps: those accepted so far, with the one that contains the row.  clock: log(1 + t) at which the flow has the tau
    of the state; it differs from the time of the row where the clock leaps at the start, and where nothing else moves.
    last: this is the end of the run, and a `Finish` follows.
    """

    state: FlowState
    checkpoint: Checkpoint
    steps: int
    clock: float
    last: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of the run, with a sentence for the reader."""

    outcome: Outcome
    sentence: str
    state: FlowState
    steps: int
