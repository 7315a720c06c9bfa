"""Smooth problems with their solutions, as systems for the steppers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gflow.ode.methods import method_named
from gflow.ode.step import DenseStep, Stepper, System

Array = NDArray[np.float64]

METHODS = ("DOP853", "RK45", "Radau", "dopri5")
ORDER = {"DOP853": 8, "RK45": 5, "Radau": 5, "dopri5": 5}


def flat(size: float) -> Callable[[Array], Array]:
    """The same error scale for every component."""
    return lambda y: np.full(y.size, size)


def known(size: float) -> System:
    """y1' = exp(-y1), (y2, y3)' = (y3, -y2): see `solution`."""

    def field(_: float, y: Array) -> Array:
        return np.array([np.exp(-y[0]), y[2], -y[1]])

    def jacobian(_: float, y: Array) -> Array:
        return np.array([[-np.exp(-y[0]), 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])

    return System(field, jacobian, flat(size))


def solution(t: float) -> Array:
    """(log(1 + t), sin t, cos t)."""
    return np.array([np.log1p(t), np.sin(t), np.cos(t)])


def walled() -> System:
    """y' = 1 up to y = 1; beyond the field is not a number."""
    return System(
        lambda _, y: np.where(y <= 1.0, 1.0, np.nan), lambda _, y: np.where(y <= 1.0, 0.0, np.nan)[:, None], flat(1e-6)
    )


def started(name: str, system: System, h: float, y0: Array | None = None) -> Stepper:
    return method_named(name)(system, solution(0.0) if y0 is None else y0, h)


def step_past(stepper: Stepper, t: float) -> list[DenseStep]:
    """All steps up to the one that ends at or after t."""
    steps = [stepper.step()]
    while steps[-1].end < t:
        steps.append(stepper.step())
    return steps
