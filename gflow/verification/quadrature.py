"""The quadrature of exact identities of the flow, along its dense output while it is integrated.

Each stretch of the flow on one mode is a sequence of accepted steps, each a polynomial in tau.  On it the rates of
`velocity.Field` are integrated by Gauss's rule of `NODES` points (exact to degree 2 NODES - 1; the polynomials have
degree 7 at most); the rule of one point fewer, on the same steps, tells how far the sum can be trusted.  Where the
clock leaps ahead of the weights at the start, q is constant, and the integrals are products.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from gflow.arrays import Array, Bools
from gflow.flow.engine import Stretch
from gflow.flow.items import Advance
from gflow.flow.state import FlowState
from gflow.problem.problem import Problem
from gflow.verification.integrals import Integrals
from gflow.verification.velocity import Field, Motion, Weights, weights_at

NODES = 5


@dataclass
class Quadrature:
    """Integrals since the start."""

    problem: Problem
    wants_masses: bool
    sums: Integrals = field(init=False)

    def __post_init__(self) -> None:
        self._field = Field(self.problem)
        self._stretch: Stretch | None = None  # whose mode the field has
        self.sums = Integrals.zero(self.problem, self.wants_masses)

    def read(self) -> Integrals:
        """The sums until now; the next reading counts live samples from here."""
        sums, self.sums = self.sums, self.sums.read()
        return sums

    def leap(self, state: FlowState) -> None:
        """Take the leap of the clock before the first step, in which the weights stay and tau becomes that of the
        state: t = tau / (mean g of the live samples), computed here without the engine."""
        if state.tau <= 0.0:
            return
        self._field.take(state.side)
        motion = self._field.at(weights_at(state), self._field.live)
        found = self._summed(self._field.live, motion, slice(0, 1), np.array([state.tau]))
        clock = float(np.logaddexp(0.0, np.log(state.tau) - motion.log_clock[0]))
        self.sums = self.sums + replace(found, clock=clock, leap=state.tau)

    def advance(self, at: Advance) -> None:
        """Integrate the rates of the flow over this part of a step."""
        if at.stretch is not self._stretch:
            self._stretch = at.stretch
            self._field.take(at.stretch.branch.mode.side)
        if at.high > at.low:
            self.sums = self.sums + self._integral(at)

    def _integral(self, over: Advance) -> Integrals:
        """The integrals over a part of a step, by both rules."""
        (x, w), (x_less, w_less) = (np.polynomial.legendre.leggauss(count) for count in (NODES, NODES - 1))
        branch, states = over.stretch.branch, over.states(0.5 * (1.0 + np.concatenate([x, x_less])))
        motion = self._field.at(weights_of(over.stretch, states), branch.live)
        scale = 0.5 * (over.high - over.low) * branch.unit
        best = self._summed(branch.live, motion, slice(0, NODES), scale * w)
        less = self._summed(branch.live, motion, slice(NODES, None), scale * w_less)
        return replace(best, doubts=best.apart(less))

    def _summed(self, live: Bools, motion: Motion, part: slice, w: Array) -> Integrals:
        masses = self.sums.masses
        if self.wants_masses:
            masses = self._masses(motion, part, w)
        fall, growth, clock = (float(w @ rate[part]) for rate in (motion.fall, motion.growth, motion.clock))
        rates, passed = w @ motion.at.rates[part], w @ motion.at.q[part]
        return Integrals(fall, growth, clock, rates, masses, passed, np.zeros(4), live, live)

    def _masses(self, motion: Motion, part: slice, w: Array) -> Array:
        """phi'_ji q_i integrated; where a neuron slides, phi' is what its force makes it (samples are surfaces)."""
        weights, held, at = w[:, None] * motion.at.q[part], self._field.held, motion.at
        found = np.einsum("kn,kmn->mn", weights, at.branch_slopes[part])
        force = np.einsum("k,khs->hs", w, at.force[part])
        rows, slots = np.nonzero(held.surfaces >= 0)
        neurons, samples = held.neurons[rows], self.problem.surfaces.first_sample[held.surfaces[rows, slots]]
        a, alpha = self.problem.network.outer[neurons], self.problem.surfaces.alpha[samples]
        pushed = a * self.problem.y[samples] * alpha
        moved = np.divide(force[rows, slots], pushed, out=np.zeros(rows.size), where=pushed != 0.0)
        found[neurons, samples] = moved
        return np.asarray(found)


def weights_of(stretch: Stretch, states: Array) -> Weights:
    """The weights that states (k, p) of the integrator stand for; the last entry of each is the clock."""
    return Weights(stretch.parameters(states), states[:, -1])
