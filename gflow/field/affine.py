"""Branches for fixed outer layers: margins are affine in the state, p = p_0 + R u, and u' = L q (MATHEMATICS 5).

The state of the integrator is y = (u_1, ..., u_k, v): coordinates of the motion since the start of the stretch, and v =
log(1 + t).  `DualBranch` and `FeatureBranch` choose the coordinates, and with them R and L.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import log

import numpy as np

from gflow.arrays import EPS, Array, Bools, Index
from gflow.field.axes import margin_axes, resolved_margins, unlike
from gflow.field.branch import Measure
from gflow.field.clock import clock_rate, dual_variables, log_clock_rate
from gflow.field.mode import DualMode
from gflow.ode.axes import Axes
from gflow.ode.step import System
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class AffineBranch(ABC):
    """The smooth field on one mode from span coordinates U (m, r) with margins p (n,) and clock v at its start.

    tau and u are counted in `unit`, a power of two near 1 / max K, so that inputs of any size give numbers near 1.
    live (n,): as in `Mode`; floor (k + 1,): the error scale of y; rtol: as in `Tolerances`; y0 (k + 1,): the state at
    the start.
    """

    problem: Problem
    mode: DualMode
    U: Array
    p: Array
    v: float
    unit: float
    live: Bools  # (n,), see `mode`
    floor: Array  # (k + 1,) error scale of y
    rtol: float

    @property
    @abstractmethod
    def response(self) -> Array:
        """R^T (k, n): how far each coordinate moves the margins."""

    @abstractmethod
    def _lifted(self, q: Array) -> Array:
        """u' = L q (k,) for q (n,), which is 0 for samples that are not live."""

    @abstractmethod
    def _derivative(self, q: Array, weighted: Array) -> tuple[Array, Array]:
        """du' / du (k, k) and the derivative (k,) of log sum g; weighted (n,): q times the rates of log g."""

    @abstractmethod
    def _rates(self, q: Array) -> tuple[Array, Array]:
        """dp / dtau (n,) per unit, and the sum of the sizes of its terms (n,)."""

    @abstractmethod
    def _sizes(self, y: Array, p: Array, q: Array) -> tuple[float, float, Array]:
        """|W|, |dW / dtau| and dp / dtau (n,) at a state with margins p and the q of live samples."""

    @abstractmethod
    def _weight_floor(self, size: Array) -> Array:
        """The error (k,) that the weights allow in coordinates that combine those of u with sizes of coefficients
        `size` (k, k).
        """

    @abstractmethod
    def margin_rounding(self, y: Array) -> float:
        """The rounding of the change of the margins since the start of the stretch, at y (k + 1,)."""

    @property
    def y0(self) -> Array:
        """The state (k + 1,) at the start of the stretch."""
        return np.append(np.zeros(self.floor.size - 1), self.v)

    @property
    def system(self) -> System:
        """The system that the integrator gets."""
        return System(self.field, self.jacobian, self.scale)

    def margins(self, y: Array) -> Array:
        """p at one or several states y, (..., k + 1) -> (..., n)."""
        return np.asarray(self.p + (self.unit * y[..., :-1]) @ self.response)

    def field(self, _: float, y: Array) -> Array:
        """The autonomous field (L q, dv/dtau) per unit, (k + 1,) -> (k + 1,)."""
        q, log_total = self._live_dual(self.margins(y))
        out = np.empty_like(y)
        out[:-1], out[-1] = self._lifted(q), self._clock_rate(log_total, y)
        return out

    def _live_dual(self, p: Array) -> tuple[Array, float]:
        """q (n,) at margins p, 0 for samples that are not live, and log sum g."""
        q, log_total = dual_variables(self.problem.loss, p, self.live)
        return self.live * q, float(log_total)

    def _clock_rate(self, log_total: float, y: Array) -> float:
        return clock_rate(log_clock_rate(log_total, self.p.size, y[-1]) + float(np.log(self.unit)))

    def jacobian(self, _: float, y: Array) -> Array:
        """The derivative of the field with respect to y, (k + 1, k + 1), at y (k + 1,)."""
        p = self.margins(y)
        q, log_total = self._live_dual(p)
        inner, drift = self._derivative(q, q * self.problem.loss.log_slope_rate(p))
        rate = self._clock_rate(log_total, y)
        out = np.zeros((y.size, y.size))
        out[:-1, :-1], out[-1, :-1], out[-1, -1] = inner, -rate * drift, -rate
        return out

    def scale(self, y: Array) -> Array:
        """The error scale (k + 1,) of y (k + 1,) for the integrator.

        The scale of v is relative where v is below 1 and absolute above, as that of t is.  No scale is below the
        rounding of y, since masses grow like t where the loss has a floor.
        """
        scale = np.maximum(self.floor, 1e2 * EPS * np.abs(y))
        v = abs(float(y[-1]))
        scale[-1] = max(float(self.floor[-1]), self.rtol * min(v, 1.0), 1e3 * EPS * v)
        return scale

    @property
    def axes(self) -> Axes | None:
        """The axes of `margin_axes` where samples differ greatly in size, else None."""
        if not unlike(self.problem):
            return None
        margins = resolved_margins(self.problem, self.U, margin_floor(self.p, self.rtol))
        moved = self.unit * self.response.T
        return margin_axes(moved, self._weight_floor, margins, lambda y: float(self.scale(y)[-1]))

    def dual(self, y: Array) -> Array:
        """q at one or several states y, (..., k + 1) -> (..., n)."""
        return dual_variables(self.problem.loss, self.margins(y), self.live)[0]

    def push(self, y: Array, neurons: Index) -> Array:
        """a_j y_i q_i for these neurons (j,), (..., k + 1) -> (..., j, n)."""
        return pushes(self.problem, self.dual(y), neurons)

    def bare_push(self, y: Array, neurons: Index) -> Array:
        """y_i q_i, the same for each of these neurons (j,), (..., k + 1) -> (..., j, n)."""
        bare = (self.problem.y * self.dual(y))[..., None, :]
        return np.broadcast_to(bare, (*bare.shape[:-2], neurons.size, bare.shape[-1]))

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array, Array]:
        """push, d push / dtau, and the sum of the sizes of its terms, each (j, n), at a state y (k + 1,).

        Samples that are not live have a rate too, since their q changes with the total of the live ones.
        """
        p = self.margins(y)
        q, steepness = dual_variables(self.problem.loss, p, self.live)[0], self.problem.loss.log_slope_rate(p)
        moved = self.live * q
        rates, terms = self._rates(moved)
        log_rate, log_terms = steepness * (self.unit * rates), np.abs(steepness) * (self.unit * terms)
        q_rate, q_terms = q * (log_rate - moved @ log_rate), q * (log_terms + moved @ log_terms)
        size = np.abs(pushes(self.problem, q_terms, neurons))
        return pushes(self.problem, q, neurons), pushes(self.problem, q_rate, neurons), size

    @property
    def turns_implicit(self) -> bool:
        """True: the systems are as large as the samples are many."""
        return True

    def fastest_rate(self, y: Array, enough: float) -> float:
        """The largest |eigenvalue| of the field at y (k + 1,), to a few per cent, whatever is enough."""
        return largest_rate(self.jacobian(0.0, y))

    def log_loss(self, y: Array) -> float:
        """log L at a state y (k + 1,)."""
        return log_mean(self.problem.loss.log_value(self.margins(y)))

    def measure(self, y: Array) -> Measure:
        """The measure at a state y (k + 1,), from margins and q."""
        p = self.margins(y)
        q, log_total = self._live_dual(p)
        norm, speed, rates = self._sizes(y, p, q)
        return Measure(
            v=float(y[-1]),
            p=p,
            log_loss=log_mean(self.problem.loss.log_value(p)),
            norm=norm,
            speed=speed,
            margin_rates=rates,
            log_clock=log_total - log(p.size),
            rounding=self.problem.margin_rounding(self.U, self.problem.network.outer) + self.margin_rounding(y),
        )


