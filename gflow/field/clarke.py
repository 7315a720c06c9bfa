"""Minimum-norm problems at a kink, solved by pivoting: finite, scale-free, with the active set as the answer.

For one neuron whose zero surfaces have independent unit normals N (k, r), the Clarke set is the image of a box:
velocity = v + N^T sigma, where sigma_h lies between 0 (the - branch) and the jump w_h (the + branch).  The element of
minimum norm minimises |v + N^T sigma|^2 / 2 over that box, a quadratic program in k numbers with the Gram matrix N N^T.
Its multipliers rho = N (v + N^T sigma) are the rates of the k switching functions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array

Active = NDArray[np.int8]

LOW, FREE, HIGH = -1, 0, 1
# Rounding, in units of the terms that were added up.
ROUNDING = 64 * np.finfo(float).eps


class PivotError(ArithmeticError):
    """Pivoting did not end: the kink normals are dependent beyond what the quadratic program can decide."""


@dataclass(frozen=True, slots=True)
class BoxSolution:
    """sigma (k,), rates rho (k,) at it, and which bound holds each sigma_h (LOW, FREE or HIGH)."""

    sigma: Array
    rates: Array
    active: Active


def box_least_norm(gram: Array, rates: Array, low: Array, high: Array) -> BoxSolution:
    """argmin sigma^T gram sigma / 2 + rates^T sigma over low <= sigma <= high; bounds may be infinite.

    gram (k, k) positive definite with unit diagonal, rates (k,) = N v.  Blocks of violations are exchanged while their
    number falls, single ones (least index) otherwise, which ends for every positive definite gram (Murty).
    Raises PivotError when it does not end.
    """
    size = rates.size
    # A bound may be far larger than all rates (the force of a sample that outweighs the others): it is no scale then.
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
    """Each coordinate on its own (exact for one kink)."""
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
    """Where each coordinate should be: bounds that are crossed become active, bounds that pull inwards are let go."""
    target = active.copy()
    target[(active == FREE) & (sigma < low - tolerance)] = LOW
    target[(active == FREE) & (sigma > high + tolerance)] = HIGH
    target[(active == LOW) & (rho < -tolerance)] = FREE
    target[(active == HIGH) & (rho > tolerance)] = FREE
    return target
