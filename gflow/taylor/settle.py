"""What one neuron does with the surfaces it lies on: `field.kink.settle` as a kernel, for independent normals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.taylor.box import Box, box_of, least_norm
from gflow.taylor.series import Counts

# Rounds in which pushing surfaces take the branch of the side they move to, beyond which they are left as they are.
ROUNDS = 100


class Kink(NamedTuple):
    """As `field.kink.Kink`, in rates of the switching functions: normals . drift instead of drift.

    sides (k,): the answer.  rates (k,); fixed, open_ (k,): which surfaces took a side, which take the least norm.
    """

    gram: Array
    drift: Array
    drift_dot: Array
    jump: Array
    jump_dot: Array
    onward: Counts
    sides: Counts
    rates: Array
    fixed: Counts
    open_: Counts
    tied: Counts


@kernel
def kink_of(k: int) -> Kink:
    """Room for k surfaces."""
    return Kink(
        np.zeros((k, k)),
        np.zeros(k),
        np.zeros(k),
        np.zeros(k),
        np.zeros(k),
        np.zeros(k, np.int64),
        np.zeros(k, np.int64),
        np.zeros(k),
        np.zeros(k, np.int64),
        np.zeros(k, np.int64),
        np.zeros(k, np.int64),
    )


@kernel
def clear_sign(rate: float, tolerance: float) -> int:
    """The side that a rate points to; 0 where it is rounding."""
    return 1 if rate > tolerance else (-1 if rate < -tolerance else 0)


@kernel
def forced(kink: Kink, drift: Array, jump: Array, i: int) -> float:
    """Rate of surface i with the surfaces that took the + side on it, and all others on the -."""
    x = drift[i]
    for j in range(drift.size):
        if kink.fixed[j] > 0:
            x += kink.gram[i, j] * jump[j]
    return float(x)


@kernel
def open_box(kink: Kink, box: Box) -> int:
    """The least-norm problem of the surfaces that took no side; how many they are."""
    count = 0
    for i in range(kink.jump.size):
        if kink.fixed[i] == 0 and kink.jump[i] != 0.0:
            kink.open_[count] = i
            count += 1
    for i in range(count):
        of = kink.open_[i]
        for j in range(count):
            box.gram[i, j] = kink.gram[of, kink.open_[j]]
        box.rates[i] = forced(kink, kink.drift, kink.jump, of)
        box.low[i], box.high[i] = min(kink.jump[of], 0.0), max(kink.jump[of], 0.0)
    return count


@kernel
def first_order(kink: Kink, box: Box, tolerance: float) -> int:
    """Sides and rates with the open surfaces at the least norm; how many are open, -1 where pivoting does not end."""
    count = open_box(kink, box)
    if not least_norm(box, count):
        return -1
    for i in range(kink.jump.size):
        rate = forced(kink, kink.drift, kink.jump, i)
        for j in range(count):
            rate += kink.gram[i, kink.open_[j]] * box.sigma[j]
        kink.rates[i] = rate
        kink.sides[i] = kink.fixed[i]
        if kink.fixed[i] == 0 and kink.jump[i] == 0.0:
            kink.sides[i] = clear_sign(rate, tolerance)
    for j in range(count):
        kink.rates[kink.open_[j]] = box.rho[j]
        kink.sides[kink.open_[j]] = clear_sign(box.rho[j], tolerance)
    return count


@kernel
def mark_ties(kink: Kink, box: Box, count: int, tolerance: float) -> bool:
    """tied[j]: bits of the bounds that the force of open surface j is near (1 low, 2 high); is any undecided one?"""
    any_ = False
    for j in range(count):
        near = 1 if box.sigma[j] <= box.low[j] + tolerance else 0
        near += 2 if box.sigma[j] >= box.high[j] - tolerance else 0
        kink.tied[j] = near
        any_ = any_ or (near > 0 and kink.sides[kink.open_[j]] == 0)
    return any_


@kernel
def bounds_rate(kink: Kink, j: int) -> tuple[float, float]:
    """Derivatives of the two bounds of open surface j."""
    of = kink.open_[j]
    low = kink.jump_dot[of] if kink.jump[of] < 0.0 else 0.0
    high = 0.0 if kink.jump[of] < 0.0 else kink.jump_dot[of]
    if kink.tied[j] == 3:  # the jump itself is rounding: its derivative bounds both ends
        return min(low, high), max(low, high)
    return low, high


@kernel
def second_order(kink: Kink, box: Box, count: int, tolerance_dot: float) -> bool:
    """Among ties the derivatives decide, of the rates and of the bounds that forces rest on; False as above."""
    kept = 0
    second = box_of(count)
    of = np.zeros(count, np.int64)
    for j in range(count):
        if kink.sides[kink.open_[j]] == 0:
            of[kept] = j
            kept += 1
    for s in range(kept):
        j = of[s]
        rate = forced(kink, kink.drift_dot, kink.jump_dot, kink.open_[j])
        for b in range(count):
            if kink.sides[kink.open_[b]] != 0:  # clearly: these only contribute the force of their branch
                low, high = bounds_rate(kink, b)
                rate += box.gram[j, b] * (low if kink.tied[b] & 1 else high)
        low, high = bounds_rate(kink, j)
        second.rates[s] = rate
        second.low[s] = low if kink.tied[j] & 1 else -np.inf
        second.high[s] = high if kink.tied[j] & 2 else np.inf
        for b in range(kept):
            second.gram[s, b] = box.gram[j, of[b]]
    if not least_norm(second, kept):
        return False
    for s in range(kept):
        if kink.tied[of[s]] > 0:
            kink.sides[kink.open_[of[s]]] = clear_sign(second.rho[s], tolerance_dot)
    return True


@kernel
def settle(kink: Kink, tolerance: float, tolerance_dot: float) -> bool:
    """Fill in the sides after this instant; False where pivoting does not end."""
    k = kink.jump.size
    box = box_of(k)
    for i in range(k):
        kink.fixed[i] = kink.onward[i] if kink.jump[i] > tolerance else 0
    for _ in range(ROUNDS):
        count = first_order(kink, box, tolerance)
        if count < 0:
            return False
        if mark_ties(kink, box, count, tolerance) and not second_order(kink, box, count, tolerance_dot):
            return False
        same = True
        for i in range(k):
            renewed = kink.fixed[i]
            if kink.jump[i] >= 0.0 and abs(kink.rates[i]) > tolerance:
                renewed = 1 if kink.rates[i] > 0.0 else -1
            same = same and renewed == kink.fixed[i]
            kink.fixed[i] = renewed
        if same:
            return True
    return True
