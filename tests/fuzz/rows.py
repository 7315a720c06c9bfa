"""What a row says, against a plain network that knows the inputs, the labels and the weights only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gflow.flow.state import FlowState
from gflow.problem.problem import Problem

Array = NDArray[np.float64]

# In units of the terms of a sum: rounding of a few operations, and the band in which a pair counts as on its kink.
ROUNDING = 1e4 * float(np.finfo(float).eps)
# Of the way a neuron went: what the steps of the integrator may have left out of it.
LEFT_OUT = 1e-5


def check_row(problem: Problem, W: Array, state: FlowState) -> None:
    """Margins, log L and sides of a row are those of the weights at it; W (m, d) at the start.

    A pre-activation is known to the rounding of its terms: the weights, those at the start, and the longest way the
    masses (tau in all) could have moved the neuron, of which much may have cancelled.  A margin is a sum of them, and
    log L moves by no more than the margins do.
    """
    B, a, gamma = problem.span.B, problem.network.outer, problem.network.slope
    moved, lengths = W + (state.U - W @ B.T) @ B, np.linalg.norm(problem.X, axis=1)
    z = moved @ problem.X.T
    size = np.linalg.norm(moved, axis=1) + np.linalg.norm(W, axis=1) + longest_way(problem, state)
    room = ROUNDING * size[:, None] * lengths
    p = problem.y * (a @ np.where(z > 0.0, z, gamma * z))
    unsure = np.abs(a) @ room
    assert (np.abs(p - state.p) <= unsure).all(), f"margins {state.p} are not those of the weights, {p}"
    log_loss = plain_log_loss(problem.loss.name, p)
    slack = unsure.max() + 1e-12 * (1.0 + abs(log_loss))
    assert abs(log_loss - state.log_loss) <= slack, (
        f"log loss {state.log_loss!r} is not that of the weights, {log_loss!r}"
    )
    if problem.network.kinked:
        sides = problem.sample_sides(state.side)
        wrong = (sides * z < -room) | ((sides == 0) & (np.abs(z) > room))
        assert not wrong.any(), f"sides {sides[wrong]} where pre-activations are {z[wrong]}, rounded to {room[wrong]}"


def plain_log_loss(loss: str, p: Array) -> float:
    """log L of the margins p (n,), by its definition."""
    values = -p if loss == "exponential" else np.log(np.logaddexp(0.0, -p), where=p < 700.0, out=-p)
    return float(np.logaddexp.reduce(values) - np.log(p.size))


def check_cone(problem: Problem, W: Array, state: FlowState) -> None:
    """sign(a_j) (w_j(t) - w_j(0)) is a combination of the y_i x_i with weights >= 0: integrals of g_i phi'."""
    rays = (problem.y[:, None] * problem.span.C).T
    rays = rays / np.linalg.norm(rays, axis=0)
    path_stability_of = np.sign(problem.network.outer)[:, None] * (state.U - W @ problem.span.B.T)
    rounding = ROUNDING * (np.linalg.norm(W, axis=1) + longest_way(problem, state))
    for j, way in enumerate(path_stability_of):
        far = float(np.linalg.norm(way))
        apart = far * nnls(rays, way / far)[1] if far > 0.0 else 0.0
        assert apart <= LEFT_OUT * far + rounding[j], (
            f"neuron {j} went {way}, {apart:.1e} outside the cone of the y_i x_i"
        )
    resting = problem.network.outer == 0.0
    assert (np.abs(state.U - W @ problem.span.B.T)[resting] <= rounding[resting, None]).all()


def longest_way(problem: Problem, state: FlowState) -> Array:
    """What moves neuron j, (m,), were nothing to cancel in it: |a_j| tau max |x_i|, as the masses add up to tau."""
    return np.asarray(np.abs(problem.network.outer) * state.tau * np.linalg.norm(problem.X, axis=1).max())
