"""The analyzer of margins over time: growth and limit of the normalised margin, and how the loss shows the multipliers.

Once L < l(0) / n the smoothed normalised margin l^-1(n L) / |theta|^L never falls (Lyu and Li 2020, homogeneous
networks).  After the last event of a fixed-outer-layer network, with lambda > 0 and W* the limit at least margin 1,
    (t / n) g_i -> lambda_i ,    t L -> sum_i lambda_i = |W*|^2 ,    |W| / log t -> |W*| ,
the last only like 1 / log t.  Everything is taken in logarithms, since t and L leave float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.flow_time import log_expm1
from gflow.limit.limit_point import LimitPoint
from gflow.problem.loss import log_mean

# A fall of the margin, relative to its size, that steps of tolerance rtol may cause: this many rtol.
ALLOWED_STEPS = 10.0


@dataclass(frozen=True, slots=True)
class Growth:
    """The normalised margins from `since` = log(1 + t) on, the first row with L < l(0) / n; rows: how many.

    largest_fall: of the smoothed one between a row and a later one, over its largest size; allowed: by tolerances.
    plain_fall: likewise of min_i p_i / |theta|^L, which no theorem bounds.
    """

    since: float
    rows: int
    largest_fall: float
    allowed: float
    plain_fall: float


@dataclass(frozen=True, slots=True)
class Asymptotics:
    """Logarithms of quotients that tend to 1, so that 0 is agreement, at the last row.

    multipliers: log of (t / n) g_i over lambda_i, (n,), 0 where lambda_i = 0; worst_multiplier: its largest size;
    loss: log of t L over sum_i lambda_i; norm_ratio: |W| / log t over |W*|, the quotient itself.
    """

    multipliers: Array
    worst_multiplier: float
    loss: float
    norm_ratio: float


@dataclass(frozen=True, slots=True)
class MarginsResult:
    """verdict: of the growth of the smoothed normalised margin; `not applicable` for networks that are not
    homogeneous, and before L < l(0) / n.

    normalized_margin: min_i p_i / |theta|^L, smoothed_margin with l^-1(n L) for the least margin, at the last row (None
    for networks that are not homogeneous); limit_normalized_margin: where the limit is known.  spread: (largest -
    least margin) / largest; least_sample: which has the least margin.  log_loss_ratio: max log(g_i / g_k) at the last
    row; sup_log_loss_ratio: over the run where it keeps it, else over the rows.
    """

    verdict: Literal["holds", "violated", "not applicable"]
    summary: str
    min_margin: float
    least_sample: int
    spread: float | None
    normalized_margin: float | None
    smoothed_margin: float | None
    limit_normalized_margin: float | None
    log_loss_ratio: float
    sup_log_loss_ratio: float
    growth: Growth | None
    asymptotics: Asymptotics | None


def margins(run: AnalyzedRun) -> MarginsResult:
    """Judge the margins of all rows."""
    p, limit = run.last.p, run.limit
    smoothed, plain = (_last(run, name) for name in ("normalized_smoothed_margin", "normalized_margin"))
    growth = _growth(run) if run.homogeneous else None
    verdict: Literal["holds", "violated", "not applicable"] = "not applicable"
    if growth is not None:
        verdict = "holds" if growth.largest_fall <= growth.allowed else "violated"
    asymptotics = None if limit is None else _asymptotics(run, limit)
    log_g = run.problem.loss.log_slope(p)
    return MarginsResult(
        verdict,
        _summary(run, plain, growth, asymptotics),
        float(p.min()),
        int(np.argmin(p)),
        float((p.max() - p.min()) / p.max()) if p.max() > 0.0 else None,
        plain,
        smoothed,
        None if limit is None else limit.normalized_margin,
        float(log_g.max() - log_g.min()),
        _sup_ratio(run),
        growth,
        asymptotics,
    )


def _last(run: AnalyzedRun, name: str) -> float | None:
    """The last entry of a series over |theta|^L, which only homogeneous networks give a meaning."""
    if not run.homogeneous or name not in run.trajectory.series:
        return None
    return float(run.trajectory.read(f"series/{name}", -1))


def _growth(run: AnalyzedRun) -> Growth | None:
    """The growth of the margin; None where fewer than two rows have L < l(0) / n, or the series are not kept."""
    series = run.trajectory.series
    if not {"normalized_smoothed_margin", "normalized_margin"} <= set(series):
        return None
    at_zero = float(run.problem.loss.log_value(np.zeros(1))[0])
    below = run.trajectory.log_loss < at_zero - np.log(run.problem.samples)
    if below.sum() < 2:
        return None
    first = int(np.argmax(below))
    allowed = ALLOWED_STEPS * float(run.trajectory.facts["rtol"])
    smoothed, plain = (series[name][first:] for name in ("normalized_smoothed_margin", "normalized_margin"))
    return Growth(float(run.log1p_time[first]), smoothed.size, _fall(smoothed), allowed, _fall(plain))


def _fall(values: Array) -> float:
    """The largest fall from one entry to a later one, over the largest size; 0 where they never fall."""
    falls = np.maximum.accumulate(values) - values
    size = float(np.abs(values).max())
    return float(falls.max()) / size if size > 0.0 else 0.0


def _sup_ratio(run: AnalyzedRun) -> float:
    kept = run.extreme("sup_log_g_ratio")
    if kept is not None:
        return kept[0]
    slopes = (run.problem.loss.log_slope(p) for p in run.values("margins"))
    return max(float(log_g.max() - log_g.min()) for log_g in slopes)


def _asymptotics(run: AnalyzedRun, limit: LimitPoint) -> Asymptotics | None:
    """The quotients at the last row; None at t <= 1, where log t <= 0 is no unit."""
    state, loss = run.last, run.problem.loss
    if state.v <= np.log(2.0):
        return None
    log_t = log_expm1(state.v)
    n, support = run.problem.samples, limit.support
    gaps = np.zeros(n)
    log_g = loss.log_slope(state.p)
    gaps[support] = log_t - np.log(n) + log_g[support] - np.log(limit.multipliers[support])
    log_loss = log_t + log_mean(loss.log_value(state.p)) - float(np.log(limit.multipliers.sum()))
    size = float(np.hypot(np.linalg.norm(state.U), np.linalg.norm(run.outside_norms)))
    ratio = size / (log_t * float(np.linalg.norm(limit.U)))
    return Asymptotics(gaps, float(np.abs(gaps).max()), log_loss, ratio)


def _summary(run: AnalyzedRun, plain: float | None, growth: Growth | None, at: Asymptotics | None) -> str:
    if not run.homogeneous:
        return f"the network is not homogeneous; the least margin is {run.last.p.min():.4g} at the last row"
    ahead = "" if run.limit is None else f" and tends to {run.limit.normalized_margin:.5g}"
    sentence = "" if plain is None else f"the normalised margin is {plain:.5g} at the last row{ahead}; "
    if growth is None:
        sentence += "the loss is never below l(0) / n for two rows, so its growth is not judged"
    else:
        fall = f"falls by at most {growth.largest_fall:.2g} of its size" if growth.largest_fall > 0.0 else "never falls"
        sentence += f"smoothed, it {fall} once L < l(0) / n"
    if at is not None:
        sentence += f"; multipliers read off the losses are off by a factor e^{at.worst_multiplier:.2g} or less"
    return sentence
