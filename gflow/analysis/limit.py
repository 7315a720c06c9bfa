"""The analyzer of the limit of the flow: the hard-margin solution of the mode in which the flow stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.continuation import Standing
from gflow.analysis.foreknown import Change, changes_of
from gflow.arrays import Array
from gflow.flow_time import time_text
from gflow.limit.limit_point import LimitPoint

START: dict[Standing, str] = {
    "proved": "the flow converges in direction to a point",
    "proved_from_state": "the flow from the computed state converges in direction to a point",
    "expected": "expected limit:",
}


@dataclass(frozen=True, slots=True)
class LimitResult:
    """verdict: `proved` (the flow of this run converges in direction to it), `proved_from_state` (the flow from the
    computed state of the proof does; see `FreezingResult`), `expected` (nothing pending, no proof), `none`.

    multipliers (n,), and `unique`: is it proved that there are no others?  Where there may be others, these are, to
    rounding, the ones that the dual variables of the flow are known to tend to.  (Where margins are tied to rounding
    only, the flow tends to other multipliers after times like tau = 1e15.)  support: samples with a multiplier > 0;
    on_margin: samples with margin 1; normalized_margin: min_i p_i / |W| of the limit; stable_rank of W, W+ and W-
    (None: no such neurons); active, inactive, sliding: pairs (neuron, sample) of its pattern;
    present_normalized_margin: of the limit that the mode of the last row would have, if it stayed.  changes: (neuron,
    first sample of the surface, side there) of the pairs whose side in a proved limit is not that in the last row.
    """

    verdict: Standing
    summary: str
    reason: str
    multipliers: Array | None = None
    unique: bool | None = None
    support: int | None = None
    on_margin: int | None = None
    normalized_margin: float | None = None
    stable_rank: float | None = None
    stable_rank_plus: float | None = None
    stable_rank_minus: float | None = None
    active: int | None = None
    inactive: int | None = None
    sliding: int | None = None
    present_normalized_margin: float | None = None
    changes: tuple[Change, ...] | None = None


def limit(run: AnalyzedRun) -> LimitResult:
    """The limit of the flow, not of the present mode: where switches are pending, the way ahead is followed."""
    continuation = run.continuation
    if continuation is None:
        reason = "margins are not linear in the trained parameters: no closed form of the limit is known"
        return LimitResult("none", f"no limit is known: {reason}", reason)
    present = None if continuation.here is None else continuation.here.normalized_margin
    if continuation.limit is None:
        summary = f"no limit is known: {continuation.reason}"
        return LimitResult("none", summary, continuation.reason, present_normalized_margin=present)
    point = continuation.limit
    pattern = run.problem.sample_sides(point.side)
    ranks = stable_ranks(run, point)
    n = point.multipliers.size
    standing = run.standing
    ahead = "" if continuation.finding.proved else f" (mode reached ahead, at {time_text(continuation.log1p_time)})"
    from_state = run.path_stability.reason if standing == "proved_from_state" else None
    summary = (
        f"{START[standing]} with normalised margin {point.normalized_margin:.6g} and {int(point.binding.sum())} of {n} "
        f"samples on the margin, stable rank {ranks[0]:.4g}{ahead}{_one_of_several(point)}"
        + ("" if from_state is None else f"; not proved for the flow from the start: {from_state}")
        + ("" if standing == "proved" else continuation.left)
    )
    return LimitResult(
        verdict=standing,
        summary=summary,
        reason=continuation.reason if from_state is None else from_state,
        multipliers=point.multipliers,
        unique=point.unique,
        support=int(point.support.sum()),
        on_margin=int(point.binding.sum()),
        normalized_margin=point.normalized_margin,
        stable_rank=ranks[0],
        stable_rank_plus=ranks[1],
        stable_rank_minus=ranks[2],
        active=int((pattern > 0).sum()),
        inactive=int((pattern < 0).sum()),
        sliding=int((pattern == 0).sum()),
        present_normalized_margin=present,
        changes=changes_of(point, run.last.side, run.problem.surfaces) if standing != "expected" else None,
    )


def _one_of_several(point: LimitPoint) -> str:
    if point.unique:
        return ""
    return (
        "; its multipliers are one of several sets, or not known to be the only one: to rounding, and as far as that "
        "is known, those that the flow tends to"
    )


def stable_ranks(run: AnalyzedRun, point: LimitPoint) -> tuple[float, float | None, float | None]:
    """|W|_F^2 / |W|_2^2 of the limit W, of W+ and of W- (None where they are empty or 0)."""
    a = run.problem.network.outer
    whole = stable_rank(point.U)
    assert whole is not None, "a limit has positive margins, so it is not 0"
    return whole, stable_rank(point.U[a > 0.0]), stable_rank(point.U[a < 0.0])


def stable_rank(U: Array) -> float | None:
    """1 + sum_(k >= 2) sigma_k^2 / sigma_1^2 of U (k, r), without cancellation; None where U has no rows or is 0."""
    if not U.any():
        return None
    singular = np.linalg.svd(U, compute_uv=False)
    return 1.0 + float(((singular[1:] / singular[0]) ** 2).sum())
