"""Activations of the papers.  Kinked ones are a slope; smooth ones bring their value and their derivative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array


@dataclass(frozen=True, slots=True)
class SmoothLeaky:
    """phi(z) = slope z + (1 - slope) log((1 + e^z) / 2); phi' in (slope, 1), phi'' <= (1 - slope) / 4 (Frei et al.)."""

    slope: float

    def value(self, z: Array) -> Array:
        """phi(z), elementwise."""
        return np.asarray(self.slope * z + (1.0 - self.slope) * (np.logaddexp(0.0, z) - np.log(2.0)))

    def derivative(self, z: Array) -> Array:
        """phi'(z), elementwise."""
        return np.asarray(self.slope + (1.0 - self.slope) * np.exp(-np.logaddexp(0.0, -z)))


@dataclass(frozen=True, slots=True)
class Huberized:
    """phi(z) = 0 for z < 0, z^2 / (2h) on [0, h], z - h/2 beyond (Chatterji et al.); phi' is continuous."""

    h: float

    def value(self, z: Array) -> Array:
        """phi(z), elementwise."""
        bent = np.clip(z, 0.0, self.h)
        return np.asarray(bent * bent / (2.0 * self.h) + np.maximum(z - self.h, 0.0))

    def derivative(self, z: Array) -> Array:
        """phi'(z), elementwise."""
        return np.asarray(np.clip(z / self.h, 0.0, 1.0))


Smoothing = SmoothLeaky | Huberized
