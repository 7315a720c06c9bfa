"""Polynomials in powers of u: values, rates, and the first root that goes down, found by Descartes' rule.

On [0, hi] a polynomial with Bernstein coefficients of one sign has no root, and in general no more than their changes
of sign: two roots inside one step cannot hide.  c (N + 1,) are coefficients of powers; only the first N + 1 are read.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from gflow.arrays import EPS, Array
from gflow.compiled import kernel

# Highest degree.
MOST = 24
# Part of the interval in which a pair of roots is a touch and no crossing (as `ode.bernstein.DEPTH`).
TOUCH = 2.0**-14
# Halvings of [0, hi] down to a touch, and one.
DEPTH = 16


class Roots(NamedTuple):
    """Workspace of the search: Bernstein coefficients and ends of the pieces still to be looked at; binomials."""

    piece: Array  # (DEPTH + 2, MOST + 1)
    ends: Array  # (DEPTH + 2, 2)
    binomial: Array  # (MOST + 1, MOST + 1)


def roots() -> Roots:
    """A workspace."""
    binomial = [[comb(N, k) for k in range(MOST + 1)] for N in range(MOST + 1)]
    return Roots(np.zeros((DEPTH + 2, MOST + 1)), np.zeros((DEPTH + 2, 2)), np.array(binomial, dtype=float))


@kernel
def value(c: Array, N: int, u: float) -> float:
    """sum_k c_k u^k."""
    x = c[N]
    for k in range(N - 1, -1, -1):
        x = x * u + c[k]
    return float(x)


@kernel
def rate(c: Array, N: int, u: float) -> float:
    """sum_k k c_k u^(k - 1)."""
    x = N * c[N]
    for k in range(N - 1, 0, -1):
        x = x * u + k * c[k]
    return float(x)


@kernel
def integral(c: Array, N: int, u: float) -> float:
    """sum_k c_k u^(k + 1) / (k + 1)."""
    x = c[N] / (N + 1)
    for k in range(N - 1, -1, -1):
        x = x * u + c[k] / (k + 1)
    return float(x * u)


@kernel
def to_bernstein(c: Array, N: int, hi: float, binomial: Array, out: Array) -> None:
    """The coefficients on [0, hi], out (N + 1,)."""
    power = 1.0
    for k in range(N + 1):
        out[k] = c[k] * power / binomial[N, k]
        power *= hi
    for level in range(1, N + 1):
        for k in range(N, level - 1, -1):
            out[k] += out[k - 1]


@kernel
def halve(piece: Array, N: int, left: Array) -> None:
    """De Casteljau in the middle: `left` becomes the left half, `piece` the right one."""
    for k in range(N + 1):
        left[k] = piece[0]
        for i in range(N - k):
            piece[i] = 0.5 * (piece[i] + piece[i + 1])


@kernel
def polish(c: Array, N: int, lo: float, hi: float) -> float:
    """The root in [lo, hi] of a polynomial that is >= 0 at lo, < 0 at hi: Newton's steps, or halving."""
    at_lo, at_hi = value(c, N, lo), value(c, N, hi)
    u = 0.5 * (lo + hi)
    if at_lo > 0.0 > at_hi:
        u = lo + (hi - lo) * at_lo / (at_lo - at_hi)
    for _ in range(100):
        f = value(c, N, u)
        if f >= 0.0:
            lo = u
        else:
            hi = u
        slope = rate(c, N, u)
        new = u - f / slope if slope != 0.0 else 0.5 * (lo + hi)
        if abs(new - u) <= EPS * abs(u):
            return new
        if hi - lo <= 2.0 * EPS * hi:
            return hi
        u = new if lo < new < hi else 0.5 * (lo + hi)
    return hi


@kernel
def changes_of_sign(piece: Array, N: int) -> int:
    """Of Bernstein coefficients, 0 counted as positive."""
    changes = 0
    for k in range(N):
        if (piece[k] >= 0.0) != (piece[k + 1] >= 0.0):
            changes += 1
    return changes


@kernel
def first_descent(c: Array, N: int, hi: float, work: Roots) -> float:
    """First u in [0, hi] where a polynomial that is >= 0 at 0 goes down through 0; infinite where there is none."""
    to_bernstein(c, N, hi, work.binomial, work.piece[0])
    work.ends[0, 0], work.ends[0, 1] = 0.0, hi
    top = 0  # pieces are stacked, the leftmost on top
    while top >= 0:
        piece = work.piece[top]
        lo, up = work.ends[top, 0], work.ends[top, 1]
        changes = changes_of_sign(piece, N)
        if piece[0] < 0.0:
            return float(lo)
        if changes == 0:
            top -= 1
        elif changes == 1 or up - lo <= TOUCH * hi:
            if piece[N] < 0.0:
                return polish(c, N, lo, up)
            top -= 1
        else:
            middle = 0.5 * (lo + up)
            halve(piece, N, work.piece[top + 1])
            work.ends[top, 0] = middle
            work.ends[top + 1, 0], work.ends[top + 1, 1] = lo, middle
            top += 1
    return np.inf
