"""Samples so short that margins say little: weights are followed to their own tolerance before a flow is at rest."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.arrays import Array
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import flow, until_log_time

RTOL, WIDTH = 1e-8, 4


def contradicting(length: float, seed: int) -> tuple[Problem, Array]:
    """Three samples in the plane with both labels each: L is least where f = 0 on all of them."""
    rng = np.random.default_rng(seed)
    X = length * np.repeat(rng.normal(size=(3, 2)), 2, axis=0)
    network = Network(3.0 * rng.normal(size=WIDTH), 0.5, False)
    return Problem.of(X, np.tile([1.0, -1.0], 3), network, LOSSES["exponential"]), 1e3 * rng.normal(size=(WIDTH, 2))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [1e-11, 1e-9, 1e-7, 1e-3])
def test_contradicting_samples_leave_no_margin(length: float, seed: int) -> None:
    """f = 0 on all samples in the end, to rtol of the terms of f; rounding of q leaves 1e-12 of slow directions."""
    problem, W = contradicting(length, seed)
    found = flow(problem, W, until_log_time(200.0))
    terms = np.abs(problem.network.outer) @ np.linalg.norm(W, axis=1) * np.linalg.norm(problem.X, axis=1)
    assert (np.abs(found.state.p) <= 10.0 * RTOL * terms + 1e-12).all()
