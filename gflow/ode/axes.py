"""A method on axes of its own: for errors that no scale per component can judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gflow.arrays import Array
from gflow.ode.step import DenseStep, Method, Stepper, System


@dataclass(frozen=True, slots=True)
class Axes:
    """Orthogonal Q (p, p): z = Q^T y is what the method sees; `scale` (p,) of a state y is that of z."""

    Q: Array
    scale: Callable[[Array], Array]


class OnAxes:
    """A stepper of y whose method integrates z = Q^T y: the flow is the same, and errors are judged along the axes."""

    def __init__(self, method: Method, system: System, axes: Axes, y0: Array, h: float) -> None:
        Q = self._Q = axes.Q
        longest = system.longest
        turned = replace(
            system,
            field=lambda t, z: system.field(t, Q @ z) @ Q,
            jacobian=lambda t, z: Q.T @ system.jacobian(t, Q @ z) @ Q,
            scale=lambda z: axes.scale(Q @ z),
            longest=None if longest is None else lambda z: longest(Q @ z),
        )
        self._stepper: Stepper = method(turned, y0 @ Q, h)

    def step(self) -> DenseStep:
        """As for every stepper; the polynomial is turned back as a whole."""
        step = self._stepper.step()
        return replace(step, coefficients=step.coefficients @ self._Q.T)

    def state_at(self, t: float) -> Array:
        """As for every stepper."""
        return np.asarray(self._Q @ self._stepper.state_at(t))

    @property
    def proposed(self) -> float:
        """As for every stepper."""
        return self._stepper.proposed
