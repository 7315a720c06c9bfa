"""Bounds from the proof of Frei et al., Section 4, for gradient descent, in the form that they have for gradient flow.

Sums eta sum_{s < t} Ghat(s) become tau = integral of Ghat, and terms with H or eta are gone.  Their conditions on eta
and on the start (A1, A2) become: |M_i(0)| <= 1/50, and, where a bound needs the start to be negligible, the rows from
which it is.  With slopes in [slope, 1] everywhere, all of it speaks of leaky ReLU as well as of smooth activations.
"""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.claims.claim import GRAIN, Claim, Conclusion, Judge, above, at_least, below, condition
from gflow.claims.data import loss_ratio_bound
from gflow.claims.frei import growth, pointwise, start
from gflow.claims.frei.checks import (
    ROUNDING,
    SMALL_START,
    below_log,
    largest,
    least,
    log_slack,
    logistic,
    nearly_orthogonal,
    no_more,
    no_more_log,
    small_start,
)
from gflow.claims.frei.rows import rows_of
from gflow.claims.frei.setting import is_leaky, is_smooth, setting_of

EARLY = 0.37  # <= 1 / (1 + e^(1/50)) - 1/8
LATE = 600.0  # log t beyond which every bound here is the constant one


def applies(run: AnalyzedRun) -> bool:
    """Leaky ReLU or smooth leaky activation, no bias, fixed a_j of one size (smooth: +-1/sqrt(m))."""
    return is_leaky(run) or is_smooth(run)


def lemma_e3_gradient(run: AnalyzedRun) -> Claim:
    """The gradient is at most Rmax Ghat."""
    setting = setting_of(run)
    value, v, checked = largest(run, "sup_gradient_ratio", setting.scale * rows_of(run).measures.gradient)
    conclusion = below(value / setting.scale, setting.sizes.Rmax, v, ROUNDING)
    statement = "|grad L|_F <= Rmax Ghat at all times: the largest |grad L|_F / Ghat"
    return Claim("frei.lemE3.grad", statement, checked, (), conclusion)


def lemma_e3_weight(run: AnalyzedRun) -> Claim:
    """Ghat is at most min(L, 1)."""
    rows = rows_of(run)
    conclusion = no_more_log(run, rows.measures.log_ghat, np.minimum(rows.log_loss, 0.0))
    statement = "Ghat <= min(L, 1) at all times, as logs: the row with the least slack"
    return Claim("frei.lemE3.ghat", statement, "rows", (logistic(run),), conclusion)


def _ratio(run: AnalyzedRun, id: str, statement: str, name: str, of_rows: Array, bound: float) -> Claim:
    """A difference of logs stays below log(bound) on nearly orthogonal data, from a small start."""
    value, v, checked = largest(run, name, of_rows)
    hypotheses = (nearly_orthogonal(setting_of(run)), small_start(run), logistic(run))
    return Claim(id, statement, checked, hypotheses, below_log(value, float(np.log(bound)), v))


def lemma_e4(run: AnalyzedRun) -> Claim:
    """The ratios of the sigmoid weights stay bounded."""
    setting = setting_of(run)
    statement = "max_ik g_i / g_k <= C_R = 10 R^2 / slope^2 + 10 at all times, as logs"
    of_rows = rows_of(run).measures.log_g_ratio
    bound = loss_ratio_bound(setting.sizes, setting.slope)
    return _ratio(run, "frei.lemE4", statement, "sup_log_g_ratio", of_rows, bound)


def lemma_e4_exponential(run: AnalyzedRun) -> Claim:
    """The ratios of the exponential losses stay bounded."""
    setting = setting_of(run)
    statement = "max_ik exp(-M_i) / exp(-M_k) <= 5 R^2 / slope^2 + 5 at all times, as logs"
    bound = 0.5 * loss_ratio_bound(setting.sizes, setting.slope)
    return _ratio(run, "frei.lemE4.exp", statement, "sup_margin_gap", rows_of(run).measures.margin_gap, bound)


def lemma_e8(run: AnalyzedRun) -> Claim:
    """How fast the ratio of two exponential losses can grow, as a rate."""
    setting = setting_of(run)
    bound = setting.sizes.Rmax**2 / (setting.n * loss_ratio_bound(setting.sizes, setting.slope))
    statement = (
        "d/dtau log of the ratio exp(-M_i) / exp(-M_k) + (slope^2 Rmin^2 g_i - Rmax^2 g_k) / (n Ghat) <= "
        "Rmax^2 / (C_R n) for all i, k"
    )
    conclusion = no_more(run, rows_of(run).measures.ratio_drift, bound)
    return Claim("frei.lemE8", statement, "rows", (nearly_orthogonal(setting),), conclusion)


