"""A method of integration on rotated axes, for errors that cannot be judged component by component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gflow.arrays import Array
from gflow.ode.step import DenseStep, Method, Stepper, System


@dataclass(frozen=True, slots=True)
class Axes:
    """Orthogonal Q (p, p): the method integrates z = Q^T y.  `scale` maps a state y (p,) to the error scale of z
    (p,).
    """

    Q: Array
    scale: Callable[[Array], Array]


class OnAxes:
    """A stepper of y (p,) whose method integrates z = Q^T y.  The flow is the same; errors are judged along the
    axes.
    """

    def __init__(self, method: Method, system: System, axes: Axes, y0: Array, h: float) -> None:
        Q = self._Q = axes.Q
        longest = system.longest
        turned = replace(
            system,
            field=lambda t, z: system.field(t, Q @ z) @ Q,
            jacobian=lambda t, z: Q.T @ system.jacobian(t, Q @ z) @ Q,
            scale=lambda z: axes.scale(Q @ z),
            longest=None if longest is None else lambda z, h: longest(Q @ z, h),
        )
        self._stepper: Stepper = method(turned, y0 @ Q, h)

    def step(self) -> DenseStep:
        """Advance by one accepted step, as every `Stepper` does; the polynomial is rotated back."""
        step = self._stepper.step()
        return replace(step, coefficients=step.coefficients @ self._Q.T)

    def state_at(self, t: float) -> Array:
        """The state y (p,) at t inside the last step; see `Stepper`."""
        return np.asarray(self._Q @ self._stepper.state_at(t))

    @property
    def proposed(self) -> float:
        """The next step size; see `Stepper`."""
        return self._stepper.proposed
