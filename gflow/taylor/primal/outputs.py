"""The outputs f_k and how margins see them, as series: p_i = y_i f(x_i), or p_i = f_own - log sum_{k != own} e^{f_k}.

With s the softmax of the other classes and L the logarithm of their sum, L' = sum_k s_k f_k' and s_k' = s_k (f_k' -
L'): all of it is bilinear.  Samples pull on outputs by T = q dp/df, but for the label y where there is one output.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gflow.arrays import Array
from gflow.compiled import kernel
from gflow.taylor.series import Counts


class Outputs(NamedTuple):
    """Coefficients of u^k in row k of axis 0; with one output R is 1 and T is q."""

    f: Array  # (HIGHEST + 1, n, K)
    level: Array  # (HIGHEST + 1, n) L
    R: Array  # (HIGHEST + 1, n, K) dp/df: 1 for the class of the sample, -s for the others
    T: Array  # (HIGHEST + 1, n, K)
    bias: Array  # (HIGHEST + 1, K) c, 0 where there is none
    own: Counts  # (n,) the class
    biased: bool


def outputs_of(own: Counts, bias: Array, biased: bool, rows: int) -> Outputs:
    """Room for series of so many rows."""
    n, K = own.size, bias.size
    f, R, T = (np.zeros((rows, n, K)) for _ in range(3))
    series_bias = np.zeros((rows, K))
    series_bias[0] = bias
    return Outputs(f, np.zeros((rows, n)), R, T, series_bias, np.array(own, dtype=np.int64), biased)


@kernel
def begin_margins(out: Outputs, y: Array, p: Array) -> None:
    """p (n,) and R at the outputs as they are."""
    K = out.f.shape[2]
    for i in range(p.size):
        f, R, own, top, total = out.f[0, i], out.R[0, i], out.own[i], -np.inf, 0.0
        if K == 1:
            p[i], R[0] = y[i] * f[0], 1.0
            continue
        for k in range(K):
            top = max(top, f[k]) if k != own else top
        for k in range(K):
            R[k] = np.exp(f[k] - top) if k != own else 0.0
            total += R[k]
        for k in range(K):
            R[k] = -R[k] / total
        R[own] = 1.0
        out.level[0, i] = top + np.log(total)
        p[i] = f[own] - out.level[0, i]


@kernel
def grow_margins(out: Outputs, y: Array, N: int, p: Array) -> None:
    """Margins (n,) of degree N, and R of that degree, from the outputs of degree N."""
    K = out.f.shape[2]
    for i in range(p.size):
        if K == 1:
            p[i] = y[i] * out.f[N, i, 0]
            continue
        own, level = out.own[i], 0.0
        for b in range(1, N + 1):
            x, R, f = 0.0, out.R[N - b, i], out.f[b, i]
            for k in range(K):
                x -= R[k] * f[k] if k != own else 0.0
            level += x * b / N
        out.level[N, i] = level
        p[i] = out.f[N, i, own] - level
        ahead = out.R[N, i]
        for k in range(K):
            ahead[k] = 0.0
        for b in range(1, N + 1):
            R, f = out.R[N - b, i], out.f[b, i]
            for k in range(K):
                ahead[k] += R[k] * (f[k] - out.level[b, i]) * b / N if k != own else 0.0


@kernel
def grow_pushes(out: Outputs, q: Array, N: int) -> None:
    """T of degree N from q (N + 1, n)."""
    K = out.f.shape[2]
    for i in range(out.own.size):
        if K == 1:
            out.T[N, i, 0] = q[N, i]
            continue
        for k in range(K):
            x = 0.0
            for b in range(N + 1):
                x += q[N - b, i] * out.R[b, i, k]
            out.T[N, i, k] = x


@kernel
def class_grows_unseen(out: Outputs, q: Array, N: int, u: float, rest: float) -> bool:
    """As `taylor.series.grows_unseen`, for the share of a class in what a sample pulls."""
    K, log_factorial = out.f.shape[2], 0.0
    if K < 3:
        return False  # a class alone among the others has all of it
    for b in range(2, N + 1):
        log_factorial += np.log(b)
    for i in range(out.own.size):
        for k in range(K):
            x, power = 0.0, 1.0
            for b in range(1, N + 1):
                power *= u
                x += abs(out.f[b, i, k] - out.level[b, i]) * power
            if k != out.own[i] and x > 1.0 and q[i] > 0.0:
                part = out.f[0, i, k] - out.level[0, i] + np.log(q[i])
                if part + x + N * np.log(x) - log_factorial > np.log(rest):
                    return True
    return False


@kernel
def returned_rates(out: Outputs, y: Array, q: Array, s: Array, live: Counts, f: Array) -> None:
    """f (n, K), rates of the outputs, become -dT/dtau in place; q, s (n,) where the series begins."""
    K, drift = out.f.shape[2], 0.0
    for i in range(q.size):
        p = 0.0
        for k in range(K):
            p += out.R[0, i, k] * f[i, k]
        drift += q[i] * s[i] * y[i] * p if live[i] > 0 else 0.0
    for i in range(q.size):
        p, others, own, R = 0.0, 0.0, out.own[i], out.R[0, i]
        for k in range(K):
            p += R[k] * f[i, k]
            others += R[k] * f[i, k] if k != own or K == 1 else 0.0
        fallen = q[i] * (s[i] * y[i] * p - drift)
        for k in range(K):
            turned = R[k] * (f[i, k] + others) if k != own and K > 1 else 0.0
            f[i, k] = fallen * R[k] - q[i] * turned if live[i] > 0 else 0.0
