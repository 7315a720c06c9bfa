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
    """Inputs X (n, d) and labels y (n,) in {-1, +1}, or classes 0, ..., K - 1 for K outputs; network and loss.

    The span and the switching surfaces of X are computed once.
    """

    X: Array
    y: Array
    network: Network
    loss: Loss
    span: Span
    surfaces: Surfaces

    @property
    def samples(self) -> int:
        """The number n of samples."""
        return self.y.size

    @classmethod
    def of(cls, X: Array, y: Array, network: Network, loss: Loss) -> Problem:
        """The problem of inputs X (n, d) and labels y (n,).  X must have no zero row, which is checked where data are
        read.
        """
        span = factor_span(X)
        return cls(X, y, network, loss, span, group_surfaces(span.C))

    def sample_sides(self, side: Sides) -> Sides:
        """From sides of pairs (m, H) to signs of pre-activations (m, n); 0 stays 0."""
        return side.take(self.surfaces.of_sample, axis=1) * np.sign(self.surfaces.alpha).astype(np.int8)

    def coordinates(self) -> Array:
        """The samples as neurons see them: C (n, r), or <v_j, x_i> as (m, n, 1) for the scalar network."""
        directions = self.network.directions
        return self.span.C if directions is None else (directions @ self.X.T)[..., None]

    def preactivations(self, U: Array) -> Array:
        """z (..., m, n) at inner parameters U (..., m, r)."""
        coordinates = self.coordinates()
        if self.network.directions is None:
            return np.asarray(U @ coordinates.T)
        return np.asarray(U * coordinates[..., 0])

    def terms(self, U: Array) -> Array:
        """The sum of sizes of the terms that add up to z, (m, n), at U (m, r), which sets the rounding of z."""
        coordinates = np.abs(self.coordinates())
        if self.network.directions is None:
            return np.asarray(np.abs(U) @ coordinates.T)
        return np.asarray(np.abs(U) * coordinates[..., 0])

    def margin_rounding(self, U: Array, outer: Array) -> float:
        """A bound of the rounding errors of margins at U (m, r) and outer (m,) or (K, m).

        It is eps times the largest sample times sum_j |A_j| |u_j|.
        """
        sizes = np.linalg.norm(np.atleast_2d(outer), axis=0) * row_norms(U)
        return float(EPS * np.linalg.norm(self.coordinates(), axis=-1).max() * sizes.sum())

    def weights(self, U: Array, inner_initial: Array) -> Array:
        """W (..., m, d) at inner parameters U (..., m, r): the start W(0) moved to W(0) + (U - W(0) B^T) B.

        inner_initial: W(0) (m, d), or b (m, 1) of the scalar network, where the result is U v.
        """
        directions, B = self.network.directions, self.span.B
        if directions is not None:
            return np.asarray(U * directions)
        return np.asarray(inner_initial + (U - inner_initial @ B.T) @ B)

    def margins(self, U: Array, pattern: Sides, outer: Array | None = None, output_bias: Array | None = None) -> Array:
        """Margins p (n,) at inner parameters U (m, r), on the branches that `pattern` (m, n) tells, 0 at kinks.

        p_i = y_i f(x_i), or `class_margins` for several outputs.  outer (m,) or (K, m) and output_bias (K,) default to
        those of the network.
        """
        a = self.network.outer if outer is None else outer
        f = a @ self.network.hidden(self.preactivations(U), pattern)
        if self.network.outputs == 1:
            return np.asarray(self.y * f)
        bias = self.network.output_bias if output_bias is None else output_bias
        return class_margins(f if bias is None else f + bias[:, None], self.y)
