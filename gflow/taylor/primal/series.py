"""The Taylor series of one mode's flow with trained outer layers, degree by degree.

A neuron obeys w' = a V and a' = <w, V> (a' = 0 where the outer layer is fixed) with V = P sum_i phi'_i y_i q_i c_i, and
the margins are p_i = y_i <c_i, sum_j phi'_ji a_j w_j>: all of it is bilinear, so that coefficients are convolutions.
q follows from p as in `taylor.series`.  A degree costs two products with all neurons and all samples.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array
from gflow.compiled import kernel
from gflow.field.clarke import ROUNDING
from gflow.taylor.loop import SHARE
from gflow.taylor.model import LOG_TOTAL, SIZE, SQUARED, TAU, UNIT, Mode
from gflow.taylor.primal.model import BOUND, LOSES, TOP, Buffers, Neurons, PrimalModel, Span, Tables
from gflow.taylor.series import begin, grow_pulls, grow_shares

# So much longer than the last term allows may a step be for the term before: terms may fall by this a degree.
FALLS = 4.0
# The part of what a doubling of tau may be off that any one step may use up: late, log t doubles many times while tau
# hardly grows, and no more than some thousand steps follow each other without an event, which cuts them short.
EVEN = 1e-2


@kernel
def project(mode: Mode, tables: Tables, normals: Array, j: int, V: Array, forces: Array) -> None:
    """P_j V in place, V (r,), by two projections: what one leaves across the kink adds up over a long slide."""
    for _ in range(2):
        for s in range(mode.held[j]):
            x = 0.0
            for c in range(V.size):
                x += tables.across[j, s, c] * V[c]
            forces[s] = x
        for s in range(mode.held[j]):
            normal = normals[mode.slots[j, s]]
            for c in range(V.size):
                V[c] -= forces[s] * normal[c]


@kernel
def pull_neurons(model: PrimalModel, k: int) -> None:
    """V_k of all neurons from q_k."""
    span, mode, buffers, q, V = model.span, model.mode, model.buffers, model.terms.q[k], model.neurons.V
    for i in range(q.size):
        x = span.y[i] * q[i] if mode.live[i] > 0 else 0.0
        for c in range(span.C.shape[1]):
            buffers.pulled[i, c] = x * span.C[i, c]
    np.dot(mode.slopes, buffers.pulled, buffers.pushed)
    for j in range(V.shape[0]):
        for c in range(V.shape[2]):
            V[j, k, c] = buffers.pushed[j, c]
        if mode.held[j] > 0:
            project(mode, model.tables, span.normals, j, V[j, k], model.scratch.forces)


@kernel
def fix_neuron(neurons: Neurons, j: int, k: int, part: float, out: Array) -> None:
    """w_j,k+1 = part a_j V_jk and out = a_j w_j,k+1, where the outer layer is fixed."""
    ahead, V, a, squared = neurons.W[j, k + 1], neurons.V[j, k], neurons.a[j, 0], 0.0
    for c in range(out.size):
        x = part * a * V[c]
        ahead[c], out[c] = x, a * x
        squared += x * x
    neurons.way[j, k + 1] = neurons.size[j, k + 1] = np.sqrt(squared)


@kernel
def grow_neuron(neurons: Neurons, j: int, k: int, part: float, out: Array) -> None:
    """(w_j, a_j)_{k+1} = part (conv(a, V), conv(<w, V>))_k with their sizes, and out = (a_j w_j)_{k+1}, (r,)."""
    W, a, V, r = neurons.W[j], neurons.a[j], neurons.V[j], out.size
    ahead, x, squared = W[k + 1], 0.0, 0.0
    for c in range(r):
        ahead[c], out[c] = a[0] * V[k, c], 0.0
        x += W[0, c] * V[k, c]
    for b in range(1, k + 1):
        own, pulled, then, factor = W[b], V[k - b], W[k + 1 - b], a[b]
        for c in range(r):
            ahead[c] += factor * pulled[c]
            x += own[c] * pulled[c]
            out[c] += factor * then[c]
    a[k + 1] = x * part
    for c in range(r):
        ahead[c] *= part
        squared += ahead[c] * ahead[c]
        out[c] += a[0] * ahead[c] + a[k + 1] * W[0, c]
    neurons.way[j, k + 1] = np.sqrt(squared)
    neurons.size[j, k + 1] = np.sqrt(squared + a[k + 1] * a[k + 1])


@kernel
def margins_from(span: Span, mode: Mode, buffers: Buffers, out: Array) -> None:
    """y_i <c_i, sum_j phi'_ji pushed_j>, (n,)."""
    np.dot(mode.slopes.T, buffers.pushed, buffers.outputs)
    for i in range(out.size):
        x = 0.0
        for c in range(span.C.shape[1]):
            x += span.C[i, c] * buffers.outputs[i, c]
        out[i] = span.y[i] * x


