"""The order in the step size: least squares on log gap against log eta, with a t-interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

# The order is fitted to gaps between two bounds: a gap of half the distance that the flow has gone is no longer
# asymptotic, and a gap as small as the error of the flow is not one of descent.
LARGEST_GAP, ERRORS_OF_THE_FLOW = 0.5, 100.0
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Order:
    """gap ~ eta^slope over `points` runs; slope None for fewer than 2 step sizes, interval (95 %) None for fewer than 3
    runs."""

    slope: float | None
    interval: tuple[float, float] | None
    points: int


def fitted_order(etas: Sequence[float], gaps: Sequence[float | None], rtol: float) -> Order:
    """The order fitted to the largest gap of every run (None: it has none); rtol: the tolerance of the flow."""
    used = [
        (eta, gap)
        for eta, gap in zip(etas, gaps, strict=True)
        if gap is not None and ERRORS_OF_THE_FLOW * rtol < gap < LARGEST_GAP
    ]
    if len({eta for eta, _ in used}) < 2:
        return Order(None, None, len(used))
    x, y = np.log(np.array(used)).T
    x = x - x.mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread
    freedom = len(used) - 2
    if freedom == 0:
        return Order(slope, None, len(used))
    residual = y - y.mean() - slope * x
    error = float(np.sqrt(residual @ residual / freedom / spread))
    half = float(stdtrit(freedom, 0.5 + 0.5 * CONFIDENCE)) * error
    return Order(slope, (slope - half, slope + half), len(used))
