"""First derivatives of the margins in numpy, for every network, at a row of a run and along all its rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.field.mode import Mode
from gflow.flow.state import FlowState
from gflow.problem.loss import log_mean
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Direction:
    """A vector in the space of the trained parameters; what is not trained is None."""

    inner: Array
    """(m, r)"""
    outer: Array | None
    """(K, m)"""
    bias: Array | None
    """(K,)"""

    @property
    def norm(self) -> float:
        """Euclidean norm."""
        parts = (np.linalg.norm(part) for part in (self.inner, self.outer, self.bias) if part is not None)
        return float(np.hypot.reduce(list(parts)))


@dataclass(frozen=True)
class Point:
    """A state of the flow, and the derivatives of its margins M_i = p_i there.

    Where a neuron slides, phi' is the Clarke slope in [slope, 1] that holds it on the kink, so that the weighted sum
    with the dual variables is the element of minimum norm, minus the velocity of the flow.
    """

    problem: Problem
    parameters: Parameters
    side: NDArray[np.int8]
    p: Array

    @classmethod
    def of(cls, problem: Problem, state: FlowState) -> Point:
        """The point of one state."""
        return cls(problem, state.parameters, state.side, state.p)

    @cached_property
    def log_g(self) -> Array:
        """log g_i (n,)."""
        return self.problem.loss.log_slope(self.p)

    @cached_property
    def dual(self) -> Array:
        """q_i = g_i / sum_k g_k (n,), the sum over all samples: live ones alone set tau (`field.clock`)."""
        return np.asarray(np.exp(self.log_g - np.logaddexp.reduce(self.log_g)))

    @cached_property
    def z(self) -> Array:
        """Pre-activations (m, n)."""
        return self.problem.preactivations(self.parameters.U)

    @cached_property
    def hidden(self) -> Array:
        """phi(z) (m, n)."""
        return self.problem.network.hidden(self.z, self.problem.sample_sides(self.side))

    @cached_property
    def pull(self) -> Array:
        """dM_i / df_k (K, n): y_i, or the derivative of the margin of a class."""
        network, y = self.problem.network, self.problem.y
        if network.outputs == 1:
            return np.asarray(y[None, :])
        f = self.parameters.outer @ self.hidden
        if self.parameters.output_bias is not None:
            f = f + self.parameters.output_bias[:, None]
        own = np.arange(network.outputs)[:, None] == y[None, :]
        others = np.where(own, -np.inf, f)
        return np.asarray(np.where(own, 1.0, -np.exp(others - np.logaddexp.reduce(others, axis=0))))

    @cached_property
    def factors(self) -> Array:
        """sum_k A_kj dM_i / df_k (m, n): grad_{w_j} M_i = factor_ji phi'_ji x_i."""
        return np.asarray(np.atleast_2d(self.parameters.outer).T @ self.pull)

    @cached_property
    def slopes(self) -> Array:
        """phi'_ji (m, n)."""
        network = self.problem.network
        if network.smoothing is not None:
            return network.smoothing.derivative(self.z)
        if not network.kinked:
            return np.asarray(np.where(self.z > 0.0, 1.0, network.slope))
        if (self.side != 0).all():
            return np.asarray(np.where(self.problem.sample_sides(self.side) > 0, 1.0, network.slope))
        return self._held_slopes()

    def _held_slopes(self) -> Array:
        """phi' where some neurons slide: the share of the + branch that each sliding surface needs."""
        mode, slope = Mode(self.problem, self.side), self.problem.network.slope
        slides = np.flatnonzero((self.side == 0).any(axis=1))
        push, surfaces = self.factors[slides] * self.dual, mode.slots[slides]
        force = mode.held(mode.drift(push, slides), slides) - mode.bases(push, slides, surfaces)
        jumps = mode.jumps(push, surfaces)
        share = np.zeros((slides.size, self.problem.surfaces.count + 1))  # the last column takes the padded slots
        needed = np.divide(force, jumps, out=np.zeros_like(force), where=jumps != 0.0)
        np.put_along_axis(share, surfaces, np.clip(needed, 0.0, 1.0), axis=1)
        on_sample = share[:, self.problem.surfaces.of_sample]
        on_sample = np.where(self.problem.surfaces.alpha > 0.0, on_sample, 1.0 - on_sample)
        slopes = mode.slopes.copy()
        held = self.side[slides][:, self.problem.surfaces.of_sample] == 0
        slopes[slides] = np.where(held, slope + (1.0 - slope) * on_sample, slopes[slides])
        return np.asarray(slopes)

    @cached_property
    def sample_norms(self) -> Array:
        """|grad M_i| (n,), in the trained parameters."""
        network, coordinates = self.problem.network, self.problem.coordinates()
        squared = np.sum((self.factors * self.slopes) ** 2 * np.sum(coordinates**2, axis=-1), axis=0)
        pulls = np.sum(self.pull**2, axis=0)
        if network.trains_outer:
            squared = squared + pulls * np.sum(self.hidden**2, axis=0)
        return np.asarray(np.sqrt(squared + (pulls if self.parameters.output_bias is not None else 0.0)))

    @cached_property
    def euler(self) -> Array:
        """<theta, grad M_i> (n,), theta all trained parameters: degree times M_i where the network is homogeneous."""
        total = np.sum(self.factors * self.slopes * self.z, axis=0)
        if self.problem.network.trains_outer:
            total = total + np.sum(self.factors * self.hidden, axis=0)
        bias = self.parameters.output_bias
        return np.asarray(total if bias is None else total + bias @ self.pull)

    def weighted(self, weights: Array) -> Direction:
        """sum_i weights_i grad M_i, weights (n,)."""
        network = self.problem.network
        inner = self.problem.coordinates()
        forces = self.factors * self.slopes * weights
        moved = forces @ inner if network.directions is None else np.sum(forces[..., None] * inner, axis=1)
        pulls = self.pull * weights
        outer = pulls @ self.hidden.T if network.trains_outer else None
        return Direction(moved, outer, None if self.parameters.output_bias is None else pulls.sum(axis=1))

    @cached_property
    def velocity(self) -> Direction:
        """sum_i q_i grad M_i = -grad L / mean_i g_i, the mean over all samples.

        This is d theta / d tau where all samples are live.  Where some are not, tau runs slower, by the part that the g
        of the live samples are of all (`field.clock`), and the direction is the same.
        """
        return self.weighted(self.dual)

    @property
    def gradient_ratio(self) -> float:
        """|grad L| / mean_i g_i."""
        return self.velocity.norm


