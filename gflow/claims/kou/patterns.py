"""Activation patterns in Kou et al.: when they freeze, and which increments and coefficients are equal after that.

The events of a run hold every change of a side, so claims on patterns are judged at every instant, not only at rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array, Bools, Index, Sides
from gflow.claims.claim import Claim, Conclusion, Hypothesis, at_most, below
from gflow.claims.kou.coefficient_rows import CoefficientRows, coefficient_rows_of
from gflow.claims.kou.setting import (
    ROUNDING,
    KouSetting,
    clipped_exp,
    independent,
    judged,
    recorded,
    relu,
    setting_of,
)
from gflow.trajectory.layout import EVENT_KINDS

SIDE_AFTER = {"cross up": 1, "cross down": -1, "slide": 0, "leave up": 1, "leave down": -1}


def sides_after(run: AnalyzedRun) -> tuple[Sides, Index]:
    """Per event (E,): the side of its surface after it, and the surface."""
    events = run.trajectory.events
    table = np.zeros(max(EVENT_KINDS) + 1, dtype=np.int8)
    for code, name in EVENT_KINDS.items():
        table[code] = SIDE_AFTER[name]
    return table[events.kind], run.problem.surfaces.of_sample[events.sample]


def losses(run: AnalyzedRun, pairs: Bools) -> tuple[int, float | None]:
    """How often one of the pairs (m, n) goes to z_ji < 0, and log(1 + t) of the first time."""
    events, (side, surface) = run.trajectory.events, sides_after(run)
    of_sample, sign = run.problem.surfaces.of_sample, np.sign(run.problem.surfaces.alpha)
    count, first = 0, np.inf
    for direction in (1, -1):  # samples that point along their surface's normal, and against it
        held = np.zeros((pairs.shape[0], run.problem.surfaces.count), dtype=np.intp)
        along = np.flatnonzero(sign == direction)
        np.add.at(held.T, of_sample[along], pairs[:, along].T)
        lost = (side == -direction) * held[events.neuron, surface]
        count += int(lost.sum())
        first = min(first, float(events.log1p_time[lost > 0].min(initial=np.inf)))
    return count, first if count else None


def _monotone(run: AnalyzedRun) -> Hypothesis:
    """|x_i|^2 >= (max_k g_k / g_i) sum_{k != i} |<x_i, x_k>| at all times: what keeps S_i growing."""
    setting = setting_of(run)
    kept = run.extreme("sup_log_g_ratio")
    log_ratio = kept[0] if kept else float(np.ptp(_log_g(run), axis=1).max())
    with np.errstate(divide="ignore"):
        crowd = float(np.log(setting.sizes.crowd / np.diag(setting.sizes.gram)).max())
    name = "|x_i|^2 >= max_k g_k / g_i sum_{k != i} |<x_i, x_k>| at every " + ("step" if kept else "row")
    hypothesis = at_most(name, clipped_exp(log_ratio + crowd), 1.0)
    return replace(hypothesis, firm=hypothesis.firm and kept is not None)  # it is asked for between the rows too


def _log_g(run: AnalyzedRun) -> Array:
    return run.problem.loss.log_slope(run.trajectory.margins)


def growing_sets(run: AnalyzedRun) -> Claim:
    """Lemma 5.8: the sets S_i only grow."""
    hypotheses = (_monotone(run), recorded(run))
    conclusion = None
    if hypotheses[1].holds:
        count, first = losses(run, setting_of(run).own)
        conclusion = Conclusion(count == 0, float(count), 0.0, log1p_time=first)
    statement = "S_i(t) only grows: no neuron of the sign of y_i ever leaves <w_j, x_i> >= 0 (number of those that do)"
    return judged("kou.lem5.8", statement, "every step", hypotheses, conclusion)


def first_active_equal(run: AnalyzedRun) -> Claim:
    """Lemma E.1 (c): the neurons of S_i(0) keep the largest coefficient, and an equal one."""
    setting = setting_of(run)
    hypotheses = (relu(setting), _monotone(run), recorded(run), independent(run))
    conclusion = None
    if hypotheses[2].holds and hypotheses[3].holds:
        count, first = losses(run, setting.start)
        rho_rows = coefficient_rows_of(run)
        apart = _apart(rho_rows, setting) if rho_rows.low.size else None
        lost = Conclusion(False, float(count), 0.0, log1p_time=first)
        conclusion = lost if count else apart
    statement = (
        "ReLU: S_i(0) stays in S_i(t), and rho_{y_i,r,i} is the same for all r in S_i(0) and the largest of all "
        "neurons (relative gap)"
    )
    return judged("kou.lemE1.c", statement, "rows", hypotheses, conclusion)


def _apart(rho_rows: CoefficientRows, setting: KouSetting) -> Conclusion:
    """Largest relative distance of S_i(0) from the largest of all neurons, over rows and samples."""
    some = setting.start.any(axis=0)
    high = np.where(rho_rows.largest > 0.0, rho_rows.largest, 1.0)
    gap = ((rho_rows.largest - rho_rows.first_low) / high * some).max(axis=1)
    k = int(np.argmax(gap))
    return below(float(gap[k]), ROUNDING, float(rho_rows.clock.v[k]))


CLAIMS = (
    growing_sets,
    first_active_equal,
)
