"""Where guards are zero: the neurons they belong to take new sides, and with them the tables of their slides."""

from __future__ import annotations

import numpy as np

from gflow.compiled import kernel
from gflow.taylor.guards import BAND, LIFT
from gflow.taylor.hulls import ask_hulls
from gflow.taylor.local import DECIDED, NO_SLOT, UNDECIDED, Pull, decide, log_event, pull_of, surfaces_at_zero
from gflow.taylor.loop import SAME, by_neuron, fires, level_of, live_samples
from gflow.taylor.model import EVENTS, FASTEST, FOUND, SIZE, STALLED, TAU
from gflow.taylor.neuron import factor, insert_slot, remove_slot, slope_on, solve, submatrix
from gflow.taylor.primal.guards import bare_rows, dot, several, share_value
from gflow.taylor.primal.model import PrimalModel
from gflow.taylor.primal.series import bound_gradients, grow_duals
from gflow.taylor.series import Counts
from gflow.taylor.settle import kink_of


@kernel
def guard_at(model: PrimalModel, at: int) -> float:
    """Guard number `at` at the weights and q that were reached, in units of its band."""
    guard, which = model.found.guard[at], model.found.which[at]
    j, h = which[0], which[1]
    if which[2] == 0:
        room = model.mode.side[j, h] * dot(model.neurons.W[j, 0], model.span.normals[h])
        return float((room + guard[LIFT]) / model.watched.band[j])
    pull = bare_rows(model, j, 1)[0]
    return float((share_value(model, j, which[3], which[2], pull) + guard[LIFT]) / guard[BAND])


@kernel
def pull_on(model: PrimalModel, j: int, pull: Pull) -> None:
    """The pull of the samples on neuron j, sum_k a_jk T_k, and its rates; the series was begun here."""
    T, a, h, fastest = model.outputs.T, model.neurons.a[j], model.step[SIZE], model.step[FASTEST]
    for i in range(pull.now.size):
        now, rate = 0.0, 0.0
        for o in range(a.shape[1]):
            now += a[0, o] * T[0, i, o]
            rate += (a[1, o] / h) * T[0, i, o] + a[0, o] * (T[1, i, o] / h)
        pull.now[i], pull.rate[i] = now, rate
        pull.terms[i] = abs(now) * fastest + abs(rate)


@kernel
def turn(model: PrimalModel, j: int, h: int, side: int) -> None:
    """Pair (j, h) takes a side, and its samples their slopes."""
    data, mode = model.data, model.mode
    if mode.side[j, h] == 0:
        remove_slot(mode, j, h)
    if side == 0:
        insert_slot(mode, j, h)
    moving = model.span.trains or np.abs(model.neurons.a[j, 0]).max() > 0.0
    for at in range(data.first[h], data.first[h + 1]):
        i = data.sample[at]
        after = slope_on(data, i, side)
        if moving:
            mode.live[i] += (1 if after != 0.0 else 0) - (1 if mode.slopes[j, i] != 0.0 else 0)
        mode.slopes[j, i] = after
    mode.side[j, h] = side


@kernel
def tabulate(model: PrimalModel, j: int) -> bool:
    """Forces and shares of neuron j from its slots and slopes; False where its normals are delicate."""
    data, mode, tables, k, r = model.data, model.mode, model.tables, model.mode.held[j], model.span.C.shape[1]
    if not factor(data, mode, j, model.scratch):
        return False
    submatrix(data.gram, mode.slots[j], k, model.scratch.matrix)
    across = np.zeros((k, r))
    for s in range(k):
        across[s] = model.span.normals[mode.slots[j, s]]
    if not solve(model.scratch.matrix, across, k, r):
        return False
    for s in range(k):
        tables.across[j, s] = across[s]
        tables.reach[j, s] = 0.0
        for i in range(data.surface.size):
            h = data.surface[i]
            low = -mode.force[j, s, h] * data.push[i] * mode.slopes[j, i]
            high = -low
            if h == mode.slots[j, s]:
                rising = data.alpha[i] > 0.0
                low -= data.push[i] * (data.slope if rising else 1.0)
                high += data.push[i] * (1.0 if rising else data.slope)
            tables.ends[j, s, 0, i], tables.ends[j, s, 1, i] = low, high
            tables.reach[j, s, 0] = max(tables.reach[j, s, 0], abs(low))
            tables.reach[j, s, 1] = max(tables.reach[j, s, 1], abs(high))
    return True


