"""Axes on which errors are judged where samples differ greatly in size.

A sample of norm 1e8 has a margin that reacts to tiny errors in the masses of ordinary samples.  Judged component by
component, these masses would have to be exact to that margin, although the flow corrects it at once by a tiny mass of
the large sample.  So the axes are ordered by the margins they move: the first alone moves the largest margin, and
errors along the others are judged by the margins that remain.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import block_diag, qr

from gflow.arrays import EPS, Array
from gflow.ode.axes import Axes
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# Samples whose norms differ by at most this factor are judged component by component.
UNLIKE = 100.0


def unlike(problem: Problem) -> bool:
    """Whether the samples differ greatly in size."""
    sizes = row_norms(problem.span.C)
    return bool(sizes.max() > UNLIKE * sizes.min())


def resolved_margins(problem: Problem, U: Array, floor: float) -> Array:
    """The error allowed in margins (n,) at U (m, r): `floor`, or more where rounding is larger.

    More is ten times the rounding of the sums that the margins are.
    """
    terms = row_norms(problem.span.C) * float(np.abs(problem.network.outer) @ row_norms(U))
    return np.maximum(floor, 10.0 * EPS * terms)


def margin_axes(
    moved: Array, weight: Callable[[Array], Array], margins: Array, clock: Callable[[Array], float]
) -> Axes:
    """Axes of a state (y, v) whose margins move by moved @ y, moved (n, k).

    weight: from |Q| (k, k) to the error that the weights allow in each coordinate of z = Q^T y, (k,); margins (n,): the
    error allowed in them; clock: from a state (k + 1,) to the error scale of v.
    """
    Q, R, order = qr(moved.T, pivoting=True)
    size, coupling = np.abs(Q), np.zeros(Q.shape[0])
    coupling[: R.shape[0]] = (np.abs(R) / margins[order]).sum(axis=1)
    with np.errstate(divide="ignore", over="ignore"):
        floor = np.clip(np.minimum(weight(size), 1.0 / coupling), 1e-150, 1e150)

    def scale(y: Array) -> Array:
        return np.append(np.maximum(floor, 1e2 * EPS * (np.abs(y[:-1]) @ size)), clock(y))

    return Axes(block_diag(Q, 1.0), scale)
