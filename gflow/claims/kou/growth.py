"""Kou et al., Appendices B, C, E and F: how fast the coefficients rho grow, and how equal they stay.

Sums over steps of size eta are integrals here.  Constants that the paper calls c1 are measured: the largest with which
Lemma C.1 (leaky) or E.1 (ReLU) is true on the rows of this run; what follows from them is then explicit."""

from __future__ import annotations

from math import log
from weakref import WeakKeyDictionary

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.rho import Decomposition, RhoResult, coefficients
from gflow.analysis.rho import rho as identities_of
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, above, at_most, below
from gflow.claims.kou.coefficient_rows import CoefficientRows, grown, largest_constant, log_equality, safe_log
from gflow.claims.kou.setting import (
    ROUNDING,
    KouSetting,
    balanced,
    independent,
    judged,
    leaky,
    logistic,
    setting_of,
    theorem,
    worst_of,
)
from gflow.reference.margins import hidden
from gflow.trajectory import Record

_identities: WeakKeyDictionary[Record, RhoResult] = WeakKeyDictionary()


def _rho(run: AnalyzedRun) -> RhoResult:
    if run.trajectory not in _identities:
        _identities[run.trajectory] = identities_of(run)
    return _identities[run.trajectory]


def update_rule(run: AnalyzedRun) -> Claim:
    """Lemma 5.2, the update rule of rho, as an identity of the masses and the clock."""
    books = _rho(run).bookkeeping
    conclusion = None if books is None else below(books.value, ROUNDING, books.log1p_time)
    statement = (
        "rho_ji by least squares moves by a_j y_i |x_i|^2 phi'_ji dc_i, with one dc_i for all neurons and sum_i dc_i = "
        "d tau (largest gap over tau)"
    )
    return judged("kou.lem5.2", statement, "rows", (independent(run),), conclusion)


def sign_rule(run: AnalyzedRun) -> Claim:
    """Lemma 5.2: the signs of rho."""
    sign = _rho(run).sign_excess
    conclusion = None if sign is None else below(sign.value, ROUNDING, sign.log1p_time)
    statement = (
        "rho_ji sign(a_j) y_i >= 0 for all j, i, t: largest -rho_ji sign(a_j) y_i over max_j |rho_ji| of the same "
        "sample i, among samples whose coefficients exceed rounding"
    )
    return judged("kou.lem5.2.sign", statement, "rows", (independent(run),), conclusion)


def ratio_bound(run: AnalyzedRun) -> Claim:
    """What slopes in [slope, 1] alone give of Lemma C.4: the ratio for one sample."""
    ratio = _rho(run).ratio_slack
    conclusion = None if ratio is None else above(ratio.value, 1.0, ratio.log1p_time, ROUNDING)
    statement = "slope <= |rho_ji| / |rho_j'i| <= 1 / slope for any two neurons, at all times (slack)"
    return judged("kou.C4.elementary", statement, "rows", (leaky(setting_of(run)), independent(run)), conclusion)


def equal_totals(run: AnalyzedRun) -> Claim:
    """Lemma C.1: the sums of |rho| over neurons are of one size on all samples."""
    rho_rows, setting = grown(run), setting_of(run)
    fixed, open_ = theorem(run, leaky(setting))
    conclusion = (
        None if rho_rows is None or not fixed[0].holds else largest_constant(log_equality(rho_rows, setting), rho_rows)
    )
    statement = "sum_r |rho_jri| >= c1 slope^2 sum_r |rho_j'ri'| for all signs and samples (constant: largest c1)"
    return judged("kou.lemC1", statement, "rows", (*fixed, independent(run)), conclusion, open_)


def early_growth(run: AnalyzedRun) -> Claim:
    """Lemma C.2: the growth of single |rho_ji| as long as the g_i are not small."""
    rho_rows, setting = grown(run), setting_of(run)
    hypotheses = (leaky(setting), logistic(run), independent(run))
    conclusion = None
    if rho_rows is not None and hypotheses[0].holds:
        least_g = np.minimum.accumulate(rho_rows.clock.log_g.min(axis=1)) + log(setting.slope)
        low, high, t = safe_log(rho_rows.low), safe_log(rho_rows.high), rho_rows.clock.log_t
        slacks = (
            low - high - least_g + 2.0 * log(setting.sizes.R),
            low - least_g - setting.log_rate.min() - t,
            setting.log_widest + t - high,
        )
        conclusion = worst_of(np.min(slacks, axis=0), rho_rows.clock.v)
    statement = (
        "with ct = min g up to t: |rho_ji| >= ct slope / R^2 |rho_j'i'| and ct slope Rmin^2 t / (n m) <= |rho_ji| <= "
        "Rmax^2 t / (n m)"
    )
    return judged("kou.lemC2", statement, "rows", hypotheses, conclusion)


