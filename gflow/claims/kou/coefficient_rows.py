"""The coefficients rho along the rows of a run, in the units of Kou et al., computed in one pass and kept for all
claims."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from weakref import WeakKeyDictionary

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.rho import RESOLVED, Decomposition, coefficients
from gflow.arrays import Array, Index
from gflow.claims.claim import Conclusion
from gflow.claims.kou.setting import KouSetting, independent, setting_of
from gflow.flow_time import log_times
from gflow.trajectory import Record


@dataclass(frozen=True, slots=True)
class Clock:
    """The rows that claims look at: those where every coefficient that moves is far above rounding.

    row (T',) their indices; v = log(1 + t), log_t = log t; margins (T', n); log_g (T', n).
    """

    row: Index
    v: Array
    log_t: Array
    margins: Array
    log_g: Array


@dataclass(frozen=True, slots=True)
class CoefficientRows:
    """Sizes of rho in those rows, in the units of the paper.

    totals (T', 2, n): (1/m) sum of |rho_ji| over the neurons of sign +1 and -1; low (T',): least |rho_ji|; largest
    (T', n): of each sample; spread (T',): largest |rho_ji - rho_j'i| within a sign; first_low, first_high (T', n):
    least and largest rho_ji over j in S_i(0), 0 where that is empty; wrong (T', 2): largest |rho_ji| with y_i other
    than the sign, for both signs.
    """

    clock: Clock
    totals: Array
    low: Array
    largest: Array
    spread: Array
    first_low: Array
    first_high: Array
    wrong: Array

    @property
    def high(self) -> Array:
        """The largest |rho_ji| in each row, (T',)."""
        return np.asarray(self.largest.max(axis=1))

    def totals_of(self, y: Array, own: bool) -> Array:
        """(T', n): the totals on sample i of the neurons of the sign of y_i (own), or of the other sign; y (n,)."""
        first = (y > 0.0) == own
        return np.asarray(np.where(first, self.totals[:, 0], self.totals[:, 1]))

    def pairs_low(self) -> Array:
        """(T',): least total over signs and samples, over the largest, as logarithm; -inf where one is zero."""
        with np.errstate(divide="ignore"):
            flat = np.log(self.totals.reshape(self.low.size, -1))
        return np.asarray(flat.min(axis=1) - flat.max(axis=1))


_known: WeakKeyDictionary[Record, CoefficientRows] = WeakKeyDictionary()


def coefficient_rows_of(run: AnalyzedRun) -> CoefficientRows:
    """The coefficients along the rows of a run, computed once per trajectory."""
    if run.trajectory not in _known:
        _known[run.trajectory] = _coefficient_rows(run)
    return _known[run.trajectory]


def _coefficient_rows(run: AnalyzedRun) -> CoefficientRows:
    setting, decomposition = setting_of(run), Decomposition.of(run)
    kept: list[int] = []
    found: list[tuple[Array, ...]] = []
    for row, rho, U in coefficients(run, decomposition):
        floor = RESOLVED * float(decomposition.rounding(U).max())
        size = np.abs(rho)
        if size.max() > floor and (setting.slope == 0.0 or size.min() > floor):
            kept.append(row)
            found.append(_sizes(setting, setting.c * rho, run.problem.y))
    n = run.problem.samples
    empty = (np.empty((0, 2, n)), np.empty(0), np.empty((0, n)), np.empty(0), *(np.empty((0, k)) for k in (n, n, 2)))
    parts = [np.array(each) for each in zip(*found, strict=True)] if found else list(empty)
    return CoefficientRows(_clock(run, kept), *parts)


def _clock(run: AnalyzedRun, kept: list[int]) -> Clock:
    rows = np.array(kept, dtype=np.intp)
    v = run.log1p_time[rows]
    margins = run.trajectory.margins[rows]
    return Clock(rows, v, log_times(v), margins, run.problem.loss.log_slope(margins))


def _sizes(setting: KouSetting, rho: Array, y: Array) -> tuple[Array, ...]:
    """The fields of `CoefficientRows` after the clock, at one row."""
    size = np.abs(rho)
    classes = [setting.sign > 0.0, setting.sign < 0.0]
    totals = np.array([size[each].sum(axis=0) for each in classes]) / setting.m
    spread = max(float(np.ptp(rho[each], axis=0).max()) for each in classes if each.any())
    first_low = np.where(setting.start, size, np.inf).min(axis=0)
    first_high = np.where(setting.start, size, 0.0).max(axis=0)
    some = setting.start.any(axis=0)
    wrong = np.array([_largest(size[setting.sign == j][:, y == -j]) for j in (1.0, -1.0)])
    return (
        totals,
        np.asarray(size.min()),
        size.max(axis=0),
        np.asarray(spread),
        np.where(some, first_low, 0.0),
        first_high,
        wrong,
    )


def _largest(size: Array) -> float:
    return float(size.max(initial=0.0))


def grown(run: AnalyzedRun) -> CoefficientRows | None:
    """The coefficients along the rows; None where rho is not unique or nothing has moved."""
    if not independent(run).holds:
        return None
    rho_rows = coefficient_rows_of(run)
    return rho_rows if rho_rows.low.size else None


def safe_log(x: Array) -> Array:
    """log x of x >= 0, of any shape (k, ...), without a warning at 0, where it is -inf."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(x))


def log_equality(rho_rows: CoefficientRows, setting: KouSetting) -> Array:
    """The logarithm of the largest c1 with which Lemma C.1 is true in each row, (T',)."""
    return np.asarray(rho_rows.pairs_low() - 2.0 * log(setting.slope))


def log_lead(rho_rows: CoefficientRows) -> Array:
    """The logarithm of the largest c1 with which Lemma E.1 is true in each row, (T',); -inf if some S_i(0) is empty."""
    return np.asarray(safe_log(rho_rows.first_low).min(axis=1) - safe_log(rho_rows.high))


def largest_constant(log_constants: Array, rho_rows: CoefficientRows) -> Conclusion:
    """The largest constant c1 > 0 that works in every row, from its logarithm (T',); none does where it is 0."""
    k = int(np.argmin(log_constants))
    least = float(np.exp(log_constants[k]))
    return Conclusion(least > 0.0, constant=least, log1p_time=float(rho_rows.clock.v[k]))
