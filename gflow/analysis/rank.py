"""The analyzer of the stable rank of W and of its neurons of each sign: along the rows, at the last row, and in the
limit.

SR(A) = |A|_F^2 / |A|_2^2 = 1 + sum_{k >= 2} sigma_k^2 / sigma_1^2; the sum is computed separately from the 1, since
late in a run it is far below the rounding of 1.  Theory: Frei et al., Theorem 3.2 (rank at most 2), Kou et al.,
Theorems 4.1 and 4.3 (SR of the neurons of one sign tends to 1 for leaky ReLU, stays bounded for ReLU).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import eigh

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array, Index

# Singular values above this part of the largest count in the numerical rank.
RELATIVE_RANK = 1e-9
# Rows of the fitted decay: from this part of the last log(1 + t) on, at most so many, evenly spread.
FITTED_FROM, FITTED_ROWS = 0.25, 12
# A distance from the limit below this, absolute or relative to the limit, is rounding: no decay is fitted to it.
LEAST_EXCESS, ROUNDING = 1e-24, 1e-12


@dataclass(frozen=True, slots=True)
class Ranks:
    """Stable rank - 1 of W, W+ (a_j > 0) and W- (a_j < 0), None for none of these neurons or W = 0.

    spread_plus, spread_minus: max_j |w_j / |a_j| - mean| / |mean| over the neurons of one sign; None also where the
    outer layer is trained or has several outputs.  rank: singular values of W above 1e-9 of the largest.
    """

    excess: float | None
    excess_plus: float | None
    excess_minus: float | None
    spread_plus: float | None
    spread_minus: float | None
    rank: int

    @property
    def stable_rank(self) -> float | None:
        """SR(W)."""
        return None if self.excess is None else 1.0 + self.excess


@dataclass(frozen=True, slots=True)
class RankResult:
    """verdict: `low rank` where W has rank at most 2 in the limit, `higher rank` where more, else `last row only`.

    stable_rank, stable_rank_plus, stable_rank_minus: in the limit where it is known, else at the last row; rank
    likewise.  decay_plus, decay_minus: fitted exponents p of |SR - its limit| ~ (log t)^-p over the last rows, limit 1
    where it is not known; after the last event p = 2 in theory if rows of one sign become equal (Kou et al. prove 1).
    sup_...: largest over the rows.
    """

    verdict: Literal["low rank", "higher rank", "last row only"]
    summary: str
    stable_rank: float | None
    stable_rank_plus: float | None
    stable_rank_minus: float | None
    rank: int
    last_row: Ranks
    limit: Ranks | None
    decay_plus: float | None
    decay_minus: float | None
    sup_stable_rank: float | None
    sup_stable_rank_plus: float | None
    sup_stable_rank_minus: float | None


def rank(run: AnalyzedRun) -> RankResult:
    """Ranks at the last row and in the limit; W has what lies outside the span of the samples at rows only."""
    outer = run.problem.network.outer
    coordinates = _Rows(run)
    last = ranks(coordinates.at(-1), run.last.parameters.outer, not run.problem.network.trains_outer)
    limit = None if run.limit is None else ranks(run.limit.U, outer)
    here = last if limit is None else limit
    ends = (None, None) if limit is None else (limit.excess_plus, limit.excess_minus)
    low: Literal["low rank", "higher rank"] = "low rank" if here.rank <= 2 else "higher rank"
    return RankResult(
        "last row only" if limit is None else low,
        _summary(last, limit),
        here.stable_rank,
        None if here.excess_plus is None else 1.0 + here.excess_plus,
        None if here.excess_minus is None else 1.0 + here.excess_minus,
        here.rank,
        last,
        limit,
        _decay(run, coordinates, 1, ends[0] or 0.0),
        _decay(run, coordinates, -1, ends[1] or 0.0),
        *(_sup(run, name) for name in ("stable_rank", "stable_rank_plus", "stable_rank_minus")),
    )


def ranks(A: Array, outer: Array, fixed: bool = True) -> Ranks:
    """The ranks of W, given by coordinates A (m, k) of its rows in an orthonormal basis; outer (m,) or (K, m)."""
    signed = outer.ndim == 1
    plus, minus = (A[outer > 0.0], A[outer < 0.0]) if signed else (A[:0], A[:0])
    spreads = [row_spread(A, outer, sign) if signed and fixed else None for sign in (1, -1)]
    values = np.linalg.svd(A, compute_uv=False)
    count = int((values > RELATIVE_RANK * values[0]).sum())
    return Ranks(excess(A), excess(plus), excess(minus), spreads[0], spreads[1], count)


def excess(A: Array) -> float | None:
    """SR(A) - 1 = sum_{k >= 2} sigma_k^2 / sigma_1^2 of A (j, k), without cancellation; None for A = 0 or no rows.

    It is computed from the part of A orthogonal to its first singular direction; an error of that direction enters
    with its square.
    """
    largest = float(np.abs(A).max(initial=0.0))
    if largest == 0.0:
        return None
    A = A / largest
    A = A if A.shape[0] >= A.shape[1] else A.T
    top = A.shape[1] - 1
    first = eigh(A.T @ A, subset_by_index=[top, top])[1][:, 0]
    image = A @ first
    return float(np.sum((A - np.outer(image, first)) ** 2) / (image @ image))


def row_spread(A: Array, outer: Array, sign: int) -> float | None:
    """max_j |w_j / |a_j| - mean| / |mean| of rows A (m, k) with this sign of outer (m,); None for none, or mean 0."""
    chosen = outer * sign > 0.0
    if not chosen.any():
        return None
    sizes = np.abs(outer[chosen, None])
    rows = A[chosen] * (sizes.min() / sizes)  # the unit of the rows makes no difference; this one fits float64
    rows = rows / (np.abs(rows).max() or 1.0)
    mean = rows.mean(axis=0)
    size = float(np.linalg.norm(mean))
    return float(np.linalg.norm(rows - mean, axis=1).max()) / size if size > 0.0 else None


class _Rows:
    """Coordinates (m, k) of the rows of W in an orthonormal basis, with what lies outside the span of the samples."""

    def __init__(self, run: AnalyzedRun) -> None:
        self._trajectory, self._directions = run.trajectory, run.problem.network.directions
        if self._directions is None:
            self._outside = np.asarray(np.linalg.qr(run.outside.T, mode="r")).T

    def at(self, row: int) -> Array:
        """(m, k) at a row."""
        inner = self._trajectory.read("inner", row)
        return np.asarray(np.hstack([inner, self._outside]) if self._directions is None else inner * self._directions)


def _decay(run: AnalyzedRun, coordinates: _Rows, sign: int, end: float) -> float | None:
    """-d log|SR - 1 - end| / d log log t over the last rows, by least squares; None where there is nothing to fit."""
    rows, v = _fitted_rows(run.log1p_time), run.log1p_time
    if run.problem.network.outputs > 1 or rows.size < 3:
        return None
    found = []
    for row in rows:
        chosen = sign * run.trajectory.outer_at(int(row)) > 0.0
        found.append(excess(coordinates.at(int(row))[chosen]))
    if any(value is None for value in found):
        return None
    gaps = np.abs(np.array(found, dtype=float) - end)
    if gaps.min() < LEAST_EXCESS + ROUNDING * end:
        return None
    return -float(np.polyfit(np.log(v[rows]), np.log(gaps), 1)[0])


def _fitted_rows(v: Array) -> Index:
    late = np.flatnonzero((v >= FITTED_FROM * v[-1]) & (v > 0.0))
    chosen = late[np.unique(np.linspace(0, late.size - 1, FITTED_ROWS).astype(np.intp))] if late.size else late
    return np.asarray(chosen)


def _sup(run: AnalyzedRun, name: str) -> float | None:
    series = run.trajectory.series
    return float(series[name].max()) if name in series else None


def _summary(last: Ranks, limit: Ranks | None) -> str:
    at_last = f"the stable rank of W is {_told(last)} at the last row"
    if limit is None:
        return f"{at_last}; the limit is not known"
    return f"{at_last} and tends to {_told(limit)}; W has rank {limit.rank} in the limit"


def _told(at: Ranks) -> str:
    parts = [f"{name} 1 + {e:.3g}" for name, e in (("W+", at.excess_plus), ("W-", at.excess_minus)) if e is not None]
    whole = "undefined" if at.stable_rank is None else f"{at.stable_rank:.5g}"
    return whole + (f" ({', '.join(parts)})" if parts else "")
