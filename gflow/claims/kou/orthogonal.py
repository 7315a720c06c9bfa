"""Kou et al., Lemmas F.2 and F.3, Remark 4.4: ReLU on orthogonal inputs, where the signs at the start decide."""

from __future__ import annotations

from math import log

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.rho import Decomposition
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, Hypothesis, below, condition
from gflow.claims.known_limit import limit_known
from gflow.claims.kou.coefficient_rows import coefficient_rows_of
from gflow.claims.kou.patterns import losses, sides_after
from gflow.claims.kou.setting import (
    ROUNDING,
    KouSetting,
    balanced,
    judged,
    logistic,
    orthogonal,
    recorded,
    relu,
    setting_of,
    singular_excess,
    worst_of,
)

SIGNS = (1.0, -1.0)


def orthogonal_pattern(run: AnalyzedRun) -> Claim:
    """Lemma F.2: the pattern for orthogonal inputs."""
    setting = setting_of(run)
    hypotheses: tuple[Hypothesis, ...] = (relu(setting), orthogonal(setting), recorded(run))
    conclusion, waiting = None, 0
    if hypotheses[2].holds:
        first, last = (run.trajectory.read("pattern", row) for row in (0, -1))
        kept = np.where(setting.own, (last >= 0) == (first >= 0), (first >= 0) | (last < 0))
        started_wrong = ~setting.own & (first >= 0)
        moving_up = (sides_after(run)[0] > 0).sum()
        wrong = int((~kept).sum()) + losses(run, setting.start)[0] + int(moving_up)
        conclusion = Conclusion(wrong == 0, float(wrong), 0.0)
        waiting = int((last[started_wrong] > 0).sum())
    statement = (
        "ReLU, orthogonal inputs: the start decides the pattern; neurons of the sign of y_i keep their side, the "
        f"others never become active, though they stop being so (of those that started active {waiting} still are): "
        "number of exceptions"
    )
    return judged("kou.lemF2", statement, "every step", hypotheses, conclusion)


def orthogonal_rest(run: AnalyzedRun) -> Claim:
    """Lemma F.2: neurons that start inactive on a sample never move along it."""
    setting = setting_of(run)
    hypotheses = (relu(setting), orthogonal(setting))
    started = setting.start | (run.trajectory.read("pattern", 0) >= 0)
    conclusion = None
    if hypotheses[1].holds:
        decomposition = Decomposition.of(run)
        rho = decomposition.coefficients(run.last.U)
        size, most = np.abs(rho), float(np.abs(rho).max())
        conclusion = below(float(np.where(started, 0.0, size).max()), ROUNDING * most) if most > 0.0 else None
    statement = "ReLU, orthogonal inputs: rho_ji = 0 where <w_j(0), x_i> < 0 (largest of them against rounding)"
    return judged("kou.lemF2.rest", statement, "last row", hypotheses, conclusion)


def orthogonal_growth(run: AnalyzedRun) -> Claim:
    """Lemma F.2, with the factor |S_i(0)| / m before t in the lower bound, which the printed bound lacks.

    Each of the |S_i(0)| coefficients grows by kap_i g_i, so their mean over m neurons by kap_i g_i |S_i(0)| / m.
    """
    setting = setting_of(run)
    hypotheses = (
        relu(setting),
        logistic(run),
        balanced(setting),
        orthogonal(setting),
        above_zero("|S_i(0)| >= 1 for all i", float(setting.start.sum(axis=0).min())),
    )
    conclusion = None
    if hypotheses[3].holds and hypotheses[4].holds and coefficient_rows_of(run).low.size:
        rho_rows, y = coefficient_rows_of(run), run.problem.y
        with np.errstate(divide="ignore"):
            own = np.log(rho_rows.totals_of(y, True))
        rate = rho_rows.clock.log_t[:, None] + setting.log_rate + np.log(setting.active_part)
        lower = np.log(np.logaddexp(0.0, rate - setting.beta - log(2.0)))
        upper = np.log(np.logaddexp(0.0, rate + 2.0 * setting.beta + log(2.0)))
        conclusion = worst_of(np.minimum(own - lower, upper - own).min(axis=1), rho_rows.clock.v)
    statement = (
        "log(1 + kap_i |S_i(0)|/m e^-beta t/2) <= (1/m) sum over S_i(0) of rho_{y_i,r,i} <= log(1 + 2 kap_i |S_i(0)|/m "
        "e^{2 beta} t) (ratio)"
    )
    return judged("kou.lemF2.growth", statement, "rows", hypotheses, conclusion)


