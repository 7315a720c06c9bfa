"""Progress of an analysis that integrates the flow, handed to the caller so that it can be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnalysisProgress:
    """doing: what is on its way, in words; log1p_time: how far it has come; steps done, of most_steps at most."""

    doing: str
    log1p_time: float
    steps: int
    most_steps: int


Tell = Callable[[AnalysisProgress], None]


def untold(_: AnalysisProgress) -> None:
    """The callback of a caller that does not want to see progress: it does nothing."""
