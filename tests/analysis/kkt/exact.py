"""Points that are KKT exactly, on grids: ties, repeated samples, kinks, multipliers that are not unique; any scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.kkt.problem import Gradients
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
KINDS = ("hypercube", "grid", "repeated", "scaled")


def made(seed: int) -> tuple[Problem, Array, NDArray[np.int8], Array] | None:
    """theta = sum_i lambda_i h_i from a chosen mode: problem, U, pattern, lambda; None where U = 0."""
    rng = np.random.default_rng(seed)
    d, m, n = (int(rng.integers(1, most)) for most in (4, 9, 13))
    X = rng.integers(-2, 3, (n, d)).astype(float)
    match KINDS[seed % len(KINDS)]:
        case "hypercube":
            X = rng.choice([-1.0, 1.0], (n, d))
        case "repeated":
            X[rng.integers(n)] = X[0]
        case "scaled":
            X *= 10.0 ** rng.integers(-3, 4, (n, 1))
    X[~X.any(axis=1)] = 1.0
    slope, y = float(rng.choice([0.0, 0.1, 0.5])), rng.choice([-1.0, 1.0], n)
    outer = rng.choice([-1.0, 1.0], m) * float(rng.choice([1.0, 1e-6, 1e6]))
    problem = Problem.of(X, y, Network(outer, slope), LOSSES["exponential"])
    kinks = float(rng.choice([0.1, 0.3, 0.8]))
    side = rng.choice([-1, 0, 1], (m, problem.surfaces.count), p=[0.5 - kinks / 2, kinks, 0.5 - kinks / 2])
    pattern = problem.sample_sides(side.astype(np.int8))
    multipliers = rng.integers(0, 4, n) / 4.0 * 10.0 ** rng.uniform(-6.0, 6.0)
    inside = slope + (1.0 - slope) * rng.choice([0.0, 0.25, 0.5, 1.0], pattern.shape)
    slopes = np.where(pattern > 0, 1.0, np.where(pattern < 0, slope, inside))
    weights = outer[:, None] * slopes * (y * multipliers)
    U, terms = weights @ problem.span.C, np.abs(weights) @ np.abs(problem.span.C)
    # Where all terms cancel, what is left is rounding and no point that was made.
    return (problem, U, pattern, multipliers) if np.abs(U).max() > 1e-6 * terms.max() else None


def tied(problem: Problem, U: Array, pattern: NDArray[np.int8]) -> Gradients:
    """The convex problem at U (m, r) with every sample on the margin: which margins tie is not what is tried here."""
    gradients = Gradients(problem, Parameters(U, problem.network.outer), pattern)
    gradients.p = np.ones_like(gradients.p)
    return gradients
