"""First derivatives of the margins along the rows of a run, computed by `gflow.reference`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.flow.state import FlowState
from gflow.limit.limit_point import LimitPoint
from gflow.problem.loss import log_mean
from gflow.problem.parameters import Layout, Parameters
from gflow.problem.problem import Problem
from gflow.reference.mode import ReferenceMode, holding_slopes
from gflow.reference.point import Point


def point_of(problem: Problem, state: FlowState, near: ReferenceMode | None = None) -> Point:
    """The reference's point at a state of the flow, with the margins of that state; near: see `ReferenceMode.of`."""
    return Point(problem, state.parameters, ReferenceMode.of(problem, state.side, near), state.p)


def limit_slopes(problem: Problem, limit: LimitPoint) -> Array:
    """phi' (m, n) that the velocity of the flow has in a limit, a value in [slope, 1] where a pair slides."""
    return holding_slopes(problem, limit.side, problem.network.outer[:, None] * problem.y * limit.multipliers)


@dataclass(frozen=True, slots=True)
class Along:
    """What the claims need of every row; theta are all trained parameters, W outside the span too.

    (T,) each: v = log(1 + t), log_loss, log_mean_slope, smoothed, size, distance, step, gradient_ratio;
    (T, n) each: margins, dual, sample_norms, euler.
    """

    v: Array
    log_loss: Array
    log_mean_slope: Array
    """log of mean_i g_i"""
    margins: Array
    dual: Array
    """q_i = g_i / sum_k g_k"""
    smoothed: Array
    """l^{-1}(n L)"""
    size: Array
    """|theta|"""
    distance: Array
    """|theta - theta(0)|"""
    step: Array
    """|theta - theta in the row before|, 0 in the first"""
    gradient_ratio: Array
    """|grad L| / mean_i g_i"""
    sample_norms: Array
    """|grad M_i|"""
    euler: Array
    """<theta, grad M_i>"""


def along(run: AnalyzedRun) -> Along:
    """All rows of the run; kept with it, as its own cached properties are."""
    kept: Along | None = vars(run).get("along")
    if kept is None:
        kept = vars(run)["along"] = _along(run)
    return kept


def _along(run: AnalyzedRun) -> Along:
    start = before = run.state(0).parameters
    visited, mode = [], None
    for row in range(run.trajectory.n_rows):
        at = point_of(run.problem, run.state(row), mode)
        visited.append(_row(run, at, start, before))
        before, mode = at.parameters, at.mode
    columns = [np.asarray(column) for column in zip(*visited, strict=True)]
    read = run.trajectory.read
    return Along(run.log1p_time, read("log_loss"), columns[0], read("margins"), *columns[1:])


def _row(run: AnalyzedRun, at: Point, start: Parameters, before: Parameters) -> tuple[float | Array, ...]:
    """The columns of `Along` that are not stored in the file but computed here."""
    return (
        log_mean(at.log_g),
        at.q,
        run.problem.loss.smoothed_margin(at.p),
        size_of(run, at.parameters),
        _moved(run.problem, at.parameters, start),
        _moved(run.problem, at.parameters, before),
        at.velocity.norm,
        at.sample_norms,
        at.euler,
    )


def size_of(run: AnalyzedRun, parameters: Parameters) -> float:
    """|theta|."""
    inside = _moved(run.problem, parameters, None)
    return float(np.hypot(inside, np.linalg.norm(run.outside_norms)))


def _moved(problem: Problem, now: Parameters, start: Parameters | None) -> float:
    """|now - start| of what is trained, start = None for 0; W outside the span does not move."""
    layout = Layout.of(problem)
    theta = layout.flat(now)
    return float(np.linalg.norm(theta if start is None else theta - layout.flat(start)))
