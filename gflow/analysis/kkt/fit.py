"""The solution of the convex problem behind the KKT conditions, with a rule that chooses among dependent gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.kkt.certificate import proved_distance, solved, steepest
from gflow.analysis.kkt.interior import interior_point
from gflow.analysis.kkt.polish import polished, reduced
from gflow.analysis.kkt.problem import Gradients, Multipliers
from gflow.analysis.kkt.vertices import by_vertices
from gflow.arrays import Array, Bools

# Multipliers are unique where the least eigenvalue of the kernel of unit features, over the largest, exceeds this.
DEPENDENT = 1e-11
# Among dependent gradients: price of lambda_c (p_c - min p), and how much longer the residual may become for it.
TIE, ALLOWED, NOTHING = 1e-8, 1.0 + 1e-6, 1e-11
# Margins that exceed the least by at most this, relative to it, count as equal to it.
ON_MARGIN = 1e-6
# Gradients whose product with the residual is below minus this, and minus this part of its length, have no weight in
# any solution.
PUSHED, PUSHED_PART = 1e-9, 1e-6
TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True, slots=True)
class Fit:
    """distance = |theta - sum_c lambda_c h_c|, with `multipliers` lambda (N,) and `slopes` (E,) phi' on kinks.

    on_margin (N,): margins equal to the least.  at_least: proved lower bound of the distance where only these have
    multipliers; None where the least margin is not positive.
    """

    distance: float
    multipliers: Array
    slopes: Array
    determined: bool
    """are the multipliers unique to rounding?"""
    unique: bool
    """are they unique among those that are 0 off the margin?"""
    on_margin: Bools
    at_least: float | None


def least_distance(
    gradients: Gradients, slope: float, known: Multipliers | None = None, binding: Bools | None = None
) -> Fit:
    """Solve the convex problem of `problem`; among equally good lambda, one that is 0 off the margin, where there is
    one, else one with small lambda_c (p_c - min p).  known: weights to be preferred where they are as good.
    binding (N,): margins that are the least one to the error of the point, where that is known to be larger.
    """
    best, least = _solution(gradients), float(gradients.p.min())
    determined, on_margin = _determined(gradients, best), gradients.p <= least + ON_MARGIN * abs(least)
    on_margin = on_margin if binding is None else on_margin | binding
    candidates, unique, at_least = list[Multipliers](), determined, None
    if least > 0.0:
        part = gradients.only(on_margin)
        within = _solution(part)
        unique, at_least = _determined(part, within), proved_distance(part, within) * gradients.length
        offered = [known] if known is not None and not known.lam[~on_margin].any() else []
        candidates = [*offered, gradients.filled(on_margin, within)]
    if not determined:
        price = TIE * np.minimum(_relative_excess(gradients), 1.0)
        candidates.append(polished(gradients, interior_point(gradients, price), price))
    enough = ALLOWED * gradients.distance(best) + NOTHING
    at = next((each for each in candidates if gradients.distance(each) <= enough), best)
    if at_least is not None and not at.lam[~on_margin].any():
        at_least = min(at_least, gradients.distance(at) * gradients.length)
    lam = np.where(gradients.live, at.lam, 0.0)
    share = np.divide(at.nu, lam[gradients.margin], out=np.zeros_like(at.nu), where=lam[gradients.margin] > 0.0)
    return Fit(
        distance=gradients.distance(at) * gradients.length,
        multipliers=lam / gradients.units,
        slopes=slope + (1.0 - slope) * np.clip(share, 0.0, 1.0),
        determined=determined,
        unique=unique,
        on_margin=on_margin,
        at_least=at_least,
    )


def _solution(gradients: Gradients) -> Multipliers:
    """The interior point solution, polished; the solution over vertices where that misses the optimality conditions."""
    none = np.zeros(gradients.size.size)
    best = polished(gradients, interior_point(gradients, none), none)
    if solved(gradients, best):
        return best
    other = by_vertices(gradients)
    return best if other is None or gradients.distance(best) <= gradients.distance(other) else other


def _relative_excess(gradients: Gradients) -> Array:
    """(p_c - min p) / (|h_c| |theta|), (N,), by one length at a time: their product leaves float64 before they do."""
    with np.errstate(over="ignore"):  # from 1 on it makes no difference
        return np.asarray((gradients.p - gradients.p.min()) / gradients.size / max(gradients.length, TINY))


def _determined(gradients: Gradients, at: Multipliers) -> bool:
    """Is the kernel definite on all margins that may have a multiplier in some solution, whatever free kinks do?

    All solutions have the same residual.  A gradient with a negative product with it has no weight in any solution;
    the others may have some.
    """
    residual = gradients.residual(at)
    pull, pushed = gradients.pulls(residual), PUSHED + PUSHED_PART * gradients.distance(at)
    possible = gradients.live & (steepest(gradients, pull) >= -pushed)
    if not possible.any():
        return True
    high, low = pull.on_kinks > pushed, pull.on_kinks < -pushed
    values = np.linalg.eigvalsh(reduced(gradients, ~high & ~low, high)[0][np.ix_(possible, possible)])
    return bool(values[0] > DEPENDENT * values[-1])
