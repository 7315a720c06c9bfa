"""The dual branch: inside one mode the whole network is dc/dtau = q(p_0 + K c), n-dimensional (MATHEMATICS 5).

The state of the integrator is y = (c_1, ..., c_n, v): dual masses since the start of the segment, and log(1 + t).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import EPS, Array, Index
from gflow.field.axes import margin_axes, resolved_margins, unlike
from gflow.field.branch import Measure, Tolerances
from gflow.field.clarke import ROUNDING
from gflow.field.clock import clock_rate, dual_variables, log_clock_rate
from gflow.field.mode import DualMode
from gflow.ode.axes import Axes
from gflow.ode.step import DenseStep, System
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# Part of its terms below which a sum has lost too many digits: what is left is known to 1e-8.
CANCELLED = 1e-8


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
    weight_floor: float  # see `weight_floor`

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
        scale = np.maximum(self.floor, 1e2 * EPS * np.abs(y))
        scale[-1] = clock_scale(float(self.floor[-1]), self.rtol, float(y[-1]))
        return scale

    @property
    def axes(self) -> Axes | None:
        """Where samples differ greatly in size, those of `margin_axes`."""
        if not unlike(self.problem):
            return None
        margins = resolved_margins(self.problem, self.U, margin_floor(self.p, self.rtol))
        return margin_axes(self.unit * self.mode.K, self._weight_floor, margins, lambda y: float(self.scale(y)[-1]))

    def _weight_floor(self, size: Array) -> Array:
        """What coordinates made of masses by columns of `size` (n, k) may be off for the weights, (k,)."""
        return np.asarray(self.weight_floor / (self.unit * (row_norms(self.problem.span.C) @ size)))

    def dual(self, y: Array) -> Array:
        """q at one or several states, (..., n + 1) -> (..., n)."""
        return dual_variables(self.problem.loss, self.margins(y), self.live)[0]

    def push(self, y: Array, neurons: Index) -> Array:
        """a_j y_i q_i, (..., n + 1) -> (..., k, n)."""
        return pushes(self.problem, self.dual(y), neurons)

    def pull(self, y: Array, neurons: Index) -> Array:
        """y_i q_i, the same for every neuron, (..., n + 1) -> (..., k, n)."""
        return pulls(self.problem, self.dual(y), neurons)

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array, Array]:
        """push (k, n), d push / dtau at a state, and the size of its terms."""
        moved = self.live * self.dual(y)
        rates, terms = self.unit * (self.mode.K @ moved), self.unit * (np.abs(self.mode.K) @ moved)
        return pushes_and_rates(self.problem, self.margins(y), self.live, rates, terms, neurons)

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
        return float(EPS * terms.max())

    def cancels(self, y: Array, h: float) -> bool:
        """Will K c, after a step h from y, have lost to rounding more than the margins it leads to may be off?"""
        # |K| c in units of its largest row sum, near 1 / unit, first: the answer for all but late and thin margins.
        if 2.0 * EPS * (h + float(np.abs(y[:-1]).sum())) <= margin_floor(self.p, self.rtol):
            return False
        masses = self.unit * (y[:-1] + h * self.live * self.dual(y))
        lost = EPS * float((np.abs(self.mode.K) @ np.abs(masses)).max())
        return lost > margin_floor(self.p + self.mode.K @ masses, self.rtol)

    def at_rest(self, y: Array) -> bool:
        """|K q| against what was added up in it; where that says nothing, what the features say decides."""
        q, free = self.live * self.dual(y), self.mode.free
        cancelled = bool((np.abs(self.mode.K @ q) <= ROUNDING * float(free @ q) * free).all())
        return cancelled and self._settled(y, q)

    def _settled(self, y: Array, q: Array) -> bool:
        """Is the velocity V = sum_i q_i h_i rounding, or what is left of a motion that ends within the tolerance?

        Along a direction in which margins move by s |V| the flow loses V at the rate s^2, so that |V| / s is left for
        them: |V|^2 over the largest rate of a margin.
        """
        V = self._velocity(q)
        squared, known = float(np.vdot(V, V)), ROUNDING + margin_rounding(self.margins(y))
        if sqrt(squared) <= known * float(q @ self.mode.free):
            return True
        rates = (self.problem.network.outer[:, None] * self.mode.slopes * (V @ self.problem.span.C.T)).sum(axis=0)
        return squared <= self.rtol * float(np.abs(rates).max())

    def _velocity(self, q: Array) -> Array:
        """dU / dtau (m, r) from the features themselves."""
        own = np.arange(self.problem.network.width)
        return self.mode.project(self.mode.drift(pushes(self.problem, q, own), own), own)

    def reach(self, h: float) -> Array:
        """By its own slopes and masses: a bound by the largest of them is far too wide for a neuron with a tiny slope,
        whose steps are long, and what is within rounding of that bound is no rounding of the weights."""
        push = np.abs(self.push(self.y0, np.arange(self.problem.network.width)))
        return np.asarray(h * (push * self.mode.slopes) @ row_norms(self.problem.span.C))

    def fastest_rate(self, y: Array) -> float:
        """Largest |eigenvalue| of the field to a few per cent."""
        return largest_rate(self.jacobian(0.0, y))

    def log_loss(self, y: Array) -> float:
        """log L at a state."""
        return log_mean(self.problem.loss.log_value(self.margins(y)))

    def measure(self, y: Array) -> Measure:
        """O(n^2) from masses and K; from the weights where those cancel."""
        p = self.margins(y)
        q, log_total = dual_variables(self.problem.loss, p, self.live)
        q = self.live * q
        rates = self.mode.K @ q
        return Measure(
            v=float(y[-1]),
            p=p,
            log_loss=log_mean(self.problem.loss.log_value(p)),
            norm=self._norm(y, p),
            speed=self._speed(q, rates),
            margin_rates=rates,
            log_clock=float(log_total) - log(p.size),
        )

    def _norm(self, y: Array, p: Array) -> float:
        """|W|, whose square grows by (p_0 + p) . c, the integral of 2 q . p where p is affine."""
        terms = self.unit * (self.p + p) * y[:-1]
        squared = self.norm**2 + self.unit * float((self.p + p) @ y[:-1])
        if CANCELLED * float(np.abs(terms).sum()) <= squared:
            return sqrt(squared)
        outside = self.norm**2 - float(np.vdot(self.U, self.U))
        moved = self.weights(y)
        return sqrt(max(outside, 0.0) + float(np.vdot(moved, moved)))

    def _speed(self, q: Array, rates: Array) -> float:
        """|dW / dtau|, whose square is q . K q."""
        squared = float(q @ rates)
        if squared > CANCELLED * float(q @ self.mode.free) ** 2:
            return sqrt(squared)
        return float(np.linalg.norm(self._velocity(q)))

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U at one or several states, (..., n + 1) -> (..., k, r)."""
        own = np.arange(self.problem.network.width) if neurons is None else neurons
        masses = pushes(self.problem, self.unit * y[..., :-1], own)
        return np.asarray(self.U[own] + self.mode.project(self.mode.drift(masses, own), own))


