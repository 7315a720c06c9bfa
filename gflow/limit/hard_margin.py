"""The hard-margin problem of a mode: min |W|^2 / 2 with every margin at least 1, from its kernel alone.

With features h_i of the margins and K_ik = <h_i, h_k>, the dual is min lambda^T K lambda / 2 - 1^T lambda over
lambda >= 0; W* = sum_i lambda_i h_i, with margins K lambda >= 1, equal to 1 where lambda_i > 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

Array = NDArray[np.float64]

EPS = float(np.finfo(float).eps)
# Unit features whose largest common margin is below this count as not separable.
LEAST_MARGIN = 1e-7
# Largest condition number of K on the support with which multipliers are told apart.
WORST_CONDITION = 1e9
MOST_EXCHANGES = 50


@dataclass(frozen=True, slots=True)
class HardMargin:
    """multipliers (n,) >= 0 with `error` on each; margins (n,) = K multipliers with `margin_error`; support (n,).

    dual = multipliers / sum; kappa = 1 / sum, the rate at which the least margin grows in tau in the limit.
    unique: K is positive definite on the support, so that an exact solution with this support lies within the errors.
    """

    multipliers: Array
    error: Array
    margins: Array
    margin_error: Array
    support: NDArray[np.bool_]
    unique: bool

    @property
    def shift(self) -> Array:
        """Bounds (n,) of |dual - exact dual|."""
        error = self.error * self.support
        return np.asarray((error + self.dual * error.sum()) / (0.5 * self.multipliers.sum()))

    @property
    def dual(self) -> Array:
        return np.asarray(self.multipliers / self.multipliers.sum())

    @property
    def kappa(self) -> float:
        return 1.0 / float(self.multipliers.sum())


def hard_margin(K: Array, K_error: Array | None = None) -> HardMargin | None:
    """K (n, n) positive semidefinite with a positive diagonal -> its solution; None where no W has positive margins.

    K_error (n, n): bounds of what the exact K differs by.  Least-distance programming (Lawson and Hanson, ch. 23) finds
    the support, a linear solve on it the multipliers.
    """
    size = np.sqrt(np.diag(K))
    unit = K / np.outer(size, size)
    off = 64.0 * EPS * np.abs(unit) + (0.0 if K_error is None else K_error / np.outer(size, size))
    if _least_distance(unit, np.ones(size.size)) is None:
        return None
    multipliers = _least_distance(unit, 1.0 / size)
    if multipliers is None:
        return None
    return _polished(unit, 1.0 / size, multipliers, off).scaled(size)


def _least_distance(unit: Array, needed: Array) -> Array | None:
    """lambda (n,) of min |w| with M w >= needed, where unit = M M^T; None if there is no such w.

    In units of the largest need, so that |w| is at most 1 / the common margin of the unit features.
    """
    values, vectors = np.linalg.eigh(unit)
    scale = float(needed.max())
    columns = np.vstack([np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T, needed / scale])
    lengths = np.linalg.norm(columns, axis=0)
    target = np.zeros(columns.shape[0])
    target[-1] = 1.0
    weights, _ = nnls(columns / lengths, target, maxiter=100 * columns.shape[1])
    left = target - (columns / lengths) @ weights
    if left[-1] <= LEAST_MARGIN**2:
        return None
    return np.asarray(scale * (weights / lengths) / left[-1])


@dataclass(frozen=True, slots=True)
class _Polished:
    multipliers: Array
    error: Array
    margins: Array
    margin_error: Array
    support: NDArray[np.bool_]
    unique: bool

    def scaled(self, size: Array) -> HardMargin:
        """Back from unit features to those of length size (n,)."""
        return HardMargin(
            self.multipliers / size,
            self.error / size,
            self.margins * size,
            self.margin_error * size,
            self.support,
            self.unique,
        )


def _polished(unit: Array, needed: Array, found: Array, off: Array) -> _Polished:
    """Multipliers to rounding, on a support that is exchanged until it satisfies the KKT conditions.

    off (n, n): bounds of the entries by which `unit` is off.
    """
    support = found > 1e-9 * found.max()
    for _ in range(MOST_EXCHANGES):
        multipliers = np.zeros(found.size)
        multipliers[support] = _solve(unit[np.ix_(support, support)], needed[support])
        margins = unit @ multipliers
        slack = margins - needed
        wrong = np.where(support, multipliers < 0.0, slack < -1e-10 * needed.max())
        if not wrong.any():
            break
        worst = np.argmax(np.where(wrong, np.where(support, -multipliers * needed.max(), -slack), -1.0))
        support[worst] = not support[worst]
    error, known = _error(unit, off, multipliers, support)
    margin_error = off @ np.abs(multipliers) + np.abs(unit) @ error
    sure = known and not wrong.any() and bool((multipliers[support] > error[support]).all())
    return _Polished(multipliers, error, margins, margin_error, support, sure)


def _error(unit: Array, off: Array, multipliers: Array, support: NDArray[np.bool_]) -> tuple[Array, bool]:
    """Bounds (n,) of the errors of multipliers, and whether the matrix is far enough from singular for them to hold.

    (A + E) x = b has |x - x'| <= 2 |A^-1| (|E| |x'| + |b - A x'|) entrywise where || |A^-1| |E| || <= 1/2.
    """
    chosen = np.ix_(support, support)
    error = np.zeros(multipliers.size)
    if _condition(unit[chosen]) > WORST_CONDITION:
        return error, False
    inverse = np.abs(np.linalg.inv(unit[chosen]))
    error[support] = 4.0 * inverse @ (off[chosen] @ np.abs(multipliers[support]))
    return error, float((inverse @ off[chosen]).sum(axis=1).max()) < 0.25


def _solve(unit: Array, needed: Array) -> Array:
    """unit^-1 needed with one step of refinement; the least-squares solution where unit is singular."""
    try:
        first = np.linalg.solve(unit, needed)
        return np.asarray(first + np.linalg.solve(unit, needed - unit @ first))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(unit, needed)[0])


def _condition(unit: Array) -> float:
    values = np.linalg.eigvalsh(unit)
    return float(values[-1] / max(values[0], EPS * values[-1]))
