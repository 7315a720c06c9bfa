"""Kou et al., Appendices G and H: margins stay close to each other, grow like log t, and the loss falls like 1/t.

Rates are d/dt where the paper has one step of size eta; the "+1" of Lemma G.1, an overshoot of one step, is dropped.
Where the run keeps running extremes the claims hold at every accepted step, otherwise at the rows.
"""

from __future__ import annotations

from math import log

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array, Index
from gflow.claims.claim import Checked, Claim, Hypothesis, above, below, condition
from gflow.claims.kou.setting import ROUNDING, explicit, judged, logistic, setting_of, worst_of
from gflow.flow_time import log_times
from gflow.reference.kernel import tangent_kernel
from gflow.trajectory.layout import UNBOUNDED

Extreme = tuple[float, float]
ROWS: Checked = "rows"
STEPS = 1e-3  # of log e^M: what extremes sampled at the ends of steps may miss of a rate inside them


def _found(run: AnalyzedRun, name: str, by_row: Array) -> tuple[Extreme, Checked]:
    """The running extreme `sup_...` or `inf_...`, or that of the rows (T,); where, and how it was looked at."""
    kept = run.extreme(name)
    if kept is not None:
        return kept, "every step"
    k = int(np.argmax(by_row) if name.startswith("sup") else np.argmin(by_row))
    return (float(by_row[k]), float(run.log1p_time[k])), "rows"


def _gap_bound(run: AnalyzedRun) -> float:
    """K1 = max(4 beta, log(60 R^2)) of Lemma G.1."""
    setting = setting_of(run)
    return max(4.0 * setting.beta, log(60.0 * setting.sizes.R**2))


def margin_gap(run: AnalyzedRun) -> Claim:
    """Lemma 5.9, with the constants of Lemma G.1: margins stay close to each other."""
    (gap, v), checked = _found(run, "sup_margin_gap", np.ptp(run.trajectory.margins, axis=1))
    statement = "M_i - M_k <= K1 = max(4 beta, log(60 R^2)) for all i, k, t"
    return judged("kou.lem5.9.gap", statement, checked, explicit(run), below(gap, _gap_bound(run), v))


def loss_ratio(run: AnalyzedRun) -> Claim:
    """Lemma 5.9, with the constants of Lemma G.1: the ratio of two sigmoid weights stays bounded."""
    log_g = run.problem.loss.log_slope(run.trajectory.margins)
    (gap, v), checked = _found(run, "sup_log_g_ratio", np.ptp(log_g, axis=1))
    bound = log(2.0) + float(np.logaddexp(0.0, _gap_bound(run)))
    statement = "log(g_i / g_k) <= log K2 = log(2 (1 + e^K1)) for all i, k, t"
    return judged("kou.lem5.9", statement, checked, explicit(run), below(gap, bound, v))


def least_margin(run: AnalyzedRun) -> Claim:
    """Lemma 5.9: no margin falls below -2 beta."""
    (least, v), checked = _found(run, "inf_min_margin", run.trajectory.margins.min(axis=1))
    conclusion = above(least, -2.0 * setting_of(run).beta, v, ROUNDING)
    return judged("kou.lem5.9.start", "M_i >= -2 beta for all i, t", checked, explicit(run), conclusion)


def margins_rise(run: AnalyzedRun) -> Claim:
    """Lemma 5.9: every margin rises."""
    margins = run.trajectory.margins
    rise = np.append(np.diff(margins, axis=0).min(axis=1, initial=np.inf), np.inf)
    (least, v), checked = _found(run, "inf_margin_rate", rise)
    conclusion = above(least, 0.0, v) if np.isfinite(least) else None
    statement = "no margin ever falls (least d M_i / d tau over all steps, or least rise between rows)"
    return judged("kou.lem5.9.rise", statement, checked, explicit(run), conclusion)


def _rates(run: AnalyzedRun) -> tuple[Extreme, Extreme, Checked] | None:
    """Least and largest n (dM_i/dt) / (g_i |x_i|^2) in the run's units; None where sliding hides it in every row."""
    low, high = run.extreme("inf_relative_margin_rate"), run.extreme("sup_relative_margin_rate")
    if low is not None and high is not None:
        return low, high, "every step"
    setting, problem = setting_of(run), run.problem
    overlap = problem.y[:, None] * problem.y * setting.sizes.gram * (setting.c / setting.m) ** 2
    margins = run.trajectory.margins
    lows, highs = [], []
    for row, pattern in enumerate(run.values("pattern")):
        if (pattern == 0).any():
            continue
        slopes = np.where(pattern > 0, 1.0, problem.network.slope)
        log_g = problem.loss.log_slope(margins[row])
        ratios = np.exp(np.clip(log_g - log_g[:, None], -700.0, 700.0))  # g_k / g_i
        rate = (tangent_kernel(overlap, slopes) * ratios).sum(axis=1) / np.diag(setting.sizes.gram)
        lows.append((float(rate.min()), float(run.log1p_time[row])))
        highs.append((float(rate.max()), float(run.log1p_time[row])))
    return (min(lows), max(highs), ROWS) if lows else None


