"""Frei et al., Theorem 3.2, items 1 to 5: the limit of gradient flow on nearly orthogonal data, leaky ReLU."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, Judge, above, below
from gflow.claims.frei.limit import LIMIT_ERROR, Limit, at_limit, infeasible
from gflow.claims.frei.setting import FreiSetting, optimum, two_row_features


def _margins(setting: FreiSetting, limit: Limit) -> Array:
    return np.asarray(setting.y * limit.output(setting, setting.C))


def item1(run: AnalyzedRun) -> Claim:
    """Every sample is a support vector."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        margins = _margins(setting, limit)
        if margins.min() <= 0.0:
            return Conclusion(False, float(margins.min()), 1.0)
        return below(float(margins.max() / margins.min() - 1.0), LIMIT_ERROR)

    statement = "at the limit, rescaled to least margin 1, every margin is 1: max_i M_i - 1 = 0"
    return at_limit(run, "frei.thm3.2.item1", statement, judge)


def item2(run: AnalyzedRun) -> Claim:
    """Rows of one sign are equal."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        mean = np.where(setting.sign[:, None] > 0.0, limit.v, limit.u)
        spread = np.linalg.norm(limit.W - mean, axis=1) / np.linalg.norm(mean, axis=1)
        return below(float(spread.max()), LIMIT_ERROR)

    statement = "all positive neurons of the limit are equal, and all negative ones: relative spread of the rows"
    return at_limit(run, "frei.thm3.2.item2", statement, judge)


def item2_rank(run: AnalyzedRun) -> Claim:
    """Rank at most two."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        singular = np.linalg.svd(limit.W, compute_uv=False)
        return below(float(singular[2] / singular[0]) if singular.size > 2 else 0.0, LIMIT_ERROR)

    return at_limit(run, "frei.thm3.2.item2.rank", "the limit has rank <= 2: sigma_3 / sigma_1 = 0", judge)


def _multipliers(setting: FreiSetting, limit: Limit) -> tuple[Array, float]:
    """Least-squares lambda (n,) in the formulas of item 3 for v and u, and the residual relative to (v, u)."""
    plus, minus = setting.own_slopes
    features = setting.y[:, None] * np.hstack([plus[:, None] * setting.C, -minus[:, None] * setting.C])
    stacked = np.concatenate([limit.v, limit.u])
    found = np.linalg.lstsq(features.T / np.sqrt(setting.m), stacked, rcond=None)[0]
    left = stacked - features.T @ found / np.sqrt(setting.m)
    size = float(np.linalg.norm(stacked))
    return found, float(np.linalg.norm(left)) / size if size > 0.0 else 0.0  # v = u = 0: lambda = 0, and exactly


def item3(run: AnalyzedRun) -> Claim:
    """v and u by their formulas."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        return below(_multipliers(setting, limit)[1], LIMIT_ERROR)

    statement = (
        "v = m^-1/2 (sum_+ lambda_i x_i - slope sum_- lambda_i x_i), u likewise with the signs exchanged: relative "
        "residual of the least-squares lambda"
    )
    return at_limit(run, "frei.thm3.2.item3", statement, judge)


def _range(least: float, largest: float, low: float, high: float) -> Conclusion:
    """low < least and largest < high, all but least positive; the conclusion is about the side nearer to failing."""
    over, under = least / low, high / largest if largest > 0.0 else np.inf
    if under < over:
        return Conclusion(under > 1.0, largest, high, under)
    return Conclusion(over > 1.0, least, low, over)


def item3_range(run: AnalyzedRun) -> Claim:
    """Every multiplier in its interval."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        found, _ = _multipliers(setting, limit)
        sizes = setting.sizes
        low, high = 0.5 / sizes.Rmax**2, 1.5 / (setting.slope * sizes.Rmin) ** 2
        return _range(float(found.min()), float(found.max()), low, high)

    statement = "every multiplier lies in (1 / (2 Rmax^2), 3 / (2 slope^2 Rmin^2)); the nearer end is told"
    return at_limit(run, "frei.thm3.2.item3.range", statement, judge)


