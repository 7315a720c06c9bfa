"""The dual branch: inside one mode the whole network is dc/dtau = q(p_0 + K c), n-dimensional (design 2.5).

The state of the integrator is y = (c_1, ..., c_n, v): dual masses since the start of the segment, and log(1 + t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.field.clock import clock_rate, dual_variables, log_clock_rate
from gflow.field.mode import Mode
from gflow.ode.step import System
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tolerances:
    """rtol: relative error of each neuron's weights, absolute error of margins and of log t; atol: of weights."""

    rtol: float
    atol: float


@dataclass(frozen=True, slots=True)
class DualBranch:
    """The smooth field on one mode from span coordinates U (m, r) with margins p (n,) at its start.

    Masses and tau are counted in `unit`, a power of two near 1 / max K, so that inputs of any size give numbers near 1.
    """

    problem: Problem
    mode: Mode
    U: Array
    p: Array
    v: float
    unit: float
    floor: Array  # (n + 1,) error scale of y, see `error_floor`
    rtol: float

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
        q, log_total = dual_variables(self.problem.loss, self.margins(y))
        return np.append(q, clock_rate(self._log_rate(float(log_total), y)))

    def _log_rate(self, log_total: float, y: Array) -> float:
        return log_clock_rate(log_total, self.p.size, y[-1]) + float(np.log(self.unit))

    def jacobian(self, _: float, y: Array) -> Array:
        """d field / dy, (n + 1, n + 1)."""
        p = self.margins(y)
        q, log_total = dual_variables(self.problem.loss, p)
        weighted = q * self.problem.loss.log_slope_rate(p)
        rows = weighted[:, None] * (self.unit * self.mode.K)
        drift = rows.sum(axis=0)
        rate = clock_rate(self._log_rate(float(log_total), y))
        out = np.zeros((y.size, y.size))
        out[:-1, :-1] = rows - np.outer(q, drift)
        out[-1, :-1], out[-1, -1] = -rate * drift, -rate
        return out

    def scale(self, y: Array) -> Array:
        """Error scale of y for the integrator, (n + 1,).  v below 1 counts relatively, above absolutely: as t does."""
        scale = self.floor.copy()
        size = abs(float(y[-1]))
        scale[-1] = max(scale[-1], self.rtol * min(size, 1.0), 1e3 * np.finfo(float).eps * size)
        return scale

    def dual(self, y: Array) -> Array:
        """q at one or several states, (..., n + 1) -> (..., n)."""
        return dual_variables(self.problem.loss, self.margins(y))[0]

    def dual_rate(self, y: Array) -> Array:
        """dq/dtau at a state, (n,)."""
        return np.asarray(self.jacobian(0.0, y)[:-1, :-1] @ self.field(0.0, y)[:-1])

    def log_loss(self, y: Array) -> float:
        """log L at a state."""
        return log_mean(self.problem.loss.log_value(self.margins(y)))

    def drift(self, masses: Array, neurons: NDArray[np.intp]) -> Array:
        """a_j sum_i phi'_ji y_i masses_i c_i with sliding samples on - branches, (..., n) -> (..., k, r)."""
        weights = self.mode.minus[neurons] * (self.problem.network.outer[neurons, None] * self.problem.y)
        return np.asarray((weights * masses[..., None, :]) @ self.problem.span.C)

    def weights(self, y: Array, neurons: NDArray[np.intp] | None = None) -> Array:
        """U at one or several states, (..., n + 1) -> (..., k, r)."""
        own = np.arange(self.problem.network.width) if neurons is None else neurons
        return np.asarray(self.U[own] + self.mode.project(self.drift(self.unit * y[..., :-1], own), own))


def unit_of(mode: Mode) -> float:
    """The power of two nearest to the tau in which margins move by about 1; 1 where nothing moves."""
    fastest = float(np.abs(mode.K).sum(axis=0).max())
    return float(2.0 ** -np.round(np.log2(fastest))) if fastest > 0.0 else 1.0


def error_floor(
    problem: Problem, mode: Mode, weight_norms: Array, p: Array, log_rate: float, unit: float, tolerances: Tolerances
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
