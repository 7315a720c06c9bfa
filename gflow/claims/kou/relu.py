"""Kou et al., Appendices E and F, ReLU: the neurons that are active at the start lead, and what follows for the rank.

As in `growth`, c1 is measured: the largest with which Lemma E.1 is true on the rows.
"""

from __future__ import annotations

from math import log

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.limit import stable_rank
from gflow.analysis.rho import Decomposition
from gflow.claims.claim import Claim, Conclusion, above, at_most, condition
from gflow.claims.kou.coefficient_rows import CoefficientRows, grown, largest_constant, log_equality, log_lead, safe_log
from gflow.claims.kou.setting import (
    ROUNDING,
    KouSetting,
    balanced,
    constant_of,
    grown_rows,
    independent,
    judged,
    logistic,
    relu,
    setting_of,
    theorem,
    worst_of,
)
from gflow.flow_time import log_times


def first_active_lead(run: AnalyzedRun) -> Claim:
    """Lemma E.1 (a): the neurons of S_i(0) lead."""
    rho_rows, setting = grown(run), setting_of(run)
    fixed, open_ = theorem(run, relu(setting))
    conclusion = None if rho_rows is None else largest_constant(log_lead(rho_rows), rho_rows)
    statement = "ReLU: rho_{y_i,r,i} >= c1 |rho_{j,r',i'}| for r in S_i(0) and all j, r', i' (constant: largest c1)"
    return judged("kou.lemE1.a", statement, "rows", (*fixed, independent(run)), conclusion, open_)


def first_active_growth(run: AnalyzedRun) -> Claim:
    """Lemma E.1 (b): their coefficients grow logarithmically, with c1 of Lemma E.1 (a) measured."""
    rho_rows, setting = grown(run), setting_of(run)
    active = setting.active_part
    hypotheses = [relu(setting), logistic(run), balanced(setting), independent(run)]
    hypotheses.append(at_most("| |S_i(0)| - 0.5 m | <= 0.1 m for all i", float(np.abs(active - 0.5).max()), 0.1))
    conclusion = None
    if rho_rows is not None and float(active.min()) > 0.0:
        c1 = float(np.exp(log_lead(rho_rows).min()))
        e = setting.sizes.crowding / max(c1, 1e-300)
        hypotheses.append(at_most("5 Rmin^-2 n max |<x_i, x_k>| / c1 < 1, c1 measured", 5.0 * e, 0.999))
        if 5.0 * e < 1.0:
            rate = rho_rows.clock.log_t[:, None] + setting.log_rate + np.log(active)
            upper = log(2.5 / (1.0 - 5.0 * e)) + safe_log(np.logaddexp(0.0, rate + log(2.0) + 2.0 * setting.beta))
            lower = -log(2.5 * (1.0 + e)) + safe_log(np.logaddexp(0.0, rate - log(2.0) - setting.beta))
            slack = np.minimum(upper - safe_log(rho_rows.first_high), safe_log(rho_rows.first_low) - lower)
            conclusion = worst_of(slack.min(axis=1), rho_rows.clock.v)
    statement = (
        "c2 log(1 + kap_i |S_i(0)|/m e^-beta t/2) <= rho_{y_i,r,i} <= c3 log(1 + 2 kap_i |S_i(0)|/m e^{2 beta} t) for "
        "r in S_i(0), c2 = 1/(2.5 (1 + e)), c3 = 2.5/(1 - 5 e), e = Rmin^-2 n max |<x_i, x_k>| / c1"
    )
    return judged("kou.lemE1.b", statement, "rows", tuple(hypotheses), conclusion)


def wrong_coefficients(run: AnalyzedRun) -> Claim:
    """Lemma E.2: the coefficients of the other label stay small."""
    rho_rows, setting = grown(run), setting_of(run)
    hypotheses = (relu(setting), independent(run))
    conclusion = None
    if rho_rows is not None:
        c1 = float(np.exp(log_lead(rho_rows).min()))
        y = run.problem.y
        wrong = np.where(y > 0.0, rho_rows.wrong[:, :1], rho_rows.wrong[:, 1:])
        factor = setting.sizes.crowding / c1 if c1 > 0.0 else 0.0
        if c1 > 0.0 or setting.sizes.crowding == 0.0:
            bound = setting.beta + 1.0 + factor * rho_rows.first_low
            conclusion = worst_of((safe_log(bound) - safe_log(wrong)).min(axis=1), rho_rows.clock.v)
    statement = (
        "ReLU: |rho_{y_i,r,i'}| <= beta + 1 + Rmin^-2 n max |<x_i, x_k>| rho_{y_i,r',i} / c1 for r' in S_i(0), "
        "y_i' = -y_i, c1 measured"
    )
    return judged("kou.lemE2", statement, "rows", hypotheses, conclusion)


