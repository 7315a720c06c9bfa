"""Hypotheses and verdicts shared by the bounds of Frei et al., Section 4."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array, Bools
from gflow.claims.claim import (
    GRAIN,
    Checked,
    Conclusion,
    Hypothesis,
    above,
    at_least,
    at_most,
    below,
    condition,
)
from gflow.claims.data import loss_ratio_bound, near_orthogonal_42
from gflow.claims.frei.rows import rows_of
from gflow.claims.frei.setting import FreiSetting, setting_of

ROUNDING = 1e-9  # of what is exact but for float64 and the errors of the integration
SMALL_START = 1.0 / 50.0
TINY = 1e-300


def nearly_orthogonal(setting: FreiSetting) -> Hypothesis:
    """NO42 at the slope of the run."""
    return near_orthogonal_42(setting.sizes, setting.slope)


def logistic(run: AnalyzedRun) -> Hypothesis:
    """Section 4 speaks of this loss only."""
    return condition("logistic loss", run.problem.loss.name == "logistic")


def small_start(run: AnalyzedRun) -> Hypothesis:
    """The hypothesis that the condition on the start becomes by Lemma E.11 (a)."""
    value = float(np.abs(run.trajectory.read("margins", 0)).max())
    return at_most("|f(x_i; W(0))| <= 1/50 for all i", value, SMALL_START)


def uncrowded(setting: FreiSetting) -> Hypothesis:
    """|x_i|^2 >= 2 sum_{k != i} |<x_i, x_k>|, for the sample that is nearest to failing."""
    squares = np.diag(setting.sizes.gram)
    worst = int(np.argmin(squares - 2.0 * setting.sizes.crowd))
    name = "|x_i|^2 >= 2 sum_k |<x_i, x_k>| for all i"
    value, bound = float(squares[worst]), 2.0 * float(setting.sizes.crowd[worst])
    return at_least(name, value, bound, GRAIN * max(value, bound) + 2.0 * setting.n * setting.sizes.error)


def bounded_ratio(run: AnalyzedRun) -> Hypothesis:
    """max_ik g_i / g_k <= C_R throughout, as logs."""
    value, _, _ = largest(run, "sup_log_g_ratio", rows_of(run).measures.log_g_ratio)
    bound = float(np.log(loss_ratio_bound(setting_of(run).sizes, setting_of(run).slope)))
    return Hypothesis(
        "log max_ik g_i / g_k <= log C_R at all times", value <= bound, value, bound, log_slack(value, bound)
    )


def largest(run: AnalyzedRun, name: str, of_rows: Array) -> tuple[float, float, Checked]:
    """(value, log(1 + t), where it was looked at) of the running extreme, or of the rows where it is not kept."""
    extreme = run.extreme(name)
    if extreme is not None:
        return (*extreme, "every step")
    worst = int(np.argmax(of_rows))
    return float(of_rows[worst]), float(run.log1p_time[worst]), "rows"


def least(run: AnalyzedRun, name: str, of_rows: Array, unit: float) -> tuple[float, float, Checked]:
    """As `largest`, for the least value; of_rows (T,); unit: the extreme over it is in the units of the paper."""
    extreme = run.extreme(name)
    if extreme is not None:
        return extreme[0] / unit, extreme[1], "every step"
    worst = int(np.argmin(of_rows))
    return float(of_rows[worst]), float(run.log1p_time[worst]), "rows"


def no_more(run: AnalyzedRun, value: Array, bound: Array | float, rows: Bools | None = None) -> Conclusion | None:
    """value (T,) <= bound (T,) or () in these rows (T,) (default: all), both positive.

    The conclusion is about the row with the least slack; None without a row.
    """
    chosen = np.flatnonzero(np.ones(value.size, dtype=bool) if rows is None else rows)
    if not chosen.size:
        return None
    limits = np.broadcast_to(bound, value.shape)
    worst = chosen[np.argmin((limits - value)[chosen] / np.maximum(np.abs(limits[chosen]), TINY))]
    return below(float(value[worst]), float(limits[worst]), float(run.log1p_time[worst]), ROUNDING)


def no_less(run: AnalyzedRun, value: Array, bound: Array, rows: Bools | None = None) -> Conclusion | None:
    """value (T,) >= bound (T,) in these rows (T,) (default: all), both nonnegative.

    The conclusion is about the row with the least slack; None without a row.
    """
    chosen = np.flatnonzero(np.ones(value.size, dtype=bool) if rows is None else rows)
    chosen = chosen[bound[chosen] > 0.0]
    if not chosen.size:
        return None
    worst = chosen[np.argmin(value[chosen] / bound[chosen])]
    return above(float(value[worst]), float(bound[worst]), float(run.log1p_time[worst]), ROUNDING)


def log_slack(value: float, bound: float) -> float:
    """bound / value of numbers given by their logs, up to e^700."""
    return float(np.exp(min(bound - value, 700.0)))


def below_log(value: float, bound: float, log1p_time: float) -> Conclusion:
    """value <= bound, both logs; the slack is the ratio of the numbers themselves."""
    room = ROUNDING + 1e-13 * abs(value)
    return Conclusion(value <= bound + room, value, bound, log_slack(value, bound), log1p_time=log1p_time)


def no_more_log(run: AnalyzedRun, value: Array, bound: Array) -> Conclusion | None:
    """value (k,) <= bound (k,) in the last k rows, both as logs; None without a row."""
    if not value.size:
        return None
    worst = int(np.argmax(value - bound))
    v = float(run.log1p_time[worst - value.size])
    return below_log(float(value[worst]), float(bound[worst]), v)