@dataclass(frozen=True, slots=True)
class Along:
    """What the claims need of every row, (T,) or (T, n); theta are all trained parameters, W outside the span too."""

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
    visited = []
    for row in range(run.trajectory.n_rows):
        at = Point.of(run.problem, run.state(row))
        visited.append(_row(run, at, start, before))
        before = at.parameters
    columns = [np.asarray(column) for column in zip(*visited, strict=True)]
    read = run.trajectory.read
    return Along(run.log1p_time, read("log_loss"), columns[0], read("margins"), *columns[1:])


def _row(run: AnalyzedRun, at: Point, start: Parameters, before: Parameters) -> tuple[float | Array, ...]:
    """The columns of `Along` that are worked out, from dual to euler after the mean slope."""
    return (
        log_mean(at.log_g),
        at.dual,
        run.problem.loss.smoothed_margin(at.p),
        size_of(run, at.parameters),
        _moved(run.problem, at.parameters, start),
        _moved(run.problem, at.parameters, before),
        at.gradient_ratio,
        at.sample_norms,
        at.euler,
    )


def size_of(run: AnalyzedRun, parameters: Parameters) -> float:
    """|theta|."""
    inside = _moved(run.problem, parameters, None)
    return float(np.hypot(inside, np.linalg.norm(run.outside_norms)))


def _moved(problem: Problem, now: Parameters, start: Parameters | None) -> float:
    """|now - start| of what is trained, start = None for 0; W outside the span does not move."""
    parts = [now.U if start is None else now.U - start.U]
    if problem.network.trains_outer:
        parts.append(now.outer if start is None else now.outer - start.outer)
    if now.output_bias is not None:
        before = None if start is None else start.output_bias
        parts.append(now.output_bias if before is None else now.output_bias - before)
    return float(np.hypot.reduce([np.linalg.norm(part) for part in parts]))