def draft_loss(run: AnalyzedRun) -> Claim:
    """The rate of the loss in the draft of the paper, which Theorems 4.1 and 4.3 improve."""
    rho_rows, setting = grown(run), setting_of(run)
    late, fallen = grown_rows(run)
    hypotheses = [logistic(run), balanced(setting), independent(run), fallen]
    conclusion = None
    if rho_rows is not None and setting.slope < 1.0 and late.size:
        a = _draft_power(rho_rows, setting)
        hypotheses.append(at_most("1 - a < 1 in L <= const t^-a, c1 measured", 1.0 - a, 0.999))
        v = run.log1p_time[late]
        log_A1 = np.logaddexp.reduce(-setting.log_rate) - log(setting.sizes.n) - log_times(v)
        conclusion = constant_of(run.trajectory.log_loss[late] - a * log_A1, v)
    statement = (
        "L <= const ((1/n) sum_i 1/(kap_i t))^a, a from c1 and the coherence, as in the draft of the paper (constant: "
        "least in the later half of log t, where L has begun to fall)"
    )
    return judged("kou.draft.loss", statement, "rows", tuple(hypotheses), conclusion)


def _draft_power(rho_rows: CoefficientRows, setting: KouSetting) -> float:
    """(1 - e) / (1 + e), e = slope^-2 crowding / c1 (leaky); (1 - 3.5 e) / (6.25 (1 + e)), e = crowding / c1 (ReLU)."""
    relu_like = setting.slope == 0.0
    c1 = float(np.exp((log_lead(rho_rows) if relu_like else log_equality(rho_rows, setting)).min()))
    if c1 == 0.0:
        return 0.0
    e = setting.sizes.crowding / c1
    if relu_like:
        return (1.0 - 3.5 * e) / (6.25 * (1.0 + e))
    e /= setting.slope**2
    return (1.0 - e) / (1.0 + e)


def moved_rank(run: AnalyzedRun) -> Claim:
    """Lemma F.1: the stable rank of the motion W_j - W_j(0) stays bounded."""
    setting = setting_of(run)
    fixed, open_ = theorem(run, relu(setting))
    late = float(log_times(run.log1p_time[-1:])[0]) >= -setting.log_widest
    beyond = condition("the last row is beyond n m / Rmax^2", late)
    moved = setting.c * (run.last.U - run.state(0).U)
    ranks = [stable_rank(moved[setting.sign == j]) for j in (1.0, -1.0) if (setting.sign == j).any()]
    known = [each for each in ranks if each is not None]
    conclusion = None
    if known:
        conclusion = Conclusion(True, max(known), constant=max(known) / setting.sizes.R**6)
    statement = "ReLU: SR(W_j - W_j(0)) <= c R^6 for late t, both signs j (constant: c at the last row)"
    return judged("kou.lemF1", statement, "last row", (*fixed, beyond), conclusion, open_)


def least_eigenvalue(run: AnalyzedRun) -> Claim:
    """The bound of the Gram matrix in the proof of Lemma F.1 (Gershgorin)."""
    sizes = setting_of(run).sizes
    least = float(np.linalg.eigvalsh(sizes.gram)[0])
    rounding = 1e-12 * sizes.n * sizes.Rmax**2
    conclusion = above(least + rounding, sizes.Rmin**2 - sizes.n * sizes.coherence)
    return judged("kou.lemF1.gram", "lambda_min(G) >= Rmin^2 - n max |<x_i, x_k>|", "data", (), conclusion)


def moved_norm(run: AnalyzedRun) -> Claim:
    """The bound of the spectral norm of the motion in the proof of Lemma F.1."""
    setting, decomposition = setting_of(run), Decomposition.of(run)
    hypotheses = (independent(run),)
    conclusion = None
    if hypotheses[0].holds:
        U = run.last.U
        scaled = decomposition.coefficients(U) / decomposition.norms**2
        reach = float(np.sqrt(np.linalg.solve(setting.sizes.gram, np.ones(setting.sizes.n)).sum()))
        moved = U - decomposition.start
        signs = [j for j in (1.0, -1.0) if (setting.sign == j).any()]
        norms = [float(np.linalg.norm(moved[setting.sign == j], 2)) for j in signs]
        bounds = [float(np.linalg.norm(scaled[setting.sign == j].sum(axis=1))) / reach for j in signs]
        k = int(np.argmin(np.array(norms) - np.array(bounds)))
        conclusion = above(setting.c * norms[k], setting.c * bounds[k], rounding=ROUNDING)
    statement = "||W_j - W_j(0)||_2 >= |A 1| / sqrt(1^T G^-1 1), A = (rho_ji / |x_i|^2), both signs j"
    return judged("kou.lemF1.norm", statement, "last row", hypotheses, conclusion)


CLAIMS = (
    first_active_lead,
    first_active_growth,
    wrong_coefficients,
    draft_loss,
    moved_rank,
    least_eigenvalue,
    moved_norm,
)
