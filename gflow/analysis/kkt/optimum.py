"""The comparison of a KKT point with the global optimum: Frei et al., Theorem 3.2, items 4 to 7."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.analysis.rank import row_spread
from gflow.arrays import Array
from gflow.limit.hard_margin import hard_margin
from gflow.limit.limit_point import LimitPoint
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.reference.margins import margins_at

# At a limit, stationarity and complementarity up to this count as zero: far above rounding, far below a wrong slope.
ZERO = 1e-6
# Rows of one sign are one vector, and norms are equal, up to this relative difference.
EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class ConvexProgram:
    """The program over two rows (v, u) of Frei et al., item 5, for outer weights of one size and a leaky ReLU.

    norm_ratio: |W*| / |W of the program|, both networks scaled to least margin 1 (None where the latter has none that
    is positive); angle of the two (radians); least_margin: of the program's network before scaling, at least 1 where
    its rows have the signs that the program takes for granted.  near_orthogonality: R_min^2 slope^3 /
    (3 R^2 n max |<x_i, x_k>|), at least 1 where Theorem 3.2 applies (None for orthogonal samples, where it does too).
    """

    norm_ratio: float | None
    angle: float
    least_margin: float
    near_orthogonality: float | None


@dataclass(frozen=True, slots=True)
class LinearPredictor:
    """sign f(x) = sign <z, x>, z = sum_j a_j w_j (item 6), against the hard-margin linear classifier z* (item 7).

    angle (radians) between them; norm_ratio |z| / |z*| at least margin 1 of the network, with the bound of item 7.
    """

    angle: float
    norm_ratio: float
    bound: float


def convex_program(problem: Problem, limit: LimitPoint) -> ConvexProgram | None:
    """The comparison; None for other networks, and where no (v, u) of the right signs has positive margins."""
    a, y, slope, C = problem.network.outer, problem.y, problem.network.slope, problem.span.C
    size = np.abs(a)
    if slope == 0.0 or size.max() - size.min() > EQUAL * size.max():
        return None
    # The slope of every pair is 1 where sign(a_j) y_i > 0, else `slope`: the kernel in closed form.
    plus, minus = float(a[a > 0.0] @ a[a > 0.0]), float(a[a < 0.0] @ a[a < 0.0])
    own = np.where(y > 0.0, plus + slope**2 * minus, minus + slope**2 * plus)
    K = (C @ C.T) * np.where(y[:, None] == y, own, -slope * (plus + minus))
    solved = hard_margin(K)
    if solved is None:
        return None
    s = np.where(a[:, None] * y > 0.0, 1.0, slope)
    W = a[:, None] * ((s * (y * solved.multipliers)) @ C)
    least = float(margins_at(problem, Parameters(W, a)).min())
    ratio = None if least <= 0.0 else float(np.linalg.norm(limit.U) * least / np.linalg.norm(W))
    return ConvexProgram(ratio, _angle(limit.U, W), least, _near_orthogonality(problem))


def _near_orthogonality(problem: Problem) -> float | None:
    gram = problem.span.C @ problem.span.C.T
    norms, n = row_norms(problem.span.C), problem.samples
    coherence = float(np.abs(gram - np.diag(np.diag(gram))).max())
    if n == 1 or coherence == 0.0:
        return None
    ratio = norms.max() / norms.min()
    return float(norms.min() ** 2 * problem.network.slope**3 / (3.0 * ratio**2 * n * coherence))


def is_global(problem: Problem, program: ConvexProgram | None) -> bool | None:
    """Is a KKT point with least margin 1 optimal?  False where the program gives a shorter W with margins at least 1;
    true where it is the only KKT point (Frei et al., item 4), or where everything is linear.
    """
    if problem.network.slope == 1.0:
        return True
    if program is None or program.norm_ratio is None:
        return None
    if program.norm_ratio > 1.0 + EQUAL:
        return False
    near = program.near_orthogonality
    both_signs = bool((problem.network.outer > 0.0).any() and (problem.network.outer < 0.0).any())
    proved = both_signs and (near is None or near >= 1.0)
    return True if proved and program.angle < ZERO else None


def linear_predictor(problem: Problem, limit: LimitPoint) -> LinearPredictor | None:
    """The comparison; None where rows of one sign differ, for slope 0 (f = 0 on half spaces), or not separable."""
    a, C, y, slope = problem.network.outer, problem.span.C, problem.y, problem.network.slope
    spreads = [row_spread(limit.U, a, sign) for sign in (1, -1)]
    if slope == 0.0 or max(spread or 0.0 for spread in spreads) > EQUAL:
        return None
    solved = hard_margin((C @ C.T) * np.outer(y, y))
    if solved is None:
        return None
    z, best = a @ limit.U / limit.margins.min(), (solved.multipliers * y) @ C
    counts = sorted((int((a > 0.0).sum()), int((a < 0.0).sum())))
    bound = 2.0 / (float(np.sqrt(counts[0] / counts[1])) + slope)
    return LinearPredictor(_angle(z, best), float(np.linalg.norm(z) / np.linalg.norm(best)), bound)


def _angle(first: Array, second: Array) -> float:
    """The angle of two vectors, in [0, pi], without cancellation at 0."""
    u, v = first / np.linalg.norm(first), second / np.linalg.norm(second)
    return float(2.0 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v)))
