"""The Taylor series of one mode's flow with trained outer layers, degree by degree.

A neuron obeys w' = sum_k a_k V_k and a_k' = <w, V_k> (a_k' = 0 where the outer layer is fixed) with pulls V_k =
P sum_i phi'_i y_i T_ik c_i, and the outputs are f_ik = <c_i, sum_j phi'_ji a_jk w_j>: all of it is bilinear, so that
coefficients are convolutions.  Margins and T follow as in `primal.outputs`, q from margins as in `taylor.series`.  A
degree costs two products with all neurons and all samples.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS
from gflow.compiled import kernel
from gflow.field.clarke import ROUNDING
from gflow.taylor.loop import SHARE
from gflow.taylor.model import LOG_TOTAL, SIZE, SQUARED, TAU, UNIT
from gflow.taylor.primal.model import BOUND, LOSES, TOP, PrimalModel
from gflow.taylor.primal.neurons import fix_neuron, grow_neuron, outputs_from, pull_neurons
from gflow.taylor.primal.outputs import Outputs, begin_margins, grow_margins, grow_pushes
from gflow.taylor.series import begin, grow_pulls, grow_shares

# So much longer than the last term allows may a step be for the term before: terms may fall by this a degree.
FALLS = 4.0
# The part of what a doubling of tau may be off that any one step may use up: late, log t doubles many times while tau
# hardly grows, and no more than some thousand steps follow each other without an event, which cuts them short.
EVEN = 1e-2


@kernel
def add_bias(outputs: Outputs, k: int) -> None:
    """Outputs of degree k with that of the bias."""
    if outputs.biased:
        for i in range(outputs.own.size):
            for o in range(outputs.bias.shape[1]):
                outputs.f[k, i, o] += outputs.bias[k, o]


@kernel
def grow_bias(model: PrimalModel, k: int, part: float) -> float:
    """c_{k+1} = part sum_i T_ik, and its size in units of what it may be off."""
    outputs, squared, whole = model.outputs, 0.0, 0.0
    if not outputs.biased:
        return 0.0
    for o in range(outputs.bias.shape[1]):
        x = 0.0
        for i in range(outputs.own.size):
            x += outputs.T[k, i, o]
        x *= part
        outputs.bias[k + 1, o] = x
        squared += x * x
        whole += outputs.bias[0, o] * outputs.bias[0, o]
    return float(np.sqrt(squared) / (model.span.atol + model.data.rtol * np.sqrt(whole)))


@kernel
def grow(model: PrimalModel, k: int, h: float) -> None:
    """Weights and margins of degree k + 1 from T_k, and the largest of these terms in units of what it may be off.

    Weights may be off by their tolerance; margins by what moves log L by rtol of itself, or rtol.
    """
    neurons, buffers, outputs, part = model.neurons, model.buffers, model.outputs, h / (k + 1.0)
    worst = grow_bias(model, k, part)
    pull_neurons(model, k)
    for j in range(neurons.allowed.size):
        if model.span.trains:
            grow_neuron(neurons, j, k, part, buffers.pushed[j])
        else:
            fix_neuron(neurons, j, k, part, buffers.pushed[j])
        size = neurons.size[j, k + 1] / neurons.allowed[j]
        worst = max(worst, size) if size < np.inf else np.inf
    outputs_from(model.span, model.mode, buffers, outputs.f[k + 1])
    add_bias(outputs, k + 1)
    grow_margins(outputs, model.span.y, k + 1, model.terms.p[k + 1])
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
    r = span.C.shape[1]
    for j in range(neurons.allowed.size):
        inner, outer, a = 0.0, 0.0, neurons.a[j, 0]
        for c in range(r):
            inner += neurons.W[j, 0, c] * neurons.W[j, 0, c]
        for o in range(a.size):
            outer += a[o] * a[o]
        terms += np.sqrt(outer * inner)
        neurons.way[j, 0] = np.sqrt(inner)
        inner += span.outside[j] * span.outside[j]
        model.watched.band[j] = max(ROUNDING * (span.initial[j] + np.sqrt(inner)), 1e-290)
        inner += outer if trains else 0.0
        neurons.size[j, 0] = np.sqrt(inner)
        neurons.allowed[j] = span.atol + model.data.rtol * neurons.size[j, 0]
        squared += inner
        for o in range(a.size):
            for c in range(r):
                model.buffers.pushed[j, o * r + c] = a[o] * neurons.W[j, 0, c]
    for each in model.outputs.bias[0]:
        squared += each * each
    model.now[SQUARED] = squared
    # What was lost as weights came to 0 stays lost.
    model.step[LOSES] = max(model.step[LOSES], EPS * model.data.longest * terms)


@kernel
def bound_gradients(model: PrimalModel) -> tuple[float, float]:
    """Bounds of how fast margins may move in a time of 1, and of the rate at which they return, by a trace.

    |df_ik / dtheta|^2 is at most |c_i|^2 times the sum of (phi'_ji)^2 (a_jk^2 + |w_j|^2), and 1 for a bias.
    """
    mode, neurons, terms, R = model.mode, model.neurons, model.terms, model.outputs.R
    largest, trace, gradients = 0.0, 0.0, model.buffers.gradients
    K, n = gradients.shape
    gradients[:] = 0.0
    for j in range(neurons.allowed.size):
        way, slopes = neurons.way[j, 0] * neurons.way[j, 0] if model.span.trains else 0.0, mode.slopes[j]
        for o in range(K):
            squared, row = neurons.a[j, 0, o] * neurons.a[j, 0, o] + way, gradients[o]
            for i in range(n):
                row[i] += slopes[i] * slopes[i] * squared
    for i in range(n):
        own, turned = 0.0, 0.0
        for o in range(K):
            x = gradients[o, i] * model.span.squares[i] + (1.0 if model.outputs.biased else 0.0)
            part = abs(R[0, i, o])
            own += part * x
            turned += x * (terms.s[0, i] * part * part + part * (1.0 - part))
        largest = max(largest, own if K == 1 else 2.0 * own)
        trace += terms.q[0, i] * turned if mode.live[i] > 0 else 0.0
    return model.p.size * largest, trace


@kernel
def start(model: PrimalModel, h: float) -> None:
    """The series to degree 1 for a step h: margins, q, and all rates, at the weights as they are."""
    look_at_neurons(model)
    outputs_from(model.span, model.mode, model.buffers, model.outputs.f[0])
    add_bias(model.outputs, 0)
    begin_margins(model.outputs, model.span.y, model.p)
    top = begin(model.p, model.mode.live, model.data.logistic, model.terms)
    grow_pushes(model.outputs, model.terms.q, 0)
    model.now[LOG_TOTAL] = top + np.log(model.terms.total[0])
    model.step[SIZE], model.step[TOP], model.step[UNIT] = h, top, np.log(model.p.size * h) - top
    model.step[BOUND] = -1.0
    grow(model, 0, h)


@kernel
def grow_duals(model: PrimalModel, N: int) -> None:
    """q_N and T_N from the margins of degree N."""
    grow_pulls(model.data.logistic, np.exp(model.step[TOP]), N - 1, model.terms)
    grow_shares(model.mode.live, N - 1, model.terms)
    grow_pushes(model.outputs, model.terms.q, N)


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
            for each in model.outputs.T[N - 1, i]:
                largest = max(largest, abs(each))
    if largest > 0.0:
        u = min(u, (SHARE * rtol / largest) ** (1.0 / (N - 1.0)))
    return u
