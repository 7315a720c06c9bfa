"""Late, when q is slow and most directions are at rest: implicit strides over the time in which no guard fires.

A stride ends before the first guard that its polynomials show, by as much as the series needs to come to rest, and the
compiled loop of `advance` goes on from there: every event is met on the series.  Guards of pairs are affine in the
masses, of which the collocation polynomial is known to the error of the step inside it; those of shares are made of q
at a few nodes.  What touches zero by less than that inside a stride may be missed.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array
from gflow.compiled import entry, kernel, referred
from gflow.taylor.firing import margin_rates
from gflow.taylor.guards import dual_of, look
from gflow.taylor.hulls import NOTHING, hulls_hold
from gflow.taylor.loop import GOES_ON, GUARDS_FULL, HULL, LOG_FULL, LONGEST, STEPS_DONE, has_room, log_mean_loss
from gflow.taylor.model import (
    CLOCK,
    DEGREE,
    END,
    HELD_BACK,
    LOG_TOTAL,
    MOVES,
    MOVES_RELATIVE,
    PATH,
    RELATIVE,
    SQUARED,
    STALLED,
    STEPS,
    STRIDE,
    TAU,
    WAITS,
    WINNER,
    Model,
    example,
)
from gflow.taylor.radau import DENSE, Implicit, begin_at, field, implicit, implicit_step
from gflow.taylor.series import fastest, times
from gflow.taylor.step import FILES, allow, lost, measure

# Why a stride ends beside the reasons of `advance`: the series has to go on, since a guard, a row or the end is near.
NEAR = 13
# The nodes of a stride at which q is looked at, and the degree of the polynomial through it.
SAMPLED = 7
ABSCISSAE = 0.5 - 0.5 * np.cos(np.pi * np.arange(SAMPLED + 1) / SAMPLED)
TO_POWERS = np.linalg.inv(ABSCISSAE[:, None] ** np.arange(SAMPLED + 1.0))
# What q moves between two nodes, over what it moves from one to the other.
WAVY = 1.5
# A stride ends so many times the fastest decay before what is near; one that is no longer than that is not made.
MARGIN = 2.0 * LONGEST
# Strides that are tried, each shorter than the one before, until none meets anything.
MOST_TRIALS = 12


@kernel
def masses(model: Model, work: Implicit) -> None:
    """terms.c and .p as polynomials in u on the stride that was made: those of the collocation."""
    terms, n = model.terms, model.p.size
    terms.c[: SAMPLED + 2] = 0.0
    terms.p[: SAMPLED + 2] = 0.0
    terms.p[0] = model.p
    for b in range(3):
        for i in range(n):
            for k in range(3):
                terms.c[b + 1, i] += DENSE[b, k] * work.stages[k, i]
        times(model.kernel.K, terms.c[b + 1], terms.p[b + 1])


@kernel
def duals(model: Model, work: Implicit) -> Array:
    """q at the nodes of the stride, (SAMPLED + 1, n)."""
    terms, n = model.terms, model.p.size
    nodes, y, out = np.zeros((SAMPLED + 1, n)), np.zeros(n + 1), np.zeros(n + 1)
    for x in range(SAMPLED + 1):
        u = ABSCISSAE[x]
        for i in range(n):
            y[i] = ((terms.c[3, i] * u + terms.c[2, i]) * u + terms.c[1, i]) * u
        field(model.kernel.K, model.p, model.mode.live, model.data.logistic, y, 0.0, work, out)
        nodes[x] = work.q
    return nodes


@kernel
def sampled(model: Model, work: Implicit) -> None:
    """The stride that was made as `guards.look` wants it: polynomials of c, p and q, and how far q moves."""
    terms, step, n = model.terms, model.step, model.p.size
    masses(model, work)
    nodes = duals(model, work)
    step[MOVES], step[MOVES_RELATIVE], step[END], model.tried[DEGREE] = 0.0, 0.0, 1.0, SAMPLED + 1
    for x in range(1, SAMPLED + 1):
        squared, largest = 0.0, 0.0
        for i in range(n):
            squared += (nodes[x, i] - nodes[x - 1, i]) ** 2
            largest = max(largest, abs(np.log((nodes[x, i] + NOTHING) / (nodes[x - 1, i] + NOTHING))))
        step[MOVES] += WAVY * np.sqrt(squared)
        step[MOVES_RELATIVE] += WAVY * largest
    for k in range(SAMPLED + 1):
        for i in range(n):
            terms.q[k, i] = 0.0
            for x in range(SAMPLED + 1):
                terms.q[k, i] += TO_POWERS[k, x] * nodes[x, i]
    terms.q[0] = nodes[0]


@kernel
def set_scale(model: Model, work: Implicit, h: float) -> None:
    """What y may be off in a step h by an estimate that is far larger than the error: as for a step of the series
    without its safety, and nothing below the rounding of the masses, nor of the margins that q is made of."""
    clock = allow(model, h) / model.data.tolerance
    size = 10.0
    for i in range(model.p.size):
        size = max(size, abs(model.p[i]))
    for i in range(model.p.size):
        rounding = 10.0 * EPS * size * h * work.start[i]
        work.scale[i] = max(model.terms.allowed[i] / model.data.tolerance, rounding)
    v = abs(model.now[CLOCK])
    work.scale[model.p.size] = max(clock * min(max(v, 1e-3), 1.0), 1e3 * EPS * v)


@kernel
def trial(model: Model, work: Implicit, least: float) -> float:
    """A step that is accepted, the longest up to now[STRIDE]; its size, 0 where none longer than `least` is.  The next
    one is set."""
    data, now, shorter = model.data, model.now, False
    h = now[STRIDE]
    while h > least:
        set_scale(model, work, h)
        error, iterations = implicit_step(model.kernel.K, model.p, model.mode.live, data.logistic, now[CLOCK], h, work)
        if error <= 1.0:
            factor = 0.9 * 17.0 / (16.0 + iterations) * max(error, 1e-8) ** -0.25
            now[STRIDE] = h * min(1.0 if shorter else 8.0, max(0.2, factor))
            return float(h)
        shorter = True
        h *= 0.5 if error == np.inf else max(0.2, 0.8 * error**-0.25)
    return 0.0


@kernel
def take_stride(model: Model, work: Implicit, h: float) -> None:
    """The state at the end of a stride."""
    now, n, scratch = model.now, model.p.size, model.scratch
    moved = work.stages[2]
    times(model.kernel.K, moved[:n], scratch.p)
    for i in range(n):
        scratch.p[i] += model.p[i]
        now[SQUARED] += (model.p[i] + scratch.p[i]) * moved[i]
        model.c[i] += moved[i]
        model.p[i] = scratch.p[i]
    now[CLOCK] += max(moved[n], 0.0)
    now[TAU] += h
    now[PATH] += model.step[MOVES]
    now[RELATIVE] += model.step[MOVES_RELATIVE]
    now[LOG_TOTAL] = dual_of(model)
    model.counts[STEPS] += 1
    model.counts[STALLED] = 0


@kernel
def decay(model: Model, work: Implicit) -> float:
    """The tau in which the fastest direction, or the sum of g, decays to e^-`MARGIN` at the start of a stride; infinite
    where nothing does."""
    terms, n = model.terms, model.p.size
    for i in range(n):
        terms.q[0, i], terms.s[0, i] = work.q[i], work.s[i]
    rate = fastest(model.kernel.K, model.mode.live, terms, 0.0, model.scratch.row, model.scratch.rates)
    clock = 0.0
    for i in range(n):
        clock += work.drift[i] * work.start[i]
    rate = max(rate, abs(clock))
    return float(MARGIN / rate) if rate > 0.0 else np.inf


@kernel
def looked(model: Model, work: Implicit, h: float) -> int:
    """Find the guards that fire in the stride that was made; why that cannot be, or `GOES_ON`."""
    sampled(model, work)
    if not hulls_hold(model):
        return HULL
    return GOES_ON if look(model, h) else GUARDS_FULL


@kernel
def one_stride(model: Model, work: Implicit, clock: float, log_loss: float) -> int:
    """One stride; `NEAR` where what is next is too near for it."""
    data, now = model.data, model.now
    begin_at(model.kernel.K, model.p, model.mode.live, data.logistic, now[CLOCK], work)
    margin = decay(model, work)
    now[STRIDE] = max(now[STRIDE], 2.0 * margin) if margin < np.inf else 0.0
    for _ in range(MOST_TRIALS):
        if now[STRIDE] <= margin:
            return NEAR
        h = trial(model, work, margin)
        if h == 0.0:
            return NEAR
        said = looked(model, work, h)
        if said != GOES_ON:
            return said
        end = 1.0
        if model.tried[WINNER] >= 0:
            end = model.step[END] - margin / h
        passed = now[CLOCK] + work.stages[2, model.p.size] - clock
        if passed >= 0.0:
            end = min(end, 0.9 * (1.0 - passed / max(work.stages[2, model.p.size], 1e-300)))
        if end >= 1.0:
            times(model.kernel.K, work.stages[2, : model.p.size], model.scratch.p)
            for i in range(model.p.size):
                model.scratch.p[i] += model.p[i]
            if log_mean_loss(model.scratch.p, data.logistic) > log_loss:
                take_stride(model, work, h)
                margin_rates(model)
                measure(model)
                return lost(model)
            end = 0.5
        now[STRIDE] = end * h
    return NEAR


@entry(example=lambda: (example(), 1.0, 1.0, 1, 1.0), files=FILES, what="the engine for late times")
def stride(arrays: Model, clock: float, log_loss: float, until: int, tau: float) -> int:
    """Strides until a guard is near, or log(1 + t) or the log of the loss come near these: why it came back.

    until, tau: as in `advance`.
    """
    model = referred(arrays)
    work = implicit(model.p.size)
    while True:
        if model.counts[STEPS] >= until or model.now[TAU] >= tau:
            return STEPS_DONE
        if not has_room(model):
            return LOG_FULL
        said = one_stride(model, work, clock, log_loss)
        if said != GOES_ON:
            model.tried[WAITS] = 0
            model.counts[HELD_BACK] = 0
            return said
