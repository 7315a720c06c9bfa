"""The integrals along the flow that the identities need, with estimates of their errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gflow.arrays import Array, Bools
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Integrals:
    """Integrals over tau of what `velocity.Motion` says, since the start.

    fall, growth and clock; rates (n,); masses (m, n), or (0, n) where they are not asked for.  passed (n,): the
    integral of q_i of every sample, live or not, which is (1 / n) int g_i dt whichever samples tau counts.
    doubts (4,): absolute error estimates of fall, growth, the worst of the rates and clock, by the rule of fewer nodes.
    always, ever (n,): samples that were live all the time, and at some time, since the last reading
    (`Quadrature.read`).  leap: the tau that the clock was ahead at the start.
    """

    fall: float
    growth: float
    clock: float
    rates: Array
    masses: Array
    passed: Array
    doubts: Array
    always: Bools
    ever: Bools
    leap: float = 0.0

    @classmethod
    def zero(cls, problem: Problem, wants_masses: bool) -> Integrals:
        """The integrals at the start, all 0."""
        m, n = problem.network.width, problem.samples
        masses, nobody = np.zeros((m if wants_masses else 0, n)), np.zeros(n, dtype=bool)
        return cls(0.0, 0.0, 0.0, np.zeros(n), masses, np.zeros(n), np.zeros(4), ~nobody, nobody)

    def __add__(self, other: Integrals) -> Integrals:
        return Integrals(
            self.fall + other.fall,
            self.growth + other.growth,
            self.clock + other.clock,
            self.rates + other.rates,
            self.masses + other.masses,
            self.passed + other.passed,
            self.doubts + other.doubts,
            self.always & other.always,
            self.ever | other.ever,
            self.leap + other.leap,
        )

    def apart(self, other: Integrals) -> Array:
        """The absolute differences of fall, growth, the worst of the rates and clock, (4,)."""
        rates = np.abs(self.rates - other.rates).max()
        pairs = ((self.fall, other.fall), (self.growth, other.growth), (self.clock, other.clock))
        fall, growth, clock = (abs(a - b) for a, b in pairs)
        return np.array([fall, growth, rates, clock])

    def read(self) -> Integrals:
        """The same sums, from where the next reading counts its live samples."""
        nobody = np.zeros_like(self.ever)
        return replace(self, always=~nobody, ever=nobody)