@kernel
def lie_on(model: PrimalModel, j: int, zero: Counts) -> None:
    """w_j with zeta exactly 0 on these surfaces, which are independent; 0 where they leave no direction free."""
    normals, w, k, r = model.span.normals, model.neurons.W[j, 0], zero.size, model.span.C.shape[1]
    if k == r:
        w[:] = 0.0
        return
    matrix, off = np.zeros((k, k)), np.zeros((k, 1))
    submatrix(model.data.gram, zero, k, matrix)
    for s in range(k):
        off[s, 0] = dot(w, normals[zero[s]])
    solve(matrix, off, k, 1)
    for s in range(k):
        for c in range(r):
            w[c] -= off[s, 0] * normals[zero[s], c]


@kernel
def take(model: PrimalModel, j: int, zero: Counts, sides: Counts) -> bool:
    """Neuron j takes these sides of the surfaces it lies on, and the log its events; False where they are delicate."""
    turned = False
    for s in range(zero.size):
        before = model.mode.side[j, zero[s]]
        if before != sides[s]:
            turned = True
            log_event(model, j, zero[s], before, sides[s])
            turn(model, j, zero[s], sides[s])
    model.watched.fresh[j, 0], model.watched.fresh[j, 1], model.watched.room[j] = 1, 1, -np.inf
    if turned:
        lie_on(model, j, zero)
    return tabulate(model, j) if turned else True


@kernel
def fire_neuron(model: PrimalModel, j: int, slop: float) -> int:
    """Decide neuron j and take its new sides."""
    if model.mode.by_hull[j] == 1:
        return UNDECIDED
    zeta, w = model.buffers.zeta, model.neurons.W[j, 0]
    for h in range(zeta.size):
        zeta[h] = dot(w, model.span.normals[h])
    on = np.zeros(zeta.size, np.int64)
    k = surfaces_at_zero(model.mode.side[j], zeta, model.watched.band[j], on)
    zero, kink, pull = on[:k], kink_of(k), pull_of(model.p.size)
    if k > w.size:
        return UNDECIDED
    if k > model.mode.slots.shape[1]:
        return NO_SLOT
    pull_on(model, j, pull)
    slop *= 1.0 if several(model) else abs(model.neurons.a[j, 0, 0])
    if not decide(model.data, model.mode, model.scratch, j, pull, slop, model.step[FASTEST], zero, kink):
        return UNDECIDED
    return DECIDED if take(model, j, zero, kink.sides) else UNDECIDED


@kernel
def fire(model: PrimalModel, elapsed: float) -> int:
    """Decide all neurons with a guard at zero, in their order, all at the state that was reached; elapsed: the tau of
    the step, of which the next series was begun.
    """
    found, events, live = model.found.which, model.counts[EVENTS], live_samples(model)
    model.step[FASTEST], _ = bound_gradients(model)
    grow_duals(model, 1)
    values = np.zeros(model.tried[FOUND])
    for at in range(values.size):
        values[at] = guard_at(model, at)
    level, order, start, result = level_of(values), by_neuron(found, values.size), 0, DECIDED
    while start < order.size:
        j, stop = found[order[start], 0], start
        while stop < order.size and found[order[stop], 0] == j:
            stop += 1
        fired, slop = fires(model, order, start, stop, values, level)
        if fired:
            outcome = fire_neuron(model, j, slop)
            result = outcome if result == DECIDED else result
        start = stop
    if live_samples(model) != live:
        ask_hulls(model)
    idle = model.counts[EVENTS] == events or elapsed <= SAME * model.now[TAU]
    model.counts[STALLED] = model.counts[STALLED] + 1 if idle else 0
    return result
