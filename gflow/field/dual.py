"""The dual branch: inside one mode the whole network is dc/dtau = q(p_0 + K c), n-dimensional (design 2.5).

The state of the integrator is y = (c_1, ..., c_n, v): dual masses since the start of the segment, and log(1 + t).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Measure, Tolerances
from gflow.field.clarke import ROUNDING
from gflow.field.clock import clock_rate, dual_variables, log_clock_rate
from gflow.field.mode import DualMode
from gflow.ode.step import DenseStep, System
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class DualBranch:
    """The smooth field on one mode from span coordinates U (m, r) with margins p (n,) and |W| = norm at its start.

    Masses and tau are counted in `unit`, a power of two near 1 / max K, so that inputs of any size give numbers near 1.
    """

    problem: Problem
    mode: DualMode
    U: Array
    p: Array
    v: float
    unit: float
    live: NDArray[np.bool_]  # (n,), see `mode`
    floor: Array  # (n + 1,) error scale of y, see `error_floor`
    rtol: float
    norm: float  # |W|_F with all inputs

    @property
    def y0(self) -> Array:
        return np.append(np.zeros(self.p.size), self.v)

    @property
    def system(self) -> System:
        return System(self.field, self.jacobian, self.scale)

    def margins(self, y: Array) -> Array:
        """p at one or several states, (..., n + 1) -> (..., n)."""
        return np.asarray(self.p + (self.unit * y[..., :-1]) @ self.mode.K)

    def field(self, _: float, y: Array) -> Array:
        """(q, dv/dtau); autonomous."""
        q, log_total = dual_variables(self.problem.loss, self.margins(y), self.live)
        out = np.empty_like(y)
        out[:-1], out[-1] = self.live * q, clock_rate(self._log_rate(float(log_total), y))
        return out

    def _log_rate(self, log_total: float, y: Array) -> float:
        return log_clock_rate(log_total, self.p.size, y[-1]) + float(np.log(self.unit))

    def jacobian(self, _: float, y: Array) -> Array:
        """d field / dy, (n + 1, n + 1)."""
        p = self.margins(y)
        q, log_total = dual_variables(self.problem.loss, p, self.live)
        q = self.live * q
        weighted = q * self.problem.loss.log_slope_rate(p)
        rows = weighted[:, None] * (self.unit * self.mode.K)
        drift = rows.sum(axis=0)
        rate = clock_rate(self._log_rate(float(log_total), y))
        out = np.zeros((y.size, y.size))
        out[:-1, :-1] = rows - np.outer(q, drift)
        out[-1, :-1], out[-1, -1] = -rate * drift, -rate
        return out

    def scale(self, y: Array) -> Array:
        """Error scale of y for the integrator, (n + 1,).  v below 1 counts relatively, above absolutely: as t does.

        Nothing is asked for that the rounding of y does not allow (masses grow like t where the loss has a floor).
        """
        scale = np.maximum(self.floor, 1e2 * np.finfo(float).eps * np.abs(y))
        scale[-1] = self.floor[-1]
        size = abs(float(y[-1]))
        scale[-1] = max(scale[-1], self.rtol * min(size, 1.0), 1e3 * np.finfo(float).eps * size)
        return scale

    def dual(self, y: Array) -> Array:
        """q at one or several states, (..., n + 1) -> (..., n)."""
        return dual_variables(self.problem.loss, self.margins(y), self.live)[0]

    def push(self, y: Array, neurons: Index) -> Array:
        """a_j y_i q_i, (..., n + 1) -> (..., k, n)."""
        return self._signs(neurons) * self.dual(y)[..., None, :]

    def pull(self, y: Array, neurons: Index) -> Array:
        """y_i q_i, the same for every neuron, (..., n + 1) -> (..., k, n)."""
        pull = (self.problem.y * self.dual(y))[..., None, :]
        return np.broadcast_to(pull, (*pull.shape[:-2], neurons.size, pull.shape[-1]))

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array]:
        """push (k, n) and d push / dtau at a state."""
        q_rate = self._dual_rate(y)
        return self.push(y, neurons), self._signs(neurons) * q_rate

    def _dual_rate(self, y: Array) -> Array:
        """dq/dtau (n,), also of samples that are not live (whose q changes as the total of the others does)."""
        p = self.margins(y)
        q, _ = dual_variables(self.problem.loss, p, self.live)
        log_rate = self.problem.loss.log_slope_rate(p) * (self.unit * (self.mode.K @ (self.live * q)))
        return np.asarray(q * (log_rate - (self.live * q) @ log_rate))

    def _signs(self, neurons: Index) -> Array:
        return np.asarray(self.problem.network.outer[neurons, None] * self.problem.y)

    def moved_at_most(self, step: DenseStep, states: Array) -> tuple[Array, Array]:
        """|dzeta_jh| <= |a_j| sum_i |<u_h, c_i>| dc_i, and with sum_i |c_i| dc_i where P_j is not the identity."""
        reach = np.abs(self.problem.network.outer)
        masses = self.unit * np.ptp(step.coefficients[:, :-1], axis=0)
        projected = (self.mode.side == 0).any(axis=1)[:, None]
        far, near = float(row_norms(self.problem.span.C) @ masses), self.mode.overlaps @ masses
        q = self.dual(states)
        turned = 1.5 * float(np.abs(q - q[0]).sum(axis=1).max())
        return reach[:, None] * np.where(projected, far, near), np.full(reach.size, turned)

    def margin_rounding(self, y: Array) -> float:
        """Of K c, whose terms cancel where masses of contradicting samples grow like t and margins do not."""
        terms = np.abs(self.mode.K) @ np.abs(self.unit * y[:-1])
        return float(np.finfo(float).eps * terms.max())

    def at_rest(self, y: Array) -> bool:
        """|K q| against what was added up in it."""
        q = self.live * self.dual(y)
        return bool((np.abs(self.mode.K @ q) <= ROUNDING * (np.abs(self.mode.K) @ q)).all())

    def fastest_rate(self, y: Array) -> float:
        """Largest |eigenvalue| of the field to a few per cent: of dq/dc (power iteration; the spectrum is real and
        one-signed), and that of the clock, which alone is left where q does not move, as for one sample."""
        whole = self.jacobian(0.0, y)
        J, clock = whole[:-1, :-1], -float(whole[-1, -1])
        x = np.cos(np.arange(J.shape[0]) + 1.0)
        size = 0.0
        for _ in range(8):
            image = J @ x
            size = float(np.linalg.norm(image))
            if size == 0.0:
                break
            x = image / size
        return max(size, clock)

    def log_loss(self, y: Array) -> float:
        """log L at a state."""
        return log_mean(self.problem.loss.log_value(self.margins(y)))

    def measure(self, y: Array) -> Measure:
        """O(n^2): |dW/dtau|^2 = q . K q; |W|^2 grows by (p_0 + p) . c, the integral of 2 q . p where p is affine."""
        p = self.margins(y)
        q, log_total = dual_variables(self.problem.loss, p, self.live)
        q = self.live * q
        rates = self.mode.K @ q
        squared = self.norm**2 + self.unit * float((self.p + p) @ y[:-1])
        return Measure(
            v=float(y[-1]),
            p=p,
            log_loss=log_mean(self.problem.loss.log_value(p)),
            norm=sqrt(max(squared, 0.0)),
            speed=sqrt(max(float(q @ rates), 0.0)),
            margin_rates=rates,
            log_clock=float(log_total) - log(p.size),
        )

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U at one or several states, (..., n + 1) -> (..., k, r)."""
        own = np.arange(self.problem.network.width) if neurons is None else neurons
        masses = self._signs(own) * (self.unit * y[..., None, :-1])
        return np.asarray(self.U[own] + self.mode.project(self.mode.drift(masses, own), own))