def margin_rate(run: AnalyzedRun) -> Claim:
    """Equation (5.12): the rate of every margin, from both sides."""
    setting, rates = setting_of(run), _rates(run)
    conclusion, checked = None, ROWS
    if rates is not None:
        unit = setting.c**2 / setting.m  # from n dM/dt / (g |x|^2) to dM/dt_K / (kap g)
        (low, v_low), (high, v_high), checked = rates
        lower, upper = above(low / unit, 0.2, v_low, ROUNDING), below(high / unit, 3.0, v_high, ROUNDING)
        conclusion = min(lower, upper, key=lambda each: each.slack if each.slack is not None else -np.inf)
        conclusion = lower if not lower.holds else conclusion
    statement = "kap_i g_i / 5 <= dM_i/dt <= 3 kap_i g_i (dM_i/dt over kap_i g_i)"
    return judged("kou.eq5.12", statement, checked, explicit(run), conclusion)


def sandwich(run: AnalyzedRun) -> Claim:
    """Lemma 5.3 (H.1, H.2) for every margin, C1 and C2 from the extremes of its rate; C2, not C2 e^C2, for a flow."""
    setting, margins, v = setting_of(run), run.trajectory.margins, run.log1p_time
    names = ("inf_relative_margin_rate", "sup_relative_margin_rate", "inf_min_margin")
    kept = [each[0] for each in map(run.extreme, names) if each is not None]
    hypotheses = [
        condition("the extremes of every margin's rate over all steps are kept", len(kept) == len(names)),
        condition("float64 has the time of every row after the first", bool((v[1:] >= np.finfo(float).tiny).all())),
    ]
    conclusion = None
    if len(kept) == len(names):
        low, high, least = kept
        hypotheses.append(condition("every margin always rises", low > 0.0))
        hypotheses.append(condition("C2 is known (the largest rate fits float64)", high < UNBOUNDED))
    if all(each.holds for each in hypotheses):
        tail = float(np.logaddexp(0.0, -least)) if run.problem.loss.name == "logistic" else 0.0
        log_size = np.log(np.diag(setting.sizes.gram) / setting.sizes.n)
        t = log_times(v)[:, None]
        lower = np.logaddexp(margins[0], log(low) - tail + log_size + t)  # g >= e^-M / (1 + e^-least)
        upper = np.logaddexp(margins[0], log(high) + log_size + t)
        room = STEPS + ROUNDING * np.abs(margins)
        slack = (np.minimum(margins - lower, upper - margins) + room).min(axis=1)
        conclusion = worst_of(slack, v)
    statement = "C1 e^-M <= dM/dt <= C2 e^-M implies log(e^M(0) + C1 t) <= M <= log(e^M(0) + C2 t) (as ratios of e^M)"
    return judged("kou.lem5.3", statement, "rows", tuple(hypotheses), conclusion)


def _late(run: AnalyzedRun) -> tuple[Index, float, float]:
    """Rows after T = e^{2 beta}/3 n m / Rmin^2, and C3, c = 2 beta, of Lemma G.3."""
    setting = setting_of(run)
    c = 2.0 * setting.beta
    first = c - log(3.0) - float(setting.log_rate.min())
    rows = np.flatnonzero(log_times(run.log1p_time) >= first)
    return rows, max(log(6.0) + 1.0, log(5.0) + float(np.logaddexp(0.0, c))), c


def _reached(rows: Index) -> Hypothesis:
    return condition("the run goes beyond T = e^{2 beta}/3 n m / Rmin^2", rows.size > 0)


def margin_growth(run: AnalyzedRun) -> Claim:
    """Lemma G.3: margins grow like log t."""
    rows, C3, _ = _late(run)
    conclusion = None
    if rows.size:
        v = run.log1p_time[rows]
        gap = np.abs(run.trajectory.margins[rows] - log_times(v)[:, None] - setting_of(run).log_rate).max(axis=1)
        k = int(np.argmax(gap))
        conclusion = below(float(gap[k]), C3, float(v[k]))
    statement = "|M_i - log(kap_i t)| <= C3 = max(log 6 + 1, log(5 (1 + e^{2 beta}))) for t >= T"
    return judged("kou.lemG3", statement, "rows", (*explicit(run), _reached(rows)), conclusion)


