"""The minimum-norm problem of `field.clarke` as a kernel: the same pivoting on a Gram matrix, by Cholesky."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.field.clarke import FREE, HIGH, LOW, ROUNDING
from gflow.taylor.neuron import solve
from gflow.taylor.series import Counts


class Box(NamedTuple):
    """argmin sigma^T gram sigma / 2 + rates^T sigma over low <= sigma <= high: what is given, and the answer.

    active: which bound holds each sigma; rho = rates + gram sigma.  matrix (k, k), right (k, 1), on (k,): buffers.
    """

    gram: Array
    rates: Array
    low: Array
    high: Array
    sigma: Array
    rho: Array
    active: Counts
    target: Counts
    matrix: Array
    right: Array
    on: Counts


@kernel
def box_of(k: int) -> Box:
    """Room for k numbers."""
    return Box(
        np.zeros((k, k)),
        np.zeros(k),
        np.zeros(k),
        np.zeros(k),
        np.zeros(k),
        np.zeros(k),
        np.zeros(k, np.int64),
        np.zeros(k, np.int64),
        np.zeros((k, k)),
        np.zeros((k, 1)),
        np.zeros(k, np.int64),
    )


@kernel
def scale_of(box: Box, k: int) -> float:
    """The largest rate or, where all are 0, the largest finite bound."""
    largest = 0.0
    for i in range(k):
        largest = max(largest, abs(box.rates[i]))
    if largest > 0.0:
        return largest
    for i in range(k):
        for bound in (abs(box.low[i]), abs(box.high[i])):
            if bound < np.inf:
                largest = max(largest, bound)
    return largest


@kernel
def multiply(box: Box, k: int) -> None:
    """rho = rates + gram sigma."""
    for i in range(k):
        x = box.rates[i]
        for j in range(k):
            x += box.gram[i, j] * box.sigma[j]
        box.rho[i] = x


@kernel
def stationary(box: Box, k: int) -> bool:
    """sigma with its free coordinates stationary, and rho there, exactly 0 on those; False where gram is delicate."""
    free = 0
    for i in range(k):
        box.sigma[i] = 0.0
        if box.active[i] == FREE:
            box.on[free] = i
            free += 1
        else:
            box.sigma[i] = box.low[i] if box.active[i] == LOW else box.high[i]
    multiply(box, k)
    if free == 0:
        return True
    for i in range(free):
        for j in range(free):
            box.matrix[i, j] = box.gram[box.on[i], box.on[j]]
        box.right[i, 0] = -box.rho[box.on[i]]
    if not solve(box.matrix, box.right, free, 1):
        return False
    for i in range(free):
        box.sigma[box.on[i]] = box.right[i, 0]
    multiply(box, k)
    for i in range(free):
        box.rho[box.on[i]] = 0.0
    return True


@kernel
def exchange(box: Box, k: int, tolerance: float) -> tuple[int, int]:
    """Where each coordinate should be: how many are wrong, and the first of them."""
    wrong, first = 0, -1
    for i in range(k):
        now = box.active[i]
        goal = now
        if now == FREE and box.sigma[i] < box.low[i] - tolerance:
            goal = LOW
        if now == FREE and box.sigma[i] > box.high[i] + tolerance:
            goal = HIGH
        if (now == LOW and box.rho[i] < -tolerance) or (now == HIGH and box.rho[i] > tolerance):
            goal = FREE
        box.target[i] = goal
        if goal != now:
            wrong += 1
            if first < 0:
                first = i
    return wrong, first


@kernel
def least_norm(box: Box, k: int) -> bool:
    """Solve it; False where pivoting does not end or gram is delicate."""
    tolerance = ROUNDING * scale_of(box, k)
    for i in range(k):
        box.active[i] = LOW if -box.rates[i] <= box.low[i] else (HIGH if -box.rates[i] >= box.high[i] else FREE)
    fewest, patience = k + 1, 8
    for _ in range(40 + 20 * k * k):
        if not stationary(box, k):
            return False
        wrong, first = exchange(box, k, tolerance)
        if wrong == 0:
            for i in range(k):
                box.sigma[i] = min(max(box.sigma[i], box.low[i]), box.high[i])
            return True
        if wrong < fewest:
            fewest, patience = wrong, 8
        else:
            patience -= 1
        for i in range(k):
            if patience > 0 or i == first:
                box.active[i] = box.target[i]
    return False
