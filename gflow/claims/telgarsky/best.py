"""The best margin gamma_gl of any network, known or bounded, and the claim that no row exceeds half of it."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.analysis.potential import parity_features
from gflow.arrays import Array
from gflow.claims.claim import Claim, Judge, below, condition, worst_row
from gflow.claims.telgarsky.setting import ROUNDING, relu
from gflow.problem.span import row_norms

LP_ANGLES, FINE_ANGLES = 360, 20_000


def best_margin(run: AnalyzedRun) -> float | None:
    """An upper bound of the largest gamma_gl: 1/sqrt(8d) for complete parity, by duality in the plane; else None.

    For every q in the simplex gamma_gl <= max over unit beta of |sum_i q_i y_i relu(<beta, x_i>)|; the q is that of a
    linear program over a grid of directions, and the maximum over a fine grid is enlarged by its Lipschitz constant.
    """
    problem = run.problem
    features = parity_features(problem)
    d = problem.X.shape[1]
    if features is not None and d < 20 and np.unique(problem.X > 0.0, axis=0).shape[0] == 2**d:
        return features.margin
    if problem.span.rank != 2:
        return None
    hidden = _on_circle(problem.y, problem.span.C, LP_ANGLES)
    columns = np.hstack([hidden, -hidden])
    cost = np.append(np.zeros(columns.shape[1]), -1.0)
    solved = linprog(
        cost,
        A_ub=np.hstack([-columns, np.ones((problem.samples, 1))]),
        b_ub=np.zeros(problem.samples),
        A_eq=np.append(np.ones(columns.shape[1]), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0.0, None)] * columns.shape[1] + [(None, None)],
    )
    if not solved.success:
        return None
    q = np.maximum(-solved.ineqlin.marginals, 0.0)
    q = q / q.sum()
    lipschitz = float(q @ row_norms(problem.span.C))
    return float(np.abs(q @ _on_circle(problem.y, problem.span.C, FINE_ANGLES)).max() + lipschitz * np.pi / FINE_ANGLES)


def _on_circle(y: Array, C: Array, angles: int) -> Array:
    """y_i relu(<beta_k, c_i>) (n, angles) for directions equally spaced on the circle."""
    angle = 2.0 * np.pi * np.arange(angles) / angles
    return np.asarray(y[:, None] * np.maximum(C @ np.array([np.cos(angle), np.sin(angle)]), 0.0))


def supmargin(run: AnalyzedRun) -> Claim:
    """gam(W) <= gamma_gl / 2 for every W, with an upper bound of the best gamma_gl."""
    bound, rows = best_margin(run), along(run)
    squares = np.where(rows.size > 0.0, rows.size, 1.0) ** 2
    value, when = worst_row(rows.margins.min(axis=1) / squares, rows.v, least=False)
    return Claim(
        "tel.supmargin",
        "The normalised margin of every network is at most half the best gamma_gl.",
        "rows",
        (relu(run), condition("gamma_gl is bounded: complete parity, or data in the plane", bound is not None)),
        None if bound is None else below(value, 0.5 * bound, when, rounding=ROUNDING),
    )


CLAIMS: tuple[Judge, ...] = (supmargin,)
