"""Radau IIA of order 5 on the masses and the clock, with the analytic Jacobian on the rows that are stiff only.

Hairer and Wanner, Solving Ordinary Differential Equations II, IV.8.  y = (c, v) has the field (q(p_0 + K c), dv/dtau).
The Jacobian of q is -(diag(w) - q w^T) K with w = q s; the clock hangs on c, and nothing hangs on it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.taylor.series import Counts, pulls, times

Complex = NDArray[np.complex128]

S = np.sqrt(6.0)
A = np.array([
    [(88 - 7 * S) / 360, (296 - 169 * S) / 1800, (-2 + 3 * S) / 225],
    [(296 + 169 * S) / 1800, (88 + 7 * S) / 360, (-2 - 3 * S) / 225],
    [(16 - S) / 36, (16 + S) / 36, 1 / 9],
])  # fmt: skip
NODES = A.sum(axis=1)
ERROR = np.array([-13 - 7 * S, -13 + 7 * S, -1]) / 3
# Coefficients of x, x^2, x^3 of the polynomial through 0 and the stages.
DENSE = np.linalg.inv(NODES[:, None] ** np.arange(1.0, 4.0))
_values, _vectors = np.linalg.eig(np.linalg.inv(A).T)
_order = np.argsort(_values.imag)
# Eigenvalues of A^-1, one real, one of the pair, and left eigenvectors: stages are decoupled in these directions.
REAL, PAIR = float(_values[_order[1]].real), complex(_values[_order[0]])
LEFT_REAL, LEFT_PAIR = _vectors[:, _order[1]].real.copy(), _vectors[:, _order[0]].copy()
BACK = np.linalg.inv(np.array([LEFT_REAL, LEFT_PAIR.real, LEFT_PAIR.imag]))
# h |J| of a row from which on it is solved for; below, a step of fixed-point iteration is as good.
STIFF_ROW = 1e-5
MOST_ITERATIONS = 8
# The clock as in `field.clock`.
LARGEST_EXPONENT = 200.0


class Implicit(NamedTuple):
    """Arrays of a step: stages relative to its start (3, n + 1), the same decoupled, their fields; the Jacobian of q
    (n, n), its sum of rows (n,), the field at the start and what y may be off (n + 1,); which rows are stiff."""

    stages: Array
    decoupled: Array
    fields: Array
    jacobian: Array
    drift: Array
    start: Array
    scale: Array
    stiff: Counts
    p: Array
    q: Array
    g: Array
    s: Array


@kernel
def implicit(n: int) -> Implicit:
    """Room for n samples."""
    return Implicit(
        np.zeros((3, n + 1)),
        np.zeros((3, n + 1)),
        np.zeros((3, n + 1)),
        np.zeros((n, n)),
        np.zeros(n),
        np.zeros(n + 1),
        np.zeros(n + 1),
        np.zeros(n, np.int64),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
    )


@kernel
def field(K: Array, p: Array, live: Counts, logistic: bool, y: Array, v: float, work: Implicit, out: Array) -> None:
    """The field at masses y[:n] and clock v + y[n], from margins p at the start, in out (n + 1,); work.q, .s."""
    n = p.size
    times(K, y[:n], work.p)
    for i in range(n):
        work.p[i] += p[i]
    top = pulls(work.p, live, logistic, work.g, work.s)
    total = 0.0
    for i in range(n):
        total += work.g[i] if live[i] > 0 else 0.0
    for i in range(n):
        work.q[i] = work.g[i] / total
        out[i] = work.q[i] if live[i] > 0 else 0.0
    out[n] = np.exp(min(np.log(n) - top - np.log(total) - v - y[n], LARGEST_EXPONENT))


@kernel
def fill_jacobian(K: Array, live: Counts, work: Implicit) -> None:
    """jacobian (n, n) of q on live samples and drift = d log(sum of g) / dc, at work.q and work.s."""
    n = live.size
    for k in range(n):
        work.drift[k] = 0.0
    for i in range(n):
        w = work.q[i] * work.s[i] if live[i] > 0 else 0.0
        for k in range(n):
            work.drift[k] -= w * K[i, k]
    for i in range(n):
        q = work.q[i] if live[i] > 0 else 0.0
        for k in range(n):
            work.jacobian[i, k] = -q * (work.s[i] * K[i, k] + work.drift[k])


@kernel
def mark_stiff(work: Implicit, h: float) -> int:
    """The rows that are solved for; how many."""
    count, n = 0, work.drift.size
    for i in range(n):
        size = 0.0
        for k in range(n):
            size += abs(work.jacobian[i, k])
        if size * h > STIFF_ROW:
            work.stiff[count] = i
            count += 1
    return count


@kernel
def inverse_of(work: Implicit, count: int, mu: Any) -> NDArray[Any]:
    """(mu - J)^-1 on the stiff rows; mu, and with it the inverse, is real or complex (Any: mypy has no such pair)."""
    M = np.full((count, count), 0.0 * mu)
    for i in range(count):
        for k in range(count):
            M[i, k] -= work.jacobian[work.stiff[i], work.stiff[k]]
        M[i, i] += mu
    return np.linalg.inv(M)


@kernel
def solve_step(work: Implicit, count: int, inverse: Any, mu: Any, right: Any, x: Any) -> None:
    """x (n + 1,) = (mu - dF/dy)^-1 right, real or complex; by a fixed-point iteration on rows that are not stiff."""
    n, rate = work.drift.size, work.start[work.drift.size]
    for i in range(n):
        x[i] = right[i] / mu
    for a in range(count):
        x[work.stiff[a]] = 0.0
    b = np.zeros_like(right)
    for a in range(count):
        b[a] = right[work.stiff[a]]
        for k in range(n):
            b[a] += work.jacobian[work.stiff[a], k] * x[k]
    for a in range(count):
        y = 0.0 * mu
        for k in range(count):
            y += inverse[a, k] * b[k]
        x[work.stiff[a]] = y
    y = right[n]
    for k in range(n):
        y -= rate * work.drift[k] * x[k]
    x[n] = y / (mu + rate)


@kernel
def size_of(x: Array, scale: Array) -> float:
    """The largest component in units of its scale: no sample hides behind the others."""
    worst = 0.0
    for k in range(x.size):
        worst = max(worst, abs(x[k]) / scale[k])
    return worst


@kernel
def decouple(work: Implicit, real: float, pair: complex, right: Array, right_c: Complex) -> None:
    """Right-hand sides of Newton's step in the decoupled directions, from the fields of the stages."""
    for k in range(right.size):
        right[k] = -real * work.decoupled[0, k]
        right_c[k] = -pair * complex(work.decoupled[1, k], work.decoupled[2, k])
        for i in range(3):
            right[k] += LEFT_REAL[i] * work.fields[i, k]
            right_c[k] += LEFT_PAIR[i] * work.fields[i, k]


