"""The learning problem: data, a network with one hidden layer, and a loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Sides
from gflow.problem.loss import Loss
from gflow.problem.network import Network, class_margins
from gflow.problem.span import Span, factor_span, row_norms
from gflow.problem.surfaces import Surfaces, group_surfaces


@dataclass(frozen=True, slots=True)
class Problem:
    """X (n, d), y (n,) in {-1, +1} (class indices 0..K-1 for K outputs); span and surfaces of X are worked out once."""

    X: Array
    y: Array
    network: Network
    loss: Loss
    span: Span
    surfaces: Surfaces

    @property
    def samples(self) -> int:
        return self.y.size

    @classmethod
    def of(cls, X: Array, y: Array, network: Network, loss: Loss) -> Problem:
        """Factor the data.  X has no zero row (checked where data are read)."""
        span = factor_span(X)
        return cls(X, y, network, loss, span, group_surfaces(span.C))

    def sample_sides(self, side: Sides) -> Sides:
        """Sides of pairs (m, H) -> signs of pre-activations (m, n); 0 stays 0."""
        return (side[:, self.surfaces.of_sample] * np.sign(self.surfaces.alpha)).astype(np.int8)

    def coordinates(self) -> Array:
        """Samples as the neurons see them: C (n, r), or <v_j, x_i> as (m, n, 1) for the scalar network."""
        directions = self.network.directions
        return self.span.C if directions is None else (directions @ self.X.T)[..., None]

    def preactivations(self, U: Array) -> Array:
        """z (m, n) at inner parameters U (m, r)."""
        coordinates = self.coordinates()
        if self.network.directions is None:
            return np.asarray(U @ coordinates.T)
        return np.asarray(U * coordinates[..., 0])

    def terms(self, U: Array) -> Array:
        """The size of what is added up in z, (m, n), coordinate by coordinate."""
        coordinates = np.abs(self.coordinates())
        if self.network.directions is None:
            return np.asarray(np.abs(U) @ coordinates.T)
        return np.asarray(np.abs(U) * coordinates[..., 0])

    def margin_rounding(self, U: Array, outer: Array) -> float:
        """What float64 leaves open of margins at U (m, r), outer (m,) or (K, m): sums of up to |A_j| |u_j| |c_i|."""
        sizes = np.linalg.norm(np.atleast_2d(outer), axis=0) * row_norms(U)
        return float(EPS * np.linalg.norm(self.coordinates(), axis=-1).max() * sizes.sum())

    def weights(self, U: Array, inner_initial: Array) -> Array:
        """W (..., m, d) at inner parameters U (..., m, r) of a flow that began at W (m, d): W + (U - W B^T) B.

        inner_initial: that W, or b (m, 1) of the scalar network, where W is U v.
        """
        directions, B = self.network.directions, self.span.B
        if directions is not None:
            return np.asarray(U * directions)
        return np.asarray(inner_initial + (U - inner_initial @ B.T) @ B)

    def margins(self, U: Array, pattern: Sides, outer: Array | None = None, output_bias: Array | None = None) -> Array:
        """p_i (n,) at inner parameters U (m, r), on the branches of `pattern` (m, n), 0 at kinks.

        p_i = y_i f(x_i), or `class_margins` for several outputs.  outer and output_bias default to the network's.
        """
        a = self.network.outer if outer is None else outer
        f = a @ self.network.hidden(self.preactivations(U), pattern)
        if self.network.outputs == 1:
            return np.asarray(self.y * f)
        bias = self.network.output_bias if output_bias is None else output_bias
        return class_margins(f if bias is None else f + bias[:, None], self.y)
