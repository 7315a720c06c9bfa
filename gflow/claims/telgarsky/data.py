"""Margins that the data allow, in the kernel and in any network: Telgarsky, Propositions 1.5 and 1.6."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, lgamma

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.potential import parity_features
from gflow.arrays import Array
from gflow.claims.claim import Claim, Conclusion, Judge, above, below, condition
from gflow.claims.telgarsky.best import best_margin
from gflow.claims.telgarsky.setting import ROUNDING, parity, unit_inputs
from gflow.field.hull import least_norm_in_hull
from gflow.problem.span import row_norms

QUADRATURE = 400


def separator(y: Array, C: Array) -> Array:
    """The unit vector u (r,) that separates best, of samples C (n, r) with labels y (n,); 0 where none is found.

    u is the direction of the point of the convex hull of y_i x_i nearest to 0.
    """
    nearest = least_norm_in_hull(y[:, None] * C)
    norm = float(np.linalg.norm(nearest))
    return np.asarray(nearest / norm) if norm > 0.0 else np.zeros(C.shape[1])


def separation(run: AnalyzedRun) -> tuple[float, Array]:
    """The largest gh > 0 found with y_i <u, x_i> >= gh for all i, and z (n,) = <u, x_i>; gh = 0 where no u is found.

    gh is the margin that the unit u has on the samples, not the norm of the point of the hull nearest to 0: where the
    hull nearly touches 0, that norm is rounding, and its direction need not separate the samples.
    """
    y, C = run.problem.y, run.problem.span.C
    z = C @ separator(y, C)
    return max(float(np.min(y * z)), 0.0), z


def _expected(value: Callable[[Array], Array], d: int) -> float:
    """E value(|v|^2) over v ~ N(0, I/d), where |v| <= 2 (Assumption 1.3 truncates there)."""
    nodes_, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    from scipy.stats import chi2  # takes half a second to load

    squares = chi2.ppf(0.5 * (nodes_ + 1.0), d) / d
    return float(0.5 * weights @ np.where(squares < 4.0, value(np.minimum(squares, 4.0)), 0.0))


def ntk_of_inner_map(d: int) -> float:
    """min_i E<theta, d p_i> over gh for theta = (0, sgn(a) u) 1[|w| <= 2]: E[|a| 1[|w| <= 2]] / 2."""
    return 0.5 * _expected(lambda s: np.sqrt(2.0 / np.pi) * -np.expm1(-0.5 * (4.0 - s)), d)


def ntk_of_outer_map(d: int) -> float:
    """The same for theta = (sgn<u, v>, 0) 1[|w| <= 2]: E[|v_1| 1[|w| <= 2]] / 2."""
    coordinate = np.exp(lgamma(0.5 * d) - lgamma(0.5 * (d + 1))) / np.sqrt(np.pi)  # E|u_1|, u uniform on the sphere
    inside = np.vectorize(erf, otypes=[float])
    return 0.5 * float(coordinate) * _expected(lambda s: np.sqrt(s) * inside(np.sqrt(0.5 * (4.0 - s))), d)


def ntk_margin(run: AnalyzedRun) -> tuple[float, bool] | None:
    """A lower bound of gamma_ntk, and whether it holds for the network's own start; None where none is known.

    Assumption 1.3 has a ~ N(0, 1) and the network a ~ N(0, 1/m).  Maps theta that move the outer layer gain
    gamma_ntk sqrt(m) all the same (Lemma A.3), those that move the inner one do not.  So separable data are given the
    outer map of Proposition 1.5, and the 1/(50 d) of parity, by an inner map, is only what is printed.
    """
    d, (gh, _) = run.problem.X.shape[1], separation(run)
    if gh > 0.0:
        return gh * ntk_of_outer_map(d), True
    return None if parity_features(run.problem) is None else (1.0 / (50.0 * d), False)


def _separable(name: str, statement: str, value_and_bound: Callable[[float, int], tuple[float, float]]) -> Judge:
    def judge(run: AnalyzedRun) -> Claim:
        gh, _ = separation(run)
        conclusion = above(*map(float, value_and_bound(gh, run.problem.X.shape[1]))) if gh > 0.0 else None
        hypotheses = (unit_inputs(run), condition("linearly separable data", gh > 0.0))
        return Claim(name, statement, "data", hypotheses, conclusion)

    return judge


prop1_5_1 = _separable(
    "tel.prop1.5.1",
    "gamma_ntk >= gh/32 by theta = (0, sgn(a) u); the value is the exact expectation of this map.",
    lambda gh, d: (gh * ntk_of_inner_map(d), gh / 32.0),
)
prop1_5_2 = _separable(
    "tel.prop1.5.2",
    "gamma_ntk >= gh/(16 sqrt(d)) by theta = (sgn<u, v>, 0); the value is the exact expectation of this map.",
    lambda gh, d: (gh * ntk_of_outer_map(d), gh / (16.0 * np.sqrt(d))),
)


def prop1_5_3(run: AnalyzedRun) -> Claim:
    """gamma_gl >= gh / 2 by the two neurons +-u: the margin of u itself, worked out on the samples."""
    gh, z = separation(run)
    reached = run.problem.y * 0.5 * (np.maximum(z, 0.0) - np.maximum(-z, 0.0))
    conclusion = above(float(reached.min()), 0.5 * gh, rounding=1e-6) if gh > 0.0 else None
    hypotheses = (unit_inputs(run), condition("linearly separable data", gh > 0.0))
    return Claim("tel.prop1.5.3", "gamma_gl >= gh/2 by the neurons u and -u.", "data", hypotheses, conclusion)


def prop1_6_1(run: AnalyzedRun) -> Claim:
    """gamma_ntk >= 1/(50 d) for parity; the value is the closed form for the paper's map, without truncation."""
    d = run.problem.X.shape[1]
    value = float(np.arcsin(np.sqrt(2.0 / max(d, 2))) / np.pi / np.sqrt(np.pi * d))
    return Claim(
        "tel.prop1.6.1",
        "gamma_ntk >= 1/(50 d); the value is that of the paper's map without its truncation.",
        "data",
        (parity(run),),
        above(value, 1.0 / (50.0 * d)),
    )


