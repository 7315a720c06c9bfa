"""Neurons that start with the same weights have the same weights for ever, also where rounding would part them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.flow.primal import _twins
from gflow.problem.activation import SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import relative_gap, until_time
from tests.primal.driver import primal

END, ALIKE = 12.0, 5
X = np.array([[6.0, 0.3, 0.1], [-6.0, -0.3, -0.1], [0.1, 1.0, 0.4]])
Array = NDArray[np.float64]


def last_weights(outer: list[float], start: Array, t: float) -> Array:
    """W (m, 3) at t of a network with this outer layer; two samples push against each other, as near a saddle."""
    problem = Problem.of(X, np.ones(3), Network(np.array(outer), 0.1, False, SmoothLeaky(0.1)), LOSSES["logistic"])
    W = np.tile(start, (len(outer), 1))
    return primal(problem, W, until_time(t), rtol=1e-12, method="DOP853").weights(W)


def test_equal_neurons_move_as_one() -> None:
    """m neurons with outer weights 1 have the flow of one with outer weight m at m times the time."""
    start = np.array([1e-9, 0.0, 0.0])
    many = last_weights([1.0] * ALIKE, start, END)
    assert np.abs(many - many[0]).max() < 1e-14
    assert relative_gap(many[:1], last_weights([float(ALIKE)], start, END / ALIKE)) < 1e-6


def test_who_is_tied_to_whom() -> None:
    U = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    assert np.array_equal(np.asarray(_twins(U, np.array([1.0, 1.0, 1.0, -1.0, 1.0]))), [0, 1, 0, 3, 0])
    assert _twins(U[:2], np.ones(2)) is None
    assert np.array_equal(np.asarray(_twins(U, np.ones((3, 5)))), [0, 1, 0, 1, 0])
