"""The analyzer of the direction of W: whether it converges, to which limit, how fast, and the angle that is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.continuation import Standing
from gflow.arrays import Array, Bools
from gflow.flow.state import FlowState
from gflow.flow_time import time_text
from gflow.limit.limit_point import LimitPoint
from gflow.reference.mode import ReferenceMode
from gflow.reference.point import Point

# Angles are followed on at most this many rows; rates are fitted where they are above rounding.
MOST_ROWS, LEAST_ANGLE, LEAST_POINTS = 200, 1e-6, 5
HOW: dict[Standing, str] = {
    "proved": "converges",
    "proved_from_state": "converges in the flow from the computed state (not proved for the flow from the start)",
    "expected": "is expected to converge",
}


@dataclass(frozen=True, slots=True)
class DirectionResult:
    """verdict: that of the limit: `proved` (converges to it), `proved_from_state` (the flow from the computed state
    does; see `FreezingResult`), `expected`, or `none` where no limit is known.

    angle_to_limit: of W (with what lies outside the span), in radians at the last row; velocity_angle: of dW/dtau,
    which converges far faster; limit_normalized_margin.  angle_bound, distance_bound (`proved` at the last row): from
    then on the angle stays below the one, and the distance of W from the ray of the limit below the other.
    log1p_time, angle, velocity_angles (k,): over time.  log_rate: fitted exponent of the angle in 1 / log t (1 in
    theory); time_rate: fitted exponent of the velocity's angle in 1 / t after the last mode change; None where fewer
    than 5 rows say something.
    """

    verdict: Standing
    summary: str
    angle_to_limit: float | None = None
    velocity_angle: float | None = None
    limit_normalized_margin: float | None = None
    angle_bound: float | None = None
    distance_bound: float | None = None
    log_rate: float | None = None
    time_rate: float | None = None
    log1p_time: Array | None = None
    angle: Array | None = None
    velocity_angles: Array | None = None


def direction(run: AnalyzedRun) -> DirectionResult:
    """Angles of W and of its velocity to the limit of the flow."""
    continuation = run.continuation
    if continuation is None or continuation.limit is None or continuation.standing == "none":
        reason = "margins are not linear in the trained parameters" if continuation is None else continuation.reason
        return DirectionResult("none", f"no limit direction is known: {reason}")
    point = continuation.limit
    rows = np.unique(np.linspace(0, run.trajectory.n_rows - 1, MOST_ROWS).round().astype(int))
    states = [run.state(int(row)) for row in rows]
    times = np.array([state.v for state in states])
    angles = np.array([_angle(state.U, point.U, run.outside_norms) for state in states])
    turning = np.array([_angle(velocity, point.U) for velocity in _velocities(run, states)])
    distance, bound = _bounds(run, point)
    summary = (
        f"the direction of W {HOW[run.standing]}; at {time_text(times[-1])} it is {angles[-1]:.3g} rad from its "
        f"limit, its velocity {turning[-1]:.3g} rad"
    )
    return DirectionResult(
        verdict=run.standing,
        summary=summary + (f"; the angle stays below {bound:.3g} from there on" if bound is not None else ""),
        angle_to_limit=float(angles[-1]),
        velocity_angle=float(turning[-1]),
        limit_normalized_margin=point.normalized_margin,
        angle_bound=bound,
        distance_bound=distance,
        log_rate=_exponent(np.log(np.maximum(times, 1.0)), angles, times > 0.1 * times[-1]),
        time_rate=_exponent(times, turning, _in_mode(states, point) & (turning > LEAST_ANGLE)),
        log1p_time=times,
        angle=angles,
        velocity_angles=turning,
    )


def _angle(U: Array, limit: Array, outside: Array | None = None) -> float:
    """Angle (radians) of W and the limit, to full accuracy where it is small too.  outside (m,): |w_j| off the span."""
    size = float(np.linalg.norm(U))
    total = size if outside is None else float(np.hypot(size, np.linalg.norm(outside)))
    unit = limit / np.linalg.norm(limit)
    along = float(np.sum(U * unit))
    across = np.sqrt(float(np.sum((U - along * unit) ** 2)) + max(total**2 - size**2, 0.0))
    return float(np.arctan2(across, along))


def _velocities(run: AnalyzedRun, states: list[FlowState]) -> Iterator[Array]:
    """dU/dtau (m, r) at each of the states, sliding pairs held; few sides change from one to the next."""
    mode: ReferenceMode | None = None
    for state in states:
        mode = ReferenceMode.of(run.problem, state.side, mode)
        yield Point(run.problem, state.parameters, mode, state.p, mode.live).velocity.inner


def _bounds(run: AnalyzedRun, point: LimitPoint) -> tuple[float | None, float | None]:
    """Bounds of the distance to the ray of the limit and of the angle, for ever from the last row on."""
    assert run.continuation is not None
    wandering = run.continuation.finding.wandering
    if wandering is None:
        return None, None
    unit = point.U / np.linalg.norm(point.U)
    along = float(np.sum(run.last.U * unit))
    across = float(np.hypot(np.linalg.norm(run.last.U - along * unit), np.linalg.norm(run.outside_norms)))
    distance = across + wandering
    return distance, float(np.arctan2(distance, along - wandering)) if along > wandering else None


def _in_mode(states: list[FlowState], point: LimitPoint) -> Bools:
    """Which states are in the mode of the limit already."""
    return np.array([np.array_equal(state.side, point.side) for state in states])


def _exponent(x: Array, values: Array, chosen: Bools) -> float | None:
    """-slope of log values against x over the chosen points."""
    chosen = chosen & (values > 0.0)
    if chosen.sum() < LEAST_POINTS or np.ptp(x[chosen]) == 0.0:
        return None
    return -float(np.polyfit(x[chosen], np.log(values[chosen]), 1)[0])
