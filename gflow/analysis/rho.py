"""The data-correlated decomposition of Kou et al.: how much each sample has contributed to each neuron.

w_j(t) = w_j(0) + sum_i rho_ji(t) x_i / |x_i|^2 (Definition 5.1), by least squares from the rows of the trajectory.  It
is unique if and only if the samples are linearly independent.  Along the flow rho_ji = a_j y_i |x_i|^2 b_ji with
b_ji = (1/n) int phi'_ji g_i dt >= 0 (Lemma 5.2), from which follow the sign rule, the ratio bound and the bookkeeping
(that the masses b_ji of all neurons agree with each other and with tau).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array, Bools, Index
from gflow.problem.span import row_norms

ROUNDING = 1e-12  # relative error of U that thousands of events leave
RESOLVED = 1e6  # a coefficient is looked at where it exceeds what rounding can leave by this factor
TOLERANCE = 1e-6  # relative; beyond what the integrators leave, below what a wrong slope or a missed event would


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The linear map from moved weights to coefficients.

    start: U(0) (m, r); outside (m,): |w_j| off the span; lift (r, n): rho = (U - start) lift; norms: |x_i| (n,);
    unique: are the samples independent?
    """

    start: Array
    outside: Array
    lift: Array
    norms: Array
    unique: bool

    @classmethod
    def of(cls, run: AnalyzedRun) -> Decomposition:
        """The map of a run, by the pseudo-inverse of the normalised samples, so that scales do not matter."""
        C = run.problem.span.C
        norms = row_norms(C)
        lift = np.linalg.pinv(C / norms[:, None]) * norms
        return cls(run.state(0).U, run.outside_norms, np.asarray(lift), norms, run.problem.span.rank == norms.size)

    def coefficients(self, U: Array) -> Array:
        """rho (m, n) of inner parameters U (m, r)."""
        return np.asarray((U - self.start) @ self.lift)

    def moved_alone(self, U: Array) -> Array:
        """rho (m, n) of U (m, r) itself, without subtracting a start: for limit points W*."""
        return np.asarray(U @ self.lift)

    def rounding(self, U: Array) -> Array:
        """The largest error in any rho_ji, (n,), by rounding of the weights U (m, r) and those outside the span.

        Motions below it change the clock tau but not the stored weights.
        """
        size = max(float(np.hypot(row_norms(each), self.outside).max()) for each in (U, self.start))
        return np.asarray(ROUNDING * size * np.linalg.norm(self.lift, axis=0))


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst value along the rows, and where."""

    value: float
    row: int
    log1p_time: float


@dataclass(frozen=True, slots=True)
class RhoResult:
    """The result on the coefficients rho of a run.

    verdict: of the sign rule rho_ji a_j y_i >= 0 and, where the slope is positive, of the ratio bound
    slope <= b_ji / b_j'i <= 1 / slope (Kou et al., Appendix C; |rho_ji| / |rho_j'i| where all |a_j| are equal).
    sign_excess: largest -rho_ji sign(a_j) y_i over max_j |rho_ji|, <= 0 where the rule holds; ratio_slack: least
    min_j b_ji / (slope max_j b_ji), >= 1 where the bound holds; bookkeeping: largest gap between the masses c_i read
    off different neurons, and between sum_i dc_i and d tau, over tau.
    active_start, active_end (n,): |S_i|, neurons of the sign of y_i with <w_j, x_i> >= 0, at the first and last row.
    """

    verdict: Literal["holds", "violated", "not applicable"]
    summary: str
    unique: bool
    sign_excess: Worst | None = None
    ratio_slack: Worst | None = None
    bookkeeping: Worst | None = None
    active_start: tuple[int, ...] = ()
    active_end: tuple[int, ...] = ()


def rho(run: AnalyzedRun) -> RhoResult:
    """Decompose every row and check the identities of the coefficients."""
    network = run.problem.network
    if not run.linear_modes or network.directions is not None:
        return RhoResult("not applicable", "the decomposition needs a fixed outer layer, one output and a kink", False)
    decomposition = Decomposition.of(run)
    sizes = [tuple(int(k) for k in matching(run, row).sum(axis=0)) for row in (0, -1)]
    if not decomposition.unique:
        rank, n = run.problem.span.rank, run.problem.samples
        why = f"the samples are dependent (rank {rank} of {n}), so the coefficients are not unique"
        return RhoResult("not applicable", why, False, active_start=sizes[0], active_end=sizes[1])
    sign, ratio = _worst_identities(run, decomposition)
    if sign is None:
        return RhoResult("not applicable", "nothing has moved", True, active_start=sizes[0], active_end=sizes[1])
    books = _worst_bookkeeping(run, decomposition)
    good = sign.value <= TOLERANCE and (ratio is None or ratio.value >= 1.0 - TOLERANCE)
    summary = _sentence(good, ratio, books)
    return RhoResult("holds" if good else "violated", summary, True, sign, ratio, books, sizes[0], sizes[1])


def coefficients(run: AnalyzedRun, decomposition: Decomposition | None = None) -> Iterator[tuple[int, Array, Array]]:
    """(row, rho (m, n), U (m, r)) along the rows; blocks of bounded memory."""
    map_ = Decomposition.of(run) if decomposition is None else decomposition
    for row, U in enumerate(run.values("inner")):
        yield row, map_.coefficients(U), U


def matching(run: AnalyzedRun, row: int) -> Bools:
    """(m, n): neuron j belongs to S_i, that is has the sign of y_i and <w_j, x_i> >= 0, at a row."""
    signs = np.sign(run.problem.network.outer)[:, None] * run.problem.y
    return np.asarray((signs > 0.0) & (run.trajectory.read("pattern", row) >= 0))


def masses(run: AnalyzedRun, decomposition: Decomposition, rho: Array) -> Array:
    """b (k, n) = rho_ji / (a_j y_i |x_i|^2) of the k neurons with a_j != 0, from rho (m, n): int phi'_ji g_i dt / n."""
    a = run.problem.network.outer
    moving = a != 0.0
    return np.asarray(rho[moving] / (a[moving, None] * run.problem.y * decomposition.norms**2))


