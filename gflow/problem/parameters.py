"""What is trained, or may be: the parameters of a network in span coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """U (m, r) in span coordinates, or b (m, 1) of the scalar network; outer (m,) or (K, m); output_bias (K,)."""

    U: Array
    outer: Array
    output_bias: Array | None = None

    @classmethod
    def of(cls, problem: Problem, inner: Array) -> Parameters:
        """From W (m, d), or b (m, 1) of the scalar network, with the outer layer of the problem's network."""
        network = problem.network
        U = inner @ problem.span.B.T if network.directions is None else inner
        return cls(np.asarray(U), network.outer, network.output_bias)
