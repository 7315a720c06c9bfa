"""Kou et al., Lemmas 5.6, 5.7 and D.1 to D.4, leaky ReLU: when the pattern is final, and what is equal from then on."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.rho import Decomposition, coefficients
from gflow.arrays import Array, Sides
from gflow.claims.claim import Claim, Conclusion, Hypothesis, at_most, below, condition
from gflow.claims.known_limit import limit_known, standing_of
from gflow.claims.kou.coefficient_rows import coefficient_rows_of
from gflow.claims.kou.setting import (
    ROUNDING,
    KouSetting,
    clipped_exp,
    independent,
    judged,
    leaky,
    logistic,
    recorded,
    setting_of,
    singular_excess,
    theorem,
    worst_of,
)
from gflow.flow_time import log_times


def final_pairs(run: AnalyzedRun, pattern: Sides) -> bool:
    """Is sign <w_j, x_i> = sign(a_j) y_i for all pairs of a pattern (m, n)?"""
    return bool((pattern == np.where(setting_of(run).own, 1, -1)).all())


def _freezing(run: AnalyzedRun) -> tuple[tuple[Hypothesis, ...], float | None]:
    """Leaky ReLU with every pair at its final sign at the last row, and log(1 + t) of the last event; None if not."""
    hypotheses = (
        leaky(setting_of(run)),
        recorded(run),
        condition(
            "sign <w_j, x_i> = sign(a_j) y_i at the last row",
            final_pairs(run, run.trajectory.read("pattern", -1)),
        ),
    )
    frozen = all(each.holds for each in hypotheses)
    return hypotheses, float(run.trajectory.events.log1p_time.max(initial=0.0)) if frozen else None


def freezing(run: AnalyzedRun) -> Claim:
    """Judged by the events where every pair has its final sign at the last row; else inferred from the limit, as the
    claim then states.

    No run can show that the signs stay for ever: this is known where the limit is known.
    """
    setting = setting_of(run)
    fixed, open_ = theorem(run, leaky(setting))
    _, last = _freezing(run)
    limit, standing = run.limit, standing_of(run)
    kept = limit is None or final_pairs(run, run.problem.sample_sides(limit.side))
    claimed = "after T = C n m / Rmax^2, sign <w_j, x_i> = sign(a_j) y_i for all pairs, for ever"
    if last is not None:
        log_C = float(log_times(np.array([last]))[0]) + setting.log_widest if last > 0.0 else None
        ahead = f"after it as in the {standing} limit" if limit is not None else "what comes after it is not known"
        seen = f"{claimed}: from the last event to the last row; {ahead} (constant: log C, none without an event)"
        conclusion = Conclusion(kept, constant=log_C, log1p_time=last)
        return judged("kou.lem5.6", seen, "every step", (*fixed, recorded(run)), conclusion, open_)
    inferred = f"{claimed}: not seen at the last row, inferred from the {standing} limit (no constant)"
    known = Conclusion(kept) if limit is not None and fixed[0].holds else None
    return judged("kou.lem5.6", inferred, "limit", (*fixed, limit_known(run)), known, open_)


def certificate(run: AnalyzedRun) -> Claim:
    """The sufficient condition in the proof of Lemma C.5, with c1 of Lemma C.1 measured; then the signs are final."""
    setting, rho_rows = setting_of(run), coefficient_rows_of(run) if independent(run).holds else None
    hypotheses: tuple[Hypothesis, ...] = (leaky(setting), independent(run))
    conclusion = None
    if rho_rows is not None and rho_rows.low.size and hypotheses[0].holds:
        c1 = float(np.exp(rho_rows.pairs_low().min())) / setting.slope**2
        allowed = c1 * setting.slope**4
        left = (1.0 - setting.sizes.crowding / allowed) * float(rho_rows.low[-1]) if allowed > 0.0 else -np.inf
        holds = left > setting.beta
        slack = left / setting.beta if setting.beta > 0.0 else None
        name = "(1 - slope^-4 c1^-1 Rmin^-2 n max |<x_i, x_k>|) min |rho_ji| > beta"
        hypotheses += (Hypothesis(name, holds, left, setting.beta, slack),)
        conclusion = Conclusion(final_pairs(run, run.trajectory.read("pattern", int(rho_rows.clock.row[-1]))))
    statement = "the certificate of Lemma C.5, met at the last row, implies sign <w_j, x_i> = sign(a_j) y_i there"
    return judged("kou.lem5.6.certificate", statement, "last row", hypotheses, conclusion)


def equal_increments(run: AnalyzedRun) -> Claim:
    """Lemma 5.7: equal increments of |rho_ji| over the neurons of a sign, after freezing."""
    found, last = _freezing(run)
    hypotheses = (*found, independent(run))
    conclusion = _increments(run, last) if last is not None and hypotheses[-1].holds else None
    statement = (
        "after freezing, |rho_ji| grows by the same amount D_i for all neurons of the sign of y_i, and by slope D_i "
        "for the others (relative gap)"
    )
    return judged("kou.lem5.7", statement, "rows", hypotheses, conclusion)


def _increments(run: AnalyzedRun, last: float) -> Conclusion | None:
    setting, decomposition, v = setting_of(run), Decomposition.of(run), run.log1p_time
    final_slopes = np.where(setting.own, 1.0, setting.slope)
    first: Array | None = None
    worst, where = -1.0, 0.0
    for row, rho, U in coefficients(run, decomposition):
        if v[row] < last:
            continue
        if first is None:
            first = np.abs(rho)
            continue
        moved = (np.abs(rho) - first) / final_slopes
        common = moved.mean(axis=0)
        if common.min() <= 1e6 * decomposition.rounding(U).max():
            continue
        gap = float((np.abs(moved - common).max(axis=0) / common).max())
        worst, where = max((worst, where), (gap, float(v[row])))
    return below(worst, ROUNDING, where) if worst >= 0.0 else None


def _log_radius(setting: KouSetting, last: float) -> float:
    """log C', C' = Rmax^2 T / (n m), T the freezing time; -inf for T = 0."""
    return setting.log_widest + float(log_times(np.array([last]))[0])


def spread_of_coefficients(run: AnalyzedRun) -> Claim:
    """Lemma D.12: the spread of rho_ji over the neurons of a sign stays bounded."""
    setting = setting_of(run)
    found, last = _freezing(run)
    hypotheses = (*found, logistic(run), independent(run))
    conclusion = None
    if last is not None and hypotheses[-1].holds and coefficient_rows_of(run).low.size:
        rho_rows = coefficient_rows_of(run)
        room = ROUNDING * rho_rows.high
        bound = np.logaddexp(_log_radius(setting, last), np.log(room))
        with np.errstate(divide="ignore"):
            conclusion = worst_of(bound - np.log(rho_rows.spread), rho_rows.clock.v)
    statement = (
        "|rho_jri - rho_jr'i| <= C' = Rmax^2 T / (n m) for neurons of one sign at all times, T the time of the last "
        "event (ratio)"
    )
    return judged("kou.lemD12", statement, "rows", hypotheses, conclusion)


def stable_rank_bound(run: AnalyzedRun) -> Claim:
    """Lemma D.4 with two constants of its proof corrected.

    The cross term of |W_j u|^2 has a factor 2 that the paper drops, so K3 = 2.5 s + 3 k and K4 = 3.5 s k here, with
    s = sigma_0 sqrt(d) and k = C' sqrt(n) / Rmin; printed are 1.5 s + 3 k and 1.5 s^2 + 3 s k.
    """
    setting = setting_of(run)
    found, last = _freezing(run)
    sizes, d = setting.sizes, run.problem.X.shape[1]
    s = setting.W0_rms * float(np.sqrt(d))
    hypotheses = (
        *found,
        logistic(run),
        independent(run),
        at_most("n max |<x_i, x_k>| <= Rmin^2", sizes.crowding, 1.0),
        at_most("|w_j(0)|^2 <= 1.5 sigma_0^2 d (Lemma B.1)", float(setting.W0_norms.max()) ** 2, 1.5 * s**2),
    )
    conclusion = None
    if last is not None:
        k = clipped_exp(_log_radius(setting, last)) * float(np.sqrt(sizes.n)) / sizes.Rmin
        K = (3.0 * (s + k), 2.0 * (s + k) ** 2, 2.5 * s + 3.0 * k, 3.5 * s * k)
        hypotheses, conclusion = _rank_conclusion(run, setting, K, hypotheses)
    statement = (
        "SR(W_j) - 1 <= ((K1 + K3)|v| + K2 + K4) / (|v|^2 - K3 |v| - K4), about 6 (C' sqrt(n)/Rmin + sigma_0 sqrt(d)) "
        "/ |v|, v the motion of any neuron of sign j"
    )
    return judged("kou.lemD4", statement, "last row", hypotheses, conclusion)


def _rank_conclusion(
    run: AnalyzedRun, setting: KouSetting, K: tuple[float, float, float, float], hypotheses: tuple[Hypothesis, ...]
) -> tuple[tuple[Hypothesis, ...], Conclusion | None]:
    """The sign with the least slack; a further hypothesis: |v| is large enough for the denominator."""
    W = setting.c * run.trajectory.weights(run.trajectory.n_rows - 1)
    moved = W - setting.c * run.trajectory.W_initial
    found: Conclusion | None = None
    least = np.inf
    for j in (1.0, -1.0):
        mine = setting.sign == j
        size = float(np.linalg.norm(moved[mine][0])) if mine.any() else 0.0
        left = size**2 - K[2] * size - K[3]
        least = min(least, left)
        if left > 0.0:
            bound = ((K[0] + K[2]) * size + K[1] + K[3]) / left
            each = below(singular_excess(W[mine]), bound)
            if found is None or (each.slack or np.inf) < (found.slack or np.inf):
                found = each
    large = condition("|v|^2 > K3 |v| + K4 for both signs", least > 0.0)
    return (*hypotheses, large), found


CLAIMS = (
    freezing,
    certificate,
    equal_increments,
    spread_of_coefficients,
    stable_rank_bound,
)
