"""What one neuron does with the surfaces it lies on: cross, slide or leave (Filippov's motion by Clarke's element).

Everything is decided twice: by the rates of the switching functions at this instant, and where these are zero to
rounding, by their derivatives along the flow.  No tolerance on a share decides anything, so an event cannot repeat
at one instant; a kink that neither pushes nor pulls to second order is held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.field.clarke import FREE, HIGH, LOW, box_least_norm

Array = NDArray[np.float64]
Sides = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Kink:
    """One neuron on k surfaces at one instant; `_dot` is the derivative along the flow.

    normals (k, r), unit; drift (r,): its velocity with all k surfaces on their - branch; jump (k,): what the + branch
    of each adds along its normal (negative: trapping, positive: pushing).  onward (k,): the side a pushing surface is
    moving to, 0 where the motion has no past (a start on the kink, a sliding surface).
    tolerance: the rates that count as zero; tolerance_dot likewise for their derivatives.
    """

    normals: Array
    drift: Array
    drift_dot: Array
    jump: Array
    jump_dot: Array
    onward: Sides
    tolerance: float
    tolerance_dot: float


def settle(kink: Kink) -> Sides:
    """Sides (k,) after this instant, 0 = sliding.  The normals must be linearly independent.

    Trapping surfaces: the sides of the minimum-norm element.  Pushing ones with a past go on; without one they follow
    the minimum-norm element where it moves, and rest on the kink where it does not.
    """
    fixed = np.where(kink.jump >= 0.0, kink.onward, 0).astype(np.int8)
    seen: set[bytes] = set()
    while True:
        sides, rates = _solve(kink, fixed)
        # A pushing surface that the element leaves takes the branch of the side it moves to; one whose rate turned
        # round because another surface changed goes where its rate points.
        moving = (kink.jump >= 0.0) & (np.abs(rates) > kink.tolerance)
        renewed = np.where(moving, np.sign(rates), fixed).astype(np.int8)
        if (renewed == fixed).all() or renewed.tobytes() in seen:
            return sides
        seen.add(renewed.tobytes())
        fixed = renewed


def _solve(kink: Kink, fixed: Sides) -> tuple[Sides, Array]:
    """Sides and rates (k,) when the surfaces with fixed != 0 take that side and the others the least norm."""
    gram = kink.normals @ kink.normals.T
    forced = np.where(fixed > 0, kink.jump, 0.0)
    base = kink.normals @ kink.drift + gram @ forced
    open_ = (fixed == 0) & (kink.jump != 0.0)
    low, high = np.minimum(kink.jump, 0.0)[open_], np.maximum(kink.jump, 0.0)[open_]
    best = box_least_norm(gram[np.ix_(open_, open_)], base[open_], low, high)
    rates = base + gram[:, open_] @ best.sigma
    rates[open_] = best.rates
    sides = fixed.copy()
    neutral = (fixed == 0) & ~open_
    sides[neutral] = _clear_sign(rates[neutral], kink.tolerance)
    sides[open_] = _clear_sign(best.rates, kink.tolerance)
    near_low = best.sigma <= low + kink.tolerance
    near_high = best.sigma >= high - kink.tolerance
    tied = np.flatnonzero((sides[open_] == 0) & (near_low | near_high))
    if tied.size:
        forced_dot = np.where(fixed > 0, kink.jump_dot, 0.0)
        base_dot = kink.normals @ kink.drift_dot + gram @ forced_dot
        at = np.where(near_low, LOW, np.where(near_high, HIGH, FREE)).astype(np.int8)
        held = sides[open_] != 0
        sides[np.flatnonzero(open_)[tied]] = _second_order(
            gram[np.ix_(open_, open_)], base_dot[open_], kink.jump_dot[open_], kink.jump[open_] < 0.0, at, held, kink
        )[tied]
    return sides, rates


def _second_order(
    gram: Array, base_dot: Array, jump_dot: Array, trapping: NDArray[np.bool_], at: Sides, held: NDArray[np.bool_],
    kink: Kink,
) -> Sides:  # fmt: skip
    """Sides of tied surfaces from the derivative of the least-norm problem, (k,)."""
    bound_dot = np.where((at == LOW) == trapping, jump_dot, 0.0)  # LOW is the jump when it is negative
    bound_dot = np.where(at == FREE, 0.0, bound_dot)
    low = np.where(held | (at == LOW), bound_dot, -np.inf)
    high = np.where(held | (at == HIGH), bound_dot, np.inf)
    keep = ~held  # surfaces that have clearly left only contribute their force
    base = base_dot + gram @ np.where(held, bound_dot, 0.0)
    best = box_least_norm(gram[np.ix_(keep, keep)], base[keep], low[keep], high[keep])
    sides = np.zeros(at.size, dtype=np.int8)
    sides[keep] = _clear_sign(best.rates, kink.tolerance_dot)
    return sides


def _clear_sign(rates: Array, tolerance: float) -> Sides:
    return np.where(rates > tolerance, 1, np.where(rates < -tolerance, -1, 0)).astype(np.int8)
