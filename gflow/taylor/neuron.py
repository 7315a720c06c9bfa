"""One neuron: its motion along the surfaces, the forces that hold it on those it slides on, and its share in K.

With S the surfaces it slides on and G the Gram matrix of the normals, what a push v (H,) moves is
G_j v = G v - G_:S force v, force = G_SS^-1 G_S (MATHEMATICS 2: the projection, in coordinates of surfaces).
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.taylor.model import Data, Kernel, Lazy, Mode, Model, Scratch
from gflow.taylor.series import Counts

# Squared distance of a unit normal from the span of others below which float64 needs more care than is taken here.
DELICATE = 1e-5


@kernel
def cholesky(A: Array, k: int) -> bool:
    """A (k, k), unit diagonal, becomes L with L L^T = A in its lower half; False where A is delicate."""
    for i in range(k):
        for j in range(i + 1):
            x = A[i, j]
            for b in range(j):
                x -= A[i, b] * A[j, b]
            if i == j:
                if not x > DELICATE:
                    return False
                A[i, i] = np.sqrt(x)
            else:
                A[i, j] = x / A[j, j]
    return True


@kernel
def solve(A: Array, B: Array, k: int, columns: int) -> bool:
    """B <- A^-1 B, A (k, k) becoming L, B (k, columns); False, B as it was, where A is delicate."""
    if not cholesky(A, k):
        return False
    for i in range(k):
        for b in range(i):
            for c in range(columns):
                B[i, c] -= A[i, b] * B[b, c]
        for c in range(columns):
            B[i, c] /= A[i, i]
    for i in range(k - 1, -1, -1):
        for b in range(i + 1, k):
            for c in range(columns):
                B[i, c] -= A[b, i] * B[b, c]
        for c in range(columns):
            B[i, c] /= A[i, i]
    return True


@kernel
def submatrix(gram: Array, rows: Counts, k: int, out: Array) -> None:
    """gram on k of its rows and columns."""
    for i in range(k):
        for j in range(k):
            out[i, j] = gram[rows[i], rows[j]]


@kernel
def factor(data: Data, mode: Mode, j: int, scratch: Scratch) -> bool:
    """force and lever of neuron j from its slots alone, whatever came before; False where they are delicate."""
    k, slots, force, A = mode.held[j], mode.slots[j], mode.force[j], scratch.matrix
    submatrix(data.gram, slots, k, A)
    for i in range(k):
        for h in range(data.gram.shape[0]):
            force[i, h] = data.gram[slots[i], h]
    if not solve(A, force, k, data.gram.shape[0]):
        return False
    # A holds the Cholesky factor L; the diagonal of (L L^T)^-1 is the squared norms of the columns of L^-1.
    for s in range(k):
        squared, x = 0.0, scratch.forces
        for i in range(s, k):
            y = 1.0 if i == s else 0.0
            for b in range(s, i):
                y -= A[i, b] * x[b]
            x[i] = y / A[i, i]
            squared += x[i] * x[i]
        mode.lever[j, s] = data.longest * max(np.sqrt(squared), 1.0)
    return True


@kernel
def along(data: Data, mode: Mode, j: int, v: Array, out: Array, forces: Array) -> None:
    """out = G_j v (H,), and the forces of the push v along the normals of the slots, taken off."""
    k, H = mode.held[j], data.gram.shape[0]
    for h in range(H):
        out[h] = 0.0
    for b in range(H):
        if v[b] != 0.0:
            x, row = v[b], data.gram[b]
            for h in range(H):
                out[h] += x * row[h]
    for s in range(k):
        x, row = 0.0, mode.force[j, s]
        for h in range(H):
            x += row[h] * v[h]
        forces[s] = x
    for s in range(k):
        x, row = forces[s], data.gram[mode.slots[j, s]]
        for h in range(H):
            out[h] -= x * row[h]
    for s in range(k):
        out[mode.slots[j, s]] = 0.0


@kernel
def column(data: Data, mode: Mode, j: int, h: int, out: Array) -> None:
    """Column h of G_j, (H,)."""
    H = data.gram.shape[0]
    for b in range(H):
        out[b] = data.gram[h, b]
    for s in range(mode.held[j]):
        x, row = mode.force[j, s, h], data.gram[mode.slots[j, s]]
        for b in range(H):
            out[b] -= x * row[b]
    for s in range(mode.held[j]):
        out[mode.slots[j, s]] = 0.0


@kernel
def pushed(data: Data, slopes: Array, masses: Array, out: Array) -> None:
    """sum over the samples of each surface of y_i alpha_i phi'_i masses_i, (H,)."""
    for h in range(out.size):
        out[h] = 0.0
    for i in range(masses.size):
        out[data.surface[i]] += data.push[i] * slopes[i] * masses[i]


