"""Neurons that meet kinks in every way while their motion is known by hand: tracers.

Three samples x_1 = e_1, x_2 = e_2, x_3 = (c_1, -c_2, 1), ReLU, exponential loss.  One driver a sample is active on that
sample alone, so K is diagonal and with k_i = |x_i|^2

    p_i = log(E_i + k_i t / 3),    Phi_i = (1/3) int g_i dt = log(1 + k_i t / (3 E_i)) / k_i,    E_i = e^{p_i(0)}.

A tracer has an outer weight of 1e-8 and pre-activations of that size: K feels it by 1e-16, nothing else moves
differently, and in units of 1e-8, active on x_1 and x_2,

    z_3 = zeta + h(t),   h = c_1 Phi_1 - c_2 Phi_2 + s y_3 |x_3|^2 Phi_3,   s = 1 on the + side of x_3 and 0 on the -.

Labels y_1 = y_2 = +1.  The surface of x_3 is pushing for y_3 = +1, trapping for y_3 = -1, and neither to rounding
for a *spectator*, whose margin is 60: then g_3 = e^{-60} moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

Array = NDArray[np.float64]

SIZE = 1e-8
FAR = 5.0
"""A pre-activation of a tracer, in its units, that stays away from 0."""


@dataclass(frozen=True)
class Drive:
    """c = (c_1, c_2), y_3, and E_i = e^{p_i(0)}: all that the motion of tracers follows from."""

    c: tuple[float, float]
    label: float
    E: tuple[float, float, float]

    @property
    def k(self) -> Array:
        """|x_i|^2 (3,)."""
        return np.array([1.0, 1.0, self.c[0] ** 2 + self.c[1] ** 2 + 1.0])

    def phi(self, t: float) -> Array:
        """Phi_i (3,) at t."""
        return np.asarray(np.log1p(self.k * t / (3.0 * np.array(self.E))) / self.k)

    def above(self, t: float) -> float:
        """h on the + side, in the units of the tracers."""
        return self.below(t) + float(self.label * self.k[2] * self.phi(t)[2])

    def below(self, t: float) -> float:
        """h on the - side."""
        return float(self.c[0] * self.phi(t)[0] - self.c[1] * self.phi(t)[1])

    def problem(self, tracers: ArrayLike) -> tuple[Problem, Array]:
        """Tracers with these pre-activations (k, 3), in their units, and after them the three drivers."""
        X = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [self.c[0], -self.c[1], 1.0]])
        z = SIZE * np.atleast_2d(np.asarray(tracers, dtype=float))
        drivers = np.where(np.eye(3) > 0.0, [log(e) for e in self.E], -60.0)
        W = np.linalg.solve(X, np.vstack([z, drivers]).T).T
        y = np.array([1.0, 1.0, self.label])
        network = Network(np.append(np.full(z.shape[0], SIZE), y), 0.0)
        return Problem.of(X, y, network, LOSSES["exponential"]), W


# h = 2 log(1 + t/21) - log(1 + t/6): falls until t = 9, where e^h = 20/24.5, then rises through 0 at t = 31.5.
SPECTATOR = Drive((2.0, 1.0), 1.0, (7.0, 2.0, float(np.exp(60.0))))
# h = 2 log(1 + t/21) - log(1 + t/6) + log(1 + t/398) above: its least value is at t = 8; below, at t = 9.
PUSHING = Drive((2.0, 1.0), 1.0, (7.0, 2.0, 796.0))
# h = 3 log(1 + t/21) - log(1 + t/6) - log(1 + t/69) above: its least value is at t = 3; below, at t = 1.5.
TRAPPING = Drive((3.0, 1.0), -1.0, (7.0, 2.0, 253.0))
# h = 2 log(1 + t/21) - log(1 + t/6) - log(1 + 2t/5) above.
HOLDING = Drive((2.0, 1.0), -1.0, (7.0, 2.0, 5.0))
