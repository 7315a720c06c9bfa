"""The hard-margin problem of a mode: min |W|^2 / 2 with all margins at least 1, solved from the features of margins.

With features h_i, the rows of H, the dual is min |H^T lambda|^2 / 2 - 1^T lambda over lambda >= 0; W* = H^T lambda,
with margins H W* >= 1, equal to 1 where lambda_i > 0.  W* is unique.  The multipliers are a point of the polytope
    Lambda = {lambda >= 0 : H^T lambda = W*, lambda_i = 0 where the margin is above 1} ,
a single one where the features of the samples with margin 1 are independent.

*Errors*, with unit rows and needed margins f = 1 / |h_i| in place of 1.  The exact rows are those of H + E with
|E_i| <= off_i.  Let A = H_S^T on the support S, G its pseudo-inverse with rows of length g_i, w and lambda the
computed solution, r = f_S - A^T w, d = |A lambda - w|, x the exact multipliers of this support.  From the normal
equations of A + E^T,  x - lambda = K_E^-1 (r - E w) - (A + E^T)^+ (A lambda - w + E^T lambda).  If eta = sum_S off_i
g_i <= 1/8, then A + E^T = (1 + E^T G) A with |E^T G| <= eta, so that with v_i = |r_i| + off_i |w|
    |x - lambda|_i <= 1.4 (sum_k |G G^T|_ik v_k + 3 eta g_i sum_k g_k v_k + g_i (d + sum_k off_k lambda_k)) ,
    |W* - w|       <= 1.4 sum_k g_k v_k + d + sum_k off_k lambda_k   (where S is the support of the exact solution).
Whatever the support, |W* - w|^2 <= 2 (gap of primal and dual), since the primal is strongly convex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from gflow.arrays import EPS, Array, Bools
from gflow.problem.span import row_norms

# Unit features whose largest common margin is below this, or below four times their rounding, count as not separable.
LEAST_MARGIN = 1e-13
# Units of W tried one after the other, until |W| in it is at most 1 / LARGEST_OFF.
WEIGHT_UNITS, LARGEST_OFF = (1.0, 1e-4, 1e-8, 1e-12), 1e-3
# Largest sum of off_i g_i with which the bounds of the errors hold.
WORST_SHARE = 0.125
MOST_EXCHANGES = 50
# Weights below this part of the largest are taken for 0 at first.
NO_WEIGHT = 1e-9


@dataclass(frozen=True, slots=True)
class HardMargin:
    """multipliers (n,) >= 0, each off by at most error (n,); margins (n,) = H w, off by at most margin_error (n,).

    w (k,): W* in the coordinates of the features; w_error: a bound of |w - W*|.  dual (n,) = multipliers / sum; kappa =
    1 / sum, the rate in tau at which the least margin grows in the limit.  support (n,): multipliers > 0; rank: that of
    the features on the support; binding (n,): the margin is 1 to its error.  unique: the exact multipliers are proved
    to be unique.  certain: an exact solution with this support is proved to lie within the errors, with the other
    margins above 1 (or at least 1, in a solution from rational arithmetic, whose ties are exact).
    """

    multipliers: Array
    error: Array
    margins: Array
    margin_error: Array
    w: Array
    w_error: float
    support: Bools
    rank: int
    binding: Bools
    unique: bool
    certain: bool

    @property
    def shift(self) -> Array:
        """Bounds (n,) of |dual - exact dual|, entry by entry."""
        error = self.error * self.support
        return np.asarray((error + self.dual * error.sum()) / (0.5 * self.multipliers.sum()))

    @property
    def dual(self) -> Array:
        """The limit of q, (n,): multipliers / sum."""
        return np.asarray(self.multipliers / self.multipliers.sum())

    @property
    def kappa(self) -> float:
        """1 / sum of the multipliers, > 0."""
        return 1.0 / float(self.multipliers.sum())


def hard_margin(K: Array) -> HardMargin | None:
    """The solution for K (n, n), positive semidefinite with a positive diagonal; None where none is found.

    A kernel holds half the digits of its features, so that margins of less than 1e-7 cannot be seen.
    """
    size = np.sqrt(np.diag(K))
    values, vectors = np.linalg.eigh(K / np.outer(size, size))
    rows = vectors * np.sqrt(np.maximum(values, 0.0))
    lost = 8.0 * EPS * size.size
    off = lost / np.sqrt(max(float(values[0]), lost))
    return margin_of_features(size[:, None] * rows, off * size)


def least_margin(off: Array) -> float:
    """The unit margin below which none can be found, for unit features (n, k) that are off by at most off (n,)."""
    return max(LEAST_MARGIN, 4.0 * float(off.max(initial=0.0)))


def margin_of_features(H: Array, error: Array) -> HardMargin | None:
    """The solution for features H (n, k), no row zero, each off by at most error (n,).

    None where the unit features have no common margin above `least_margin`.  Least-distance programming (Lawson and
    Hanson, ch. 23) finds the support, and a linear solve on it the multipliers.
    """
    size = row_norms(H)
    unit, off = H / size[:, None], error / size + 8.0 * EPS * (H.shape[1] + 8)
    least = least_margin(off)
    multipliers = _least_distance(unit, np.ones(size.size), least)
    if multipliers is not None:
        multipliers = _least_distance(unit, 1.0 / size, least)
    return None if multipliers is None else _polished(unit, 1.0 / size, multipliers, off).scaled(size)


def opposed(H: Array) -> Array:
    """mu (n,) >= 0 with sum 1 that minimises |sum_i mu_i h_i / |h_i||, for H (n, k).

    Where the minimum is 0, no W has positive margins.
    """
    unit = H / row_norms(H)[:, None]
    weights, _ = nnls(np.vstack([unit.T, np.ones(H.shape[0])]), np.eye(unit.shape[1] + 1)[-1], maxiter=100 * len(H))
    weights = np.where(weights > NO_WEIGHT * weights.max(), weights, 0.0)
    return np.asarray(weights / weights.sum())


def _least_distance(unit: Array, needed: Array, least: float) -> Array | None:
    """lambda (n,) of min |w| with M w >= needed, M the unit features; None if |w| > max(needed) / least or there is no
    such w."""
    scale = float(needed.max())
    for each in WEIGHT_UNITS:
        columns = np.vstack([unit.T, each * needed / scale])
        lengths = np.linalg.norm(columns, axis=0)
        target = np.zeros(columns.shape[0])
        target[-1] = 1.0
        weights, _ = nnls(columns / lengths, target, maxiter=100 * columns.shape[1])
        left = target - (columns / lengths) @ weights
        found = weights / lengths
        if left[-1] > LARGEST_OFF**2:
            small = float(np.linalg.norm(unit.T @ found)) * least > each * left[-1]
            return None if small else np.asarray(scale * (found / left[-1]) / each)
    return None


@dataclass(frozen=True, slots=True)
class _Polished:
    """A solution for unit features; fields as in `HardMargin`."""

    multipliers: Array
    error: Array
    margins: Array
    margin_error: Array
    w: Array
    w_error: float
    support: Bools
    rank: int
    binding: Bools
    unique: bool
    certain: bool

    def scaled(self, size: Array) -> HardMargin:
        """Back from unit features to those of length size (n,)."""
        return HardMargin(
            self.multipliers / size,
            self.error / size,
            self.margins * size,
            self.margin_error * size,
            self.w,
            self.w_error,
            self.support,
            self.rank,
            self.binding,
            self.unique,
            self.certain,
        )


def _polished(unit: Array, needed: Array, found: Array, off: Array) -> _Polished:
    """Multipliers to rounding, on a support that is exchanged until it satisfies the KKT conditions."""
    support = found > NO_WEIGHT * found.max()
    for _ in range(MOST_EXCHANGES):
        w, multipliers = _solve(unit, needed, support)
        slack = unit @ w - needed
        short = -np.maximum(1e-10 * needed.max(), 4.0 * off * np.linalg.norm(w))
        wrong = np.where(support, multipliers < 0.0, slack < short)
        if not wrong.any():
            break
        worst = np.argmax(np.where(wrong, np.where(support, -multipliers * needed.max(), -slack), -1.0))
        support[worst] = not support[worst]
    multipliers = np.maximum(multipliers, 0.0)
    bounds = _Bounds.of(unit, needed, off, w, multipliers, support)
    margin_error = off * np.linalg.norm(w) + bounds.distance
    known = bounds.holds and not wrong.any() and bool((multipliers[support] > bounds.error[support]).all())
    certain = known and bool((slack[~support] > margin_error[~support]).all())
    distance = bounds.distance if certain else _reach(unit, needed, off, w, multipliers)
    near = support | (slack <= off * np.linalg.norm(w) + distance)
    return _Polished(
        multipliers,
        bounds.error,
        unit @ w,
        margin_error,
        w,
        distance,
        support,
        int(np.linalg.matrix_rank(unit[support], tol=_unsure(off[support]))),
        support | (slack <= margin_error),
        certain or _independent(unit[near], off[near]),
        certain,
    )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Bounds of the errors of multipliers (n,) and of w, if they hold."""

    error: Array
    distance: float
    holds: bool

    @classmethod
    def of(cls, unit: Array, needed: Array, off: Array, w: Array, multipliers: Array, support: Bools) -> _Bounds:
        """See the head of this module."""
        A, own, lam, error = unit[support].T, off[support], multipliers[support], np.zeros(needed.size)
        G: Array = np.asarray(np.linalg.pinv(A, rcond=EPS * A.size), dtype=np.float64)
        g = row_norms(G)
        share = float(own @ g)
        carried = float(np.linalg.norm(A @ lam - w)) + float(own @ lam)
        v = np.abs(needed[support] - A.T @ w) + own * float(np.linalg.norm(w))
        spread = float(g @ v)
        error[support] = 1.4 * (np.abs(G @ G.T) @ v + 3.0 * share * g * spread + g * carried)
        independent = A.shape[1] <= A.shape[0] and _independent(unit[support], own)
        return cls(error, 1.4 * spread + carried, share <= WORST_SHARE and independent)


