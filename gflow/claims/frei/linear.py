"""Frei et al., Theorem 3.2, items 6 and 7: the classifier of the limit is linear, and nearly the max-margin one."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, Judge, above, below
from gflow.claims.frei.limit import LIMIT_ERROR, Limit, at_limit, infeasible
from gflow.claims.frei.setting import FreiSetting, linear_svm

RANDOM_POINTS = 500
SEED = 6


def _test_points(setting: FreiSetting, limit: Limit) -> Array:
    """Points (k, r): random ones, ones at small distances from <z, x> = 0, and near the kinks of v and u.

    In the span of the samples: what lies outside changes neither f nor <z, x>.
    """
    rng = np.random.default_rng(SEED)
    free = rng.standard_normal((RANDOM_POINTS, setting.C.shape[1]))
    pieces = [free, setting.C, -setting.C]
    for normal in (limit.z, limit.v, limit.u):
        unit = normal / np.linalg.norm(normal)
        flat = free - np.outer(free @ unit, unit)
        sizes = np.linalg.norm(flat, axis=1)[:, None]
        pieces += [flat + distance * sizes * unit for distance in (1e-1, 1e-3, 1e-5, -1e-1, -1e-3, -1e-5)]
    points = np.vstack([*pieces, *_four_cases(limit)])
    return np.asarray(points[np.linalg.norm(points, axis=1) > 0.0])


def _four_cases(limit: Limit) -> list[Array]:
    """Points (2, r) of the plane of v and u for every pair of signs of <v, x>, <u, x>; one just off <u, x> = 0."""
    plane = np.vstack([limit.v, limit.u])
    inverse = np.linalg.pinv(plane)
    return [
        np.vstack([inverse @ [s, t], inverse @ [s, 1e-3 * t]])  # (r, 2) @ (2,)
        for s in (1.0, -1.0)
        for t in (1.0, -1.0)
    ]


def item6(run: AnalyzedRun) -> Claim:
    """The decision boundary is a hyperplane."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        points = _test_points(setting, limit)
        linear = points @ limit.z / (np.linalg.norm(points, axis=1) * np.linalg.norm(limit.z))
        wrong = np.sign(limit.output(setting, points)) != np.sign(linear)
        return below(float(np.abs(linear[wrong]).max(initial=0.0)), LIMIT_ERROR)

    statement = (
        "sign f(x) = sign <z, x> for every x, z = (m1 v - m2 u) / sqrt(m): largest |cos(z, x)| among tested points "
        "where the signs differ"
    )
    return at_limit(run, "frei.thm3.2.item6", statement, judge)


def item6_cases(run: AnalyzedRun) -> Claim:
    """f on the four pairs of signs of <v, x> and <u, x>."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        points = _test_points(setting, limit)
        m1, m2 = setting.counts
        a, b = m1 * (points @ limit.v) / np.sqrt(setting.m), m2 * (points @ limit.u) / np.sqrt(setting.m)
        expected = np.select(
            [(a > 0.0) & (b > 0.0), (a <= 0.0) & (b <= 0.0), a > 0.0],
            [a - b, setting.slope * (a - b), a - setting.slope * b],
            setting.slope * a - b,
        )
        size = np.linalg.norm(points, axis=1) * np.linalg.norm(limit.W)
        return below(float((np.abs(limit.output(setting, points) - expected) / size).max()), LIMIT_ERROR)

    statement = (
        "f(x) = <z, x> where <v, x> and <u, x> are positive, slope <z, x> where both are negative, and of the sign of "
        "<v, x> else: largest |f - formula| / (|W| |x|)"
    )
    return at_limit(run, "frei.thm3.2.item6.cases", statement, judge)


def item7(run: AnalyzedRun) -> Claim:
    """The linear classifier of the limit is near the hard-margin one."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        best = linear_svm(setting)
        if best is None:
            return infeasible()
        kappa = np.sqrt(min(setting.counts) / max(setting.counts))
        bound = 2.0 / (kappa + setting.slope) * np.linalg.norm(best)
        return below(float(np.linalg.norm(limit.z)), float(bound), rounding=LIMIT_ERROR)

    statement = "|z| <= 2 / (kappa + slope) |z*|, z* the hard-margin linear classifier, kappa^2 = min(m1, m2) / max"
    return at_limit(run, "frei.thm3.2.item7", statement, judge)


def item7_margins(run: AnalyzedRun) -> Claim:
    """z has margins of at least one."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        return above(float((setting.y * (setting.C @ limit.z)).min()), 1.0, rounding=LIMIT_ERROR)

    return at_limit(run, "frei.thm3.2.item7.margins", "y_i <z, x_i> >= 1 for all i", judge)


def xor(run: AnalyzedRun) -> Claim:
    """Section 5: XOR, two clusters and their opposites against two others, is classified no better than by chance."""

    def judge(setting: FreiSetting, limit: Limit) -> Conclusion:
        points = _test_points(setting, limit)
        linear = np.abs(points @ limit.z) / (np.linalg.norm(points, axis=1) * np.linalg.norm(limit.z))
        alike = limit.output(setting, points) * limit.output(setting, -points) > 0.0
        return below(float(linear[alike].max(initial=0.0)), LIMIT_ERROR)

    statement = (
        "f(x) and f(-x) never have one sign, so the limit errs on half of any distribution with a density in which x "
        "and -x are equally likely with the same label, such as XOR: largest |cos(z, x)| among tested pairs of one sign"
    )
    return at_limit(run, "frei.sec5.xor", statement, judge)


CLAIMS: tuple[Judge, ...] = (item6, item6_cases, item7, item7_margins)
