"""Dual variables, and the samples that the rescaled time counts (MATHEMATICS 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.problem.network import Network
from gflow.problem.problem import Problem

Samples = NDArray[np.bool_]

# A sample that nothing moves may outweigh the others without bound: beyond e^200 only its size is forgotten.
LARGEST = 200.0


def live_samples(problem: Problem, pattern: NDArray[np.int8]) -> Samples:
    """(n,): samples that some neuron that moves is active on without sliding, at signs (m, n) with 0 for a slide.

    All of them where there is an output bias, or no kink to cross.
    """
    if all_live(problem):
        return np.ones(problem.samples, dtype=bool)
    return np.asarray(moving_pairs(problem, pattern).any(axis=0))


def all_live(problem: Problem) -> bool:
    """Is every sample live, whatever the pattern?"""
    return problem.network.output_bias is not None or not problem.network.kinked


def moving_pairs(problem: Problem, pattern: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(m, n): is the neuron one that moves (its a_j is trained, or not 0), and the sample one that moves it?"""
    network = problem.network
    moves = network.trains_outer | np.atleast_2d(network.outer != 0.0).any(axis=0)
    return active_pairs(network, pattern) & np.broadcast_to(moves, network.width)[:, None]


def active_pairs(network: Network, pattern: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(m, n): is phi' != 0, with 0 where a neuron slides?"""
    if network.smoothing is not None:
        return np.ones(pattern.shape, dtype=bool)
    return (pattern > 0) | ((pattern < 0) & (network.slope > 0.0))


def dual_variables(log_g: Array, live: Samples) -> tuple[Array, Array]:
    """q_i = g_i / sum g (..., n) and log sum g (...), the sums over live samples, or over all where none is live.

    q of a sample that is not live may exceed 1.
    """
    counted = log_g[..., live] if live.any() else log_g
    largest = counted.max(axis=-1, keepdims=True)
    # Differences of large logarithms first: late, they are known to their own rounding only.
    total = np.exp(counted - largest).sum(axis=-1, keepdims=True)
    return np.exp(np.minimum(log_g - largest, LARGEST)) / total, (largest + np.log(total))[..., 0]
