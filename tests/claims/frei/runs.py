"""Small runs on nearly orthogonal data, their limit in closed form, and runs with another limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.path_stability import PathStability
from gflow.claims.claim import Claim
from gflow.limit.limit_point import LimitPoint
from gflow.scenario import parse_scenario

Array = NDArray[np.float64]

LEAKY = """
gflow: 1
name: leaky
data: {kind: gram, n: 6, d: 9, norms: [0.9, 1.1], coherence: 0.002, labels: balanced}
model: {kind: two_layer, width: 12, activation: {kind: leaky_relu, slope: 0.5},
        outer: {train: false, values: signs, positive: 8, scale: inverse_sqrt_width}}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {log_time: 40.0}}
record: {times: {spacing: log, count: 60}}
"""


def simulated(folder: Path, *overrides: str) -> AnalyzedRun:
    return AnalyzedRun.of(gflow.simulate(parse_scenario(LEAKY, overrides=overrides), out=folder))


def closed_form(run: AnalyzedRun) -> LimitPoint:
    """The limit when every pair has the sign of a_j y_i: lambda = K^-1 1 (claims 3.B)."""
    C, y, a = run.problem.span.C, run.problem.y, run.problem.network.outer
    slopes = np.where(np.outer(a, y) > 0.0, 1.0, run.problem.network.slope)
    K = np.outer(y, y) * (C @ C.T) * (slopes.T @ (a[:, None] ** 2 * slopes))
    multipliers: Array = np.linalg.solve(K, np.ones(y.size)).astype(np.float64)
    U = a[:, None] * ((slopes * y * multipliers) @ C)
    side = np.sign(np.outer(a, y)).astype(np.int8)[:, run.problem.surfaces.first_sample]
    on = multipliers > 0.0
    return LimitPoint(side, U, multipliers, multipliers / multipliers.sum(), K @ multipliers, on, True, on, 0.0)


def ending_at(run: AnalyzedRun, point: LimitPoint | None) -> AnalyzedRun:
    """The same run with this limit, proved."""
    other = AnalyzedRun(run.trajectory, run.problem)
    other.__dict__["path_stability"] = PathStability()
    other.__dict__["continuation"] = SimpleNamespace(limit=point, standing="none" if point is None else "proved")
    return other


def judged(run: AnalyzedRun, *families: tuple[Callable[[AnalyzedRun], Claim], ...]) -> dict[str, Claim]:
    claims = [claim(run) for family in families for claim in family]
    by_id = {claim.id: claim for claim in claims}
    assert len(by_id) == len(claims)
    return by_id
