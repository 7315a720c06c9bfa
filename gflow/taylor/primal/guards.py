"""Who reaches a kink or the end of a slide in a step: polynomials of the series for the few that its terms allow to.

A pair off its kink is side zeta away from it, and its neuron moves by at most sum_k |w_k| u^k.  The room of a share is
a linear form in q, and moves by at most its largest coefficient times sum_k |q_k|_1 u^k.  With several outputs the pull
of the samples on the neuron is in place of q.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array
from gflow.compiled import kernel
from gflow.field.clarke import ROUNDING
from gflow.taylor.guards import LIFT, add_guard, dual_at, lifted, race
from gflow.taylor.model import DEGREE, END, FOUND, LOOKS, SHARE_LOOKS, WINNER
from gflow.taylor.polynomial import rate
from gflow.taylor.primal.model import PrimalModel

# A pull below this is none.
SMALLEST = 1e-290


@kernel
def dot(x: Array, y: Array) -> float:
    """<x, y>."""
    total = 0.0
    for c in range(x.size):
        total += x[c] * y[c]
    return total


@kernel
def path_of(sizes: Array, N: int, u: float) -> float:
    """sum_k sizes_k u^k, k = 1, ..., N."""
    x = 0.0
    for k in range(N, 0, -1):
        x = (x + sizes[k]) * u
    return x


@kernel
def path_of_rows(rows: Array, N: int, u: float) -> float:
    """What a row of numbers moves in the 1-norm up to u at most, rows (degrees, n)."""
    x = 0.0
    for k in range(N - 1, 0, -1):
        moved = 0.0
        for each in rows[k]:
            moved += abs(each)
        x = (x + moved) * u
    return x


@kernel
def several(model: PrimalModel) -> bool:
    """Are there several outputs?"""
    return bool(model.outputs.f.shape[2] > 1)


@kernel
def bare_rows(model: PrimalModel, j: int, rows: int) -> Array:
    """What pulls on neuron j, up to a factor of its own, (rows, n) or more: q, or sum_k a_jk T_k of several outputs."""
    if not several(model):
        return model.terms.q
    T, a, out = model.outputs.T, model.neurons.a[j], model.buffers.bare
    for N in range(rows):
        for i in range(out.shape[1]):
            out[N, i] = 0.0
        for b in range(N + 1):
            for o in range(T.shape[2]):
                factor = a[b, o]
                for i in range(out.shape[1]):
                    out[N, i] += factor * T[N - b, i, o]
    return out


@kernel
def add_pair(model: PrimalModel, j: int, h: int, room: float) -> bool:
    """Race the guard of pair (j, h), this far from its kink, lift included; False where there is no room for it."""
    at, N, W, normal = model.tried[FOUND], model.tried[DEGREE], model.neurons.W[j], model.span.normals[h]
    if not add_guard(model, j, h, 0, -1, model.watched.lift[j, h], model.watched.band[j]):
        return False
    guard, side = model.found.guard[at], model.mode.side[j, h]
    guard[0] = room
    for k in range(1, N + 1):
        guard[k] = side * dot(W[k], normal)
    race(model, at, N)
    return True


@kernel
def look_at_pairs(model: PrimalModel, j: int) -> bool:
    """Race the pairs of neuron j that may fire in the step."""
    mode, watched, W = model.mode, model.watched, model.neurons.W[j, 0]
    band, way = watched.band[j], path_of(model.neurons.way[j], model.tried[DEGREE], model.step[END])
    if watched.room[j] - band > way:
        return True
    model.counts[LOOKS] += 1
    fresh, watched.fresh[j, 0], lowest = watched.fresh[j, 0] == 1, 0, np.inf
    for h in range(mode.side.shape[1]):
        if mode.side[j, h] != 0:
            room = mode.side[j, h] * dot(W, model.span.normals[h])
            lowest = min(lowest, room)
            watched.lift[j, h] = lifted(room, watched.lift[j, h], band, fresh, model.data.loose)
            room += watched.lift[j, h]
            if room - band <= way and not add_pair(model, j, h, room):
                return False
    watched.room[j] = lowest
    return True


@kernel
def share_value(model: PrimalModel, j: int, slot: int, which: int, q: Array) -> float:
    """The room of a share to one of its ends at q (n,), as a force; q: a row of `bare_rows`."""
    return float(model.mode.turned[j, slot] * dot(model.tables.ends[j, slot, which - 1], q))


@kernel
def polished(model: PrimalModel, at: int, u: float) -> float:
    """The root of the guard of a share, known to the error of the series of q, on the q of the margins themselves."""
    guard, which = model.found.guard[at], model.found.which[at]
    if u <= 0.0:
        return u
    for _ in range(4):
        dual_at(model, u)
        off = share_value(model, which[0], which[3], which[2], model.scratch.q) + guard[LIFT]
        slope = rate(guard, model.tried[DEGREE] - 1, u)
        if slope >= 0.0:
            break
        new = max(u - off / slope, 0.0)
        done = abs(new - u) <= EPS * u
        u = new
        if done:
            break
    return u


@kernel
def add_share(model: PrimalModel, rows: Array, j: int, slot: int, which: int, room: float, band: float) -> bool:
    """Race the guard of a share, with this room, lift included; False where there is no room for it."""
    at, N, end = model.tried[FOUND], model.tried[DEGREE], model.step[END]
    lift = model.watched.share_lift[j, slot, which - 1]
    if not add_guard(model, j, model.mode.slots[j, slot], which, slot, lift, band):
        return False
    guard = model.found.guard[at]
    guard[0] = room
    for k in range(1, N):
        guard[k] = share_value(model, j, slot, which, rows[k])
    race(model, at, N - 1)
    if model.tried[WINNER] == at and not several(model):
        model.step[END] = min(polished(model, at, model.step[END]), end)
    return True


@kernel
def look_at_shares(model: PrimalModel, j: int, u: float, moved: float) -> bool:
    """Race the shares of neuron j that may reach an end in the step up to u, in which q moves by `moved` at most."""
    mode, watched, N, size = model.mode, model.watched, model.tried[DEGREE], 1.0
    model.counts[SHARE_LOOKS] += 1
    rows = bare_rows(model, j, N)
    q = rows[0]
    if several(model):
        moved, size = path_of_rows(rows, N, u), max(np.abs(q).sum(), SMALLEST)
    fresh, watched.fresh[j, 1] = watched.fresh[j, 1] == 1, 0
    for s in range(mode.held[j]):
        if fresh:
            mode.turned[j, s] = 1.0
            jump = share_value(model, j, s, 1, q) + share_value(model, j, s, 2, q)
            mode.turned[j, s] = 1.0 if jump > 0.0 else -1.0
        band = ROUNDING * size * mode.lever[j, s]
        for which in range(1, 3):
            room = share_value(model, j, s, which, q)
            lift = lifted(room, watched.share_lift[j, s, which - 1], band, fresh, model.data.loose)
            watched.share_lift[j, s, which - 1] = lift
            room += lift
            if room - band <= model.tables.reach[j, s, which - 1] * moved:
                if not add_share(model, rows, j, s, which, room, band):
                    return False
    return True


@kernel
def moves(model: PrimalModel, j: int) -> bool:
    """Does neuron j ever move?"""
    if model.span.trains and model.neurons.way[j, 0] != 0.0:
        return True
    for each in model.neurons.a[j, 0]:
        if each != 0.0:
            return True
    return False


@kernel
def look(model: PrimalModel, u: float) -> bool:
    """The first guard in the step up to u; False where the guards that may fire are more than there is room for."""
    model.tried[FOUND], model.tried[WINNER], model.step[END] = 0, -1, u
    if not model.data.kinked:
        return True
    moved = path_of_rows(model.terms.q, model.tried[DEGREE], u)
    for j in range(model.mode.held.size):
        if not moves(model, j):
            continue
        if not look_at_pairs(model, j):
            return False
        if model.mode.held[j] > 0 and model.mode.by_hull[j] == 0 and not look_at_shares(model, j, u, moved):
            return False
    return True
