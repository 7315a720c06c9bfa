"""Activations of the papers: a kinked one is given by its slope, a smooth one by its value and its derivative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import ClassVar

import numpy as np

from gflow.arrays import Array


@dataclass(frozen=True, slots=True)
class SmoothLeaky:
    """phi(z) = slope z + (1 - slope) log((1 + e^z) / 2) (Frei et al.); z and phi(z) have any one shape (...).

    phi' lies in (slope, 1), and phi'' <= (1 - slope) / 4.  The logarithm is max(z, 0) + log1p(expm1(-|z|) / 2): as a
    difference with log 2 it would have an error of 1e-16 where it is tiny, which outer weights of 1e8 show.
    """

    slope: float
    bends: ClassVar[bool] = False
    """whether phi'' jumps"""

    def value(self, z: Array) -> Array:
        """phi(z), elementwise, (...) -> (...)."""
        soft = np.maximum(z, 0.0) + np.log1p(0.5 * np.expm1(-np.abs(z)))
        return np.asarray(self.slope * z + (1.0 - self.slope) * soft)

    def derivative(self, z: Array) -> Array:
        """phi'(z), elementwise, (...) -> (...)."""
        return np.asarray(self.slope + (1.0 - self.slope) * np.exp(-np.logaddexp(0.0, -z)))

    def second_derivative(self, z: Array) -> Array:
        """phi''(z), elementwise, (...) -> (...)."""
        return np.asarray((1.0 - self.slope) * np.exp(-np.logaddexp(0.0, -z) - np.logaddexp(0.0, z)))


@dataclass(frozen=True, slots=True)
class Huberized:
    """phi(z) = 0 for z < 0, z^2 / (2h) on [0, h], z - h/2 beyond, h > 0 the bandwidth (Chatterji et al.).

    z and phi(z) have any one shape (...).
    """

    bandwidth: float
    slope: ClassVar[float] = 0.0
    """phi'(-infinity)"""
    bends: ClassVar[bool] = True

    def value(self, z: Array) -> Array:
        """phi(z), elementwise, (...) -> (...)."""
        bent = np.clip(z, 0.0, self.bandwidth)
        return np.asarray(bent * bent / (2.0 * self.bandwidth) + np.maximum(z - self.bandwidth, 0.0))

    def derivative(self, z: Array) -> Array:
        """phi'(z), elementwise, (...) -> (...)."""
        return np.asarray(np.clip(z / self.bandwidth, 0.0, 1.0))

    def second_derivative(self, z: Array) -> Array:
        """phi''(z), elementwise, (...) -> (...): 1/h on all of [0, h], the larger value where it jumps."""
        return np.asarray(((z >= 0.0) & (z <= self.bandwidth)) / self.bandwidth)


Smoothing = SmoothLeaky | Huberized
SMOOTHINGS: dict[str, type[Smoothing]] = {"smooth_leaky_relu": SmoothLeaky, "huberized_relu": Huberized}
"""The smooth activations by their names in scenarios and files."""
NUMBERS = tuple(dict.fromkeys(field.name for kind in SMOOTHINGS.values() for field in fields(kind)))
"""The names of all parameters of smooth activations, such as `slope` and `bandwidth`."""


def smoothing_of(name: str, numbers: Mapping[str, str | float | int]) -> Smoothing | None:
    """The smooth activation of this name, its parameters taken from `numbers`; None for a kinked or linear
    activation.
    """
    kind = SMOOTHINGS.get(name)
    return None if kind is None else kind(**{field.name: float(numbers[field.name]) for field in fields(kind)})


def numbers_of(smoothing: Smoothing | None) -> dict[str, float]:
    """The parameters of a smooth activation by name, as a file stores them; empty for None."""
    return {} if smoothing is None else asdict(smoothing)
