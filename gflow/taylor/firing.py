"""Where guards are zero: which neurons they belong to, and what each of them does (`field.transition` as kernels)."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.field.clarke import ROUNDING
from gflow.taylor.guards import BAND, LIFT, band_of, share_value, way_of
from gflow.taylor.model import CLOCK, DEGREE, EVENTS, FASTEST, INSTANTS, SIZE, WINNER, Data, Mode, Model
from gflow.taylor.neuron import bring, cholesky, pushed, rates_of, solve, submatrix, turn
from gflow.taylor.polynomial import value
from gflow.taylor.series import Counts, times
from gflow.taylor.settle import Kink, kink_of, settle

# Why a neuron is not decided here: its normals are too nearly dependent, pivoting does not end, or it has no slot left.
DECIDED, UNDECIDED, NO_SLOT = 0, 1, 2


@kernel
def margin_rates(model: Model) -> None:
    """scratch.rates = K q on live samples."""
    scratch, live, moved = model.scratch, model.mode.live, model.scratch.row
    for i in range(live.size):
        moved[i] = scratch.q[i] if live[i] > 0 else 0.0
    times(model.mode.K, moved, scratch.rates)


@kernel
def rates_of_duals(model: Model) -> None:
    """q_rate = dq/dtau and q_terms, the size of what is added up in that; scratch.rates = K q.  The fastest that any
    margin can move."""
    scratch, K, live = model.scratch, model.mode.K, model.mode.live
    n, terms = live.size, model.scratch.q_terms
    drift, drift_terms, fastest = 0.0, 0.0, 0.0
    for i in range(n):
        terms[i] = 0.0
    for k in range(n):
        if live[k] > 0:
            q, row = scratch.q[k], 0.0
            for i in range(n):
                size = abs(K[k, i])
                row += size
                terms[i] += size * q
            fastest = max(fastest, row)
    model.step[FASTEST] = fastest
    for i in range(n):
        terms[i] *= scratch.s[i]
        if live[i] > 0:
            drift += scratch.q[i] * scratch.s[i] * scratch.rates[i]
            drift_terms += scratch.q[i] * terms[i]
    for i in range(n):
        scratch.q_rate[i] = scratch.q[i] * (drift - scratch.s[i] * scratch.rates[i])
        terms[i] = scratch.q[i] * (terms[i] + drift_terms)


@kernel
def guard_at(model: Model, at: int, u: float) -> float:
    """Guard number `at` at the end of the step, in units of its band there; the neuron of a share has scratch.moved."""
    guard, which, N = model.found.guard[at], model.found.which[at], model.tried[DEGREE]
    if which[2] == 0:
        j = which[0]
        ahead = way_of(model.data, model.mode, j, model.scratch.q, u * model.step[SIZE])
        return float(value(guard, N, u) / band_of(model.lazy, j, ahead))
    pushed(model.data, model.mode.slopes[which[0]], model.scratch.q, model.scratch.moved)
    return float((share_value(model, which[0], which[3], which[2], model.scratch.q) + guard[LIFT]) / guard[BAND])


@kernel
def surfaces_at_zero(model: Model, j: int, band: float, zero: Counts) -> int:
    """The surfaces on which neuron j lies, in their order; how many."""
    k = 0
    for h in range(zero.size):
        side = model.mode.side[j, h]
        if side == 0 or side * model.lazy.zeta[j, h] <= 2.0 * band:
            zero[k] = h
            k += 1
    return k


@kernel
def fill(model: Model, j: int, zero: Counts, kink: Kink) -> tuple[float, float]:
    """The local problem of neuron j on these surfaces (`Guards.kink`); the rounding of its rates and of their rates."""
    data, mode, scratch = model.data, model.mode, model.scratch
    a, H, n = data.outer[j], data.gram.shape[0], data.surface.size
    rates_of(data, mode, j, scratch.q, scratch)
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
            size += abs(data.push[i] * a) * scratch.q[i]
            size_dot += abs(data.push[i] * a) * scratch.q_terms[i]
        drift[h] += a * data.push[i] * slope * scratch.q[i]
        drift_dot[h] += a * data.push[i] * slope * scratch.q_rate[i]
        sign = 1.0 if data.alpha[i] > 0.0 else -1.0
        jump[h] += (1.0 - data.slope) * a * sign * data.push[i] * scratch.q[i]
        jump_dot[h] += (1.0 - data.slope) * a * sign * data.push[i] * scratch.q_rate[i]
    for s in range(zero.size):
        x, y, row = 0.0, 0.0, data.gram[zero[s]]
        for h in range(H):
            x += row[h] * drift[h]
            y += row[h] * drift_dot[h]
        kink.drift[s], kink.drift_dot[s] = x, y
        kink.jump[s], kink.jump_dot[s] = jump[zero[s]], jump_dot[zero[s]]
    return ROUNDING * size, ROUNDING * size_dot


@kernel
def largest_sum(data: Data, mode: Mode, j: int, zero: Counts, q: Array) -> float:
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
                weight = abs(data.push[i] * data.outer[j]) * q[i]
                rate += abs(data.gram[zero[s], h]) * weight
                force += abs(forces[s, h]) * weight
        largest = max(largest, rate, force)
    return largest


@kernel
def decide(model: Model, j: int, slop: float, zero: Counts, kink: Kink) -> bool:
    """Fill in kink.sides for neuron j; slop: what a share that fired is off its end, as a force of the pull.

    A state that is off its kink by the slop has rates that are no more exact than its forces in a time in which margins
    move by 1.
    """
    data, k = model.data, zero.size
    submatrix(data.gram, zero, k, kink.gram)
    if not cholesky(kink.gram.copy(), k):
        return False
    size, size_dot = fill(model, j, zero, kink)
    slop *= abs(data.outer[j])
    if slop > size:
        slop = min(slop, data.loose * largest_sum(data, model.mode, j, zero, model.scratch.q))
    return settle(kink, size + slop, size_dot + slop * model.step[FASTEST])


@kernel
def kind_of(before: int, after: int) -> int:
    """The code of `field.transition.EventKind`."""
    if after == 0:
        return 3
    if before == 0:
        return 4 if after > 0 else 5
    return 1 if after > 0 else 2


@kernel
def take(model: Model, j: int, zero: Counts, sides: Counts) -> bool:
    """Neuron j takes these sides of the surfaces it lies on, and the log its events; False where a turn is delicate."""
    mode, lazy, log, fine = model.mode, model.lazy, model.log, True
    for s in range(zero.size):
        h, before = zero[s], mode.side[j, zero[s]]
        lazy.zeta[j, h] = 0.0
        if before != sides[s]:
            e = model.counts[EVENTS]
            log.when[e] = model.now[CLOCK]
            log.what[e, 0], log.what[e, 1] = j, h
            log.what[e, 2], log.what[e, 3] = kind_of(before, sides[s]), model.counts[INSTANTS]
            model.counts[EVENTS] = e + 1
            fine = turn(model.data, mode, j, h, sides[s], model.scratch) and fine
    lazy.fresh[j, 0], lazy.fresh[j, 1] = 1, 1
    lazy.due[j], lazy.due_share[j] = -np.inf, -np.inf
    return fine


@kernel
def fires(model: Model, order: Counts, start: int, stop: int, values: Array, level: float) -> tuple[bool, float]:
    """Do guards order[start:stop], those of one neuron, fire; and what the shares among them are off their ends."""
    fired, slop = False, 0.0
    for x in range(start, stop):
        at = order[x]
        if values[at] <= level or at == model.tried[WINNER]:
            fired = True
            guard = model.found.guard[at]
            if model.found.which[at, 2] > 0:
                slop = max(slop, abs(values[at] * guard[BAND] - guard[LIFT]))
    return fired, slop


@kernel
def level_of(values: Array) -> float:
    """Up to which guards are at zero where one fired: half a band above the lowest."""
    lowest = np.inf
    for value_ in values:
        lowest = min(lowest, value_)
    return (lowest if 0.0 < lowest < np.inf else 0.0) + 0.5


@kernel
def fire_neuron(model: Model, j: int, slop: float) -> int:
    """Decide neuron j and take its new sides."""
    if model.lazy.by_hull[j] == 1:
        return UNDECIDED
    bring(model.data, model.mode, model.lazy, j, model.c, model.scratch)
    band = band_of(model.lazy, j, 0.0)
    on = np.zeros(model.data.gram.shape[0], np.int64)
    k = surfaces_at_zero(model, j, band, on)
    zero, kink = on[:k], kink_of(k)
    if k > model.mode.slots.shape[1]:
        return NO_SLOT
    if not decide(model, j, slop, zero, kink):
        return UNDECIDED
    return DECIDED if take(model, j, zero, kink.sides) else UNDECIDED
