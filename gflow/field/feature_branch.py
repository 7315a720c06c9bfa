"""The smooth field on one mode in a basis of its features: u' = L q(p_0 + H u), k-dimensional, with H L = K.

The same flow as that of the dual branch, for where masses cancel: the weights move by far less than what every sample
contributes, so that masses, and K, lose the digits in which the flow lives.  The state of the integrator is (u, v).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import EPS, Array, Index
from gflow.field.axes import margin_axes, resolved_margins, unlike
from gflow.field.branch import Measure, Tolerances
from gflow.field.clarke import ROUNDING
from gflow.field.clock import clock_rate, dual_variables, log_clock_rate
from gflow.field.dual import clock_scale, largest_rate, margin_floor, margin_rounding, pulls, pushes, pushes_and_rates
from gflow.field.features import Features
from gflow.field.mode import DualMode
from gflow.ode.axes import Axes
from gflow.ode.step import DenseStep, System
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class FeatureBranch:
    """The field on one mode from span coordinates U (m, r) with margins p (n,).

    tau and u are counted in `unit`, so that inputs of any size give numbers near 1.
    """

    problem: Problem
    mode: DualMode
    U: Array
    p: Array
    v: float
    unit: float
    live: NDArray[np.bool_]  # (n,), see `mode`
    floor: Array  # (k + 1,) error scale of y, see `feature_floor`
    rtol: float
    outside: float  # |W| outside the span of the samples
    features: Features
    allowed: Array  # (m,) what each neuron may be off

    @property
    def y0(self) -> Array:
        return np.append(np.zeros(self.features.rank), self.v)

    @property
    def system(self) -> System:
        return System(self.field, self.jacobian, self.scale)

    def margins(self, y: Array) -> Array:
        """p at one or several states, (..., k + 1) -> (..., n)."""
        return np.asarray(self.p + (self.unit * y[..., :-1]) @ self.features.H.T)

    def field(self, _: float, y: Array) -> Array:
        """(L q, dv/dtau); autonomous."""
        q, log_total = self._dual(self.margins(y))
        return np.append(self.features.lift @ q, clock_rate(self._log_rate(log_total, y)))

    def _dual(self, p: Array) -> tuple[Array, float]:
        q, log_total = dual_variables(self.problem.loss, p, self.live)
        return self.live * q, float(log_total)

    def _log_rate(self, log_total: float, y: Array) -> float:
        return log_clock_rate(log_total, self.p.size, y[-1]) + float(np.log(self.unit))

    def jacobian(self, _: float, y: Array) -> Array:
        """d field / dy, (k + 1, k + 1)."""
        p, H, lift = self.margins(y), self.unit * self.features.H, self.features.lift
        q, log_total = self._dual(p)
        weighted = q * self.problem.loss.log_slope_rate(p)
        drift = weighted @ H
        rate = clock_rate(self._log_rate(log_total, y))
        out = np.zeros((y.size, y.size))
        out[:-1, :-1] = (lift * weighted) @ H - np.outer(lift @ q, drift)
        out[-1, :-1], out[-1, -1] = -rate * drift, -rate
        return out

    def scale(self, y: Array) -> Array:
        """Error scale of y for the integrator, (k + 1,)."""
        scale = np.maximum(self.floor, 1e2 * EPS * np.abs(y))
        scale[-1] = clock_scale(float(self.floor[-1]), self.rtol, float(y[-1]))
        return scale

    @property
    def axes(self) -> Axes | None:
        """Where samples differ greatly in size, those of `margin_axes`."""
        if not unlike(self.problem):
            return None
        margins = resolved_margins(self.problem, self.U, margin_floor(self.p, self.rtol))
        return margin_axes(self.unit * self.features.H, self._weight_floor, margins, lambda y: float(self.scale(y)[-1]))

    def _weight_floor(self, size: Array) -> Array:
        """What coordinates made of u by columns of `size` (k, k) may be off for the weights, (k,)."""
        reach = self.unit * np.linalg.norm(self.features.basis, axis=1) @ size
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray((self.allowed[:, None] / reach).min(axis=0, initial=np.inf))

    def dual(self, y: Array) -> Array:
        """q at one or several states, (..., k + 1) -> (..., n)."""
        return dual_variables(self.problem.loss, self.margins(y), self.live)[0]

    def push(self, y: Array, neurons: Index) -> Array:
        """a_j y_i q_i, (..., k + 1) -> (..., j, n)."""
        return pushes(self.problem, self.dual(y), neurons)

    def pull(self, y: Array, neurons: Index) -> Array:
        """y_i q_i, the same for every neuron, (..., k + 1) -> (..., j, n)."""
        return pulls(self.problem, self.dual(y), neurons)

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array, Array]:
        """push (j, n), d push / dtau at a state, and the size of its terms."""
        p, H, lift = self.margins(y), self.features.H, self.features.lift
        moved, _ = self._dual(p)
        rates, terms = self.unit * (H @ (lift @ moved)), self.unit * (np.abs(H) @ (np.abs(lift) @ moved))
        return pushes_and_rates(self.problem, p, self.live, rates, terms, neurons)

    def moved_at_most(self, step: DenseStep, states: Array) -> None:
        """Looking at the weights is as cheap as any bound."""
        return None

    def margin_rounding(self, y: Array) -> float:
        """Of H u, coordinate by coordinate."""
        terms = np.abs(self.features.H) @ np.abs(self.unit * y[:-1])
        return EPS * float(terms.max())

    def at_rest(self, y: Array) -> bool:
        """L q against what was added up in it, and what margins leave open of q."""
        p = self.margins(y)
        q, _ = self._dual(p)
        known = ROUNDING + self.margin_rounding(y) + margin_rounding(p)
        return bool((np.abs(self.features.lift @ q) <= known * (np.abs(self.features.lift) @ q)).all())

    def cancels(self, y: Array, h: float) -> bool:
        """These coordinates are what is left where the masses cancel."""
        return False

    def reach(self, h: float) -> Array:
        """What moves along each feature; nothing else is added up."""
        moving = self.features.lift @ self._dual(self.p)[0]
        return np.asarray(h * np.linalg.norm(self.features.basis * moving, axis=(1, 2)))

    def fastest_rate(self, y: Array) -> float:
        """As for the dual branch."""
        return largest_rate(self.jacobian(0.0, y))

    def log_loss(self, y: Array) -> float:
        """log L at a state."""
        return log_mean(self.problem.loss.log_value(self.margins(y)))

    def measure(self, y: Array) -> Measure:
        """All from the weights and the features: no squares of theirs are subtracted."""
        p = self.margins(y)
        q, log_total = self._dual(p)
        velocity = self.features.lift @ q
        return Measure(
            v=float(y[-1]),
            p=p,
            log_loss=log_mean(self.problem.loss.log_value(p)),
            norm=float(np.hypot(self.outside, np.linalg.norm(self.weights(y)))),
            speed=float(np.linalg.norm(self.features.basis @ velocity)),
            margin_rates=self.features.H @ velocity,
            log_clock=log_total - log(p.size),
        )

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U at one or several states, (..., k + 1) -> (..., j, r)."""
        own = slice(None) if neurons is None else neurons
        moved = self.features.basis[own] @ y[..., None, :-1, None]
        return np.asarray(self.U[own] + self.unit * moved[..., 0])


def feature_floor(
    features: Features, weight_norms: Array, p: Array, log_rate: float, unit: float, tolerances: Tolerances
) -> Array:
    """Error scale of (u, v) in the units of the branch, (k + 1,): as `error_floor`, coordinate by coordinate."""
    allowed = tolerances.atol + tolerances.rtol * weight_norms
    reach = unit * np.linalg.norm(features.basis, axis=1)  # (m, k)
    coupling = unit * np.abs(features.H).sum(axis=0)
    with np.errstate(divide="ignore", over="ignore"):
        weight = (allowed[:, None] / reach).min(axis=0, initial=np.inf)
        margin = margin_floor(p, tolerances.rtol) / coupling
    passing = float(np.exp(np.clip(log_rate + np.log(unit), -500.0, 0.0)))
    return np.append(np.clip(np.minimum(weight, margin), 1e-150, 1e150), tolerances.rtol * passing)
