"""Who may reach a kink or the end of a slide in a step, and when: bounds first, polynomials for the few left.

A pair (j, h) off its kink is side zeta away from it.  Its rate r changes by at most |a_j| |C|_2 |dq|_2, so with a path
V of q to come it cannot fire before side zeta = r t + |a_j| |C|_2 V t: the neuron is due when tau or the path passes
that.  The room of a share is a linear form in q, sum_l kappa_l q_l; while every q_l stays within a factor e^(+-R) it
changes by at most (e^R - 1) sum_l |kappa_l| q_l.  What is due is made a polynomial of the series, which is exact.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array
from gflow.compiled import kernel
from gflow.field.clarke import ROUNDING
from gflow.taylor.hulls import NOTHING
from gflow.taylor.model import (
    DEGREE,
    END,
    FOUND,
    GUARDS,
    LOOKS,
    MOVES,
    MOVES_RELATIVE,
    PATH,
    RELATIVE,
    SHARE_LOOKS,
    TAU,
    WINNER,
    AnyModel,
    Data,
    Lazy,
    Mode,
    Model,
)
from gflow.taylor.neuron import bring, column, pushed, rates_of
from gflow.taylor.polynomial import MOST, first_descent, rate
from gflow.taylor.series import evaluate, pulls

# Where a guard's lift and band stand, behind its polynomial.
LIFT, BAND = MOST + 1, MOST + 2
# The path foreseen in a due time is not longer than that of so many steps like this one.
FAR = 1e6


@kernel
def band_of(lazy: Lazy, j: int, ahead: float) -> float:
    """Rounding of zeta_j, a sum of terms of the size of w_j and of its way: that so far, and that ahead."""
    return float(max(ROUNDING * (lazy.scale[j] + ahead), 1e-290))


@kernel
def way_of(data: Data, mode: Mode, j: int, q: Array, h: float) -> float:
    """How far neuron j moves in a time h at q (n,) at most.

    By its own slopes: a neuron that hardly moves is known to more digits than what others move in the same time.
    """
    way = 0.0
    for i in range(q.size):
        way += abs(data.alpha[i]) * mode.slopes[j, i] * q[i]
    return float(abs(data.outer[j]) * h * way)


@kernel
def lifted(value: float, lift: float, band: float, fresh: bool, loose: float) -> float:
    """What is to be added to a guard of this value, as `field.guards._lift` for a fresh one; an old lift stays
    until the guard is clear of its band."""
    if not fresh:
        return 0.0 if value >= band else lift
    out = max(band - value, 0.0)
    return out - value if value < 0.0 and -value <= band * (loose / ROUNDING) else out


@kernel
def pair_polynomial(model: Model, j: int, h: int, room: float, guard: Array) -> None:
    """side zeta_jh as a polynomial in u: affine in c."""
    data, mode, terms, N = model.data, model.mode, model.terms, model.tried[DEGREE]
    row, line = model.scratch.row, model.scratch.column
    column(data, mode, j, h, line)
    factor = mode.side[j, h] * data.outer[j]
    for i in range(row.size):
        row[i] = factor * data.push[i] * mode.slopes[j, i] * line[data.surface[i]]
    guard[0] = room
    for k in range(1, N + 1):
        x = 0.0
        for i in range(row.size):
            x += row[i] * terms.c[k, i]
        guard[k] = x


@kernel
def add_guard(model: AnyModel, j: int, h: int, which: int, slot: int, lift: float, band: float) -> bool:
    """Room for one more guard; False where there is none left."""
    at = model.tried[FOUND]
    if at >= model.found.which.shape[0]:
        return False
    model.found.which[at, 0], model.found.which[at, 1] = j, h
    model.found.which[at, 2], model.found.which[at, 3] = which, slot
    model.found.guard[at, LIFT], model.found.guard[at, BAND] = lift, band
    model.tried[FOUND] += 1
    model.counts[GUARDS] += 1
    return True


@kernel
def race(model: AnyModel, at: int, N: int) -> None:
    """Does guard number `at` fire before all others so far?"""
    guard = model.found.guard[at]
    u = 0.0 if guard[0] <= 0.0 else first_descent(guard, N, model.step[END], model.roots)
    if u < model.step[END] or (u <= model.step[END] and model.tried[WINNER] < 0):
        model.step[END], model.tried[WINNER] = u, at


@kernel
def used_up(spare: float, inward: float, growth: float) -> float:
    """When spare - inward t - growth t^2 is 0, without a difference of almost equal numbers; infinite where never."""
    if spare == 0.0 or growth == np.inf:
        return 0.0
    root = np.sqrt(inward * inward + 4.0 * growth * spare)
    if inward > 0.0:
        return float(2.0 * spare / (inward + root))
    return float((root - inward) / (2.0 * growth)) if growth > 0.0 else np.inf


@kernel
def look_at_pairs(model: Model, j: int, h_end: float) -> bool:
    """Bring neuron j up to date, find when it is due next, and race those of its pairs that may fire in the step."""
    data, mode, lazy, step = model.data, model.mode, model.lazy, model.step
    rates, first = model.scratch.turned, model.tried[FOUND]
    fresh, lazy.fresh[j, 0] = lazy.fresh[j, 0] == 1, 0
    bring(data, mode, lazy, j, model.c, model.scratch)
    rates_of(data, mode, j, model.terms.q[0], model.scratch)
    band = band_of(lazy, j, 0.0)
    stiff, speed, due = abs(data.outer[j]) * data.reach, step[MOVES] / h_end, np.inf
    for h in range(rates.size):
        side = mode.side[j, h]
        if side == 0:
            continue
        lazy.lift[j, h] = lifted(side * lazy.zeta[j, h], lazy.lift[j, h], band, fresh, data.loose)
        room, inward = side * lazy.zeta[j, h] + lazy.lift[j, h], -side * rates[h]
        spare = max(room - band, 0.0)  # what is at zero to rounding fires together
        due = min(due, used_up(spare, inward, stiff * speed))
        if spare <= (inward + stiff * step[MOVES]) * h_end or room <= band:
            at = model.tried[FOUND]
            if not add_guard(model, j, h, 0, -1, lazy.lift[j, h], band):
                return False
            model.found.guard[at, 0] = room
    lazy.due[j] = model.now[TAU] + due
    lazy.due_path[j] = model.now[PATH] + speed * min(due, FAR * h_end)
    for at in range(first, model.tried[FOUND]):
        guard = model.found.guard[at]
        pair_polynomial(model, j, model.found.which[at, 1], guard[0], guard)
        race(model, at, model.tried[DEGREE])
    return True


@kernel
def ends_of(data: Data, h: int, q: Array) -> tuple[float, float, float, float]:
    """What the - and the + branch of surface h add along its normal for a pull q, and the sums of |terms| of each."""
    base, top, low, high = 0.0, 0.0, 0.0, 0.0
    for at in range(data.first[h], data.first[h + 1]):
        i = data.sample[at]
        minus, plus = (data.slope, 1.0) if data.alpha[i] > 0.0 else (1.0, data.slope)
        base += data.push[i] * minus * q[i]
        top += data.push[i] * plus * q[i]
        low += abs(data.push[i]) * minus * (q[i] + NOTHING)
        high += abs(data.push[i]) * plus * (q[i] + NOTHING)
    return base, top, low, high


@kernel
def force_on(force: Array, moved: Array) -> float:
    """-<force, moved>."""
    x = 0.0
    for h in range(moved.size):
        x -= force[h] * moved[h]
    return x


@kernel
def force_terms(data: Data, slopes: Array, force: Array, q: Array) -> float:
    """The sum of the |terms| that a force is, sample by sample: those of one surface may cancel now and not later."""
    size = 0.0
    for i in range(q.size):
        size += abs(force[data.surface[i]] * data.push[i]) * slopes[i] * (q[i] + NOTHING)
    return size


@kernel
def share_value(model: Model, j: int, slot: int, which: int, q: Array) -> float:
    """The room of a share to one of its ends at q, as a force; scratch.moved: pushed by the slopes of j at q."""
    data, mode = model.data, model.mode
    force = force_on(mode.force[j, slot], model.scratch.moved)
    base, top, _, _ = ends_of(data, mode.slots[j, slot], q)
    return float(mode.turned[j, slot] * (force - base if which == 1 else top - force))


@kernel
def share_polynomials(model: Model, j: int, first: int) -> None:
    """The guards of the shares of neuron j, from number `first` on, as polynomials in u: linear in q."""
    N = model.tried[DEGREE]
    for k in range(1, N):
        q = model.terms.q[k]
        pushed(model.data, model.mode.slopes[j], q, model.scratch.moved)
        for at in range(first, model.tried[FOUND]):
            which = model.found.which[at]
            model.found.guard[at, k] = share_value(model, j, which[3], which[2], q)


@kernel
def look_at_shares(model: Model, j: int) -> bool:
    """Find when the shares of neuron j are due next, and race those that may reach an end in the step.

    A room whose terms are all within its band, as where other samples are orthogonal to a kink, is at zero to rounding
    whatever q does: its lift stands, and it is no guard until q has grown by as much.
    """
    data, mode, lazy = model.data, model.mode, model.lazy
    q, first, moves = model.terms.q[0], model.tried[FOUND], model.step[MOVES_RELATIVE]
    fresh, lazy.fresh[j, 1] = lazy.fresh[j, 1] == 1, 0
    moved, budget = model.scratch.moved, np.inf
    pushed(data, mode.slopes[j], q, moved)
    for s in range(mode.held[j]):
        base, top, low, high = ends_of(data, mode.slots[j, s], q)
        force, band = force_on(mode.force[j, s], moved), ROUNDING * mode.lever[j, s]
        size = force_terms(data, mode.slopes[j], mode.force[j, s], q) + NOTHING * mode.lever[j, s]
        if fresh:
            mode.turned[j, s] = 1.0 if top > base else -1.0
        for which in range(1, 3):
            room = mode.turned[j, s] * (force - base if which == 1 else top - force)
            lift = lifted(room, lazy.share_lift[j, s, which - 1], band, fresh, data.loose)
            lazy.share_lift[j, s, which - 1] = lift
            terms = size + (low if which == 1 else high)
            silent = terms <= band and np.log1p(max(room + lift, 0.0) / terms) > moves
            spare = np.log1p(max(room + lift - (0.0 if silent else band), 0.0) / terms)
            budget = min(budget, spare)
            if not silent and (spare <= moves or room + lift <= band):
                at = model.tried[FOUND]
                if not add_guard(model, j, mode.slots[j, s], which, s, lift, band):
                    return False
                model.found.guard[at, 0] = room + lift
    lazy.due_share[j] = model.now[RELATIVE] + budget
    if model.tried[FOUND] > first:
        share_polynomials(model, j, first)
        for at in range(first, model.tried[FOUND]):
            race(model, at, model.tried[DEGREE] - 1)
            if model.tried[WINNER] == at:
                model.step[END] = polished(model, at, model.step[END])
    return True


@kernel
def dual_of(model: AnyModel) -> float:
    """scratch.g, .s and .q at the margins scratch.p; log of the sum of g over live samples."""
    scratch, live = model.scratch, model.mode.live
    top = pulls(scratch.p, live, model.data.logistic, scratch.g, scratch.s)
    total, everyone = 0.0, 0.0
    for i in range(live.size):
        everyone += scratch.g[i]
        if live[i] > 0:
            total += scratch.g[i]
    if total == 0.0:
        total = everyone
    for i in range(live.size):
        scratch.q[i] = scratch.g[i] / total
    return float(top + np.log(total))


@kernel
def dual_at(model: AnyModel, u: float) -> float:
    """The same at u of the step, of which scratch.p are the margins."""
    evaluate(model.terms.p, model.tried[DEGREE], u, model.scratch.p)
    return dual_of(model)


@kernel
def polished(model: Model, at_: int, u: float) -> float:
    """The root of the guard of a share, known to the error of the series of q, on the q of the margins themselves."""
    guard, which = model.found.guard[at_], model.found.which[at_]
    if u <= 0.0:
        return u
    for _ in range(4):
        dual_at(model, u)
        pushed(model.data, model.mode.slopes[which[0]], model.scratch.q, model.scratch.moved)
        off = share_value(model, which[0], which[3], which[2], model.scratch.q) + guard[LIFT]
        slope = rate(guard, model.tried[DEGREE] - 1, u)
        if slope >= 0.0:
            break
        new = min(max(u - off / slope, 0.0), 1.0)
        done = abs(new - u) <= EPS * u
        u = new
        if done:
            break
    return u


@kernel
def look(model: Model, h_end: float) -> bool:
    """Look at all neurons that are due in the step; False where the guards found are more than there is room for."""
    data, mode, lazy, now, step = model.data, model.mode, model.lazy, model.now, model.step
    model.tried[FOUND] = 0
    model.tried[WINNER] = -1
    if not data.kinked:
        return True
    tau, path, relative = now[TAU] + h_end, now[PATH] + step[MOVES], now[RELATIVE] + step[MOVES_RELATIVE]
    for j in range(data.outer.size):
        if data.outer[j] == 0.0:
            continue
        if lazy.due[j] < tau or lazy.due_path[j] < path:
            model.counts[LOOKS] += 1
            if not look_at_pairs(model, j, h_end):
                return False
        if mode.held[j] > 0 and model.mode.by_hull[j] == 0 and lazy.due_share[j] < relative:
            model.counts[SHARE_LOOKS] += 1
            if not look_at_shares(model, j):
                return False
    return True