def pushes(problem: Problem, q: Array, neurons: Index) -> Array:
    """a_j y_i q_i of fixed outer layers, (..., n) -> (..., k, n)."""
    return np.asarray(problem.network.outer[neurons, None] * problem.y) * q[..., None, :]


def pulls(problem: Problem, q: Array, neurons: Index) -> Array:
    """y_i q_i, the same for every neuron, (..., n) -> (..., k, n)."""
    pull = (problem.y * q)[..., None, :]
    return np.broadcast_to(pull, (*pull.shape[:-2], neurons.size, pull.shape[-1]))


def pushes_and_rates(
    problem: Problem, p: Array, live: NDArray[np.bool_], rates: Array, terms: Array, neurons: Index
) -> tuple[Array, Array, Array]:
    """As `Branch.push_and_rate`, (k, n), from margins p, their rates and the size of what is added up in those (n,).

    Samples that are not live count too: their q changes as the total of the others does.
    """
    q, _ = dual_variables(problem.loss, p, live)
    steepness = problem.loss.log_slope_rate(p)
    log_rate, log_terms = steepness * rates, np.abs(steepness) * terms
    moved = live * q
    q_rate, q_terms = q * (log_rate - moved @ log_rate), q * (log_terms + moved @ log_terms)
    size = np.abs(pushes(problem, q_terms, neurons))
    return pushes(problem, q, neurons), pushes(problem, q_rate, neurons), size


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


def clock_scale(floor: float, rtol: float, v: float) -> float:
    """Error scale of v: below 1 it counts relatively, above absolutely, as t does; never below its rounding."""
    size = abs(v)
    return max(floor, rtol * min(size, 1.0), 1e3 * EPS * size)


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
    weight = weight_floor(problem, weight_norms, tolerances)
    margin = margin_floor(p, tolerances.rtol)
    coupling = np.abs(mode.K).sum(axis=0)
    coupling = np.where(coupling > 0.0, coupling, np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        masses = np.minimum(weight / row_norms(problem.span.C), margin / coupling) / unit
    passing = float(np.exp(np.clip(log_rate + np.log(unit), -500.0, 0.0)))
    return np.append(np.clip(masses, 1e-150, 1e150), tolerances.rtol * passing)


def weight_floor(problem: Problem, weight_norms: Array, tolerances: Tolerances) -> float:
    """What sum_i |c_i| c_i of masses may be off for the weights: the worst neuron counts."""
    a = np.abs(problem.network.outer)
    allowed = tolerances.atol + tolerances.rtol * weight_norms
    moving = a > 0.0
    return float((allowed[moving] / a[moving]).min()) if moving.any() else np.inf


def margin_floor(p: Array, rtol: float) -> float:
    """What margins p (n,) may be off."""
    return max(rtol, 1e3 * margin_rounding(p))


def margin_rounding(p: Array) -> float:
    """What float64 cannot resolve of the margins p (n,)."""
    return float(EPS * np.abs(p).max())