def error_floor(
    problem: Problem,
    mode: DualMode,
    weight_norms: Array,
    p: Array,
    log_rate: float,
    unit: float,
    tolerances: Tolerances,
) -> Array:
    """Error scale of (masses, v) in the units of the branch, (n + 1,).

    Masses: what moves a neuron by its tolerance, or a margin by rtol, whichever is smaller.  A local error e of the
    masses moves w_j by at most |a_j| sum_i |c_i| e_i and margin k by (K e)_k; the worst neuron counts, so that none can
    hide behind the others, and margins count absolutely, because q depends on them so.
    v: rtol times the v that passes while margins move by about 1 (at most 1), so that flows that happen at tiny t are
    resolved too; dv / dtau = e^log_rate.
    """
    a = np.abs(problem.network.outer)
    allowed = tolerances.atol + tolerances.rtol * weight_norms
    moving = a > 0.0
    weight = float((allowed[moving] / a[moving]).min()) if moving.any() else np.inf
    margin = max(tolerances.rtol, 1e3 * margin_rounding(p))
    coupling = np.abs(mode.K).sum(axis=0)
    coupling = np.where(coupling > 0.0, coupling, np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        masses = np.minimum(weight / row_norms(problem.span.C), margin / coupling) / unit
    passing = float(np.exp(np.clip(log_rate + np.log(unit), -500.0, 0.0)))
    return np.append(np.clip(masses, 1e-150, 1e150), tolerances.rtol * passing)


def margin_rounding(p: Array) -> float:
    """What float64 cannot resolve of the margins p (n,)."""
    return float(np.finfo(float).eps * np.abs(p).max())
