"""The reasons why a stretch of flow ends, one small type for each, shared by all engines.

A stretch ends because the mode may change there (`GuardReached`), because the run ends (`EndReached`, `Proved`,
`AtRest`, `BudgetSpent`, `StepFailed`), or because the same mode continues with another branch or method (`Restart`,
`TurnedStiff`).  `flow.simulate` and `flow.ending` decide by `match` what follows.
"""

from __future__ import annotations

from dataclasses import dataclass

from gflow.arrays import Array, Index
from gflow.flow.state import Outcome


@dataclass(frozen=True, slots=True)
class GuardReached:
    """A guard of a neuron in `near` (k,) is zero: a pair reaches its kink, or a share its bound."""

    near: Index


@dataclass(frozen=True, slots=True)
class EndReached:
    """A requested end of the run is reached, on the clock or of the loss."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Proved:
    """The mode is proved to stay as it is for ever."""


@dataclass(frozen=True, slots=True)
class AtRest:
    """Nothing but the clock moves any more."""


@dataclass(frozen=True, slots=True)
class BudgetSpent:
    """A budget is spent; the sentence names it and the remedy."""

    sentence: str


@dataclass(frozen=True, slots=True)
class StepFailed:
    """No step leads on from here; the sentence says why."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The integration restarts on the same mode: a checkpoint is due, or the coordinates have lost too many digits."""


@dataclass(frozen=True, slots=True)
class TurnedStiff:
    """Stability limits the explicit steps, so an implicit method continues."""


Reason = GuardReached | EndReached | Proved | AtRest | BudgetSpent | StepFailed | Restart | TurnedStiff


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of a stretch, with its reason.

    elapsed: tau since the stretch began, in units of its branch; y (p,): the state of the integrator there; h: the step
    that it would try next, in the same units; steps: those accepted in the run so far.
    """

    reason: Reason
    elapsed: float
    y: Array
    h: float
    steps: int
