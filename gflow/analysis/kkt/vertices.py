"""A column-generation method for the convex problem: vertices of the Clarke sets are added one after the other.

It is slower than the interior point method, but it works on the gradients themselves, not on their inner products, and
its multipliers never grow large and cancel.  So it is used where the interior point method has lost its accuracy.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from gflow.analysis.kkt.certificate import SOLVED
from gflow.analysis.kkt.problem import Gradients, Multipliers
from gflow.arrays import Array

Vertex = tuple[int, bytes]

MOST_ROUNDS = 60
# Most numbers in the matrix of all vertices: a larger one would not fit into memory.
LARGEST = 20_000_000


def by_vertices(gradients: Gradients) -> Multipliers | None:
    """Non-negative least squares on vertices, those that pull most added each round; None where it does not end."""
    N, E = gradients.size.size, gradients.margin.size
    theta = _flat(gradients.residual(Multipliers(np.zeros(N), np.zeros(E))))
    chosen: dict[Vertex, Array] = {}
    at = Multipliers(np.zeros(N), np.zeros(E))
    for _ in range(MOST_ROUNDS):
        pull = gradients.pulls(gradients.residual(at))
        on = pull.on_kinks > 0.0
        gain = pull.on_base + gradients.gathered(np.where(on, pull.on_kinks, 0.0))
        new = [int(c) for c in np.flatnonzero(gradients.live & (gain > 0.1 * SOLVED))]
        fresh = {(c, (on & (gradients.margin == c)).tobytes()) for c in new} - chosen.keys()
        if not fresh:
            return at
        if (len(chosen) + len(fresh)) * theta.size > LARGEST:
            return None
        chosen |= {vertex: _column(gradients, vertex, theta) for vertex in sorted(fresh)}
        try:
            weights, _ = nnls(np.array(list(chosen.values())).T, theta, maxiter=100 * len(chosen))
        except RuntimeError:  # it cycles
            return None
        at = _weights(list(chosen), weights, N, E)
    return None


def _flat(residual: tuple[Array, Array]) -> Array:
    return np.concatenate([part.ravel() for part in residual])


def _column(gradients: Gradients, vertex: Vertex, theta: Array) -> Array:
    """The gradient of one margin with these kinks on their + branch, in units of its size."""
    at = _weights([vertex], np.ones(1), gradients.size.size, gradients.margin.size)
    return np.asarray(theta - _flat(gradients.residual(at)))


def _weights(vertices: list[Vertex], weights: Array, N: int, E: int) -> Multipliers:
    lam, nu = np.zeros(N), np.zeros(E)
    for (c, on), weight in zip(vertices, weights, strict=True):
        lam[c] += weight
        nu += weight * np.frombuffer(on, dtype=np.bool_)
    return Multipliers(lam, nu)
