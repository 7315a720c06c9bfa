"""The dual branch: inside one mode the whole network is dc/dtau = q(p_0 + K c), n-dimensional (design 2.5).

The state of the integrator is y = (c_1, ..., c_n, v): dual masses since the start of the segment, and log(1 + t).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.field.clock import clock_rate, dual_variables
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
    """The smooth field on one mode from span coordinates U (m, r) with margins p (n,) at its start."""

    problem: Problem
    mode: Mode
    U: Array
    p: Array
    v: float
    floor: Array  # (n,) local error of each mass that costs one tolerance unit; see `error_floor`
    tolerances: Tolerances

    @property
    def y0(self) -> Array:
        return np.append(np.zeros(self.p.size), self.v)

    @property
    def system(self) -> System:
        return System(self.field, self.jacobian, self.scale)

    def field(self, _: float, y: Array) -> Array:
        """(q, dv/dtau); autonomous."""
        q, log_total = dual_variables(self.problem.loss, self.p + self.mode.K @ y[:-1])
        return np.append(q, clock_rate(float(log_total), q.size, y[-1]))

    def jacobian(self, _: float, y: Array) -> Array:
        """d field / dy, (n + 1, n + 1)."""
        p = self.p + self.mode.K @ y[:-1]
        q, log_total = dual_variables(self.problem.loss, p)
        weighted = q * self.problem.loss.log_slope_rate(p)
        rows = weighted[:, None] * self.mode.K
        drift = rows.sum(axis=0)
        rate = clock_rate(float(log_total), q.size, y[-1])
        out = np.zeros((y.size, y.size))
        out[:-1, :-1] = rows - np.outer(q, drift)
        out[-1, :-1], out[-1, -1] = -rate * drift, -rate
        return out

    def scale(self, y: Array) -> Array:
        """Error scale of y for the integrator, (n + 1,)."""
        return np.append(self.floor, self.tolerances.rtol * max(1.0, abs(y[-1])))

    def dual(self, y: Array) -> Array:
        """q at one or several states, (..., n + 1) -> (..., n)."""
        return dual_variables(self.problem.loss, self.p + y[..., :-1] @ self.mode.K)[0]

    def dual_rate(self, y: Array) -> Array:
        """dq/dtau at a state, (n,)."""
        return np.asarray(self.jacobian(0.0, y)[:-1, :-1] @ self.field(0.0, y)[:-1])

    def log_loss(self, y: Array) -> float:
        """log L at a state."""
        return log_mean(self.problem.loss.log_value(self.p + self.mode.K @ y[:-1]))

    def drift(self, masses: Array, neurons: NDArray[np.intp]) -> Array:
        """a_j sum_i phi'_ji y_i masses_i c_i with sliding samples on - branches, (..., n) -> (..., k, r)."""
        weights = self.mode.minus[neurons] * (self.problem.network.outer[neurons, None] * self.problem.y)
        return np.asarray((weights * masses[..., None, :]) @ self.problem.span.C)

    def weights(self, y: Array, neurons: NDArray[np.intp] | None = None) -> Array:
        """U at one or several states, (..., n + 1) -> (..., k, r)."""
        own = np.arange(self.problem.network.width) if neurons is None else neurons
        return np.asarray(self.U[own] + self.mode.project(self.drift(y[..., :-1], own), own))


def error_floor(problem: Problem, mode: Mode, weight_norms: Array, p: Array, tolerances: Tolerances) -> Array:
    """Masses that move a neuron by its tolerance, or a margin by rtol, whichever is smaller; (n,).

    A local error e of the masses moves w_j by at most |a_j| sum_i |c_i| e_i and margin k by (K e)_k.  The worst neuron
    counts, so that none can hide behind the others; margins count absolutely, because q depends on them so.
    """
    a = np.abs(problem.network.outer)
    allowed = tolerances.atol + tolerances.rtol * weight_norms
    moving = a > 0.0
    weight = float((allowed[moving] / a[moving]).min()) if moving.any() else np.inf
    rounding = 1e3 * np.finfo(float).eps * float(np.abs(p).max())
    margin = max(tolerances.rtol, rounding)
    coupling = np.abs(mode.K).sum(axis=0)
    coupling = np.where(coupling > 0.0, coupling, np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        floor = np.minimum(weight / row_norms(problem.span.C), margin / coupling)
    return np.asarray(np.clip(floor, np.finfo(float).tiny, 1e300))
