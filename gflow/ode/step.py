"""What an integrator hands over: one accepted step with its dense output, and the protocol all steppers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.ode.bernstein import basis

Field = Callable[[float, Array], Array]


# A state inside an accepted step is found again in a few steps; where it is not, no search for a root would end.
MOST_SUBSTEPS = 500


class TensorField(Protocol):
    """An autonomous field on tensors (..., p) of one device."""

    @property
    def device(self) -> Any: ...  # a torch.device; torch is not imported here

    def __call__(self, theta: Any) -> Any: ...  # tensors in, tensors out


class StepError(Exception):
    """The step fell below what floats can resolve: the message says where and at which size."""


@dataclass(frozen=True, slots=True)
class System:
    """y' = field(t, y) with its Jacobian (p, p); `scale` (p,) is the local error that counts as 1 (RMS over p).

    tensor_field: the same autonomous field on tensors, for methods that work on them, with the device it wants.
    groups (p,): components judged together; the norm of an error is the largest RMS over a group, so that no group
    can hide behind the others.  Without groups all components are one.
    longest: the longest step from a state, for explicit methods of scipy; without it the error alone limits steps.
    """

    field: Field
    jacobian: Field
    scale: Callable[[Array], Array]
    tensor_field: TensorField | None = None
    groups: NDArray[np.intp] | None = None
    longest: Callable[[Array], float] | None = None

    def group_scale(self, y: Array) -> Array:
        """`scale`, smaller where needed so that an RMS of 1 over all components bounds every group by 1."""
        if self.groups is None:
            return self.scale(y)
        share = np.bincount(self.groups)[self.groups] / self.groups.size
        return np.asarray(self.scale(y) * np.sqrt(share))


@dataclass(frozen=True, slots=True)
class DenseStep:
    """One accepted step [start, end] as a polynomial in theta = (t - start) / (end - start).

    coefficients (degree + 1, p) are of Bernstein's form; the first and the last are the states at the ends.
    """

    start: float
    end: float
    coefficients: Array

    @property
    def degree(self) -> int:
        return int(self.coefficients.shape[0]) - 1

    def at(self, theta: Array) -> Array:
        """Interpolated states, (k,) -> (k, p)."""
        return np.asarray(basis(self.degree, theta) @ self.coefficients)


def checked(step: DenseStep) -> DenseStep:
    """The step.  Raises StepError if its end is not finite: such a step is never accepted."""
    if not np.isfinite(step.coefficients[-1]).all():
        raise StepError(f"the state is not finite after t = {step.start:.17g}")
    return step


def unreached(start: float, t: float) -> StepError:
    """The refusal of a state at t inside a step that began at `start`."""
    return StepError(f"{MOST_SUBSTEPS} steps do not reach t = {t:.17g} inside a step that began at t = {start:.17g}")


class Stepper(Protocol):
    """An adaptive one-step method at a state; it advances by `step` and never looks back behind the last one."""

    def step(self) -> DenseStep:
        """Advance by one accepted step.  Raises StepError when the step size underflows."""

    def state_at(self, t: float) -> Array:
        """The state at t inside the last step, with the accuracy of the method (not of its interpolant)."""

    @property
    def proposed(self) -> float:
        """The step size the error control would try next."""


class Method(Protocol):
    """A way to make steppers: `method(system, y0, h)` starts one at t = 0."""

    @property
    def name(self) -> str:
        """The name users know it by."""

    def __call__(self, system: System, y0: Array, h: float) -> Stepper:
        """A stepper at (0, y0) whose first trial step is h > 0."""
