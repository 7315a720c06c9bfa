"""Branches of fixed outer layers: margins are affine in the state, p = p_0 + R u, and u' = L q (MATHEMATICS 5).

The state of the integrator is y = (u_1, ..., u_k, v): coordinates of what moved since the start of the stretch, and
log(1 + t).  Which coordinates, with R and L, is for `DualBranch` and `FeatureBranch` to say.
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
    """The smooth field on one mode from span coordinates U (m, r) with margins p (n,) at its start.

    tau and u are counted in `unit`, a power of two near 1 / max K, so that inputs of any size give numbers near 1.
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
        """R^T (k, n): what each coordinate moves the margins by."""

    @abstractmethod
    def _lifted(self, q: Array) -> Array:
        """u' = L q (k,), of the q of live samples (n,)."""

    @abstractmethod
    def _derivative(self, q: Array, weighted: Array) -> tuple[Array, Array]:
        """du' / du (k, k) and the derivative (k,) of log sum g; weighted (n,): q times the rates of log g."""

    @abstractmethod
    def _rates(self, q: Array) -> tuple[Array, Array]:
        """dp / dtau (n,) per unit, and the size of its terms."""

    @abstractmethod
    def _sizes(self, y: Array, p: Array, q: Array) -> tuple[float, float, Array]:
        """|W|, |dW / dtau| and dp / dtau (n,) at a state with margins p and the q of live samples."""

    @abstractmethod
    def _weight_floor(self, size: Array) -> Array:
        """What coordinates made of u by columns of `size` (k, k) may be off for the weights, (k,)."""

    @abstractmethod
    def margin_rounding(self, y: Array) -> float:
        """What float64 leaves open of what moved the margins since the start of the stretch."""

    @property
    def y0(self) -> Array:
        return np.append(np.zeros(self.floor.size - 1), self.v)

    @property
    def system(self) -> System:
        return System(self.field, self.jacobian, self.scale)

    def margins(self, y: Array) -> Array:
        """p at one or several states, (..., k + 1) -> (..., n)."""
        return np.asarray(self.p + (self.unit * y[..., :-1]) @ self.response)

    def field(self, _: float, y: Array) -> Array:
        """(L q, dv/dtau); autonomous."""
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
        """d field / dy, (k + 1, k + 1)."""
        p = self.margins(y)
        q, log_total = self._live_dual(p)
        inner, drift = self._derivative(q, q * self.problem.loss.log_slope_rate(p))
        rate = self._clock_rate(log_total, y)
        out = np.zeros((y.size, y.size))
        out[:-1, :-1], out[-1, :-1], out[-1, -1] = inner, -rate * drift, -rate
        return out

    def scale(self, y: Array) -> Array:
        """Error scale of y for the integrator, (k + 1,).  v below 1 counts relatively, above absolutely: as t does.

        Nothing is asked for that the rounding of y does not allow (masses grow like t where the loss has a floor).
        """
        scale = np.maximum(self.floor, 1e2 * EPS * np.abs(y))
        v = abs(float(y[-1]))
        scale[-1] = max(float(self.floor[-1]), self.rtol * min(v, 1.0), 1e3 * EPS * v)
        return scale

    @property
    def axes(self) -> Axes | None:
        """Where samples differ greatly in size, those of `margin_axes`."""
        if not unlike(self.problem):
            return None
        margins = resolved_margins(self.problem, self.U, margin_floor(self.p, self.rtol))
        moved = self.unit * self.response.T
        return margin_axes(moved, self._weight_floor, margins, lambda y: float(self.scale(y)[-1]))

    def dual(self, y: Array) -> Array:
        """q at one or several states, (..., k + 1) -> (..., n)."""
        return dual_variables(self.problem.loss, self.margins(y), self.live)[0]

    def push(self, y: Array, neurons: Index) -> Array:
        """a_j y_i q_i, (..., k + 1) -> (..., j, n)."""
        return pushes(self.problem, self.dual(y), neurons)

    def bare_push(self, y: Array, neurons: Index) -> Array:
        """y_i q_i, the same for every neuron, (..., k + 1) -> (..., j, n)."""
        bare = (self.problem.y * self.dual(y))[..., None, :]
        return np.broadcast_to(bare, (*bare.shape[:-2], neurons.size, bare.shape[-1]))

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array, Array]:
        """push (j, n), d push / dtau at a state, and the size of its terms.

        Samples that are not live count too: their q changes as the total of the others does.
        """
        p = self.margins(y)
        q, steepness = dual_variables(self.problem.loss, p, self.live)[0], self.problem.loss.log_slope_rate(p)
        moved = self.live * q
        rates, terms = self._rates(moved)
        log_rate, log_terms = steepness * (self.unit * rates), np.abs(steepness) * (self.unit * terms)
        q_rate, q_terms = q * (log_rate - moved @ log_rate), q * (log_terms + moved @ log_terms)
        size = np.abs(pushes(self.problem, q_terms, neurons))
        return pushes(self.problem, q, neurons), pushes(self.problem, q_rate, neurons), size

    def fastest_rate(self, y: Array) -> float:
        """Largest |eigenvalue| of the field to a few per cent."""
        return largest_rate(self.jacobian(0.0, y))

    def log_loss(self, y: Array) -> float:
        """log L at a state."""
        return log_mean(self.problem.loss.log_value(self.margins(y)))

    def measure(self, y: Array) -> Measure:
        """All of it from margins and q."""
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
    """a_j y_i q_i of fixed outer layers, (..., n) -> (..., k, n)."""
    return np.asarray(problem.network.outer[neurons, None] * problem.y) * q[..., None, :]


def largest_rate(jacobian: Array) -> float:
    """Largest |eigenvalue| to a few per cent, jacobian (k + 1, k + 1) with the clock last.

    Power iteration on the rest, whose spectrum is real and one-signed; the clock alone is left where that does not
    move, as for one sample.
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
    """What margins p (n,) may be off."""
    return max(rtol, 1e3 * margin_rounding(p))


def margin_rounding(p: Array) -> float:
    """What float64 cannot resolve of the margins p (n,)."""
    return float(EPS * np.abs(p).max())


def floor_of(masses: Array, log_rate: float, unit: float, rtol: float) -> Array:
    """Error scale of (u, v) in the units of a branch, (k + 1,), from that of u (k,).

    Of v: rtol times the v that passes while margins move by about 1 (at most 1), so that flows that happen at tiny t
    are resolved too; dv / dtau = e^log_rate.
    """
    passing = float(np.exp(np.clip(log_rate + np.log(unit), -500.0, 0.0)))
    return np.append(np.clip(masses, 1e-150, 1e150), rtol * passing)