def _reach(unit: Array, needed: Array, off: Array, w: Array, multipliers: Array) -> float:
    """A bound of |W* - w|, whatever the support: from the gap of primal and dual."""
    size = float(np.linalg.norm(w))
    own = off * size
    short = float((np.maximum(needed - unit @ w, 0.0) + own).max() / needed.min())
    lost = float(np.linalg.norm(unit.T @ multipliers - w)) + float(off @ multipliers)
    gap = 2.0 * short * size**2 + abs(float(needed @ multipliers) - size**2) + 2.0 * lost * size
    return float(np.sqrt(2.0 * gap))


def _unsure(off: Array) -> float:
    """A bound of the error of singular values of unit features that are off by at most off (n,)."""
    return float(np.linalg.norm(off)) + 8.0 * EPS * off.size


def _independent(unit: Array, off: Array) -> bool:
    """Whether the rows are proved to be independent."""
    if unit.shape[0] > unit.shape[1]:
        return False
    return bool(np.linalg.svd(unit, compute_uv=False)[-1] > 2.0 * _unsure(off))


def _solve(unit: Array, needed: Array, support: Bools) -> tuple[Array, Array]:
    """w (k,) of least norm with margins `needed` on the support, and multipliers (n,) with H^T multipliers = w; in the
    sense of least squares where the features are dependent; with one step of refinement each."""
    A, multipliers = unit[support], np.zeros(needed.size)
    w = np.linalg.lstsq(A, needed[support])[0]
    w += np.linalg.lstsq(A, needed[support] - A @ w)[0]
    own = np.linalg.lstsq(A.T, w)[0]
    multipliers[support] = own + np.linalg.lstsq(A.T, w - A.T @ own)[0]
    return np.asarray(w, dtype=np.float64), multipliers
