"""An independent oracle of stationarity: non-negative least squares over all vertices of the Clarke sets."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
Pattern = NDArray[np.int8]


def all_vertices(problem: Problem, U: Array, outer: Array, pattern: Pattern) -> Array:
    """Every extreme gradient of every margin, one a column: each kink of a sample on one of its two branches."""
    A, slope, K = np.atleast_2d(outer), problem.network.slope, problem.network.outputs
    columns = []
    for i in range(problem.samples):
        x, kinks = problem.span.C[i], np.flatnonzero(pattern[:, i] == 0)
        if K == 1:
            pulls = [np.array([problem.y[i]])]
        else:
            own = np.eye(K)[int(problem.y[i])]
            pulls = [own - np.eye(K)[k] for k in range(K) if k != int(problem.y[i])]
        z = np.where(pattern[:, i] == 0, 0.0, U @ x)
        hidden = np.where(pattern[:, i] > 0, 1.0, slope) * z
        for pull, branches in product(pulls, product([slope, 1.0], repeat=kinks.size)):
            slopes = np.where(pattern[:, i] > 0, 1.0, slope)
            slopes[kinks] = branches
            column = [np.outer((pull @ A) * slopes, x).ravel()]
            columns.append(np.concatenate(column + [np.outer(pull, hidden).ravel()] * problem.network.trains_outer))
    return np.array(columns).T


def by_vertices(problem: Problem, U: Array, outer: Array, pattern: Pattern) -> float:
    """Stationarity by non-negative least squares: sums of multiples of Clarke sets are the cone of their vertices."""
    theta = np.concatenate([U.ravel()] + [np.atleast_2d(outer).ravel()] * problem.network.trains_outer)
    return float(nnls(all_vertices(problem, U, outer, pattern), theta, maxiter=100_000)[1] / np.linalg.norm(theta))


def drawn(seed: int) -> tuple[Problem, Array, Array, Pattern]:
    """A small network of any kind at a random point, some pairs put on their kink; sometimes collinear samples."""
    rng = np.random.default_rng(seed)
    n, d, m, K = (int(k) for k in (rng.integers(1, 7), rng.integers(1, 7), rng.integers(1, 6), rng.choice([1, 1, 3])))
    X, slope = rng.standard_normal((n, d)), float(rng.choice([0.0, 0.1, 0.5]))
    if seed % 3 == 0:
        X[rng.integers(n)] = X[0] * rng.choice([1.0, 2.0, -1.0])
    y = rng.choice([-1.0, 1.0], n) if K == 1 else rng.integers(0, 3, n).astype(float)
    outer = rng.standard_normal(m if K == 1 else (K, m))
    problem = Problem.of(X, y, Network(outer, slope, trains_outer=bool(seed % 2)), LOSSES["logistic"])
    U = rng.standard_normal((m, problem.span.rank))
    pattern = np.sign(U @ problem.span.C.T)
    pattern[rng.random((m, n)) < 0.3] = 0.0
    if seed % 5 == 0:
        U[0], pattern[0] = 0.0, 0.0  # a neuron at w = 0 is on all kinks
    return problem, U, outer, pattern.astype(np.int8)
