"""The weights W along a run, without an (m, d) array per row: the part outside the span of the samples never
changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array, Integers
from gflow.trajectory import Trajectory


def outside(trajectory: Trajectory) -> Array:
    """W_perp (m, d), the part of W outside the span; zeros for a scalar network, whose directions are frozen."""
    W = trajectory.W_initial
    if trajectory.directions is not None:
        return np.zeros_like(W)
    return np.asarray(W - (W @ trajectory.basis.T) @ trajectory.basis)


def span_part(trajectory: Trajectory, row: int) -> Array:
    """U (m, r) of W = W_perp + U B, whatever constant `inner` has; W itself (m, d) for a scalar network."""
    if trajectory.directions is not None:
        return trajectory.weights(row)
    start = trajectory.W_initial @ trajectory.basis.T
    return np.asarray(start + trajectory.read("inner", row) - trajectory.read("inner", 0))


def singular_values(trajectory: Trajectory, rows: Integers) -> Array:
    """(k, min(m, d)) singular values of W at some rows, largest first; relative to the largest, good to 1e-7."""
    W_perp = outside(trajectory)
    few_neurons = W_perp.shape[0] <= W_perp.shape[1]
    gram_outside = W_perp @ W_perp.T
    basis = trajectory.basis

    def squared(row: int) -> NDArray[Any]:
        U = span_part(trajectory, row)
        if few_neurons:
            return np.linalg.eigvalsh(gram_outside + U @ U.T)
        W = U if trajectory.directions is not None else W_perp + U @ basis
        return np.linalg.eigvalsh(W.T @ W)

    return np.array([np.sqrt(squared(int(row))[::-1].clip(0.0)) for row in rows], dtype=np.float64)


def angles_to_last(trajectory: Trajectory, rows: Integers) -> Array:
    """(k,) angle (radians) of W at some rows (k,) to W at the last row, accurate where it is small."""
    W_perp = outside(trajectory)
    fixed = float(np.sum(W_perp**2))
    last = span_part(trajectory, -1)
    size = float(np.sum(last**2)) + fixed

    def angle(row: int) -> float:
        U = span_part(trajectory, row)
        along = (float(np.sum(U * last)) + fixed) / size
        across = np.sqrt(float(np.sum((U - along * last) ** 2)) + fixed * (1.0 - along) ** 2)
        return float(np.arctan2(across, along * np.sqrt(size)))

    return np.array([angle(int(row)) for row in rows])


def cosines(trajectory: Trajectory) -> Array:
    """(m,) of w_j at the first and the last row, in [-1, 1]; 1 where either is 0."""
    first, last = trajectory.weights(0), trajectory.weights(-1)
    sizes = np.linalg.norm(first, axis=1) * np.linalg.norm(last, axis=1)
    product = np.sum(first * last, axis=1)
    return np.asarray(np.divide(product, sizes, out=np.ones_like(sizes), where=sizes > 0.0).clip(-1.0, 1.0))


def outer_sizes(outer: Array) -> Array:
    """(m,) |a_j| of outer (m,) or (K, m): the norm over the outputs where there are several."""
    return np.asarray(np.linalg.norm(np.atleast_2d(outer), axis=0))


def neuron_sizes(trajectory: Trajectory, row: int) -> Array:
    """(m,) |a_j| |w_j| at one row."""
    return np.asarray(outer_sizes(trajectory.outer_at(row)) * np.linalg.norm(trajectory.weights(row), axis=1))
