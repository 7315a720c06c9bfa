"""Where guards are zero: which neurons they belong to, and what each of them does (`field.transition` as kernels)."""

from __future__ import annotations

import numpy as np

from gflow.compiled import kernel
from gflow.taylor.guards import BAND, LIFT, band_of, share_value, way_of
from gflow.taylor.local import DECIDED, NO_SLOT, UNDECIDED, Pull, decide, log_event, pull_of, surfaces_at_zero
from gflow.taylor.model import DEGREE, FASTEST, SIZE, Model
from gflow.taylor.neuron import bring, pushed, turn
from gflow.taylor.polynomial import value
from gflow.taylor.series import Counts, times
from gflow.taylor.settle import kink_of


@kernel
def margin_rates(model: Model) -> None:
    """scratch.rates = K q on live samples."""
    scratch, live, moved = model.scratch, model.mode.live, model.scratch.row
    for i in range(live.size):
        moved[i] = scratch.q[i] if live[i] > 0 else 0.0
    times(model.kernel.K, moved, scratch.rates)


@kernel
def rates_of_duals(model: Model) -> None:
    """q_rate = dq/dtau and q_terms, the size of what is added up in that; scratch.rates = K q.  The fastest that any
    margin can move."""
    scratch, K, live = model.scratch, model.kernel.K, model.mode.live
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
def take(model: Model, j: int, zero: Counts, sides: Counts) -> bool:
    """Neuron j takes these sides of the surfaces it lies on, and the log its events; False where a turn is delicate."""
    mode, lazy, fine = model.mode, model.lazy, True
    for s in range(zero.size):
        h, before = zero[s], mode.side[j, zero[s]]
        lazy.zeta[j, h] = 0.0
        if before != sides[s]:
            log_event(model, j, h, before, sides[s])
            fine = turn(model.data, mode, model.kernel, j, h, sides[s], model.scratch) and fine
    lazy.fresh[j, 0], lazy.fresh[j, 1] = 1, 1
    lazy.due[j], lazy.due_share[j] = -np.inf, -np.inf
    return fine


@kernel
def pull_on(model: Model, j: int, pull: Pull) -> None:
    """The pull of the samples on neuron j, at the q and the rates of q reached."""
    a, scratch = model.data.outer[j], model.scratch
    for i in range(pull.now.size):
        pull.now[i], pull.rate[i] = a * scratch.q[i], a * scratch.q_rate[i]
        pull.terms[i] = abs(a) * scratch.q_terms[i]


@kernel
def fire_neuron(model: Model, j: int, slop: float) -> int:
    """Decide neuron j and take its new sides."""
    if model.mode.by_hull[j] == 1:
        return UNDECIDED
    bring(model.data, model.mode, model.lazy, j, model.c, model.scratch)
    band = band_of(model.lazy, j, 0.0)
    on = np.zeros(model.data.gram.shape[0], np.int64)
    k = surfaces_at_zero(model.mode.side[j], model.lazy.zeta[j], band, on)
    zero, kink, pull = on[:k], kink_of(k), pull_of(model.p.size)
    if k > model.mode.slots.shape[1]:
        return NO_SLOT
    pull_on(model, j, pull)
    slop *= abs(model.data.outer[j])
    if not decide(model.data, model.mode, model.scratch, j, pull, slop, model.step[FASTEST], zero, kink):
        return UNDECIDED
    return DECIDED if take(model, j, zero, kink.sides) else UNDECIDED
