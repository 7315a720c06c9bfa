"""The parameters of a network, and their places in the flat vector of those that are trained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one network, whether trained or fixed.

    U (m, r): the inner layer in span coordinates, or b (m, 1) of the scalar network; outer (m,) or (K, m); output_bias
    (K,), None where there is none.
    """

    U: Array
    outer: Array
    output_bias: Array | None = None

    @classmethod
    def of(cls, problem: Problem, inner: Array) -> Parameters:
        """The parameters with this inner layer; outer layer and output bias are those of the problem's network.

        inner: W (m, d), or b (m, 1) of the scalar network.
        """
        network = problem.network
        U = inner @ problem.span.B.T if network.directions is None else inner
        return cls(np.asarray(U), network.outer, network.output_bias)


@dataclass(frozen=True, slots=True)
class Layout:
    """Places in the flat vector theta (p,) of what is trained: U, then the outer layer, then the output bias, row by
    row.

    The slices are of the last axis, and None for what is not trained.  Callers may append to the vector, as the engine
    appends its clock.
    """

    inner: slice
    outer: slice | None
    bias: slice | None
    inner_shape: tuple[int, int]
    """(m, r)"""
    outer_shape: tuple[int, int]
    """(K, m)"""

    @classmethod
    def of(cls, problem: Problem) -> Layout:
        """The layout for the network of a problem."""
        network = problem.network
        m, r, K = network.width, int(problem.coordinates().shape[-1]), network.outputs
        first = m * r
        second = first + K * m * network.trains_outer
        outer = slice(first, second) if network.trains_outer else None
        bias = None if network.output_bias is None else slice(second, second + K)
        return cls(slice(0, first), outer, bias, (m, r), (K, m))

    def flat(self, parameters: Parameters) -> Array:
        """theta (p,) of these parameters."""
        parts = [parameters.U.ravel()]
        if self.outer is not None:
            parts.append(parameters.outer.ravel())
        if self.bias is not None and parameters.output_bias is not None:
            parts.append(parameters.output_bias)
        return np.concatenate(parts)

    def parameters(self, theta: Array, fixed: Array) -> Parameters:
        """The parameters in theta (..., p), as views of it.

        fixed (m,) or (K, m): the outer layer, used where it is not trained.  Returns U (..., m, r); the outer layer in
        the shape of `fixed` for one vector, else (..., K, m); output bias (..., K).
        """
        lead = theta.shape[:-1]
        outer = fixed
        if self.outer is not None:
            outer = theta[..., self.outer].reshape(*lead, *(self.outer_shape if lead else fixed.shape))
        bias = None if self.bias is None else theta[..., self.bias]
        return Parameters(theta[..., self.inner].reshape(*lead, *self.inner_shape), outer, bias)
