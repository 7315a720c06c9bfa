"""The dual branch: on one mode the whole network follows dc/dtau = q(p_0 + K c), in n dimensions (MATHEMATICS 5).

The state of the integrator is y = (c_1, ..., c_n, v): dual masses since the start of the stretch, and v = log(1 + t).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from gflow.arrays import EPS, Array, Index
from gflow.field.affine import AffineBranch, floor_of, margin_floor, margin_rounding, pushes
from gflow.field.branch import Tolerances
from gflow.field.clarke import ROUNDING
from gflow.field.mode import DualMode
from gflow.ode.step import DenseStep
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# A sum below this part of the sum of sizes of its terms has lost half of its digits: it is known to 1e-8 only.
CANCELLED = 1e-8


@dataclass(frozen=True, slots=True)
class DualBranch(AffineBranch):
    """The smooth field in dual masses c = u, with R = K and u' = q.

    floor (n + 1,): from `error_floor`; response (n, n): K; norm: |W|_F with all inputs at the start; weight_floor: from
    the function of that name.
    """

    norm: float  # |W|_F with all inputs, at the start
    weight_floor: float  # see `weight_floor`

    @property
    def response(self) -> Array:
        """K (n, n)."""
        return self.mode.K

    def _lifted(self, q: Array) -> Array:
        return q

    def _derivative(self, q: Array, weighted: Array) -> tuple[Array, Array]:
        rows = weighted[:, None] * (self.unit * self.mode.K)
        drift = rows.sum(axis=0)
        return rows - np.outer(q, drift), drift

    def _rates(self, q: Array) -> tuple[Array, Array]:
        return self.mode.K @ q, np.abs(self.mode.K) @ q

    def _weight_floor(self, size: Array) -> Array:
        return np.asarray(self.weight_floor / (self.unit * (row_norms(self.problem.span.C) @ size)))

    def moved_at_most(self, step: DenseStep, states: Array) -> tuple[Array, Array]:
        """Bounds as in `Branch`, (m, H) and (m,), for states (k, n + 1) of a step.

        |dzeta_jh| <= |a_j| sum_i |<u_h, c_i>| dc_i, with |c_i| in place of |<u_h, c_i>| where P_j is not the identity.
        """
        reach = np.abs(self.problem.network.outer)
        masses = self.unit * np.ptp(step.coefficients[:, :-1], axis=0)
        projected = (self.mode.side == 0).any(axis=1)[:, None]
        far, near = float(row_norms(self.problem.span.C) @ masses), self.mode.overlaps @ masses
        q = self.dual(states)
        turned = 1.5 * float(np.abs(q - q[0]).sum(axis=1).max())
        return reach[:, None] * np.where(projected, far, near), np.full(reach.size, turned)

    def margin_rounding(self, y: Array) -> float:
        """The rounding of K c at y (n + 1,); terms cancel where masses of contradicting samples grow like t, and
        margins do not.
        """
        terms = np.abs(self.mode.K) @ np.abs(self.unit * y[:-1])
        return float(EPS * terms.max())

    def cancels(self, y: Array, h: float) -> bool:
        """Whether the rounding of K c, after a step h from y (n + 1,), exceeds the error allowed in the margins
        there.
        """
        # A cheap bound first: the largest row sum of |K| is near 1 / unit.  It decides but for late or tiny margins.
        if 2.0 * EPS * (h + float(np.abs(y[:-1]).sum())) <= margin_floor(self.p, self.rtol):
            return False
        masses = self.unit * (y[:-1] + h * self.live * self.dual(y))
        lost = EPS * float((np.abs(self.mode.K) @ np.abs(masses)).max())
        return lost > margin_floor(self.p + self.mode.K @ masses, self.rtol)

    def at_rest(self, y: Array) -> bool:
        """Whether K q is rounding at y (n + 1,), and the velocity computed from the features confirms that nothing
        moves.
        """
        q, free = self.live * self.dual(y), self.mode.free
        cancelled = bool((np.abs(self.mode.K @ q) <= ROUNDING * float(free @ q) * free).all())
        return cancelled and self._settled(y, q)

    def _settled(self, y: Array, q: Array) -> bool:
        """Whether the velocity V = sum_i q_i h_i is rounding, or belongs to a motion that ends within the tolerance.

        Along a direction in which margins move by s |V| the flow loses V at the rate s^2, so that they move by |V| / s
        more: |V|^2 over the largest rate of a margin.  Neurons move by |V_j| / s^2 more, which is far where samples are
        short.
        """
        V = self._velocity(q)
        size, known = float(np.linalg.norm(V)), ROUNDING + margin_rounding(self.margins(y))
        if size <= known * float(q @ self.mode.free):
            return True
        a = self.problem.network.outer
        fastest = float(np.abs((a[:, None] * self.mode.slopes * (V @ self.problem.span.C.T)).sum(axis=0)).max())
        moved = np.divide(row_norms(V), np.abs(a), out=np.zeros(a.size), where=a != 0.0).max()
        return size**2 <= self.rtol * fastest and moved <= self.weight_floor * (fastest / size) ** 2

    def _velocity(self, q: Array) -> Array:
        """dU / dtau (m, r), computed from the features, not from K."""
        own = np.arange(self.problem.network.width)
        return self.mode.project(self.mode.drift(pushes(self.problem, q, own), own), own)

    def reach(self, h: float) -> Array:
        """The reach (m,) of `Branch`, from the slopes and masses of each neuron.

        A bound by the largest slope would be far too wide for a neuron with a tiny slope, whose steps are long: it
        would take for rounding what is a motion of its weights.
        """
        push = np.abs(self.push(self.y0, np.arange(self.problem.network.width)))
        return np.asarray(h * (push * self.mode.slopes) @ row_norms(self.problem.span.C))

    def _sizes(self, y: Array, p: Array, q: Array) -> tuple[float, float, Array]:
        """Computed from masses and K in O(n^2), or from the weights where masses cancel."""
        rates = self.mode.K @ q
        return self._norm(y, p), self._speed(q, rates), rates

    def _norm(self, y: Array, p: Array) -> float:
        """|W|; its square grows by (p_0 + p) . c, which is the integral of 2 q . p since p is affine."""
        terms = self.unit * (self.p + p) * y[:-1]
        squared = self.norm**2 + self.unit * float((self.p + p) @ y[:-1])
        if CANCELLED * float(np.abs(terms).sum()) <= squared:
            return sqrt(squared)
        outside = self.norm**2 - float(np.vdot(self.U, self.U))
        moved = self.weights(y)
        return sqrt(max(outside, 0.0) + float(np.vdot(moved, moved)))

    def _speed(self, q: Array, rates: Array) -> float:
        """|dW / dtau|, the square root of q . K q."""
        squared = float(q @ rates)
        if squared > CANCELLED * float(q @ self.mode.free) ** 2:
            return sqrt(squared)
        return float(np.linalg.norm(self._velocity(q)))

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U of k neurons at one or several states, (..., n + 1) -> (..., k, r)."""
        own = np.arange(self.problem.network.width) if neurons is None else neurons
        masses = pushes(self.problem, self.unit * y[..., :-1], own)
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
    """The error scale (n + 1,) of (masses, v) in the units of the branch; weight_norms (m,), p (n,).

    The scale of the masses is what moves a neuron by its tolerance, or a margin by rtol, whichever is smaller.  A local
    error e of the masses moves w_j by at most |a_j| sum_i |c_i| e_i and margin k by (K e)_k.  The worst neuron counts,
    so that its error is not averaged away by the others; margins count absolutely, because q depends on them so.
    log_rate: the logarithm of dv / dtau, as in `floor_of`.
    """
    weight = weight_floor(problem, weight_norms, tolerances)
    margin = margin_floor(p, tolerances.rtol)
    coupling = np.abs(mode.K).sum(axis=0)
    coupling = np.where(coupling > 0.0, coupling, np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        masses = np.minimum(weight / row_norms(problem.span.C), margin / coupling) / unit
    return floor_of(masses, log_rate, unit, tolerances.rtol)


def weight_floor(problem: Problem, weight_norms: Array, tolerances: Tolerances) -> float:
    """The error that weights of norms weight_norms (m,) allow in sum_i |c_i| e_i, where e_i are errors of the masses.

    The worst neuron counts; inf where none moves.
    """
    a = np.abs(problem.network.outer)
    allowed = tolerances.atol + tolerances.rtol * weight_norms
    moving = a > 0.0
    return float((allowed[moving] / a[moving]).min()) if moving.any() else np.inf
