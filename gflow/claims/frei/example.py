"""Frei et al., Lemma B.8: three samples whose limit is known in closed form, and is no linear max-margin direction."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.claim import Claim, Conclusion, Hypothesis, Judge, at_least, at_most, below, condition
from gflow.claims.frei.limit import LIMIT_ERROR, Limit
from gflow.claims.frei.setting import FreiSetting, is_leaky, setting_of
from gflow.claims.known_limit import limit_known

SAME = 1e-12  # of numbers that a user would give exactly
RESOLVED = 1e-2  # relative: how well a claim on a difference must know it


def applies(run: AnalyzedRun) -> bool:
    """Slope 1/2, m1 = m2, unit x with <x_1, x_2> = -e < 0 and x_3 orthogonal to both, labels -1, 1, 1."""
    if not is_leaky(run) or run.problem.samples != 3:
        return False
    setting = setting_of(run)
    wanted = np.eye(3)
    wanted[0, 1] = wanted[1, 0] = setting.sizes.gram[0, 1]
    same = np.abs(setting.sizes.gram - wanted).max() < SAME and setting.sizes.gram[0, 1] < -SAME
    m1, m2 = setting.counts
    return bool(same and (setting.y == [-1.0, 1.0, 1.0]).all() and abs(setting.slope - 0.5) < SAME and m1 == m2)


def _overlap(setting: FreiSetting) -> float:
    """e = -<x_1, x_2>."""
    return -float(setting.sizes.gram[0, 1])


def _claim(
    run: AnalyzedRun,
    id: str,
    statement: str,
    judge: Callable[[float, FreiSetting, Limit], Conclusion],
    more: tuple[Hypothesis, ...] = (),
) -> Claim:
    setting, point = setting_of(run), run.limit
    e = _overlap(setting)
    hypotheses = (
        condition(f"the data of Lemma B.8, to {SAME:g}", applies(run)),
        at_most("e <= 1/72", e, 1.0 / 72.0),
        limit_known(run),
        *more,
    )
    conclusion = judge(e, setting, Limit.of(setting, run.problem, point)) if point is not None else None
    return Claim(id, statement, "limit", hypotheses, conclusion)


def multipliers(run: AnalyzedRun) -> Claim:
    """lambda in closed form."""

    def judge(e: float, setting: FreiSetting, limit: Limit) -> Conclusion:
        wanted = np.array([8.0 / (4.0 * e + 5.0), 8.0 / (4.0 * e + 5.0), 8.0 / 5.0])
        return below(float(np.abs(limit.multipliers / wanted - 1.0).max()), LIMIT_ERROR)

    statement = "lambda_1 = lambda_2 = 8 / (4 e + 5), lambda_3 = 8 / 5: largest relative error"
    return _claim(run, "frei.lemB8", statement, judge)


def classifier(run: AnalyzedRun) -> Claim:
    """z in closed form."""

    def judge(e: float, setting: FreiSetting, limit: Limit) -> Conclusion:
        weights = np.array([-6.0 / (4.0 * e + 5.0), 6.0 / (4.0 * e + 5.0), 6.0 / 5.0])
        wanted = weights @ setting.C
        return below(float(np.linalg.norm(limit.z - wanted) / np.linalg.norm(wanted)), LIMIT_ERROR)

    statement = "z = 6 / (4 e + 5) (x_2 - x_1) + 6 / 5 x_3: relative distance"
    return _claim(run, "frei.lemB8.z", statement, judge)


def no_max_margin(run: AnalyzedRun) -> Claim:
    """z has two different margins on its support vectors, so it is no linear max-margin direction."""

    def judge(e: float, setting: FreiSetting, limit: Limit) -> Conclusion:
        products = setting.C @ limit.z
        difference = 6.0 * e / (5.0 * (4.0 * e + 5.0))
        return below(float(abs((products[1] - products[2]) / difference - 1.0)), LIMIT_ERROR / e)

    statement = "<z, x_2> - <z, x_3> = 6 (e + 1) / (4 e + 5) - 6 / 5 = 6 e / (5 (4 e + 5)) > 0: relative error"
    resolved = at_least("e is far above the error of a limit", _overlap(setting_of(run)), LIMIT_ERROR / RESOLVED)
    return _claim(run, "frei.lemB8.linear", statement, judge, (resolved,))


CLAIMS: tuple[Judge, ...] = (multipliers, classifier, no_max_margin)
