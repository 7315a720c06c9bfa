"""The solution of the convex problem behind the KKT conditions, with a choice among dependent gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.kkt.interior import interior_point
from gflow.analysis.kkt.polish import polished, reduced
from gflow.analysis.kkt.problem import Gradients, Weights

Array = NDArray[np.float64]

# Least eigenvalue of the kernel of unit features, relative to the largest, with which multipliers are told apart.
DEPENDENT = 1e-11
# Among dependent gradients: price of lambda_c (p_c - min p), and how much longer the residual may become for it.
TIE, ALLOWED, NOTHING = 1e-8, 1.0 + 1e-6, 1e-11
TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True, slots=True)
class Fit:
    """distance = |theta - sum_c lambda_c h_c|, with `multipliers` lambda (N,) and `slopes` (E,) phi' on kinks."""

    distance: float
    multipliers: Array
    slopes: Array
    determined: bool
    """are the multipliers unique to rounding?"""


def least_distance(gradients: Gradients, slope: float) -> Fit:
    """Solve the convex problem of `problem`; among equally good lambda, one with small lambda_c (p_c - min p)."""
    none = np.zeros(gradients.size.size)
    best = polished(gradients, interior_point(gradients, none), none)
    determined = _determined(gradients, best)
    if not determined:
        excess = _relative_excess(gradients)
        price = TIE * np.minimum(excess, 1.0)
        tied = polished(gradients, interior_point(gradients, price), price)
        if gradients.distance(tied) <= ALLOWED * gradients.distance(best) + NOTHING:
            best = tied
    lam = np.where(gradients.live, best.lam, 0.0)
    share = np.divide(best.nu, lam[gradients.margin], out=np.zeros_like(best.nu), where=lam[gradients.margin] > 0.0)
    slopes = slope + (1.0 - slope) * np.clip(share, 0.0, 1.0)
    return Fit(gradients.distance(best) * gradients.length, lam / gradients.units, slopes, determined)


def _relative_excess(gradients: Gradients) -> Array:
    """(p_c - min p) / (|h_c| |theta|), (N,), by one length at a time: their product leaves float64 before they do."""
    with np.errstate(over="ignore"):  # from 1 on it makes no difference
        return np.asarray((gradients.p - gradients.p.min()) / gradients.size / max(gradients.length, TINY))


def _determined(gradients: Gradients, at: Weights) -> bool:
    """Is the kernel definite on the margins in use, whatever the free kinks do?"""
    used = at.lam > 1e-9 * at.lam.max(initial=0.0)
    free = (at.nu > 0.0) & (at.nu < at.lam[gradients.margin])
    if not used.any():
        return True
    high = (at.nu > 0.0) & ~free
    values = np.linalg.eigvalsh(reduced(gradients, free, high)[0][np.ix_(used, used)])
    return bool(values[0] > DEPENDENT * values[-1])
