"""What a flow is at one instant, and what it hands over while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Measure
from gflow.field.transition import EventKind

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """U (m, r) inner parameters in span coordinates; outer layer (m,) or (K, m), fixed or not; output bias (K,)."""

    U: Array
    outer: Array
    output_bias: Array | None = None


@dataclass(frozen=True, slots=True)
class FlowState:
    """tau: rescaled time; v = log(1 + t); parameters; side (m, H); p (n,) margins; log L.

    h: the step in tau the integrator would try next.
    """

    tau: float
    v: float
    parameters: Parameters
    side: NDArray[np.int8]
    p: Array
    log_loss: float
    h: float

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

    state: from which the loop goes on.  Its v and tau may differ from those that the row shows: by rounding where the
    row is at a given time, by a leap of the clock at the start, and where nothing but the clock moves.
    inexact (m,): neurons held at a kink by decision, which their sides do not tell.  stalled: guards in
    a row that fired without progress of tau, or changed no side.  resting: nothing but the clock moves any more.
    """

    state: FlowState
    inexact: NDArray[np.bool_]
    steps: int = 0
    stiff: bool = False
    stalled: int = 0
    notes: Notes = Notes()
    resting: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One side change: neuron, surface and what happened, at log(1 + t) = v."""

    v: float
    neuron: int
    surface: int
    kind: EventKind


@dataclass(frozen=True, slots=True)
class Progress:
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
class Row:
    """The flow at a record time, and from where it goes on after it.  last: the end of the run, a `Finish` follows."""

    state: FlowState
    checkpoint: Checkpoint
    last: bool = False

    @property
    def steps(self) -> int:
        """Accepted steps so far."""
        return self.checkpoint.steps


@dataclass(frozen=True, slots=True)
class Finish:
    """How the run ended, in a sentence for people."""

    outcome: Outcome
    sentence: str
    state: FlowState
    steps: int


Item = Event | Measure | Progress | Row | Finish
"""What a flow hands over."""