@kernel
def grow(model: PrimalModel, k: int, h: float) -> None:
    """Weights and margins of degree k + 1 from q_k, and the largest of these terms in units of what it may be off.

    Weights may be off by their tolerance; margins by what moves log L by rtol of itself, or rtol.
    """
    neurons, buffers, trains, worst = model.neurons, model.buffers, model.span.trains, 0.0
    pull_neurons(model, k)
    for j in range(neurons.allowed.size):
        if trains:
            grow_neuron(neurons, j, k, h / (k + 1.0), buffers.pushed[j])
        else:
            fix_neuron(neurons, j, k, h / (k + 1.0), buffers.pushed[j])
        size = neurons.size[j, k + 1] / neurons.allowed[j]
        worst = max(worst, size) if size < np.inf else np.inf
    margins_from(model.span, model.mode, buffers, model.terms.p[k + 1])
    moved = 0.0
    for i in range(model.p.size):
        if model.mode.live[i] > 0:
            moved += model.terms.q[0, i] * abs(model.terms.p[k + 1, i])
    moved /= model.data.rtol * max(1.0, abs(model.step[TOP]))
    buffers.worst[k + 1] = max(worst, moved) if moved < np.inf else np.inf


@kernel
def look_at_neurons(model: PrimalModel) -> None:
    """What depends on the weights alone: bands, tolerances, |theta|^2, the rounding of margins, and a_j w_j."""
    span, neurons, trains, squared, terms = model.span, model.neurons, model.span.trains, 0.0, 0.0
    for j in range(neurons.allowed.size):
        inner, a = 0.0, neurons.a[j, 0]
        for c in range(span.C.shape[1]):
            inner += neurons.W[j, 0, c] * neurons.W[j, 0, c]
        terms += abs(a) * np.sqrt(inner)
        neurons.way[j, 0] = np.sqrt(inner)
        inner += span.outside[j] * span.outside[j]
        model.watched.band[j] = max(ROUNDING * (span.initial[j] + np.sqrt(inner)), 1e-290)
        inner += a * a if trains else 0.0
        neurons.size[j, 0] = np.sqrt(inner)
        neurons.allowed[j] = span.atol + model.data.rtol * neurons.size[j, 0]
        squared += inner
        for c in range(span.C.shape[1]):
            model.buffers.pushed[j, c] = a * neurons.W[j, 0, c]
    model.now[SQUARED] = squared
    # What was lost as weights came to 0 stays lost.
    model.step[LOSES] = max(model.step[LOSES], EPS * model.data.longest * terms)


@kernel
def bound_gradients(model: PrimalModel) -> tuple[float, float]:
    """Bounds of how fast margins may move in a time of 1, and of the rate at which they return, by a trace.

    |grad p_i|^2 is at most |c_i|^2 times the sum of (phi'_ji)^2 |(w_j, a_j)|^2.
    """
    mode, neurons, terms = model.mode, model.neurons, model.terms
    largest, trace, trains = 0.0, 0.0, model.span.trains
    row = model.scratch.row
    row[:] = 0.0
    for j in range(neurons.allowed.size):
        own = neurons.a[j, 0] * neurons.a[j, 0] + (neurons.way[j, 0] * neurons.way[j, 0] if trains else 0.0)
        for i in range(row.size):
            row[i] += mode.slopes[j, i] * mode.slopes[j, i] * own
    for i in range(row.size):
        own = row[i] * model.span.squares[i]
        largest = max(largest, own)
        if mode.live[i] > 0:
            trace += terms.q[0, i] * terms.s[0, i] * own
    return row.size * largest, trace


@kernel
def start(model: PrimalModel, h: float) -> None:
    """The series to degree 1 for a step h: margins, q, and all rates, at the weights as they are."""
    look_at_neurons(model)
    margins_from(model.span, model.mode, model.buffers, model.p)
    top = begin(model.p, model.mode.live, model.data.logistic, model.terms)
    model.now[LOG_TOTAL] = top + np.log(model.terms.total[0])
    model.step[SIZE], model.step[TOP], model.step[UNIT] = h, top, np.log(model.p.size * h) - top
    model.step[BOUND] = -1.0
    grow(model, 0, h)


@kernel
def grow_duals(model: PrimalModel, N: int) -> None:
    """q_N from the margins of degree N."""
    grow_pulls(model.data.logistic, np.exp(model.step[TOP]), N - 1, model.terms)
    grow_shares(model.mode.live, N - 1, model.terms)


@kernel
def within(worst: float, power: int, part: float, T: float, least: float) -> float:
    """The longest u at which worst u^power is at most part u / (T + u) or, where that is more, `least`."""
    if worst == 0.0:
        return np.inf
    longest = (0.5 * part / worst) ** (1.0 / power)
    if T > 0.0:
        longest = min(longest, (0.5 * part / (worst * T)) ** (1.0 / (power - 1.0)))
    return float(max(longest, (least / worst) ** (1.0 / power)))


@kernel
def holds(model: PrimalModel, N: int) -> float:
    """How far the series of degree N >= 3 holds, in u, by its last terms."""
    terms, rtol, part = model.terms, model.data.rtol, model.data.tolerance
    T, least, worst = model.now[TAU] / model.step[SIZE], max(EVEN * part, EPS / rtol), model.buffers.worst
    u = within(worst[N], N, part, T, least)
    u = min(u, FALLS * within(worst[N - 1], N - 1, part, T, least))
    clock = abs(terms.inverse[N - 1]) / (terms.inverse[0] * rtol)
    u = min(u, within(clock, N - 1, part, T, least))
    largest = 0.0
    for i in range(model.p.size):
        if model.mode.live[i] > 0:
            largest = max(largest, abs(terms.q[N - 1, i]))
    if largest > 0.0:
        u = min(u, (SHARE * rtol / largest) ** (1.0 / (N - 1.0)))
    return u
