"""Kou et al., Theorems 4.1 (leaky ReLU) and 4.3 (ReLU), and what Section 5.3 and Lemma G.5 say of the same limit."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import limit_slopes
from gflow.analysis.rho import Decomposition
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, Hypothesis, below, condition
from gflow.claims.known_limit import limit_known
from gflow.claims.kou.setting import (
    ROUNDING,
    KouSetting,
    clipped_exp,
    constant_of,
    grown_rows,
    independent,
    judged,
    leaky,
    relu,
    setting_of,
    singular_excess,
    theorem,
)
from gflow.flow_time import log_times
from gflow.limit.limit_point import LimitPoint
from gflow.problem.parameters import Parameters
from gflow.problem.span import row_norms
from gflow.reference.margins import margins_at, slopes

SIGNS = (1.0, -1.0)


def theorem_of(run: AnalyzedRun) -> tuple[str, Hypothesis]:
    """The theorem that speaks of this activation: 4.1 for leaky ReLU, 4.3 for ReLU."""
    setting = setting_of(run)
    return ("4.3", relu(setting)) if setting.slope == 0.0 else ("4.1", leaky(setting))


def at_limit(
    run: AnalyzedRun,
    id: str,
    statement: str,
    of: Callable[[KouSetting, LimitPoint], Conclusion | None],
    *more: Hypothesis,
) -> Claim:
    """A claim of the theorem of this activation about the limit of the flow."""
    _, kind = theorem_of(run)
    fixed, open_ = theorem(run, kind)
    limit = run.limit
    conclusion = None if limit is None else of(setting_of(run), limit)
    return judged(id, statement, "limit", (*fixed, limit_known(run), *more), conclusion, open_)


def _classes(setting: KouSetting, W: Array) -> list[Array]:
    """The rows of W for each sign of a_j that occurs."""
    return [W[setting.sign == j] for j in SIGNS if (setting.sign == j).any()]


def _both_ways(sizes: Array) -> Conclusion:
    """Theta(log t) with the limits of sizes / log t: the least C with all of them in [1/C, C]."""
    if float(sizes.min()) <= ROUNDING * float(sizes.max()):
        return Conclusion(False, float(sizes.min()), 0.0)
    return Conclusion(True, constant=float(max(sizes.max(), 1.0 / sizes.min())))


def norms_grow(run: AnalyzedRun) -> Claim:
    """Theorems 4.1 and 4.3: weights grow like log t."""

    def of(setting: KouSetting, limit: LimitPoint) -> Conclusion:
        W = setting.c * setting.sizes.Rmax * limit.U
        if setting.slope > 0.0:
            return _both_ways(row_norms(W))
        each = _classes(setting, W)
        return _both_ways(np.array([f(A) for A in each for f in (np.linalg.norm, _spectral)]))

    name, _ = theorem_of(run)
    what = "|w_jr| of every neuron" if name == "4.1" else "Frobenius and spectral norm of W_j, both signs,"
    statement = f"Rmax {what} is Theta(log t) (constant: least C with the limit over log t in [1/C, C])"
    return at_limit(run, f"kou.thm{name}.norm", statement, of)


def _spectral(A: Array) -> float:
    return float(np.linalg.norm(A, 2))


def stable_ranks(run: AnalyzedRun) -> Claim:
    """Theorems 4.1 and 4.3: the stable ranks of W_+ and W_- in the limit."""

    def of(setting: KouSetting, limit: LimitPoint) -> Conclusion:
        excess = max(singular_excess(A) for A in _classes(setting, limit.U))
        if setting.slope > 0.0:
            return below(excess, ROUNDING)
        return Conclusion(bool(np.isfinite(excess)), 1.0 + excess, constant=1.0 + excess)

    name, _ = theorem_of(run)
    goal = "-> 1 (largest SR(W_j) - 1 of the limit)" if name == "4.1" else "stays below a constant (that of the limit)"
    return at_limit(run, f"kou.thm{name}.SR", f"SR(W_j) {goal}, both signs j", of)


def stable_rank_rate(run: AnalyzedRun) -> Claim:
    """The rate O(1 / log t) at the rows, in the log of the time of the paper; once frozen it is O(1 / log^2 t)."""
    setting, series = setting_of(run), run.trajectory.series
    fixed, open_ = theorem(run, leaky(setting))
    names = [name for name in ("stable_rank_plus", "stable_rank_minus") if name in series]
    v = run.log1p_time
    log_t = log_times(v) + setting.log_widest
    rows = np.flatnonzero(log_t >= 1.0)
    conclusion = None
    if rows.size and names:
        excess = np.max([series[name][rows] - 1.0 for name in names], axis=0)
        conclusion = constant_of(np.log(np.maximum(excess, 1e-300)) + np.log(log_t[rows]), v[rows])
    statement = "SR(W_j) - 1 <= C / log(Rmax^2 t / (n m)) from log = 1 on, both signs j (constant: least C at the rows)"
    return judged("kou.thm4.1.SR.rate", statement, "rows", fixed, conclusion, open_)


def margins_meet(run: AnalyzedRun) -> Claim:
    """Theorems 4.1 and 4.3: all normalised margins meet."""

    def of(_: KouSetting, limit: LimitPoint) -> Conclusion:
        return below(float(np.ptp(limit.margins)) / max(float(np.abs(limit.margins).max()), 1e-300), ROUNDING)

    name, _ = theorem_of(run)
    statement = "|M_i - M_k| / |W|_F -> 0 for all i, k (largest difference over the largest margin of the limit)"
    return at_limit(run, f"kou.thm{name}.margin", statement, of)


def loss_decays(run: AnalyzedRun) -> Claim:
    """If every margin grows, t L -> sum_i lambda_i of a known limit; the constant is measured on the later rows."""
    late, fallen = grown_rows(run)

    def of(setting: KouSetting, limit: LimitPoint) -> Conclusion | None:
        fitted, v = float(limit.margins.min()), run.log1p_time
        if fitted < 1.0 - ROUNDING:
            return Conclusion(False, fitted, 1.0)
        if not late.size:
            return None
        log_A1 = np.logaddexp.reduce(-setting.log_rate) - log(setting.sizes.n) - log_times(v[late])
        size = np.abs(run.trajectory.log_loss[late] - log_A1)
        return Conclusion(
            True, constant=clipped_exp(float(size.max())), log1p_time=float(v[late][int(np.argmax(size))])
        )

    name, _ = theorem_of(run)
    statement = (
        "L = Theta(1/t) (constant: least C with L (1/n sum_i 1/(kap_i t))^-1 in [1/C, C] in the later half of log t, "
        "where L has begun to fall)"
    )
    return at_limit(run, f"kou.thm{name}.loss", statement, of, fallen)


def smooth_rates(run: AnalyzedRun) -> Claim:
    """Section 5.3, from Lyu and Li, with homogeneity 1; t L -> |W*|^2 is the constant of the limit."""

    v, read = run.log1p_time[-1:], run.trajectory.read
    log_t = float(log_times(v)[0])
    norm = float(np.sqrt((run.last.U**2).sum() + (run.outside_norms**2).sum()))

    def of(limit: LimitPoint) -> Conclusion | None:
        fitted = float(limit.margins.min())
        if fitted < 1.0 - ROUNDING:
            return Conclusion(False, fitted, 1.0)
        if not begun:
            return None
        of_loss = abs(float(read("log_loss", -1)) + log_t - log(float(limit.multipliers.sum())))
        of_norm = abs(log(norm) - log(log_t) - log(float(np.linalg.norm(limit.U))))
        return Conclusion(True, constant=clipped_exp(max(of_loss, of_norm)), log1p_time=float(v[0]))

    limit = run.limit
    begun = log_t > 0.0 and norm > 0.0
    below_start = float(run.trajectory.read("log_loss", -1)) < _log_threshold(run)
    hypotheses = (
        condition("L < loss(0) / n at the last row", below_start),
        condition("the last row is beyond t = 1 and W = 0", begun),
        limit_known(run),
    )
    statement = (
        "L = Theta(1/t) and |W| = Theta(log t) (constant: least C with t L / |W*|^2 and |W| / (|W*| log t) in [1/C, C] "
        "at the last row)"
    )
    conclusion = None if limit is None else of(limit)
    return judged("kou.sec5.3.LL", statement, "limit", hypotheses, conclusion)


def _log_threshold(run: AnalyzedRun) -> float:
    start = run.problem.loss.log_value(np.zeros(1))[0]
    return float(start) - log(run.problem.samples)


def kkt(run: AnalyzedRun) -> Claim:
    """The KKT conditions are checked by their definition, independently of how the limit was computed."""
    problem, limit = run.problem, run.limit
    conclusion = None
    if limit is not None:
        a, lam, used = problem.network.outer, limit.multipliers, limit_slopes(problem, limit)
        rebuilt = a[:, None] * ((used * lam * problem.y) @ problem.span.C)
        size = max(float(np.linalg.norm(limit.U)), 1e-300)
        z = problem.preactivations(limit.U)
        margins = margins_at(problem, Parameters(limit.U, a))
        floor = ROUNDING * size * row_norms(problem.span.C)
        off = np.where(np.abs(z) > floor, used - slopes(problem.network, z), 0.0)
        off_branch = float(np.abs(off)[:, lam > 0.0].max(initial=0.0))
        outside = max(float(used.max()) - 1.0, problem.network.slope - float(used.min()), 0.0)
        parts = (
            float(np.linalg.norm(limit.U - rebuilt)) / size,
            float((1.0 - margins).max()),
            float(np.abs(lam * (margins - 1.0)).max() / max(float(lam.max()), 1e-300)),
            off_branch,
            outside,
            float((-lam).max()),
        )
        conclusion = below(max(parts), ROUNDING)
    statement = "the limit is, after scaling, a KKT point of min |W|_F^2 / 2 with all margins >= 1 (largest residual)"
    everywhere = limit is not None and bool((limit.margins > 0.0).all())
    fitted = condition("the loss goes to 0 (some neuron is active on every sample)", everywhere)
    return judged("kou.thm4.1.kkt", statement, "limit", (limit_known(run), fitted), conclusion)


def limit_coefficients(run: AnalyzedRun) -> Claim:
    """Lemma G.5: the coefficients of the limit are multipliers."""

    def of(setting: KouSetting, limit: LimitPoint) -> Conclusion | None:
        if not independent(run).holds or setting.slope == 0.0:
            return None
        signed = Decomposition.of(run).moved_alone(limit.U) * setting.sign[:, None] * run.problem.y
        final_slopes = np.where(setting.own, 1.0, setting.slope)
        common = (signed * final_slopes).sum(axis=0) / (final_slopes**2).sum(axis=0)
        gap = np.abs(signed - final_slopes * common).max() / np.abs(common).max()
        return below(max(float(gap), float(-common.min() / common.max())), ROUNDING)

    statement = (
        "lim rho_{y_i,r,i} / |W| = lam'_i for all r, and lim rho_{-y_i,r,i} / |W| = -slope lam'_i, lam'_i >= 0 (gap "
        "over the largest)"
    )
    claim = at_limit(run, "kou.lemG5", statement, of)
    more = (leaky(setting_of(run)), independent(run))
    return judged(claim.id, statement, "limit", (*claim.hypotheses, *more), claim.conclusion)


CLAIMS = (
    norms_grow,
    stable_ranks,
    stable_rank_rate,
    margins_meet,
    kkt,
    loss_decays,
    limit_coefficients,
    smooth_rates,
)
