"""Claims that hold once the loss is small: Lemmas 9 and 10, equation (5), and the invariant that follows from them."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.arrays import Array, Bools
from gflow.claims.chatterji.setting import ROUNDING, setting, total_loss
from gflow.claims.claim import (
    Claim,
    Conclusion,
    Hypothesis,
    Judge,
    above,
    at_least,
    at_most,
    below,
    condition,
    worst_row,
)

CONCAVE_UNTIL = 1.523  # of n L: beyond it the function of eq. (5) is not concave


def _weighted(rows: Along, values: Array) -> Array:
    """sum_i g_i values_i / (n L) (T,) of values (T, n)."""
    return np.asarray(np.exp(rows.log_mean_slope - rows.log_loss) * np.sum(rows.dual * values, axis=1))


def concave_bound(rows: Along) -> Array:
    """(1 - e^-nL) log(1 / (e^nL - 1)) / (n L) (T,); the logarithm is the smoothed margin."""
    fitted = total_loss(rows)
    share = np.divide(-np.expm1(-fitted), fitted, out=np.ones_like(fitted), where=fitted > 0.0)
    return np.asarray(share * rows.smoothed)


def _concave(rows: Along) -> tuple[Bools, Hypothesis]:
    """Rows with n L <= 1.523, and whether there is one."""
    fitted = total_loss(rows)
    return fitted <= CONCAVE_UNTIL, at_most("least n L over the rows", float(fitted.min()), CONCAVE_UNTIL)


def lemma9(run: AnalyzedRun) -> Claim:
    """sum_i psi(l_i) >= psi(nL) with psi(l) = (1 - e^-l) log(1 / (e^l - 1)), so psi(l_i) = g_i M_i."""
    setup, rows = setting(run), along(run)
    kept, fits = _concave(rows)
    gap = _weighted(rows, rows.margins) - concave_bound(rows)
    conclusion = _nonnegative(gap, rows, kept)
    return Claim(
        "chat.lem9",
        "sum_i g_i M_i >= (1 - e^-nL) log(1/(e^nL - 1)) while n L <= 1.523; the value is the least gap over n L.",
        "rows",
        (condition("logistic loss", setup.logistic), fits),
        conclusion,
    )


def equation5(run: AnalyzedRun) -> Claim:
    """<-grad L, V> >= ((1 - e^-nL) / n) log(1 / (e^nL - 1)) - L, divided by L."""
    setup, rows = setting(run), along(run)
    kept, fits = _concave(rows)
    gap = _weighted(rows, rows.euler) - (concave_bound(rows) - 1.0)
    return Claim(
        "chat.eq5",
        "<-grad L, V> >= ((1 - e^-nL)/n) log(1/(e^nL - 1)) - L while n L <= 1.523; the value is the least gap over L.",
        "rows",
        (*setup.network(), fits),
        _nonnegative(gap, rows, kept),
    )


def _nonnegative(gap: Array, rows: Along, kept: Bools) -> Conclusion:
    """gap >= 0 at the kept rows (all rows, for information, where none is kept)."""
    kept = kept if kept.any() else np.ones_like(kept)
    value, when = worst_row(gap[kept], rows.v[kept])
    room = ROUNDING * float(np.abs(rows.margins[kept]).max(initial=1.0))
    return Conclusion(value >= -room, value, 0.0, log1p_time=when)


def predicate(rows: Along) -> Array:
    """1 - (1 + log 2n) / log(1/L) - n L (T,), -inf where L >= 1."""
    log_inverse = -rows.log_loss
    n = rows.margins.shape[1]
    safe = np.where(log_inverse > 0.0, log_inverse, 1.0)
    return np.asarray(np.where(log_inverse > 0.0, 1.0 - (1.0 + np.log(2.0 * n)) / safe - total_loss(rows), -np.inf))


def small_loss(rows: Along) -> Hypothesis:
    """The explicit form of L <= n^-(1 + C1): the predicate reaches 5/6 in a row (it stays then, since L falls)."""
    best, wanted = float(predicate(rows).max()), 5.0 / 6.0
    name = "1 - (1 + log 2n)/log(1/L) - nL in the best row"
    return at_least(name, best, wanted) if np.isfinite(best) else condition(name, False)


def gradient_share(run: AnalyzedRun, rows: Along) -> Array:
    """|grad L| |V| / (L log(1/L)) (T,), which the reduction leaves alone; rows with L < 1 only."""
    log_inverse = np.where(rows.log_loss < 0.0, -rows.log_loss, np.inf)
    log_gradient = rows.log_mean_slope - rows.log_loss
    return np.asarray(np.exp(log_gradient) * rows.gradient_ratio * rows.size / log_inverse)


def lemma10(run: AnalyzedRun) -> Claim:
    """|grad L| >= (5/6) L log(1/L) / |V| once the predicate holds."""
    setup, rows = setting(run), along(run)
    small = predicate(rows) >= 5.0 / 6.0
    kept = small if small.any() else rows.log_loss < 0.0
    conclusion = None
    if kept.any():
        value, when = worst_row(gradient_share(run, rows)[kept], rows.v[kept])
        conclusion = above(value, 5.0 / 6.0, when, rounding=ROUNDING)
    return Claim(
        "chat.lem10",
        "|grad L| >= (5/6) L log(1/L) / |V| once L is small; the value is |grad L| |V| / (L log(1/L)).",
        "rows",
        (*setup.network(), small_loss(rows)),
        conclusion,
    )


def invariant3(run: AnalyzedRun) -> Claim:
    """log^2(1/L) / |V| is nondecreasing while |grad L| >= L log(1/L) / (2 |V|): the flow's form of I3."""
    rows = along(run)
    steep = (rows.log_loss < 0.0) & (gradient_share(run, rows) >= 0.5)
    first = rows.v.size - int(np.argmin(steep[::-1])) if not steep.all() else 0  # steep from there to the end
    hypothesis = condition("|grad L| >= L log(1/L) / (2 |V|) and L < 1 in the last two rows", first <= rows.v.size - 2)
    conclusion = None
    if hypothesis.holds:
        ratio = 2.0 * np.log(-rows.log_loss[first:]) - np.log(rows.size[first:])
        fall, when = worst_row(np.maximum.accumulate(ratio) - ratio, rows.v[first:], least=False)
        allowed = 10.0 * float(run.trajectory.facts["rtol"])
        conclusion = below(fall, allowed, when)
    return Claim(
        "chat.I3.GF",
        "log^2(1/L)/|V| never falls while |grad L| >= L log(1/L)/(2|V|); the value is the largest fall of its log.",
        "rows",
        (hypothesis,),
        conclusion,
    )


CLAIMS: tuple[Judge, ...] = (
    lemma9,
    equation5,
    lemma10,
    invariant3,
)