def above_zero(name: str, value: float) -> Hypothesis:
    """A count that has to be at least 1."""
    return Hypothesis(name, value >= 1.0, value, 1.0, value)


def orthogonal_rate(run: AnalyzedRun) -> Claim:
    """Lemma F.2 in the limit: rho / log t."""
    setting, limit = setting_of(run), run.limit
    some = above_zero("|S_i(0)| >= 1 for all i", float(setting.start.sum(axis=0).min()))
    hypotheses = (relu(setting), balanced(setting), orthogonal(setting), some, limit_known(run))
    conclusion = None
    if limit is not None and some.holds and hypotheses[2].holds:
        rho = setting.c * Decomposition.of(run).moved_alone(limit.U)
        expected = np.where(setting.start, 1.0 / setting.active_part, 0.0)
        signed = rho * setting.sign[:, None] * run.problem.y
        conclusion = below(float(np.abs(signed - expected).max() / expected.max()), ROUNDING)
    statement = "ReLU, orthogonal inputs: rho_{y_i,r,i} / log t -> m / |S_i(0)| for r in S_i(0), all others -> 0 (gap)"
    return judged("kou.lemF2.rate", statement, "limit", hypotheses, conclusion)


def orthogonal_ranks(run: AnalyzedRun) -> Claim:
    """Lemma F.3 for inputs of any norm: row j of W / log t tends to sum_i m/|S_i(0)| 1[j in S_i(0)] x_i / |x_i|^2."""
    setting, limit = setting_of(run), run.limit
    hypotheses = _orthogonal_relu(run, setting)
    conclusion = None
    if limit is not None and all(each.holds for each in hypotheses):
        predicted = _orthogonal_limit(setting)
        worst = max(_rank_gap(A, B) for A, B in _paired(setting, limit.U, predicted))
        conclusion = below(worst, ROUNDING)
    statement = (
        "ReLU, orthogonal inputs: SR of W_+, W_- and W tend to those of A and B, made of the initial signs (gap)"
    )
    return judged("kou.lemF3", statement, "limit", hypotheses, conclusion)


def _orthogonal_relu(run: AnalyzedRun, setting: KouSetting) -> tuple[Hypothesis, ...]:
    everywhere = condition("every S_i(0) has a neuron", bool(setting.start.any(axis=0).all()))
    return (relu(setting), balanced(setting), orthogonal(setting), everywhere, limit_known(run))


def _orthogonal_limit(setting: KouSetting) -> Array:
    """A above B, (M, n), each column along its own x_i / |x_i|."""
    return np.asarray(setting.start / (setting.active_part * np.sqrt(np.diag(setting.sizes.gram))))


def _paired(setting: KouSetting, W: Array, predicted: Array) -> list[tuple[Array, Array]]:
    """(limit, prediction) of W_+, W_- and W; a sign that is active on no sample is left out."""
    pairs = [(W[setting.sign == j], predicted[setting.sign == j]) for j in SIGNS] + [(W, predicted)]
    return [(A, B) for A, B in pairs if B.any()]


def _rank_gap(A: Array, B: Array) -> float:
    return abs(singular_excess(A) - singular_excess(B)) / (1.0 + singular_excess(B))


def about_two(run: AnalyzedRun) -> Claim:
    """Remark 4.4.  Of many neurons the value is 2k/(k+1), k samples of the label, not 2."""
    setting, limit = setting_of(run), run.limit
    hypotheses = _orthogonal_relu(run, setting)
    conclusion = None
    if limit is not None and all(each.holds for each in hypotheses):
        counts = [int((run.problem.y == j).sum()) for j in SIGNS]
        wide = [2.0 * k / (k + 1.0) if k else 1.0 for k in counts]
        z = run.problem.preactivations(limit.U)
        active = z > ROUNDING * float(np.abs(z).max())
        found = [1.0 + singular_excess(A) if A.any() else 1.0 for A in (limit.U[setting.sign == j] for j in SIGNS)]
        k = int(np.argmax([abs(a - b) for a, b in zip(found, wide, strict=True)]))
        conclusion = Conclusion(bool((active == setting.start).all()), found[k], wide[k])
    statement = (
        "ReLU, orthogonal inputs: the initial signs decide which neurons act in the limit; SR(W_j) is about 2k/(k+1), "
        "k samples of label j (value against it, exact for many neurons)"
    )
    return judged("kou.rem4.4", statement, "limit", hypotheses, conclusion)


CLAIMS = (
    orthogonal_pattern,
    orthogonal_rest,
    orthogonal_growth,
    orthogonal_rate,
    orthogonal_ranks,
    about_two,
)