def _worst_identities(run: AnalyzedRun, decomposition: Decomposition) -> tuple[Worst | None, Worst | None]:
    """The sign rule and the ratio bound (None for slope 0) at the worst rows, without those where rho is rounding."""
    slope, v = run.problem.network.slope, run.log1p_time
    sizes = np.abs(run.problem.network.outer)
    least = float(sizes[sizes > 0.0].min(initial=np.inf))
    sign: Worst | None = None
    ratio: Worst | None = None
    for row, rho, U in coefficients(run, decomposition) if least < np.inf else ():
        b = masses(run, decomposition, rho)
        largest = np.abs(b).max(axis=0)
        seen = largest > RESOLVED * decomposition.rounding(U) / (least * decomposition.norms**2)
        if not seen.any():
            continue
        excess = float((-b.min(axis=0)[seen] / largest[seen]).max())
        if sign is None or excess > sign.value:
            sign = Worst(excess, row, float(v[row]))
        slack = float((b.min(axis=0)[seen] / largest[seen]).min()) / slope if slope > 0.0 else np.inf
        if slope > 0.0 and (ratio is None or slack < ratio.value):
            ratio = Worst(slack, row, float(v[row]))
    return sign, ratio


def _worst_bookkeeping(run: AnalyzedRun, decomposition: Decomposition) -> Worst | None:
    """Between rows without an event of the pair, db_ji = phi'_ji dc_i with one dc_i for all neurons, sum dc_i = d tau.

    None where events are not recorded, or no pair of rows shows every sample through a pair that kept its side.
    """
    if not run.trajectory.records_events:
        return None
    v, tau = run.log1p_time, run.trajectory.tau
    changes = _Changes.of(run)
    moving = run.problem.network.outer != 0.0
    worst: Worst | None = None
    before: Array | None = None
    both = zip(coefficients(run, decomposition), run.values("pattern"), strict=True)
    sizes = np.abs(run.problem.network.outer[moving]).min(initial=np.inf) * decomposition.norms**2
    for (row, rho, U), pattern in both:
        b = masses(run, decomposition, rho)
        if before is not None and tau[row] > 0.0:
            kept = (pattern != 0) & ~changes.between(float(v[row - 1]), float(v[row]))
            slopes = np.where(pattern > 0, 1.0, run.problem.network.slope) * kept
            gap = _gap(b - before, slopes[moving], float(tau[row] - tau[row - 1]))
            unseen = 2.0 * float((decomposition.rounding(U) / sizes).sum())  # tau in which weights do not show a motion
            gap = max(gap - unseen, 0.0) / float(tau[row])
            worst = Worst(gap, row, float(v[row])) if worst is None or gap > worst.value else worst
        before = b
    return worst


def _gap(moved: Array, slopes: Array, passed: float) -> float:
    """Largest |moved - slope dc_i| over pairs with a slope > 0, dc_i by least squares; and |sum dc_i - passed|.

    The sum is compared where every sample has such a pair.
    """
    squares = (slopes**2).sum(axis=0)
    known = squares > 0.0
    dc = (slopes * moved).sum(axis=0) / np.where(known, squares, 1.0)
    apart = float(np.abs(np.where(slopes > 0.0, moved - slopes * dc, 0.0)).max())
    return max(apart, abs(float(dc.sum()) - passed)) if known.all() else apart


@dataclass(frozen=True, slots=True)
class _Changes:
    """The events of a run, to be asked for by times; surface (E,) of each, of_sample (n,)."""

    v: Array
    neuron: NDArray[np.int32]
    surface: Index
    of_sample: Index
    shape: tuple[int, int]

    @classmethod
    def of(cls, run: AnalyzedRun) -> _Changes:
        events, surfaces = run.trajectory.events, run.problem.surfaces
        surface = surfaces.of_sample[events.sample]
        shape = (run.problem.network.width, surfaces.count)
        return cls(events.log1p_time, events.neuron, surface, surfaces.of_sample, shape)

    def between(self, first: float, last: float) -> Bools:
        """(m, n): pairs with an event at log(1 + t) in [first, last]."""
        inside = slice(np.searchsorted(self.v, first, side="left"), np.searchsorted(self.v, last, side="right"))
        changed = np.zeros(self.shape, dtype=bool)
        changed[self.neuron[inside], self.surface[inside]] = True
        return np.asarray(changed[:, self.of_sample])


def _sentence(good: bool, ratio: Worst | None, books: Worst | None) -> str:
    sentence = "every coefficient has the sign of a_j y_i" if good else "the identities of the coefficients fail"
    if good and ratio is not None:
        sentence += (
            f"; those of one sample differ between neurons by no more than the slope allows (slack {ratio.value:.3g})"
        )
    return sentence + ("" if books is None else f"; their masses agree with the clock of the run to {books.value:.1e}")
