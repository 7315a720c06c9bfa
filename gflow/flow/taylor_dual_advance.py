"""The steps of the compiled loop as `Advance`s, for readers who ask for them: one polynomial for each step.

On a step of the series masses are its polynomials.  A stride is known to its order at both ends, and there, by q and
its rate, the masses have two derivatives: the polynomial of degree 5 with these joins the ends.  Margins are affine in
the masses, and the clock follows from them by quadrature.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.arrays import Array, Bools
from gflow.field.clock import dual_variables
from gflow.field.mode import DualMode
from gflow.flow.engine import Engine
from gflow.flow.taylor_advance import StepShown
from gflow.flow.taylor_dual import DualAhead
from gflow.ode.bernstein import basis, from_nodes, nodes
from gflow.ode.step import DenseStep
from gflow.taylor.model import DEGREE, END, SIZE

# Degree of the polynomials that are handed over.
HANDED_OVER = 12
# The quadrature of the clock: points and weights on [-1, 1] for each e-fold; the rest beyond so many is nothing.
POINTS, WEIGHTS = np.polynomial.legendre.leggauss(6)
FOLDS = 45.0


Masses = Callable[[Array], Array]


class DualStepShown(StepShown):
    """A step of the series, or a stride, as a polynomial in the masses."""

    def __init__(self, engine: Engine, ahead: DualAhead, inexact: Bools) -> None:
        super().__init__(engine, ahead, inexact)
        assert isinstance(engine.mode, DualMode)
        self._dual, self._K, self._c = ahead, engine.mode.K, ahead.model.c.copy()

    def dense(self) -> DenseStep:
        """The step in units of the branch: masses since its start, and the clock."""
        model, state, unit = self._dual.model, self._stretch.state, self._stretch.branch.unit
        end = float(model.step[END])
        taken = self._ahead.steps > self.start
        elapsed = self._ahead.tau - state.tau if taken else end * float(model.step[SIZE])
        u = end * nodes(HANDED_OVER)
        masses = self._of_stride(elapsed) if taken and self._dual.was_stride else self._of_series
        y = np.column_stack([masses(u) / unit, self._clock(masses, u, elapsed / end if end > 0.0 else 0.0)])
        return DenseStep(0.0, elapsed / unit, from_nodes(HANDED_OVER) @ y)

    def _of_series(self, u: Array) -> Array:
        """c (k, n) at u (k,), since the start of the step."""
        N = int(self._dual.model.tried[DEGREE])
        return np.asarray(u[:, None] ** np.arange(N + 1) @ self._dual.model.terms.c[: N + 1])

    def _of_stride(self, size: float) -> Masses:
        """As `_of_series` on a stride of this size in tau, u from 0 to 1."""
        model = self._dual.model
        (q, q_rate), (q_end, q_rate_end) = self._pulls(self._stretch.state.p), self._pulls(model.p)
        whole, half = model.c - self._c, size**2 / 20.0
        near, near_end = size * q / 5.0, whole - size * q_end / 5.0
        then = [2.0 * near + half * q_rate, 2.0 * near_end - whole + half * q_rate_end]
        coefficients = np.array([np.zeros_like(whole), near, *then, near_end, whole])
        return lambda u: np.asarray(basis(5, u) @ coefficients)

    def _pulls(self, p: Array) -> tuple[Array, Array]:
        """q (n,) on live samples at margins p (n,), and dq / dtau."""
        branch = self._stretch.branch
        q = np.where(branch.live, dual_variables(branch.problem.loss, p, branch.live)[0], 0.0)
        rates = branch.problem.loss.log_slope_rate(p) * (self._K @ q)
        return q, q * (rates - q @ rates)

    def _clock(self, masses: Masses, u: Array, size: float) -> Array:
        """log(1 + t) (k,) at u (k,), increasing from 0; size: that of u in tau.

        dt / dtau = n / (sum of the live g) may grow by e^1000 from one u to the next: then its end alone counts.
        """
        clock, rates = [self._stretch.state.v], self._log_rates(masses, u)
        for low, high, growth in zip(u[:-1], u[1:], np.diff(rates), strict=True):
            start = max(low, high - (high - low) * FOLDS / max(growth, 1e-300))
            ends = np.linspace(start, high, int(np.ceil(min(max(growth, 0.0), FOLDS))) + 2)
            middle, half = 0.5 * (ends[1:] + ends[:-1])[:, None], 0.5 * np.diff(ends)[:, None]
            log_rates = self._log_rates(masses, (middle + half * POINTS).ravel())
            with np.errstate(divide="ignore"):  # a step of no length
                passed = log_rates + np.log(size * half * WEIGHTS).ravel()
            clock.append(float(np.logaddexp.reduce(np.append(passed, clock[-1]))))
        return np.array(clock)

    def _log_rates(self, masses: Masses, u: Array) -> Array:
        """log dt / dtau (k,) at u (k,)."""
        branch = self._stretch.branch
        p = self._stretch.state.p + masses(u) @ self._K
        return np.asarray(np.log(branch.problem.samples) - dual_variables(branch.problem.loss, p, branch.live)[1])
