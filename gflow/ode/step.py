"""One accepted step with its dense output, and the protocols of systems, steppers and methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gflow.arrays import Array, Index
from gflow.ode.bernstein import basis

Field = Callable[[float, Array], Array]


# Reaching a state inside an accepted step takes a few steps; without a limit a search for a root might never end.
MOST_SUBSTEPS = 500


class TensorField(Protocol):
    """An autonomous field on tensors (..., p) of one device, batched over the leading axes."""

    @property
    def device(self) -> Any: ...  # a torch.device; torch is not imported here

    def __call__(self, theta: Any) -> Any: ...  # tensors in, tensors out


class StepError(Exception):
    """No step can be taken, mostly since its size fell below what floats resolve; the message tells where and why."""


@dataclass(frozen=True, slots=True)
class System:
    """The system y' = field(t, y), y (p,), with its Jacobian (p, p).

    scale: from y (p,) to the local error (p,) that counts as 1 (as RMS over p).  tensor_field: the same autonomous
    field on tensors, for the methods of torchdiffeq.  groups (p,): numbers of the groups of components that are judged
    together; the norm of an error is the largest RMS over a group, so that a large error in one group cannot be
    averaged away by the others.  None: all components are one group.  longest: from y (p,) and the
    step that the error allows to the longest step from there, used by explicit methods of scipy; None: only the error
    limits the steps.
    """

    field: Field
    jacobian: Field
    scale: Callable[[Array], Array]
    tensor_field: TensorField | None = None
    groups: Index | None = None
    longest: Callable[[Array, float], float] | None = None

    def group_scale(self, y: Array) -> Array:
        """The scale (p,) at y (p,), reduced so that an RMS of 1 over all components means one of at most 1 in every
        group.
        """
        if self.groups is None:
            return self.scale(y)
        share = np.bincount(self.groups)[self.groups] / self.groups.size
        return np.asarray(self.scale(y) * np.sqrt(share))


@dataclass(frozen=True, slots=True)
class DenseStep:
    """One accepted step [start, end] as a polynomial in theta = (t - start) / (end - start).

    coefficients (degree + 1, p) in Bernstein form; the first and the last are the states at start and end.
    """

    start: float
    end: float
    coefficients: Array

    @property
    def degree(self) -> int:
        """The degree of the polynomial."""
        return int(self.coefficients.shape[0]) - 1

    def at(self, theta: Array) -> Array:
        """Interpolated states at theta in [0, 1], (k,) -> (k, p)."""
        return np.asarray(basis(self.degree, theta) @ self.coefficients)


def checked(step: DenseStep) -> DenseStep:
    """The step itself.  Raises StepError where its end is not finite, as such a step is never accepted."""
    if not np.isfinite(step.coefficients[-1]).all():
        raise StepError(f"the state is not finite after t = {step.start:.17g}")
    return step


def unreached(start: float, t: float) -> StepError:
    """The error for a state at t that cannot be reached inside a step that began at `start`."""
    return StepError(f"{MOST_SUBSTEPS} steps do not reach t = {t:.17g} inside a step that began at t = {start:.17g}")


class Stepper(Protocol):
    """An adaptive one-step method at a state (p,); it advances by `step` and remembers the last step only."""

    def step(self) -> DenseStep:
        """Advance by one accepted step.  Raises StepError where the step size underflows or the state is not finite."""

    def state_at(self, t: float) -> Array:
        """The state (p,) at t inside the last step, with the accuracy of the method, not of its interpolant.

        Raises StepError where the state cannot be reached.
        """

    @property
    def proposed(self) -> float:
        """The step size that the error control would try next, > 0."""


class Method(Protocol):
    """A way to make steppers: `method(system, y0, h)` starts one at t = 0."""

    @property
    def name(self) -> str:
        """The name by which users ask for the method."""

    def __call__(self, system: System, y0: Array, h: float) -> Stepper:
        """A stepper that starts at t = 0 with y0 (p,); its first trial step is h > 0."""