def pushes(problem: Problem, q: Array, neurons: Index) -> Array:
    """a_j y_i q_i with a fixed outer layer for k neurons, (..., n) -> (..., k, n)."""
    return np.asarray(problem.network.outer[neurons, None] * problem.y) * q[..., None, :]


def largest_rate(jacobian: Array) -> float:
    """The largest |eigenvalue| of a jacobian (k + 1, k + 1), whose last row is the clock, to a few per cent.

    Power iteration on the part without the clock, whose eigenvalues are real and of one sign.  Where that part does not
    move, as with one sample, the rate of the clock alone remains.
    """
    J, clock = jacobian[:-1, :-1], -float(jacobian[-1, -1])
    x = np.cos(np.arange(J.shape[0]) + 1.0)
    size = 0.0
    for _ in range(8):
        image = J @ x
        size = float(np.linalg.norm(image))
        if size == 0.0:
            break
        x = image / size
    return max(size, clock)


def margin_floor(p: Array, rtol: float) -> float:
    """The error that is allowed in margins p (n,): rtol, or more where rounding does not let them be so exact."""
    return max(rtol, 1e3 * margin_rounding(p))


def margin_rounding(p: Array) -> float:
    """The rounding of margins p (n,) in float64."""
    return float(EPS * np.abs(p).max())


def floor_of(masses: Array, log_rate: float, unit: float, rtol: float) -> Array:
    """The error scale (k + 1,) of (u, v) in the units of a branch, from that of u, `masses` (k,).

    The scale of v is rtol times the v that passes while margins move by about 1 (at most 1), so that flows at tiny t
    are resolved too; dv / dtau = e^log_rate.
    """
    passing = float(np.exp(np.clip(log_rate + np.log(unit), -500.0, 0.0)))
    return np.append(np.clip(masses, 1e-150, 1e150), rtol * passing)