@kernel
def bring(data: Data, mode: Mode, lazy: Lazy, j: int, c: Array, scratch: Scratch) -> None:
    """zeta_j and rho_j up to the masses c, and the scale of their rounding."""
    moves, passed, way = False, scratch.row, 0.0
    for i in range(c.size):
        passed[i] = data.outer[j] * (c[i] - lazy.base[j, i])
        moves = moves or passed[i] != 0.0
        way += abs(passed[i] * data.alpha[i]) * mode.slopes[j, i]
        lazy.base[j, i] = c[i]
    if not moves:
        return
    lazy.scale[j] += way
    v, out, forces = scratch.moved, scratch.turned, scratch.forces
    pushed(data, mode.slopes[j], passed, v)
    along(data, mode, j, v, out, forces)
    for h in range(v.size):
        lazy.zeta[j, h] += out[h]
        lazy.rho[j, h] += v[h]
    for s in range(mode.held[j]):
        lazy.rho[j, mode.slots[j, s]] -= forces[s]
        lazy.zeta[j, mode.slots[j, s]] = 0.0


@kernel
def bring_all(model: Model) -> None:
    """Every neuron up to now."""
    for j in range(model.data.outer.size):
        bring(model.data, model.mode, model.lazy, j, model.c, model.scratch)


@kernel
def rates_of(data: Data, mode: Mode, j: int, q: Array, scratch: Scratch) -> None:
    """scratch.turned = dzeta_j / dtau at q (n,)."""
    pushed(data, mode.slopes[j], q, scratch.moved)
    along(data, mode, j, scratch.moved, scratch.turned, scratch.forces)
    for h in range(scratch.turned.size):
        scratch.turned[h] *= data.outer[j]


@kernel
def slope_on(data: Data, i: int, side: int) -> float:
    """phi' at sample i of a pair on this side, 0 where it slides."""
    if side == 0:
        return 0.0
    return 1.0 if (side > 0) == (data.alpha[i] > 0.0) else data.slope


@kernel
def add_rank_one(data: Data, mode: Mode, kernel_: Kernel, j: int, factor_: float, scratch: Scratch) -> None:
    """K += factor x x^T with x_i = y_i alpha_i phi'_ji (column of G_j)_h(i)."""
    x, n = scratch.row, data.surface.size
    for i in range(n):
        x[i] = data.push[i] * mode.slopes[j, i] * scratch.column[data.surface[i]]
    for b in range(n):
        if x[b] != 0.0:
            y = factor_ * x[b]
            for i in range(n):
                kernel_.K[b, i] += y * x[i]


@kernel
def take_slopes(data: Data, mode: Mode, kernel_: Kernel, j: int, h: int, side: int, scratch: Scratch) -> None:
    """The samples of surface h take the slopes of a side at neuron j, K follows; scratch.column: column h of G_j."""
    a, n, x = data.outer[j] ** 2, data.surface.size, scratch.row
    for i in range(n):
        x[i] = data.push[i] * mode.slopes[j, i] * scratch.column[data.surface[i]]
    own = scratch.column[h]
    for at in range(data.first[h], data.first[h + 1]):
        i = data.sample[at]
        change = a * data.push[i] * (slope_on(data, i, side) - mode.slopes[j, i])
        for b in range(n):
            if data.surface[b] != h:
                kernel_.K[i, b] += change * x[b]
                kernel_.K[b, i] += change * x[b]
        for to in range(data.first[h], data.first[h + 1]):
            b = data.sample[to]
            after = slope_on(data, i, side) * slope_on(data, b, side)
            kernel_.K[i, b] += a * own * data.push[i] * data.push[b] * (after - mode.slopes[j, i] * mode.slopes[j, b])
    for at in range(data.first[h], data.first[h + 1]):
        i = data.sample[at]
        after = slope_on(data, i, side)
        if a != 0.0:
            mode.live[i] += (1 if after != 0.0 else 0) - (1 if mode.slopes[j, i] != 0.0 else 0)
        kernel_.free[i] += a * data.alpha[i] ** 2 * (after**2 - mode.slopes[j, i] ** 2)
        mode.slopes[j, i] = after


@kernel
def turn(data: Data, mode: Mode, kernel_: Kernel, j: int, h: int, side: int, scratch: Scratch) -> bool:
    """Pair (j, h) takes a side, and all that hangs on it; False where the new slots are delicate."""
    a, fine = data.outer[j] ** 2, True
    if mode.side[j, h] == 0:
        remove_slot(mode, j, h)
        fine = factor(data, mode, j, scratch)
    column(data, mode, j, h, scratch.column)
    if mode.side[j, h] == 0:
        add_rank_one(data, mode, kernel_, j, a / scratch.column[h], scratch)
    take_slopes(data, mode, kernel_, j, h, side, scratch)
    if side == 0:
        add_rank_one(data, mode, kernel_, j, -a / scratch.column[h], scratch)
        insert_slot(mode, j, h)
        fine = factor(data, mode, j, scratch) and fine
    mode.side[j, h] = side
    return fine


@kernel
def remove_slot(mode: Mode, j: int, h: int) -> None:
    """Surface h is no longer among the slots of neuron j, which stay sorted."""
    at = 0
    while mode.slots[j, at] != h:
        at += 1
    mode.held[j] -= 1
    for s in range(at, mode.held[j]):
        mode.slots[j, s] = mode.slots[j, s + 1]


@kernel
def insert_slot(mode: Mode, j: int, h: int) -> None:
    """Surface h joins the slots of neuron j, which stay sorted."""
    at = mode.held[j]
    while at > 0 and mode.slots[j, at - 1] > h:
        mode.slots[j, at] = mode.slots[j, at - 1]
        at -= 1
    mode.slots[j, at] = h
    mode.held[j] += 1