def prop1_6_2(run: AnalyzedRun) -> Claim:
    """Four neurons give every sample the margin 1/sqrt(8d), each through exactly one of them."""
    features, problem = parity_features(run.problem), run.problem
    conclusion = None
    if features is not None:
        z = features.beta @ problem.X.T
        reached = problem.y * (features.alpha @ np.maximum(z, 0.0))
        gap = float(np.abs(reached / features.margin - 1.0).max())
        single = bool(((z > ROUNDING).sum(axis=0) == 1).all())
        conclusion = below(gap, ROUNDING) if single else Conclusion(False, gap, ROUNDING)
    return Claim(
        "tel.prop1.6.2",
        "Four neurons give every sample the margin 1/sqrt(8d), one neuron each; the value is the largest deviation.",
        "data",
        (parity(run),),
        conclusion,
    )


def lemma_a1(run: AnalyzedRun) -> Claim:
    """gamma_ntk >= gamma_gl / (8 sqrt(d)) by theta = (1, 0) 1[|w| <= 2], whose expectation is that of one sample."""
    problem = run.problem
    d, norms = problem.X.shape[1], row_norms(problem.X)
    hypotheses = (
        condition("all labels are +1", bool((problem.y == 1.0).all())),
        condition("inputs of norm 1", bool(np.abs(norms - 1.0).max() < ROUNDING)),
    )
    best = best_margin(run) if all(each.holds for each in hypotheses) else None
    bound = min(1.0, np.inf if best is None else best) / float(8.0 * np.sqrt(d))
    return Claim(
        "tel.lemA1",
        "gamma_ntk >= gamma_gl/(8 sqrt(d)) by theta = (1, 0); the value is the exact expectation of this map, gamma_gl "
        "is bounded by 1, and by duality where the data allow.",
        "data",
        hypotheses,
        above(ntk_of_outer_map(d), bound),
    )


CLAIMS: tuple[Judge, ...] = (
    lemma_a1,
    prop1_5_1,
    prop1_5_2,
    prop1_5_3,
    prop1_6_1,
    prop1_6_2,
)
