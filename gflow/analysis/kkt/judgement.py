"""The verdict of the KKT analyzer, at the limit of the flow or at the last row, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.continuation import Standing
from gflow.analysis.kkt.optimum import ZERO, ConvexProgram, LinearPredictor, convex_program, is_global, linear_predictor
from gflow.analysis.kkt.residuals import Residuals, residuals_of_limit, residuals_of_row
from gflow.arrays import Array
from gflow.field.mode import DualMode
from gflow.flow_time import time_text
from gflow.limit.certificate import ModeLimit
from gflow.limit.limit_point import LimitPoint

# Where no limit is known, stationarity is computed at the rows at these fractions of the last log(1 + t).
LOOKS = (0.125, 0.25, 0.5)
# Multipliers of two solutions are the same up to this part of the largest.
SAME = 1e-6
Verdict = Literal["holds", "violated", "approaching", "undecided", "not applicable"]


@dataclass(frozen=True, slots=True)
class KktResult:
    """The numbers of `Residuals` at the judged point, and for themselves at the last row.

    verdict: at a known limit `holds` (stationarity and complementarity are at most 1e-6), `violated` (it is proved that
    no multipliers on the margin reach that), or `undecided`.  It is `undecided` where neither was shown, and where the
    refuted point is only the expected limit: limits of flows are KKT points (Lyu and Li 2020), so the flow does not end
    at this point.  Without a known limit it is `approaching` where stationarity falls along the rows, else `undecided`.
    `not applicable`: for networks that are not homogeneous, and where some margin is not positive.
    standing of the limit: as the verdict of `LimitResult`.
    multipliers: (n,), or (n, K) for K outputs.
    on_margin: samples whose margin is the least to rounding.  at_least: no multipliers on these have a stationarity
    below it.
    earlier: (log(1 + t), stationarity) of rows before the last, where no limit is known.
    unique: is it certified that no other lambda on the margin, with whatever slopes at kinks, solves the conditions?
    undecided: pairs that may or may not switch.
    global_optimum: None where nothing is known.
    """

    verdict: Verdict
    summary: str
    point: Literal["limit", "last row"] | None = None
    standing: str = "none"
    stationarity: float | None = None
    complementarity: float | None = None
    min_margin_ratio: float | None = None
    multipliers: Array | None = None
    epsilon: float | None = None
    delta: float | None = None
    kinks: int | None = None
    interior: int | None = None
    on_margin: int | None = None
    at_least: float | None = None
    last_row: Residuals | None = None
    earlier: tuple[tuple[float, float], ...] = ()
    unique: bool | None = None
    undecided: int | None = None
    global_optimum: bool | None = None
    convex_program: ConvexProgram | None = None
    linear: LinearPredictor | None = None


def kkt(run: AnalyzedRun) -> KktResult:
    """Judge the limit of the flow where it is known, else the last row."""
    if not run.homogeneous:
        what = "a smooth activation" if run.problem.network.smoothing is not None else "a bias of its outputs"
        return KktResult("not applicable", f"the network has {what} and is not homogeneous, so it has no KKT points")
    last = residuals_of_row(run, -1)
    limit = run.limit
    if limit is None:
        return _from_rows(run, last)
    return _from_limit(run, limit, residuals_of_limit(run.problem, limit), last)


def _result(verdict: Verdict, summary: str, point: Literal["limit", "last row"], at: Residuals) -> KktResult:
    return KktResult(
        verdict,
        summary,
        point,
        stationarity=at.stationarity,
        complementarity=at.complementarity,
        min_margin_ratio=at.min_margin_ratio,
        multipliers=at.multipliers,
        epsilon=at.epsilon,
        delta=at.delta,
        kinks=at.kinks,
        interior=at.interior,
        on_margin=at.on_margin,
        at_least=at.at_least,
    )


def _from_rows(run: AnalyzedRun, last: Residuals) -> KktResult:
    """Without a known limit the numbers are the message."""
    measured = f"at the last row the stationarity is {last.stationarity:.3g}"
    if last.complementarity is None:
        summary = f"margins are not all positive (least {last.min_margin:.3g}), so there is no KKT point; {measured}"
        return replace(_result("not applicable", summary, "last row", last), last_row=last)
    earlier = _earlier(run)
    trend = [stationarity for _, stationarity in earlier] + [last.stationarity]
    falls = len(trend) > 1 and all(after < before for before, after in zip(trend, trend[1:], strict=False))
    before = f" (after {trend[0]:.3g} at {time_text(earlier[0][0])})" if earlier else ""
    summary = (
        f"the limit is not known; {measured}{before}, the complementarity {last.complementarity:.3g}, "
        f"and the least margin is {last.min_margin_ratio:.4g} of the largest"
    )
    return replace(
        _result("approaching" if falls else "undecided", summary, "last row", last), last_row=last, earlier=earlier
    )


def _earlier(run: AnalyzedRun) -> tuple[tuple[float, float], ...]:
    """(log(1 + t), stationarity) of a few rows on the way, as far as all margins are positive there."""
    v = run.log1p_time
    rows = np.unique([np.searchsorted(v, part * v[-1]) for part in LOOKS])
    found = [(float(v[row]), residuals_of_row(run, int(row))) for row in rows if row < v.size - 1]
    return tuple((when, at.stationarity) for when, at in found if at.min_margin > 0.0)


def _from_limit(run: AnalyzedRun, limit: LimitPoint, at: Residuals, last: Residuals) -> KktResult:
    standing = run.standing
    measured = f"stationarity {at.stationarity:.3g} there, {last.stationarity:.3g} at the last row"
    if at.complementarity is None:
        dead = int((limit.margins <= 0.0).sum())
        whose = "1 sample has" if dead == 1 else f"{dead} samples have"
        summary = f"{whose} no positive margin in the limit, so it is no KKT direction: {measured}"
        verdict: Verdict = "not applicable"
    else:
        verdict = _verdict(at, at.complementarity, standing)
        kinks = f", {at.interior} of {at.kinks} kinks have a slope between the branches" if at.kinks else ""
        which = "limit proved from the computed state" if standing == "proved_from_state" else f"{standing} limit"
        summary = (
            f"{_opening(verdict, which, at, standing)}: {measured}, complementarity {at.complementarity:.3g}; "
            f"{at.on_margin} of {limit.margins.size} samples on the margin{kinks}"
        )
    mode = ModeLimit(run.problem, DualMode(run.problem, limit.side))
    program = convex_program(run.problem, limit)
    return replace(
        _result(verdict, summary, "limit", at),
        standing=standing,
        last_row=last,
        unique=at.unique and _same(at.multipliers, limit.multipliers),
        undecided=mode.undecided,
        convex_program=program,
        global_optimum=is_global(run.problem, program) if verdict == "holds" else None,
        linear=linear_predictor(run.problem, limit) if verdict == "holds" else None,
    )


def _refuted(at: Residuals) -> bool:
    """Is it proved that no multipliers on the margin meet the KKT conditions?"""
    return at.at_least is not None and at.at_least > ZERO


def _verdict(at: Residuals, complementarity: float, standing: Standing) -> Literal["holds", "violated", "undecided"]:
    """`holds` from multipliers that were found, `violated` from a bound that all of them obey."""
    if max(at.stationarity, complementarity) <= ZERO:
        return "holds"
    return "violated" if _refuted(at) and standing != "expected" else "undecided"


def _opening(verdict: Verdict, which: str, at: Residuals, standing: Standing) -> str:
    if verdict == "holds":
        return f"the {which} is a KKT direction"
    if verdict == "violated":
        return f"the {which} is no KKT direction, multipliers on the margin leave at least {at.at_least:.3g}"
    if _refuted(at) and standing == "expected":
        return (
            f"the flow does not end in the {which}, which is no KKT direction (multipliers on the margin leave at "
            f"least {at.at_least:.3g}): one of the pairs that are not decided must switch"
        )
    return (
        f"whether the {which} is a KKT direction is not decided (the multipliers that were found do not show "
        "it, and it is not proved that there are no better ones)"
    )


def _same(first: Array | None, second: Array) -> bool:
    """Are these the same multipliers up to their scale?"""
    if first is None or not (first.any() and second.any()):
        return False
    one, other = first / first.sum(), second / second.sum()
    return bool(np.abs(one - other).max() <= SAME * other.max())