def logarithmic_growth(run: AnalyzedRun) -> Claim:
    """Lemma C.3: logarithmic growth of the sums of |rho|, with c3 of Lemma C.1 measured."""
    rho_rows, setting = grown(run), setting_of(run)
    hypotheses = [leaky(setting), logistic(run), balanced(setting), independent(run)]
    conclusion = None
    if rho_rows is not None and hypotheses[0].holds:
        c3 = float(np.exp(log_equality(rho_rows, setting).min()))
        e = setting.sizes.crowding / max(c3, 1e-300)
        used = e / setting.slope**3
        hypotheses.append(at_most("1 - c5 = slope^-3 c3^-1 Rmin^-2 n max |<x_i, x_k>| < 1, c3 measured", used, 0.999))
        conclusion = (
            worst_of(_growth_slack(rho_rows, setting, run.problem.y, e), rho_rows.clock.v) if used < 1 else None
        )
    statement = (
        "(1/m) sum_r |rho_ri| of either sign lies between logarithms of 1 + const t, const from c4, c5, c6 (ratio "
        "to the bounds)"
    )
    return judged("kou.lemC3", statement, "rows", tuple(hypotheses), conclusion)


def _growth_slack(rho_rows: CoefficientRows, setting: KouSetting, y: Array, e: float) -> Array:
    """Least log(bound / value) of the four bounds of Lemma C.3, (T',); e = c3^-1 Rmin^-2 n coherence."""
    lk, beta = setting.slope, setting.beta
    c4, c5, c6 = 1.0 - e / lk**2, 1.0 - e / lk**3, 1.0 + e / lk**2
    own, other = (safe_log(rho_rows.totals_of(y, each)) for each in (True, False))
    rate, start = rho_rows.clock.log_t[:, None] + setting.log_rate, -(lk + 1.0) * beta

    def log_curve(factor: float, inner: float, shift: float) -> Array:
        return np.asarray(log(factor) + np.log(np.logaddexp(0.0, log(inner) + rate + shift)))

    slacks = (
        log_curve(1.0 / c4, c4, 2.0 * beta) - own,
        log_curve(1.0 / (c5 * lk), lk * c5, 2.0 * beta) - other,
        own - log_curve(1.0 / (2.0 * c6), lk * c6, start),
        other - log_curve(lk / (2.0 * c6), c6, start),
    )
    return np.asarray(np.min(slacks, axis=0).min(axis=1))


def equal_coefficients(run: AnalyzedRun) -> Claim:
    """Lemma C.4: all |rho_ji| are of one size."""
    rho_rows, setting = grown(run), setting_of(run)
    fixed, open_ = theorem(run, leaky(setting))
    conclusion = None
    if rho_rows is not None and fixed[0].holds:
        conclusion = largest_constant(
            safe_log(rho_rows.low) - safe_log(rho_rows.high) - 4.0 * log(setting.slope), rho_rows
        )
    statement = "|rho_jri| >= c1 slope^4 |rho_j'r'i'| for all indices (constant: largest c1)"
    return judged("kou.lemC4", statement, "rows", (*fixed, independent(run)), conclusion, open_)


def triangle(run: AnalyzedRun) -> Claim:
    """Inequality (C.16): the output of the neurons of one sign is their mean rho, up to the other samples."""
    setting = setting_of(run)
    hypotheses = (balanced(setting), independent(run))  # the sums over r, of either sign, have m terms
    conclusion = _triangle(run, setting) if hypotheses[1].holds else None
    statement = (
        "|F_{y_i}(x_i) - (1/m) sum_r rho_{y_i,r,i}| <= (1/m) sum_{i' != i} sum_r |rho_{y_i,r,i'}| max |<x_i, x_k>| "
        "/ Rmin^2 + beta"
    )
    return judged("kou.C16.tri", statement, "rows", hypotheses, conclusion)


def _triangle(run: AnalyzedRun, setting: KouSetting) -> Conclusion | None:
    decomposition, problem = Decomposition.of(run), run.problem
    near = setting.sizes.coherence / setting.sizes.Rmin**2
    found: Conclusion | None = None
    for row, rho, U in coefficients(run, decomposition):
        output = (hidden(problem.network, problem.preactivations(U)) * setting.own).sum(axis=0) * setting.c / setting.m
        size = setting.c / setting.m * np.abs(rho)
        own = (size * setting.own).sum(axis=0)
        by_sign = np.array([size[setting.sign == j].sum() for j in (1.0, -1.0)])
        others = np.where(problem.y > 0.0, by_sign[0], by_sign[1]) - own
        bound = others * near + setting.beta
        room = ROUNDING * (1.0 + own)
        excess = np.abs(output - own) - bound - room
        k = int(np.argmax(excess))
        if found is None or float(excess[k]) > (found.value or 0.0) - (found.bound or 0.0):
            value, limit = float(np.abs(output - own)[k]), float(bound[k] + room[k])
            found = below(value, limit, float(run.log1p_time[row]))
    return found


CLAIMS = (
    update_rule,
    sign_rule,
    ratio_bound,
    equal_totals,
    early_growth,
    logarithmic_growth,
    equal_coefficients,
    triangle,
)