def weight_decay(run: AnalyzedRun) -> Claim:
    """Lemma G.3: sigmoid weights fall like 1 / t."""
    rows, C3, c = _late(run)
    conclusion = None
    if rows.size:
        v = run.log1p_time[rows]
        log_g = run.problem.loss.log_slope(run.trajectory.margins[rows])
        scaled = log_g + log_times(v)[:, None] + setting_of(run).log_rate
        slack = np.minimum(C3 - scaled, scaled + C3 + float(np.logaddexp(0.0, c))).min(axis=1)
        conclusion = worst_of(slack, v)
    statement = "e^-C3 / (1 + e^{2 beta}) <= g_i kap_i t <= e^C3 for t >= T (ratio)"
    return judged("kou.lemG3.weights", statement, "rows", (*explicit(run), _reached(rows)), conclusion)


def loss_decay(run: AnalyzedRun) -> Claim:
    """Lemma G.4: the loss falls like 1 / t, with constants."""
    rows, C3, _ = _late(run)
    conclusion = None
    if rows.size:
        v, rate = run.log1p_time[rows], setting_of(run).log_rate
        log_A1 = np.logaddexp.reduce(-rate) - log(rate.size) - log_times(v)
        log_A2 = np.logaddexp.reduce(-2.0 * rate) - log(rate.size) - 2.0 * log_times(v)
        log_loss = run.trajectory.log_loss[rows]
        taken = 0.5 * np.exp(np.minimum(3.0 * C3 + log_A2 - log_A1, 1.0))  # of e^-C3 A1; from 1 on nothing is left
        lower = np.where(taken < 1.0, log_A1 - C3 + np.log1p(-np.minimum(taken, 1.0 - 1e-12)), -np.inf)
        conclusion = worst_of(np.minimum(C3 + log_A1 - log_loss, log_loss - lower), v)
    statement = "e^-C3 A1 - e^{2 C3} A2 / 2 <= L <= e^C3 A1, A_q = (1/n) sum_i (kap_i t)^-q, for t >= T (ratio)"
    return judged("kou.lemG4", statement, "rows", (*explicit(run), _reached(rows)), conclusion)


def weight_ratio(run: AnalyzedRun) -> Claim:
    """Lemma H.5 for the extreme margins of every row: z1 the largest and the least against each other."""
    margins, v = run.trajectory.margins, run.log1p_time
    log_g = run.problem.loss.log_slope
    slacks = []
    for z1, z2 in ((margins.max(axis=1), margins.min(axis=1)), (margins.min(axis=1), margins.max(axis=1))):
        ratio = log_g(z2) - log_g(z1)
        slacks.append(log(2.0) + np.logaddexp(0.0, z1 - z2) - ratio)
        slacks.append(np.where(z2 >= -1.0, ratio - (z1 - z2) + log(4.0), np.inf))
    statement = "g(z2)/g(z1) <= 2 (1 + e^{z1 - z2}), and >= e^{z1 - z2} / 4 where z2 >= -1, z1 and z2 extreme margins"
    return judged("kou.lemH5", statement, "rows", (logistic(run),), worst_of(np.min(slacks, axis=0), v))


def logarithms_approach(run: AnalyzedRun) -> Claim:
    """Lemma H.4 at the record times, with a and b the least kap_i and twice the largest."""
    rate, v = setting_of(run).log_rate, run.log1p_time
    t = log_times(v[v > 0.0])
    ratio = np.log(np.logaddexp(0.0, rate.min() + t)) - np.log(np.logaddexp(0.0, rate.max() + log(2.0) + t))
    conclusion = None
    if t.size > 1:
        step = np.diff(ratio)
        k = int(np.argmin(step))
        conclusion = above(float(step[k]), -1e-12, float(v[v > 0.0][k + 1]))
    statement = "log(1 + a t) / log(1 + b t) increases in t for b > a > 0 (least step of its logarithm between rows)"
    return judged("kou.lemH4", statement, "rows", (), conclusion)


CLAIMS = (
    sandwich,
    loss_ratio,
    margin_gap,
    least_margin,
    margins_rise,
    margin_rate,
    margin_growth,
    weight_decay,
    loss_decay,
    logarithms_approach,
    weight_ratio,
)
