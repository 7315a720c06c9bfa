"""The steps of a run of descent that become rows, and where it ends on the clock t = eta k."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from gflow.arrays import Array, Integers
from gflow.errors import GflowError
from gflow.scenario.schema.descent import MOST_STEPS

# Rows of a run: about half of them evenly spaced, which the gap is judged on, the others logarithmically.
ROWS = 200
# Where no end is asked for, descent ends with the flow, or after this number of its largest steps.
DEFAULT_STEPS = 10**5
MOST_RUNS = 64


def checked_etas(etas: Sequence[float]) -> tuple[float, ...]:
    """Step sizes, largest first.  Raises GflowError for none, too many, one that is not in (0, inf), or one twice."""
    if not 1 <= len(etas) <= MOST_RUNS:
        raise GflowError(f"--eta: {len(etas)} step sizes are given; give 1 to {MOST_RUNS}, for example --eta 0.1")
    for eta in etas:
        if not 0.0 < eta < inf:
            raise GflowError(f"--eta {eta!r}: a step size must be a finite number > 0, for example 0.01")
    ordered = tuple(sorted((float(eta) for eta in etas), reverse=True))
    for first, second in zip(ordered, ordered[1:], strict=False):
        if first == second:
            raise GflowError(f"--eta {first!r}: is given twice; leave one of them out")
    return ordered


def horizon(asked: float | None, flow_end: float, etas: Sequence[float]) -> float:
    """The end time t: `asked`, else the end of the flow or `DEFAULT_STEPS` of the largest step, what comes first.

    Raises GflowError for a time that is not in (0, inf), for fewer than one step and for more than `MOST_STEPS`.
    """
    if asked is not None and not 0.0 < asked < inf:
        raise GflowError(f"--until-time {asked!r}: must be a finite number > 0")
    end = min(flow_end, DEFAULT_STEPS * max(etas)) if asked is None else asked
    for eta in etas:
        if eta > end:
            raise GflowError(f"--eta {eta:g}: one step goes beyond the end at t = {end:g}; take smaller steps")
        if round(min(end / eta, 1e300)) > MOST_STEPS:
            raise GflowError(
                f"--eta {eta:g}: {end / eta:.3g} steps until t = {end:g}, over the bound of {MOST_STEPS:g}; "
                f"take larger steps or end earlier, with --until-time {eta * MOST_STEPS:g} at most"
            )
    return end


def cut_short(end: float, flow_end: float, etas: Sequence[float]) -> str | None:
    """A warning where `horizon` ends before the flow because no end was asked for; else None."""
    if end != DEFAULT_STEPS * max(etas) or end >= flow_end:
        return None
    return (
        f"descent ends at t = {end:g}, after {DEFAULT_STEPS:,} of its largest steps, and the run goes on beyond; "
        "--until-time asks for another end"
    )


def record_steps(etas: Sequence[float], end: float) -> list[Integers]:
    """The steps (T_k,) of each run k that become rows: 0, about `ROWS` at shared times, and the last, round(T / eta).

    The times are multiples of the largest step where it fits in often enough, so that halved steps meet them exactly.
    """
    largest = max(etas)
    times = np.concatenate([np.geomspace(largest, end, ROWS // 2), np.linspace(0.0, end, ROWS // 2 + 1)])
    if round(end / largest) >= ROWS:
        times = largest * np.rint(times / largest)
    return [_steps(times, eta, round(end / eta)) for eta in etas]


def _steps(times: Array, eta: float, last: int) -> Integers:
    steps = np.clip(np.rint(times / eta), 0, last).astype(np.int64)
    return np.unique(np.concatenate([[0], steps, [last]]))
