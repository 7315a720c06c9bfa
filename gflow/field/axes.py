"""On which axes errors are judged where samples differ greatly in size.

Component by component, the masses of ordinary samples would have to be exact to what moves the margin of a sample of
norm 1e8, though the flow makes up for that at once by a tiny mass of the large one.  On axes in the order of the
margins they move, the first alone moves the largest margin, and the errors along the others count by what is left.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import block_diag, qr

from gflow.arrays import EPS, Array
from gflow.ode.axes import Axes
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# Samples whose norms differ by no more than this are judged component by component.
UNLIKE = 100.0


def unlike(problem: Problem) -> bool:
    """Do the samples differ greatly in size?"""
    sizes = row_norms(problem.span.C)
    return bool(sizes.max() > UNLIKE * sizes.min())


def resolved_margins(problem: Problem, U: Array, floor: float) -> Array:
    """What margins (n,) may be off: `floor`, or ten times what float64 leaves open of the sums that they are."""
    terms = row_norms(problem.span.C) * float(np.abs(problem.network.outer) @ row_norms(U))
    return np.maximum(floor, 10.0 * EPS * terms)


def margin_axes(
    moved: Array, weight: Callable[[Array], Array], margins: Array, clock: Callable[[Array], float]
) -> Axes:
    """Axes of a state (y, v) whose margins move by moved @ y, moved (n, k).

    weight: of |Q| (k, k), what each coordinate of z = Q^T y may be off for the weights, (k,); margins (n,): what they
    may be off; clock: the error scale of v at a state.
    """
    Q, R, order = qr(moved.T, pivoting=True)
    size, coupling = np.abs(Q), np.zeros(Q.shape[0])
    coupling[: R.shape[0]] = (np.abs(R) / margins[order]).sum(axis=1)
    with np.errstate(divide="ignore", over="ignore"):
        floor = np.clip(np.minimum(weight(size), 1.0 / coupling), 1e-150, 1e150)

    def scale(y: Array) -> Array:
        return np.append(np.maximum(floor, 1e2 * EPS * (np.abs(y[:-1]) @ size)), clock(y))

    return Axes(block_diag(Q, 1.0), scale)
