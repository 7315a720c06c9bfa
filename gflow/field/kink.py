"""The decision of one neuron on the surfaces it lies on: to cross, slide or leave (Filippov, Clarke).

It is made by the rates of the switching functions at this instant and, where these are zero to rounding, by their
derivatives along the flow.  No decision uses a tolerance on a share, so an event cannot repeat at one instant.  On a
kink that neither pushes nor pulls to second order the neuron is held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Bools, Sides
from gflow.field.clarke import box_least_norm


@dataclass(frozen=True, slots=True)
class Kink:
    """One neuron on k surfaces at one instant; names with `_dot` are derivatives along the flow, with the same shapes.

    normals (k, r): unit normals; drift (r,), drift_dot (r,): the velocity with all k surfaces on their - branch; jump
    (k,), jump_dot (k,): what the + branch of each adds along its normal (negative: trapping, positive: pushing); onward
    (k,): the side to which a pushing surface is moving, 0 where there was no motion before (a start on the kink, a
    sliding surface); tolerance: the rates up to which they count as zero; tolerance_dot: likewise for their
    derivatives.
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
    """The sides (k,) after this instant, 0 for sliding.  The normals must be linearly independent.

    Trapping surfaces get the sides of the minimum-norm element.  On pushing ones the neuron continues to the side
    `onward`; where that is 0 it follows the minimum-norm element if that moves, and rests on the kink if not.  Raises
    PivotError where the minimum-norm problem cannot be solved.
    """
    # A jump within rounding does not push: f may come to rest on the kink itself, as between contradicting samples.
    fixed = np.where(kink.jump > kink.tolerance, kink.onward, 0).astype(np.int8)
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
    """Sides and rates (k,) if the surfaces with fixed != 0 take that side and the others follow the least norm."""
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
    tied = (sides[open_] == 0) & (near_low | near_high)
    if tied.any():
        # Among ties the derivatives decide: of the rates, and of the bounds that the shares rest on.
        base_dot = kink.normals @ kink.drift_dot + gram @ np.where(fixed > 0, kink.jump_dot, 0.0)
        low_dot = np.where(kink.jump < 0.0, kink.jump_dot, 0.0)[open_]
        high_dot = np.where(kink.jump < 0.0, 0.0, kink.jump_dot)[open_]
        left = sides[open_] != 0  # these leave without doubt, and contribute only the force of their branch
        base_dot = base_dot[open_] + gram[np.ix_(open_, open_)] @ np.where(
            left, np.where(near_low, low_dot, high_dot), 0.0
        )
        both = near_low & near_high  # the jump itself is zero to rounding: its derivative bounds both ends
        low_dot[both], high_dot[both] = np.minimum(low_dot, high_dot)[both], np.maximum(low_dot, high_dot)[both]
        rates_dot = _second_order(
            gram[np.ix_(open_, open_)],
            base_dot,
            np.where(near_low, low_dot, -np.inf),
            np.where(near_high, high_dot, np.inf),
            ~left,
        )
        sides[np.flatnonzero(open_)[tied]] = _clear_sign(rates_dot, kink.tolerance_dot)[tied]
    return sides, rates


def _second_order(gram: Array, base_dot: Array, low: Array, high: Array, keep: Bools) -> Array:
    """Derivatives of the rates (k,) in the derivative of the least-norm problem; 0 where not kept."""
    rates_dot = np.zeros(base_dot.size)
    rates_dot[keep] = box_least_norm(gram[np.ix_(keep, keep)], base_dot[keep], low[keep], high[keep]).rates
    return rates_dot


def _clear_sign(rates: Array, tolerance: float) -> Sides:
    return np.where(rates > tolerance, 1, np.where(rates < -tolerance, -1, 0)).astype(np.int8)
