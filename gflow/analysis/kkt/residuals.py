"""KKT residuals of one point of parameter space: stationarity, complementarity and multipliers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import limit_slopes
from gflow.analysis.kkt.fit import least_distance
from gflow.analysis.kkt.problem import Gradients, Multipliers
from gflow.arrays import Array, Sides
from gflow.limit.limit_point import LimitPoint
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far one point is from KKT.  None where the margins are not all positive: no scaling makes them 1 then.

    stationarity: |theta - sum_i lambda_i h_i| / |theta|, least over lambda >= 0 and all slopes at kinks.
    complementarity: max_i lambda_i (p_i - p_min) / (p_min sum_i lambda_i).  min_margin_ratio: p_min / max_i p_i.
    multipliers: lambda of the point at least margin 1, (n,); with K outputs (n, K), one for each pair of sample and
    wrong class, and margins are f_{y_i} - f_k.  epsilon: |theta - sum lambda_i h_i| and delta: sum_i lambda_i (p_i - 1)
    there.  kinks: pairs (neuron, margin) on a kink, `interior` of them with a slope strictly inside.
    determined: are the multipliers the only ones?  unique: are they among those that are 0 off the margin?
    on_margin: how many margins are the least one, to rounding.  at_least: proved lower bound of the stationarity that
    multipliers on these alone can reach, at the exact point: distances move by no more than the error of the point.
    """

    stationarity: float
    complementarity: float | None
    min_margin_ratio: float | None
    multipliers: Array | None
    epsilon: float | None
    delta: float | None
    min_margin: float
    kinks: int
    interior: int
    determined: bool
    unique: bool
    on_margin: int
    at_least: float | None


def residuals_of_row(run: AnalyzedRun, row: int) -> Residuals:
    """The residuals at one row, including the part of W outside the span of the samples."""
    state = run.state(row)
    return residuals(run.problem, state.parameters, state.side, float(np.linalg.norm(run.outside_norms)))


def residuals_of_limit(problem: Problem, limit: LimitPoint) -> Residuals:
    """The residuals at a limit, with its own multipliers and slopes unless others come closer."""
    parameters = Parameters(limit.U, problem.network.outer)
    return residuals(problem, parameters, limit.side, known=limit)


def residuals(
    problem: Problem,
    parameters: Parameters,
    side: Sides,
    outside: float = 0.0,
    known: LimitPoint | None = None,
) -> Residuals:
    """The residuals at parameters in span coordinates with sides (m, H); outside: |W_perp|, off all gradients."""
    gradients, slope = Gradients(problem, parameters, problem.sample_sides(side)), problem.network.slope
    weights, binding = (None, None) if known is None else (_weights(gradients, problem, known), known.binding)
    fit = least_distance(gradients, slope, weights, binding)
    size, distance, least = (
        float(np.hypot(part, outside)) for part in (gradients.length, fit.distance, fit.at_least or 0.0)
    )
    error = 0.0 if known is None else known.error
    p = gradients.p
    inside = (fit.slopes > slope) & (fit.slopes < 1.0)
    here = Residuals(
        stationarity=distance / size if size > 0.0 else 0.0,
        complementarity=None,
        min_margin_ratio=float(p.min() / p.max()) if p.max() > 0.0 else None,
        multipliers=None,
        epsilon=None,
        delta=None,
        min_margin=float(p.min()),
        kinks=gradients.margin.size,
        interior=int((inside & (fit.multipliers[gradients.margin] > 0.0)).sum()),
        determined=fit.determined,
        unique=fit.unique,
        on_margin=int(fit.on_margin.sum()),
        at_least=None if fit.at_least is None or not size > 0.0 else max(least - error, 0.0) / (size + error),
    )
    return _scaled(here, problem, gradients, fit.multipliers, distance) if p.min() > 0.0 else here


def _weights(gradients: Gradients, problem: Problem, known: LimitPoint) -> Multipliers:
    """The multipliers and slopes of a limit (one output), within their bounds."""
    lam = known.multipliers * gradients.units
    if not gradients.margin.size:
        return Multipliers(lam, np.zeros(0))
    slope, used = problem.network.slope, limit_slopes(problem, known)[gradients.neuron, gradients.margin]
    share = (used - slope) / (1.0 - slope)
    return Multipliers(lam, np.clip(share, 0.0, 1.0) * lam[gradients.margin])


def _scaled(here: Residuals, problem: Problem, gradients: Gradients, multipliers: Array, distance: float) -> Residuals:
    """The residuals of c theta, c = p_min^(-1/L), with gradients h c^(L-1), so lambda c^(2-L); p_min > 0 is needed."""
    degree, p = problem.network.homogeneity, gradients.p
    scaled, excess = multipliers * p.min() ** (1.0 - 2.0 / degree), p / p.min() - 1.0
    total = float(scaled.sum())
    return replace(
        here,
        complementarity=float((scaled * excess).max() / total) if total > 0.0 else 0.0,
        multipliers=_by_class(problem, gradients, scaled),
        epsilon=distance * float(p.min()) ** (-1.0 / degree),
        delta=float(scaled @ excess),
    )


def _by_class(problem: Problem, gradients: Gradients, multipliers: Array) -> Array:
    if gradients.other is None:
        return multipliers
    table = np.zeros((problem.samples, problem.network.outputs))
    table[gradients.sample, gradients.other] = multipliers
    return table
