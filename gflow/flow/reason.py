"""Why a stretch of flow ends: one small type for each reason, for every engine that finds where.

A stretch ends because the mode may change there (`GuardReached`), because the run does (`EndReached`, `Proved`,
`AtRest`, `BudgetSpent`, `StepFailed`), or because the same mode goes on from there by another branch or method
(`Restart`, `TurnedStiff`).  What follows is decided by `match`, in `flow.simulate` and in `flow.ending`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gflow.arrays import Array, Index
from gflow.flow.state import Outcome


@dataclass(frozen=True, slots=True)
class GuardReached:
    """A guard of some of the neurons `near` is zero: a pair reaches its kink, or a share its bound."""

    near: Index


@dataclass(frozen=True, slots=True)
class EndReached:
    """An end that was asked for, on the clock or of the loss."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Proved:
    """The mode is proved to stay as it is for ever."""


@dataclass(frozen=True, slots=True)
class AtRest:
    """Nothing but the clock moves any more."""


@dataclass(frozen=True, slots=True)
class BudgetSpent:
    """Which budget is spent, and the remedy, in words."""

    sentence: str


@dataclass(frozen=True, slots=True)
class StepFailed:
    """Why no step leads on from here, in words."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The integration restarts on the same mode: a checkpoint is due, or the coordinates have lost too many digits."""


@dataclass(frozen=True, slots=True)
class TurnedStiff:
    """Stability holds the explicit steps back: an implicit method goes on."""


Reason = GuardReached | EndReached | Proved | AtRest | BudgetSpent | StepFailed | Restart | TurnedStiff


@dataclass(frozen=True, slots=True)
class Cut:
    """The end of a stretch: why, and where.

    elapsed: tau since the stretch began, in units of its branch; y (p,): the state of the integrator there; h: the step
    that it would try next, in the same units; steps: accepted in the run by then.
    """

    reason: Reason
    elapsed: float
    y: Array
    h: float
    steps: int