def lemma_e11b(run: AnalyzedRun) -> Claim:
    """Every margin increases at all times."""
    setting, measures = setting_of(run), rows_of(run).measures
    log_ratio, _, _ = largest(run, "sup_log_g_ratio", measures.log_g_ratio)
    ratio = float(np.exp(min(log_ratio, 700.0)))
    sizes, slope = setting.sizes, setting.slope
    factor, squares = 2.0 * slope**-2 * ratio * setting.n, np.diag(sizes.gram)
    worst = int(np.argmin(squares - factor * sizes.nearest))
    data = at_least(
        "|x_k|^2 >= 2 slope^-2 C' n max_i |<x_i, x_k>| for all k, C' the largest g_i / g_k of the run",
        float(squares[worst]),
        float(factor * sizes.nearest[worst]),
        GRAIN * float(squares[worst]) + factor * sizes.error,
    )
    value, v, checked = least(run, "inf_margin_rate", measures.margin_speed, setting.scale**2)
    bound = slope**2 * sizes.Rmin**2 / (4.0 * ratio * setting.n)
    statement = "dM_k/dt >= slope^2 Rmin^2 / (4 C' n) Ghat for all k at all times: the least dM_k/dtau"
    return Claim("frei.lemE11.b", statement, checked, (data,), above(value, bound, v, ROUNDING))


def lemma_e11c(run: AnalyzedRun) -> Claim:
    """All samples are fitted soon: what holds after one step of descent, as a bound at all times.

    While M_k <= 1/50, g_k >= 0.495, and Ghat <= 1, so dM_k/dt >= (slope^2 |x_k|^2 g_k - n max_i |<x_i, x_k>| Ghat) / n
    >= (0.495 - 1/8) slope^2 Rmin^2 / n; and M_k(0) >= -1/50.
    """
    setting, rows = setting_of(run), rows_of(run)
    sizes, slope = setting.sizes, setting.slope
    factor = 8.0 * slope**-2
    speed = EARLY * slope**2 * sizes.Rmin**2 / setting.n
    due = np.minimum(SMALL_START, speed * np.expm1(np.minimum(rows.v, LATE)) - SMALL_START)
    least_margin = rows.measures.least_margin
    worst = int(np.argmin(least_margin - due))
    value, bound = float(least_margin[worst]), float(due[worst])
    room = 10.0 * float(run.trajectory.facts["rtol"])
    conclusion = Conclusion(value >= bound - room, value, bound, log1p_time=float(run.log1p_time[worst]))
    data = sizes.least_square("Rmin^2 >= 8 slope^-2 n max |<x_i, x_k>|", factor)
    statement = (
        "M_k(t) >= min(1/50, 0.37 slope^2 Rmin^2 t / n - 1/50) for all k, so all samples are fitted from "
        "t = n / (18 slope^2 Rmin^2) on: at the least room"
    )
    hypotheses = (data, small_start(run), logistic(run))
    return Claim("frei.lemE11.c", statement, "rows", hypotheses, conclusion)


def proposition_e10(run: AnalyzedRun) -> Claim:
    """The ratios of the exponential losses do not rise above a bound, from a start of any size.

    With i of the least margin and k of the largest, exp(M_k - M_i) = ratio > rho = 5 R^2 / slope^2 + 5 and M_i > 0,
    g_i >= ratio g_k / 2 and g_i >= Ghat, so that
    n d(M_k - M_i)/dt <= g_k Rmax^2 - slope^2 g_i Rmin^2 + 2 n Ghat coherence < 0; and the least margin grows.
    """
    setting, rows = setting_of(run), rows_of(run)
    fitted = np.flatnonzero(rows.measures.least_margin > 0.0)
    ratio = loss_ratio_bound(setting.sizes, setting.slope)
    conclusion = None
    if fitted.size:
        gap, v = rows.measures.margin_gap[fitted[0] :], run.log1p_time[fitted[0] :]
        bound = np.maximum(np.log(0.5 * ratio), np.minimum.accumulate(gap))
        worst = int(np.argmax(gap - bound))
        room = 10.0 * float(run.trajectory.facts["rtol"]) * max(1.0, float(gap[worst]))
        value, limit = float(gap[worst]), float(bound[worst])
        conclusion = Conclusion(
            value <= limit + room, value, limit, log_slack(value, limit), log1p_time=float(v[worst])
        )
    factor = 2.5 * ratio * setting.slope**-2
    name = "Rmin^2 >= slope^-2 (25 R^2 / slope^2 + 25) n max |<x_i, x_k>|"
    hypotheses = (
        setting.sizes.least_square(name, factor),
        logistic(run),
        condition("all samples are fitted in some row", fitted.size > 0),
    )
    statement = (
        "once all M_i > 0, max_ik exp(-M_i) / exp(-M_k) never rises where it is above 5 R^2 / slope^2 + 5, nor from "
        "below it to above: both as logs, at the row that is nearest to it"
    )
    return Claim("frei.propE10", statement, "rows", hypotheses, conclusion)


CLAIMS: tuple[Judge, ...] = (
    *growth.CLAIMS,
    *start.CLAIMS,
    *pointwise.CLAIMS,
    lemma_e3_gradient,
    lemma_e3_weight,
    lemma_e4,
    lemma_e4_exponential,
    lemma_e8,
    proposition_e10,
    lemma_e11b,
    lemma_e11c,
)
