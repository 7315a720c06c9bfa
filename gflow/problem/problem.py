"""The learning problem: data, a two-layer network with a fixed outer layer, and a loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.problem.loss import Loss
from gflow.problem.span import Span, factor_span
from gflow.problem.surfaces import Surfaces, group_surfaces

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TwoLayer:
    """f(x) = sum_j a_j phi(<w_j, x>), phi(z) = max(z, slope z): ReLU slope 0, leaky in (0, 1), linear 1.

    outer (m,) is a, fixed.  1-homogeneous in the trained W (m, d).
    """

    outer: Array
    slope: float

    @property
    def width(self) -> int:
        return self.outer.size


@dataclass(frozen=True, slots=True)
class Problem:
    """X (n, d), y (n,) in {-1, +1}, with the span and the surfaces of X worked out once."""

    X: Array
    y: Array
    network: TwoLayer
    loss: Loss
    span: Span
    surfaces: Surfaces

    @property
    def samples(self) -> int:
        return self.y.size

    @classmethod
    def of(cls, X: Array, y: Array, network: TwoLayer, loss: Loss) -> Problem:
        """Factor the data.  X has no zero row (checked where data are read)."""
        span = factor_span(X)
        return cls(X, y, network, loss, span, group_surfaces(span.C))

    def sample_sides(self, side: NDArray[np.int8]) -> NDArray[np.int8]:
        """Sides of pairs (m, H) -> signs of pre-activations (m, n); 0 stays 0."""
        return (side[:, self.surfaces.of_sample] * np.sign(self.surfaces.alpha)).astype(np.int8)

    def margins(self, U: Array, pattern: NDArray[np.int8]) -> Array:
        """p_i = y_i f(x_i) (n,) at span coordinates U (m, r), with the branches of `pattern` (m, n), 0 at kinks.

        The pattern, not the sign of a rounded pre-activation, says which branch holds next to a kink.
        """
        z = U @ self.span.C.T
        branch = np.where(pattern > 0, 1.0, self.network.slope) * (pattern != 0)
        return np.asarray(self.y * (self.network.outer @ (branch * z)))
