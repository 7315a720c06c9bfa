"""Minimum-norm problems at a kink, solved by pivoting, which is finite and scale-free and yields the active set.

For one neuron on k kinks with independent unit normals N (k, r), the Clarke set is the image of a box: velocity = v +
N^T sigma, where sigma_h lies between 0 (the - branch) and the jump w_h (the + branch).  The element of minimum norm
minimises |v + N^T sigma|^2 / 2 over that box, a quadratic program in k numbers with the Gram matrix N N^T.  Its
multipliers rho = N (v + N^T sigma) are the rates of the k switching functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import EPS, Array

Active = NDArray[np.int8]

LOW, FREE, HIGH = -1, 0, 1
# Bound of the rounding of a sum, relative to the sum of the sizes of its terms.
ROUNDING = 64 * EPS


class PivotError(ArithmeticError):
    """Pivoting did not end: the kink normals are dependent beyond what the quadratic program can decide."""


@dataclass(frozen=True, slots=True)
class BoxSolution:
    """The solution sigma (k,), the rates rho (k,) there, and active (k,): the bound that holds each sigma_h (LOW, FREE,
    HIGH).
    """

    sigma: Array
    rates: Array
    active: Active


def box_least_norm(gram: Array, rates: Array, low: Array, high: Array) -> BoxSolution:
    """argmin sigma^T gram sigma / 2 + rates^T sigma over low <= sigma <= high, (k,) each; bounds may be infinite.

    gram (k, k) is positive definite with unit diagonal, rates (k,) = N v.  All wrong coordinates are exchanged together
    while their number falls, otherwise the one of least index, which ends for every positive definite gram (Murty).
    Raises PivotError where it does not end, since gram is singular to rounding.
    """
    size = rates.size
    # Where one sample outweighs the others, a bound may be far larger than all rates, so bounds set the scale only if
    # all rates are 0.
    tolerance = ROUNDING * (np.abs(rates).max(initial=0.0) or _finite_largest(low, high))
    active = _start(rates, low, high)
    fewest, patience = size + 1, 8
    for _ in range(40 + 20 * size * size):
        try:
            sigma, rho = _solve(gram, rates, low, high, active)
        except np.linalg.LinAlgError as error:
            raise PivotError(f"the normals of {size} kinks are dependent") from error
        target = _exchange(sigma, rho, low, high, active, tolerance)
        wrong = np.flatnonzero(target != active)
        if wrong.size == 0:
            return BoxSolution(np.clip(sigma, low, high), rho, active)
        if wrong.size < fewest:
            fewest, patience = wrong.size, 8
        else:
            patience -= 1
        chosen = wrong if patience > 0 else wrong[:1]
        active[chosen] = target[chosen]
    raise PivotError(f"the minimum-norm problem over {size} kinks did not settle")


def _finite_largest(low: Array, high: Array) -> float:
    bounds = np.concatenate([low, high])
    return float(np.abs(bounds[np.isfinite(bounds)]).max(initial=0.0))


def _start(rates: Array, low: Array, high: Array) -> Active:
    """The solution of each coordinate by itself, as the first guess; exact for one kink."""
    return np.where(-rates <= low, LOW, np.where(-rates >= high, HIGH, FREE)).astype(np.int8)


def _solve(gram: Array, rates: Array, low: Array, high: Array, active: Active) -> tuple[Array, Array]:
    """sigma with the free coordinates stationary, and the rates there (exactly 0 on free coordinates)."""
    sigma = np.where(active == LOW, low, np.where(active == HIGH, high, 0.0))
    free = active == FREE
    rho = rates + gram @ sigma
    if free.any():
        sigma[free] = np.linalg.solve(gram[np.ix_(free, free)], -rho[free])
        rho = rates + gram @ sigma
        rho[free] = 0.0
    return sigma, rho


def _exchange(sigma: Array, rho: Array, low: Array, high: Array, active: Active, tolerance: float) -> Active:
    """The bound that should hold each coordinate: one that is crossed becomes active, one that pulls inwards is
    released.
    """
    target = active.copy()
    target[(active == FREE) & (sigma < low - tolerance)] = LOW
    target[(active == FREE) & (sigma > high + tolerance)] = HIGH
    target[(active == LOW) & (rho < -tolerance)] = FREE
    target[(active == HIGH) & (rho > tolerance)] = FREE
    return target
