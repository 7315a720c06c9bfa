"""Bounds of q at all later times, and of what follows from them: rates, rooms and excursions (see `certificate`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gflow.arrays import EPS, Array, Bools
from gflow.limit.divergence import coordinate_range, divergence, lower_bounds
from gflow.limit.hard_margin import HardMargin
from gflow.limit.switches import Switches

# A bound mu + e^-D exp(sum_i x_i log(f_i - mu)) of `lower_bounds` falls by no more than this times 2 max |f| for a unit
# of |x - q_inf|: mean - mu is at least 1.01 (mean - min f), and 1.01 log(1.01 / 0.01) < 5.
CENTRE = 5.0


@dataclass(frozen=True)
class Ball:
    """All q with KL(x || pi) <= D, where the exact limit x is within hard.shift of hard.dual, and |q - pi|_1 <= off.

    K (n, n) with K_error (n, n) on its entries; log_pi (n,); lost: a bound of s.c_N, the sum of the masses of samples
    off the support, each times its slack.
    """

    hard: HardMargin
    K: Array
    K_error: Array
    log_pi: Array
    D: float
    off: float
    lost: float

    @classmethod
    def of(cls, hard: HardMargin, K: Array, K_error: Array, p: Array, p_error: float, exponential: bool) -> Ball | None:
        """The ball at margins p (n,) of classes of samples (their log weight subtracted), with the rounding p_error.

        K (n, n) with K_error (n, n).  None where margins are too small for the logistic loss to be close to the
        exponential one.
        """
        log_pi = -p - np.logaddexp.reduce(-p)
        P = -float(np.logaddexp.reduce(-p))
        largest, kappa, extra, off = float(np.diag(K).max()), hard.kappa, 0.0, 0.0
        if not exponential:
            if P < 0.0 or 4.0 * largest * np.exp(-P) > 0.99 * kappa:
                return None
            off = 2.0 * float(np.exp(-P))
            extra = 1.01 * largest * float(np.exp(-2.0 * P)) / kappa
        root = np.sqrt(divergence(hard.dual, log_pi)) + rounding_of(p, p_error)
        D = float(root**2 + _moved(hard, log_pi) + extra)
        return cls(hard, K, K_error, log_pi, D, off, 1.01 * D / (1.0 - 0.5 * off))

    def judge(self, block: Switches, constant: Array, room: Array, room_error: Array) -> tuple[float, Bools]:
        """The least ratio of bound to limit among the switching functions, and those (k,) that are not proved.

        constant (k,) >= 0: the least that dead samples add to each function; room (m, H): side * zeta, with room_error
        (m, 1).
        """
        unproved = ~block.safe
        block, constant = block.of(unproved), constant[unproved]
        size = np.abs(block.F).max(axis=1, initial=0.0)
        shift = float(self.hard.shift.sum())
        allowance = block.error.max(axis=1, initial=0.0) + (self.off + CENTRE * shift) * 2.0 * size
        bounds = lower_bounds(block.F, self.hard.dual, self.D) - allowance + constant
        failed = ~(bounds > 0.0)  # also where it is not a number
        limits = np.abs(block.F @ self.hard.dual + constant)
        ratio = (bounds / np.maximum(limits, np.finfo(float).tiny))[~failed]
        off_kink = failed & ~block.slides
        if off_kink.any():
            rest = block.of(off_kink)
            left = room[rest.neuron, rest.surface] - room_error[rest.neuron, 0]
            failed[off_kink] = ~(left > self._losses(rest))
        unproved[unproved] = failed
        return float(ratio.min(initial=np.inf)), unproved

    @cached_property
    def _range(self) -> tuple[Array, Array]:
        """How far log pi can go down and up on the support, (k,) each, >= 0."""
        S = self.hard.support
        q, shift = self.hard.dual[S], self.hard.shift[S]
        low, high = coordinate_range(q, self.D, shift + 2.0 * EPS * q)
        wider = 8.0 * EPS * (np.abs(self.log_pi[S]) + 1.0)
        return np.maximum(self.log_pi[S] - low, 0.0) + wider, np.maximum(high - self.log_pi[S], 0.0) + wider

    def _losses(self, rates: Switches) -> Array:
        """The most that side * zeta can lose in all later time, (k,); inf where no bound is found."""
        S = self.hard.support
        own, own_error = self.K[np.ix_(S, S)], self.K_error[np.ix_(S, S)]
        r = rates.F[:, S]
        b = self._carriers(r)
        b[(r == 0.0).all(axis=1)] = 0.0
        rounding = np.abs(b) @ (own_error + 8.0 * EPS * int(S.sum()) * np.abs(own))
        residual = (np.abs(r - b @ own) + rounding).max(axis=1) + rates.error.max(axis=1)
        carried = (residual <= 0.49 * self.hard.kappa * b.sum(axis=1)) | ((residual == 0.0) & (b == 0.0).all(axis=1))
        down, up = self._range
        falls = np.where(b > 0.0, b * up, -b * down).sum(axis=1)
        return np.asarray(np.where(carried, falls + self._off_support(rates, b), np.inf))

    def _carriers(self, r: Array) -> Array:
        """b (k, |S|) with K_SS b = r, r (k, |S|), as exactly as float64 allows; K_SS may be singular."""
        values, vectors = self._spectrum
        return np.asarray(((r @ vectors) / np.maximum(values, EPS)) @ vectors.T)

    @cached_property
    def _spectrum(self) -> tuple[Array, Array]:
        """Values (k,), vectors (|S|, k) that invert K_SS on its range."""
        S = self.hard.support
        length = np.sqrt(np.diag(self.K)[S])
        values, vectors = np.linalg.eigh(self.K[np.ix_(S, S)] / np.outer(length, length))
        return values[S.sum() - self.hard.rank :], vectors[:, S.sum() - self.hard.rank :] / length[:, None]

    def _slack(self) -> Array:
        """A lower bound of s for the samples off the support; 0 where their margin is 1."""
        N = ~self.hard.support
        return np.asarray(self.hard.kappa * np.maximum(self.hard.margins[N] - 1.0 - self.hard.margin_error[N], 0.0))

    def _off_support(self, rates: Switches, b: Array) -> Array:
        """A bound of -(r_N - K_NS b).c_N by s.c_N <= lost."""
        S, N = self.hard.support, ~self.hard.support
        if not N.any():
            return np.zeros(b.shape[0])
        across, across_error = self.K[np.ix_(S, N)], self.K_error[np.ix_(S, N)]
        rounding = np.abs(b) @ (across_error + 8.0 * EPS * int(S.sum()) * np.abs(across)) + rates.error[:, N]
        coefficient = rates.F[:, N] - b @ across - rounding
        with np.errstate(divide="ignore", invalid="ignore"):
            against = np.where(coefficient < 0.0, -coefficient / self._slack(), 0.0)
        return np.asarray(against.max(axis=1) * self.lost)

    def wandering(self) -> float | None:
        """A bound, for all later time, of |sum_i e_i h_i|, where e is the integral of q - q_inf and h_i are the
        features.

        On S, K_SS e_S + K_SN e_N = x with x = -(change of log pi) + (change of P - kappa tau).  For the exponential
        loss P' - kappa = |pi - q_inf|_K^2 + 2 pi.s lies in [0, -2 dD/dtau]; for the logistic one it is within k e^-2P +
        e^-P pi.s of that.  The bound is |x_S| in the norm of K_SS^-1 (of unit features; on the range of K_SS, in which
        x lies, where K_SS is singular), plus 2 |sum_N e_i h_i|.  None where there is no bound, also where a sample has
        margin 1 and multiplier 0, and where the bound does not fit float64 (features of length 1e-160).
        """
        S, N = self.hard.support, ~self.hard.support
        length = np.sqrt(np.diag(self.K)[S])
        x = np.maximum(*self._range) + 2.0 * self.D * (1.0 + self.off) + 2.0 * self.off
        unit = self.K[np.ix_(S, S)] / np.outer(length, length)
        rounding = float((self.K_error[np.ix_(S, S)] / np.outer(length, length)).sum(axis=1).max())
        least = float(np.linalg.eigvalsh(unit)[S.sum() - self.hard.rank]) - rounding - 64.0 * EPS * int(S.sum())
        if least <= 0.0:
            return None
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            off = 2.0 * float((np.sqrt(np.diag(self.K)[N]) / self._slack()).max(initial=0.0)) * self.lost
            bound = float(np.linalg.norm(x / length) / np.sqrt(least)) + off
        return bound if np.isfinite(bound) else None


def rounding_of(p: Array, p_error: float) -> float:
    """A bound of the error of the root of a divergence from softmax(-p), for margins p (n,) off by at most p_error."""
    return float(2.0 * p_error + 8.0 * EPS * (np.abs(p).max() + np.log(p.size) + 1.0))


def _moved(hard: HardMargin, log_pi: Array) -> float:
    """A bound of the difference between the divergences of the multipliers and of the exact ones."""
    S = hard.support
    gaps = np.abs(np.log(hard.dual[S]) - log_pi[S])
    return float(hard.shift[S] @ gaps + 2.0 * (hard.shift[S] ** 2 / hard.dual[S]).sum())
