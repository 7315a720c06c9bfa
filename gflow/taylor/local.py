"""One neuron at one instant, whatever moves it: the surfaces it lies on, and what it does there (`Guards.kink`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.field.clarke import ROUNDING
from gflow.taylor.model import CLOCK, EVENTS, INSTANTS, AnyModel, Data, Mode, Scratch, Sides
from gflow.taylor.neuron import along, cholesky, pushed, solve, submatrix
from gflow.taylor.series import Counts
from gflow.taylor.settle import Kink, settle

# Why a neuron is not decided here: its normals are too nearly dependent, pivoting does not end, or it has no slot left.
DECIDED, UNDECIDED, NO_SLOT = 0, 1, 2


class Pull(NamedTuple):
    """The pull a_j q_i of the samples on one neuron, which moves by sum_i phi'_ji y_i pull_i c_i; (n,) each.

    rate: along the flow; terms: the size of what is added up in that.
    """

    now: Array
    rate: Array
    terms: Array


@kernel
def pull_of(samples: int) -> Pull:
    """Room for n samples."""
    return Pull(np.zeros(samples), np.zeros(samples), np.zeros(samples))


@kernel
def surfaces_at_zero(side: Sides, zeta: Array, band: float, zero: Counts) -> int:
    """The surfaces on which a neuron lies that is on these sides at zeta (H,), in their order; how many."""
    k = 0
    for h in range(zero.size):
        if side[h] == 0 or side[h] * zeta[h] <= 2.0 * band:
            zero[k] = h
            k += 1
    return k


@kernel
def fill(data: Data, mode: Mode, scratch: Scratch, j: int, pull: Pull, zero: Counts, kink: Kink) -> tuple[float, float]:
    """The local problem of neuron j on these surfaces (`Guards.kink`); the rounding of its rates and of their rates."""
    H, n = data.gram.shape[0], data.surface.size
    pushed(data, mode.slopes[j], pull.now, scratch.moved)
    along(data, mode, j, scratch.moved, scratch.turned, scratch.forces)
    on = np.zeros(H, np.int64)
    for s in range(zero.size):
        h = zero[s]
        on[h] = 1
        side = mode.side[j, h]
        kink.onward[s] = -side if side * scratch.turned[h] <= 0.0 else side
    drift, drift_dot, jump, jump_dot = np.zeros(H), np.zeros(H), np.zeros(H), np.zeros(H)
    size, size_dot = 0.0, 0.0
    for i in range(n):
        h, slope = data.surface[i], mode.slopes[j, i]
        if on[h] == 1:
            slope = data.slope if data.alpha[i] > 0.0 else 1.0
        if mode.slopes[j, i] != 0.0 or on[h] == 1:
            size += abs(data.push[i] * pull.now[i])
            size_dot += abs(data.push[i]) * pull.terms[i]
        drift[h] += data.push[i] * slope * pull.now[i]
        drift_dot[h] += data.push[i] * slope * pull.rate[i]
        sign = 1.0 if data.alpha[i] > 0.0 else -1.0
        jump[h] += (1.0 - data.slope) * sign * data.push[i] * pull.now[i]
        jump_dot[h] += (1.0 - data.slope) * sign * data.push[i] * pull.rate[i]
    for s in range(zero.size):
        x, y, row = 0.0, 0.0, data.gram[zero[s]]
        for h in range(H):
            x += row[h] * drift[h]
            y += row[h] * drift_dot[h]
        kink.drift[s], kink.drift_dot[s] = x, y
        kink.jump[s], kink.jump_dot[s] = jump[zero[s]], jump_dot[zero[s]]
    return ROUNDING * size, ROUNDING * size_dot


@kernel
def largest_sum(data: Data, mode: Mode, j: int, zero: Counts, pull: Array) -> float:
    """What is added up, |terms|, in the largest rate of these surfaces, or force on them; 0 where they are delicate."""
    k, H, n = zero.size, data.gram.shape[0], data.surface.size
    matrix, forces = np.zeros((k, k)), np.zeros((k, H))
    submatrix(data.gram, zero, k, matrix)
    for s in range(k):
        for h in range(H):
            forces[s, h] = data.gram[zero[s], h]
    if not solve(matrix, forces, k, H):
        return 0.0
    largest = 0.0
    for s in range(k):
        rate, force = 0.0, 0.0
        for i in range(n):
            h, on = data.surface[i], False
            for b in range(k):
                on = on or zero[b] == h
            if on or mode.slopes[j, i] != 0.0:
                weight = abs(data.push[i] * pull[i])
                rate += abs(data.gram[zero[s], h]) * weight
                force += abs(forces[s, h]) * weight
        largest = max(largest, rate, force)
    return largest


@kernel
def decide(
    data: Data, mode: Mode, scratch: Scratch, j: int, pull: Pull, slop: float, fastest: float, zero: Counts, kink: Kink
) -> bool:
    """Fill in kink.sides for neuron j; slop: what a share that fired is off its end, as a force of the pull.

    A state that is off its kink by the slop has rates that are no more exact than its forces in a time in which margins
    move by 1; fastest: the most that they move in a time of 1.
    """
    k = zero.size
    submatrix(data.gram, zero, k, kink.gram)
    if not cholesky(kink.gram.copy(), k):
        return False
    size, size_dot = fill(data, mode, scratch, j, pull, zero, kink)
    if slop > size:
        slop = min(slop, data.loose * largest_sum(data, mode, j, zero, pull.now))
    return settle(kink, size + slop, size_dot + slop * fastest)


@kernel
def kind_of(before: int, after: int) -> int:
    """The code of `field.transition.EventKind`."""
    if after == 0:
        return 3
    if before == 0:
        return 4 if after > 0 else 5
    return 1 if after > 0 else 2


@kernel
def log_event(model: AnyModel, j: int, h: int, before: int, after: int) -> None:
    """Pair (j, h) changes its side now."""
    log, e = model.log, model.counts[EVENTS]
    log.when[e] = model.now[CLOCK]
    log.what[e, 0], log.what[e, 1] = j, h
    log.what[e, 2], log.what[e, 3] = kind_of(before, after), model.counts[INSTANTS]
    model.counts[EVENTS] = e + 1
