"""How neurons move by the pulls of the samples, and the outputs by neurons, one degree of their series at a time."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.taylor.model import Mode
from gflow.taylor.primal.model import Buffers, Neurons, PrimalModel, Span, Tables


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
def project_pulls(model: PrimalModel, j: int, pulls: Array) -> None:
    """P_j of each of the K pulls (K r,) on a neuron that slides, in place."""
    r = model.span.C.shape[1]
    for o in range(pulls.size // r):
        project(model.mode, model.tables, model.span.normals, j, pulls[o * r : (o + 1) * r], model.scratch.forces)


@kernel
def pull_all(model: PrimalModel, T: Array) -> None:
    """buffers.pushed = P_j sum_i phi'_ji y_i T_ik c_i of live samples, T (n, K), for all neurons."""
    span, mode, buffers = model.span, model.mode, model.buffers
    r = span.C.shape[1]
    for i in range(T.shape[0]):
        for o in range(T.shape[1]):
            x = span.y[i] * T[i, o] if mode.live[i] > 0 else 0.0
            for c in range(r):
                buffers.pulled[i, o * r + c] = x * span.C[i, c]
    np.dot(mode.slopes, buffers.pulled, buffers.pushed)
    for j in range(mode.held.size):
        if mode.held[j] > 0:
            project_pulls(model, j, buffers.pushed[j])


@kernel
def pull_neurons(model: PrimalModel, k: int) -> None:
    """V_k of all neurons from T_k."""
    V, pushed = model.neurons.V, model.buffers.pushed
    pull_all(model, model.outputs.T[k])
    for j in range(V.shape[0]):
        for o in range(V.shape[2]):
            for c in range(V.shape[3]):
                V[j, k, o, c] = pushed[j, o * V.shape[3] + c]


@kernel
def fix_neuron(neurons: Neurons, j: int, k: int, part: float, out: Array) -> None:
    """w_j,k+1 = part sum_o a_jo V_jok and out = a_jo w_j,k+1, where the outer layer is fixed."""
    ahead, V, a, squared = neurons.W[j, k + 1], neurons.V[j, k], neurons.a[j, 0], 0.0
    r = ahead.size
    for c in range(r):
        x = 0.0
        for o in range(a.size):
            x += a[o] * V[o, c]
        x *= part
        ahead[c] = x
        squared += x * x
        for o in range(a.size):
            out[o * r + c] = a[o] * x
    neurons.way[j, k + 1] = neurons.size[j, k + 1] = np.sqrt(squared)


@kernel
def grow_neuron(neurons: Neurons, j: int, k: int, part: float, out: Array) -> None:
    """(w_j, a_j)_{k+1} = part (conv(a, V), conv(<w, V>))_k with their sizes, and out = (a_jo w_j)_{k+1}, (K r,)."""
    W, a, V, ahead, squared = neurons.W[j], neurons.a[j], neurons.V[j], neurons.W[j, k + 1], 0.0
    r, K = W.shape[1], a.shape[1]
    for c in range(r):
        ahead[c] = 0.0
    for o in range(K):
        moved, pull, lead, x = out[o * r : (o + 1) * r], V[k, o], a[0, o], 0.0
        for c in range(r):
            ahead[c] += lead * pull[c]
            moved[c] = 0.0
            x += W[0, c] * pull[c]
        for b in range(1, k + 1):
            own, pulled, then, factor = W[b], V[k - b, o], W[k + 1 - b], a[b, o]
            for c in range(r):
                ahead[c] += factor * pulled[c]
                x += own[c] * pulled[c]
                moved[c] += factor * then[c]
        a[k + 1, o] = x * part
    for c in range(r):
        ahead[c] *= part
        squared += ahead[c] * ahead[c]
    neurons.way[j, k + 1] = np.sqrt(squared)
    for o in range(K):
        squared += a[k + 1, o] * a[k + 1, o]
        for c in range(r):
            out[o * r + c] += a[0, o] * ahead[c] + a[k + 1, o] * W[0, c]
    neurons.size[j, k + 1] = np.sqrt(squared)


@kernel
def outputs_from(span: Span, mode: Mode, buffers: Buffers, out: Array) -> None:
    """<c_i, sum_j phi'_ji pushed_jo>, (n, K)."""
    r = span.C.shape[1]
    np.dot(mode.slopes.T, buffers.pushed, buffers.outputs)
    for i in range(out.shape[0]):
        for o in range(out.shape[1]):
            x = 0.0
            for c in range(r):
                x += span.C[i, c] * buffers.outputs[i, o * r + c]
            out[i, o] = x