def item3_signs(run: AnalyzedRun) -> Claim:
    """v classifies every sample correctly, u every sample wrongly."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        if not (limit.v.any() and limit.u.any()):
            return Conclusion(False, 0.0, 0.0)  # the rows of one sign cancel: a mean that classifies nothing
        units = setting.y[:, None] * setting.C / np.linalg.norm(setting.C, axis=1)[:, None]
        right = units @ limit.v / np.linalg.norm(limit.v)
        wrong = units @ limit.u / np.linalg.norm(limit.u)
        least = float(min(right.min(), -wrong.max()))
        return Conclusion(least > 0.0, least, 0.0)

    statement = "y_i <v, x_i> > 0 and y_i <u, x_i> < 0 for all i: the least cosine"
    return at_limit(run, "frei.thm3.2.item3.signs", statement, judge)


def item4(run: AnalyzedRun) -> Claim:
    """The limit is the global optimum of the margin problem."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        best = optimum(setting)
        if best is None:
            return infeasible()
        rows = np.where(setting.sign[:, None] > 0.0, best[0], best[1])
        gap = limit.W / np.linalg.norm(limit.W) - rows / np.linalg.norm(rows)
        return below(float(np.linalg.norm(gap)), LIMIT_ERROR)

    statement = "the limit is the one global optimum of min |W|^2 / 2, M_i >= 1: distance of the directions"
    return at_limit(run, "frei.thm3.2.item4", statement, judge)


def item5(run: AnalyzedRun) -> Claim:
    """(v, u) is the optimum of a convex program in two rows."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        best = optimum(setting)
        if best is None:
            return infeasible()
        wanted = np.concatenate(best)
        gap = np.concatenate([limit.v, limit.u]) - wanted
        return below(float(np.linalg.norm(gap) / np.linalg.norm(wanted)), LIMIT_ERROR)

    statement = (
        "(v, u) solves min m1 |v|^2 / 2 + m2 |u|^2 / 2 with (m1 <v, x_i> - slope m2 <u, x_i>) / sqrt(m) >= 1 on I+ and "
        "the exchanged constraint on I-: relative distance to its solution"
    )
    return at_limit(run, "frei.thm3.2.item5", statement, judge)


def item5_constraints(run: AnalyzedRun) -> Claim:
    """(v, u) satisfies the constraints of that program."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        m1, m2 = setting.counts
        stacked = np.concatenate([np.sqrt(m1) * limit.v, np.sqrt(m2) * limit.u])
        return above(float((two_row_features(setting) @ stacked).min()), 1.0, rounding=LIMIT_ERROR)

    statement = "(v, u) satisfies the constraints of the convex program of item 5: the least of them against 1"
    return at_limit(run, "frei.thm3.2.item5.constraints", statement, judge)


def lemma_b1(run: AnalyzedRun) -> Claim:
    """Upper bound of the multipliers."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        weighted = limit.multipliers * limit.slopes.sum(axis=0)
        return below(float(weighted.max()), 1.5 * setting.m / (setting.slope * setting.sizes.Rmin**2))

    statement = "sum_j lambda_i s_ji < 3 m / (2 slope Rmin^2) for all i"
    return at_limit(run, "frei.lemB1", statement, judge)


def lemma_b2(run: AnalyzedRun) -> Claim:
    """Lower bound of the multipliers."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        weighted = limit.multipliers * limit.slopes.sum(axis=0)
        return above(float(weighted.min()), 0.5 * setting.m / setting.sizes.Rmax**2)

    return at_limit(run, "frei.lemB2", "sum_j lambda_i s_ji > m / (2 Rmax^2) for all i", judge)


ITEMS: tuple[Judge, ...] = (
    item1,
    item2,
    item2_rank,
    item3,
    item3_range,
    item3_signs,
    item4,
    item5,
    item5_constraints,
)


CLAIMS = (*ITEMS, lemma_b1, lemma_b2)
