"""Dual variables, and the samples that the rescaled time counts (MATHEMATICS 1)."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Bools, Sides
from gflow.problem.network import Network
from gflow.problem.problem import Problem

# g of a sample that nothing moves may outgrow the others without bound; its ratio to them is capped at e^200.
LARGEST = 200.0


def live_samples(problem: Problem, pattern: Sides) -> Bools:
    """The live samples (n,): those on which some neuron that moves is active without sliding.

    pattern (m, n): signs of pre-activations, 0 for a slide.  All samples are live where there is an output bias, or no
    kink to cross.
    """
    if all_live(problem):
        return np.ones(problem.samples, dtype=bool)
    return np.asarray(moving_pairs(problem, pattern).any(axis=0))


def all_live(problem: Problem) -> bool:
    """Whether every sample is live, whatever the pattern."""
    return problem.network.output_bias is not None or not problem.network.kinked


def moving_pairs(problem: Problem, pattern: Sides) -> Bools:
    """(m, n): whether the neuron moves (its a_j is trained, or not 0) and the sample is one that moves it.

    pattern (m, n): as in `live_samples`.
    """
    network = problem.network
    moves = network.trains_outer | np.atleast_2d(network.outer != 0.0).any(axis=0)
    return active_pairs(network, pattern) & np.broadcast_to(moves, network.width)[:, None]


def active_pairs(network: Network, pattern: Sides) -> Bools:
    """(m, n): whether phi' != 0; False where a neuron slides.  pattern (m, n): as in `live_samples`."""
    if network.smoothing is not None:
        return np.ones(pattern.shape, dtype=bool)
    return (pattern > 0) | ((pattern < 0) & (network.slope > 0.0))


def dual_variables(log_g: Array, live: Bools) -> tuple[Array, Array]:
    """q_i = g_i / sum g (..., n) and log sum g (...), from log_g (..., n); the sums are over live samples, live (n,).

    Where none is live the sums are over all samples.  q of a sample that is not live may exceed 1.
    """
    counted = log_g[..., live] if live.any() else log_g
    largest = counted.max(axis=-1, keepdims=True)
    # The differences of logarithms are taken first: late in a flow these are large, and so is their rounding.
    total = np.exp(counted - largest).sum(axis=-1, keepdims=True)
    return np.exp(np.minimum(log_g - largest, LARGEST)) / total, (largest + np.log(total))[..., 0]
