"""The Taylor series of one mode's flow in tau: dc/dtau = q(p), p = p_0 + K c (MATHEMATICS 5), term by term.

With g_i = -l'(p_i), G = sum of g over live samples and q = g / G, all by their own differential equations:

    c' = q,   p' = K q,   g' = -g s p',   q G = g,   s = 1 - g (logistic: g is a sigmoid), s = 1 (exponential).

Coefficients count u = (tau - tau_0) / h, so that they stay near 1.  g is counted in its largest live value, e^top, so
that nothing underflows: late, g itself is no float64.  The series *is* the flow at every instant of its step: guards
are polynomials of it, rows are read off it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import EPS, Array
from gflow.compiled import kernel
from gflow.taylor.polynomial import MOST, integral, value

Counts = NDArray[np.int64]

# Fewest terms: two of them tell whether they fall.
LEAST = 3
# Beyond e^200 only the size of the q of a sample that nothing moves is forgotten.
LARGEST_SHARE = 200.0
# Below this margin e^-p is a float64 with all its digits.
THIN = 600.0


class Series(NamedTuple):
    """Coefficients of u^k in row k: c, p, q, g, s (MOST + 1, n), G and 1 / G (MOST + 1,); `inner` is (s p')_k / h."""

    c: Array
    p: Array
    q: Array
    g: Array
    s: Array
    inner: Array
    total: Array
    inverse: Array
    allowed: Array  # (n,) what c may be off


def series(samples: int) -> Series:
    """A workspace for n samples."""
    c, p, q, g, s, inner = (np.zeros((MOST + 1, samples)) for _ in range(6))
    return Series(c, p, q, g, s, inner, np.zeros(MOST + 1), np.zeros(MOST + 1), np.zeros(samples))


@kernel
def pulls(p: Array, live: Counts, logistic: bool, g: Array, s: Array) -> float:
    """g (n,) in units of its largest live value e^top, and s = -d log g / dp (n,), at margins p (n,); top.

    live (n,): how many neurons move on each sample; where no sample has any, all count.
    """
    low = np.inf
    for i in range(p.size):
        if live[i] > 0 and p[i] < low:
            low = p[i]
    if low == np.inf:
        low = p.min()
    top = -low
    if logistic:
        top = -np.log1p(np.exp(-abs(low))) - max(low, 0.0)
    for i in range(p.size):
        s[i] = 1.0
        if not logistic or low >= THIN:
            g[i] = np.exp(min(low - p[i], LARGEST_SHARE))
        else:
            small = np.exp(-abs(p[i]))
            near = 1.0 / (1.0 + small)
            g[i] = (small * near if p[i] > 0.0 else near) * np.exp(-top)
            s[i] = near if p[i] > 0.0 else small * near
    return float(top)


@kernel
def times(K: Array, x: Array, out: Array) -> None:
    """out = K x, K (n, n) symmetric; rows of zeros in x cost nothing."""
    n = x.size
    for i in range(n):
        out[i] = 0.0
    for k in range(n):
        if x[k] != 0.0:
            row, factor = K[k], x[k]
            for i in range(n):
                out[i] += factor * row[i]


@kernel
def begin(p: Array, live: Counts, logistic: bool, terms: Series) -> float:
    """The first coefficients at margins p (n,); log of the largest live g."""
    top = pulls(p, live, logistic, terms.g[0], terms.s[0])
    total, everyone = 0.0, 0.0
    for i in range(p.size):
        everyone += terms.g[0, i]
        if live[i] > 0:
            total += terms.g[0, i]
    if total == 0.0:
        total = everyone
    terms.total[0], terms.inverse[0] = total, 1.0 / total
    for i in range(p.size):
        terms.c[0, i] = 0.0
        terms.p[0, i] = p[i]
        terms.q[0, i] = terms.g[0, i] / total
    return top


@kernel
def grow_masses(K: Array, live: Counts, h: float, k: int, terms: Series) -> float:
    """c_{k+1} = h q_k / (k + 1) on live samples and p_{k+1} = K c_{k+1}; the size of c_{k+1} in units of what it may be
    off, infinite where it is no number.
    """
    worst = 0.0
    for i in range(live.size):
        x = terms.q[k, i] * (h / (k + 1)) if live[i] > 0 else 0.0
        terms.c[k + 1, i] = x
        size = abs(x) / terms.allowed[i]
        worst = max(worst, size) if size < np.inf else np.inf
    times(K, terms.c[k + 1], terms.p[k + 1])
    return worst


@kernel
def grow_pulls(logistic: bool, unit: float, k: int, terms: Series) -> None:
    """g_{k+1} and s_{k+1} from those before: (k + 1) g_{k+1} = -sum_l g_l (s p')_{k-l}; unit: the largest live g."""
    n = terms.g.shape[1]
    inner, ahead = terms.inner[k], terms.g[k + 1]
    for i in range(n):
        inner[i] = 0.0 if logistic else (k + 1.0) * terms.p[k + 1, i]
        ahead[i] = 0.0
    if logistic:
        for b in range(k + 1):
            for i in range(n):
                inner[i] += (k - b + 1.0) * terms.s[b, i] * terms.p[k - b + 1, i]
    for b in range(k + 1):
        for i in range(n):
            ahead[i] -= terms.g[b, i] * terms.inner[k - b, i]
    for i in range(n):
        ahead[i] /= k + 1.0
        terms.s[k + 1, i] = -unit * ahead[i] if logistic else 0.0


@kernel
def grow_shares(live: Counts, k: int, terms: Series) -> None:
    """G_{k+1}, (1 / G)_{k+1} and q_{k+1} by division of series."""
    n = live.size
    total, first = 0.0, terms.total[0]
    for i in range(n):
        if live[i] > 0:
            total += terms.g[k + 1, i]
    terms.total[k + 1] = total
    x = 0.0
    for b in range(1, k + 2):
        x -= terms.total[b] * terms.inverse[k + 1 - b]
    terms.inverse[k + 1] = x / first
    ahead = terms.q[k + 1]
    for i in range(n):
        ahead[i] = terms.g[k + 1, i]
    for b in range(1, k + 2):
        for i in range(n):
            ahead[i] -= terms.total[b] * terms.q[k + 1 - b, i]
    for i in range(n):
        ahead[i] /= first


@kernel
def expand(
    K: Array, p: Array, live: Counts, logistic: bool, h: float, clock: float, most: int, terms: Series
) -> tuple[int, float, float]:
    """The series over a step h: its degree N, its last two terms over what it may be off, log of the largest live g.

    terms.allowed (n,) is what c may be off, clock what d exp(v) / dtau may, relatively.  N is the first degree at which
    two terms in a row are small enough, at most `most`; c has N + 1 coefficients then, p as many, q and 1 / G one less.
    The ratio is infinite where terms leave float64.
    """
    top = begin(p, live, logistic, terms)
    unit, before, ratio, N = np.exp(top), np.inf, np.inf, 0
    for k in range(most):
        worst = grow_masses(K, live, h, k, terms)
        now = max(worst, abs(terms.inverse[k]) / (terms.inverse[0] * clock))
        ratio, before, N = max(now, before), now, k + 1
        if not now < np.inf:
            return N, np.inf, top
        if N == most or (N >= LEAST and ratio <= 1.0):
            break
        grow_pulls(logistic, unit, k, terms)
        grow_shares(live, k, terms)
    return N, ratio, top


@kernel
def log_part(p: float, logistic: bool) -> float:
    """log of g s at a margin p."""
    return -abs(p) - 2.0 * np.log1p(np.exp(-abs(p))) if logistic else -p


@kernel
def grows_unseen(terms: Series, logistic: bool, log_unit: float, N: int, u: float, rest: float) -> bool:
    """May the series to u hide a sample that is too small for its terms to be seen, and grows beyond `rest`?

    Where g is e^-500, or 1 to e^-500, the first N terms say nothing of what e^x makes of it when the margin moves by x:
    they leave out x^N / N! of a part g s of q, e^x times as large at the end.  Such a part may be 0 in float64: its
    logarithm counts.  log_unit: of the largest live g.
    """
    log_factorial = 0.0
    for k in range(2, N + 1):
        log_factorial += np.log(k)
    for i in range(terms.allowed.size):
        x, power = 0.0, 1.0
        for k in range(1, N + 1):
            power *= u
            x += abs(terms.p[k, i]) * power
        if x > 1.0:
            part = log_part(terms.p[0, i], logistic) - log_unit - np.log(terms.total[0])
            if part + x + N * np.log(x) - log_factorial > np.log(rest):
                return True
    return False


@kernel
def fastest(K: Array, live: Counts, terms: Series, enough: float, x: Array, image: Array) -> float:
    """Largest eigenvalue of -d q / dp K where the series begins, to a few per cent; 0 where it is below `enough`.

    The matrix is (diag(q s) - q (q s)^T) K on live samples; its trace is a bound, which costs nothing.
    """
    n, trace = live.size, 0.0
    for i in range(n):
        if live[i] > 0:
            trace += terms.q[0, i] * terms.s[0, i] * K[i, i]
        x[i] = np.cos(i + 1.0) if live[i] > 0 else 0.0
    if trace <= enough:
        return 0.0
    size = 0.0
    for _ in range(8):
        times(K, x, image)
        drift, squared = 0.0, 0.0
        for i in range(n):
            image[i] = terms.q[0, i] * terms.s[0, i] * image[i] if live[i] > 0 else 0.0
            drift += image[i]
        for i in range(n):
            image[i] -= terms.q[0, i] * drift if live[i] > 0 else 0.0
            squared += image[i] * image[i]
        size = np.sqrt(squared)
        if size == 0.0:
            break
        for i in range(n):
            x[i] = image[i] / size
    return float(size)


@kernel
def evaluate(rows: Array, N: int, u: float, out: Array) -> None:
    """The series at u: rows (N + 1, n) -> out (n,)."""
    for i in range(out.size):
        x = rows[N, i]
        for k in range(N - 1, -1, -1):
            x = x * u + rows[k, i]
        out[i] = x


@kernel
def clock_after(v: float, log_unit: float, terms: Series, N: int, u: float) -> float:
    """v = log(1 + t) at u, from v at 0: t grows by n / G dtau.  log_unit: log(n h) - log of the largest live g."""
    if u <= 0.0:
        return v
    ahead = log_unit + np.log(integral(terms.inverse, N - 1, u)) - v
    grown = v + np.log1p(np.exp(ahead)) if ahead < 30.0 else v + ahead + np.log1p(np.exp(-ahead))
    return max(float(grown), v)


@kernel
def when_clock(v: float, log_unit: float, terms: Series, N: int, hi: float, goal: float) -> float:
    """The u in [0, hi] at which log(1 + t) is `goal`, which it passes there."""
    lo, u = 0.0, hi
    for _ in range(200):
        now = clock_after(v, log_unit, terms, N, u)
        if now < goal:
            lo = u
        else:
            hi = u
        per_u = np.exp(min(log_unit - now, LARGEST_SHARE)) * value(terms.inverse, N - 1, u)
        new = u - (now - goal) / per_u if per_u > 0.0 else 0.5 * (lo + hi)
        if abs(new - u) <= EPS * u or hi - lo <= EPS * hi:
            return u
        u = new if lo < new < hi else 0.5 * (lo + hi)
    return u
