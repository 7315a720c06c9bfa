"""The ledger of descent, which holds what rows do not: how runs ended, and what their next rows need."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gflow.descent import LossReport


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended."""

    step: int
    diverged: bool
    losses: LossReport | None
    reached: bool = False
    """Did it end at the loss that was asked for?"""


@dataclass(slots=True)
class Ledger:
    """What is known of the runs so far beside their rows; runs by their number."""

    n_rows: int = 0
    """rows on disk when it was saved"""
    largest_margin: float = 0.0
    ended: dict[int, Ended] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    """the step at which a run had left all scales"""
    clock: dict[int, tuple[float, float, float]] = field(default_factory=dict)
    """t, mean g and tau at the last row of a run"""

    def to_json(self) -> dict[str, Any]:  # Any: JSON values
        """Plain JSON values, numbers in full."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Ledger:  # Any: JSON values
        """What `to_json` gave; KeyError, TypeError or ValueError for anything else."""
        ledger = cls(int(content["n_rows"]), float(content["largest_margin"]))
        for run, end in content["ended"].items():
            losses = None if end["losses"] is None else LossReport(**end["losses"])
            ledger.ended[int(run)] = Ended(end["step"], end["diverged"], losses, end.get("reached", False))
        ledger.lost = {int(run): int(step) for run, step in content["lost"].items()}
        ledger.clock = {int(run): (t, rate, tau) for run, (t, rate, tau) in content["clock"].items()}
        return ledger