@kernel
def move(work: Implicit, x: Array, x_c: Complex) -> float:
    """Newton's step taken; its largest component in units of the scale."""
    moved = size_of(x, work.scale)
    for k in range(x.size):
        moved = max(moved, abs(x_c[k]) / work.scale[k])
        work.decoupled[0, k] += x[k]
        work.decoupled[1, k] += x_c[k].real
        work.decoupled[2, k] += x_c[k].imag
    for i in range(3):
        for k in range(x.size):
            y = 0.0
            for b in range(3):
                y += BACK[i, b] * work.decoupled[b, k]
            work.stages[i, k] = y
    return moved


@kernel
def newton(K: Array, p: Array, live: Counts, logistic: bool, v: float, h: float, work: Implicit) -> tuple[bool, int]:
    """Solve the collocation equations for the stages of a step h; did it converge, in how many iterations."""
    n, real, pair = p.size, REAL / h, PAIR / h
    count = mark_stiff(work, h)
    inverse, inverse_c = inverse_of(work, count, real), inverse_of(work, count, pair)
    right, x = np.zeros(n + 1), np.zeros(n + 1)
    right_c, x_c = np.zeros(n + 1, np.complex128), np.zeros(n + 1, np.complex128)
    work.stages[:] = 0.0
    work.decoupled[:] = 0.0
    before = np.inf
    for iteration in range(1, MOST_ITERATIONS + 1):
        for i in range(3):
            field(K, p, live, logistic, work.stages[i], v, work, work.fields[i])
        decouple(work, real, pair, right, right_c)
        solve_step(work, count, inverse, real, right, x)
        solve_step(work, count, inverse_c, pair, right_c, x_c)
        moved = move(work, x, x_c)
        if not moved < 1e100 or (moved >= before and moved > 1e-2):
            return False, iteration
        rate = moved / before  # 0 at first, when it is not known
        if moved < 1e-4 or rate >= 1.0 or (iteration > 1 and rate / (1.0 - rate) * moved < 1e-3):
            return True, iteration
        before = moved
    return False, MOST_ITERATIONS


@kernel
def error_of(K: Array, p: Array, live: Counts, logistic: bool, v: float, h: float, work: Implicit) -> float:
    """The embedded estimate in units of the scale, its stiff part damped by a second solve where it is too large."""
    n = p.size
    count = mark_stiff(work, h)
    inverse = inverse_of(work, count, REAL / h)
    slope, right, x = work.start.copy(), np.zeros(n + 1), np.zeros(n + 1)
    for again in range(2):
        for k in range(n + 1):
            right[k] = slope[k]
            for i in range(3):
                right[k] += ERROR[i] * work.stages[i, k] / h
        solve_step(work, count, inverse, REAL / h, right, x)
        error = size_of(x, work.scale)
        if error <= 1.0 or again == 1:
            return error
        field(K, p, live, logistic, x, v, work, slope)
    return np.inf


@kernel
def implicit_step(
    K: Array, p: Array, live: Counts, logistic: bool, v: float, h: float, work: Implicit
) -> tuple[float, int]:
    """A step h: the error in units of the scale (inf: no convergence), and iterations; its stages are work.stages."""
    converged, iterations = newton(K, p, live, logistic, v, h, work)
    if not converged:
        return np.inf, iterations
    return error_of(K, p, live, logistic, v, h, work), iterations


@kernel
def begin_at(K: Array, p: Array, live: Counts, logistic: bool, v: float, work: Implicit) -> None:
    """Field and Jacobian at the start of a step."""
    field(K, p, live, logistic, np.zeros(p.size + 1), v, work, work.start)
    fill_jacobian(K, live, work)
