"""a_j = 0, w_j = 0, starts on kinks: ordinary cases (MATHEMATICS 4), checked against small-step gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import until_time
from tests.primal.driver import event_list, primal
from tests.reference.plain_network import PlainNetwork, Weights, leaky

Array = NDArray[np.float64]
END, ETA = 3.0, 5e-4
SLIDE, LEAVE_UP, LEAVE_DOWN = 3, 4, 5


@dataclass(frozen=True)
class Corner:
    """One neuron in the plane: samples, labels, its start, and the kinds of the events to come."""

    X: list[list[float]]
    y: list[float]
    a: float
    w: list[float]
    slope: float
    kinds: list[int]


CORNERS = {
    "outer zero on a kink, pushed up": Corner([[1, 0], [0, 1]], [1, 1], 0.0, [0, 1], 0.2, [LEAVE_UP]),
    "outer zero on a kink, pushed down": Corner([[1, 0], [0, 1]], [-1, 1], 0.0, [0, 1], 0.2, [LEAVE_DOWN]),
    "outer zero off every kink": Corner([[1, 0.2], [0.3, 1]], [1, -1], 0.0, [0.5, 1], 0.2, []),
    "outer weight passes zero": Corner([[1, 0.2], [0.3, 1], [-1, 0.5]], [1, -1, -1], 0.3, [0.1, 1], 0.0, []),
    "comes to rest at zero": Corner(
        [[1, 0.2], [0.3, 1], [-1, 0.5], [0.1, -1]], [-1, -1, -1, -1], 1.0, [0.1, 0.1], 0.0, [SLIDE] * 4
    ),
    "starts at zero": Corner([[1, 0.2], [0.3, 1], [-1, 0.5]], [1, -1, -1], 0.3, [0, 0], 0.2, []),
}


def setting(corner: Corner) -> tuple[Array, Array, Array, Array]:
    return np.array(corner.X, float), np.array(corner.y, float), np.array([corner.a]), np.array([corner.w], float)


@pytest.mark.parametrize("name", list(CORNERS))
def test_the_flow_is_the_limit_of_descent(name: str) -> None:
    corner = CORNERS[name]
    X, y, a, W = setting(corner)
    problem = Problem.of(X, y, Network(a, corner.slope, trains_outer=True), LOSSES["logistic"])
    result = primal(problem, W, until_time(END), rtol=1e-10)
    end = PlainNetwork(X, y, leaky(corner.slope)).descend(Weights(W, a), ETA, round(END / ETA))
    assert result.weights(W) == pytest.approx(end.W, abs=2.0 * ETA)
    assert result.state.parameters.outer == pytest.approx(end.a, abs=2.0 * ETA)
    assert [kind for _, _, kind in event_list(result)] == corner.kinds


def test_a_neuron_at_rest_at_zero_keeps_its_outer_weight() -> None:
    """w_j = 0 exactly, on all kinks; a_j^2 - |w_j|^2 is what it was."""
    corner = CORNERS["comes to rest at zero"]
    X, y, a, W = setting(corner)
    problem = Problem.of(X, y, Network(a, 0.0, trains_outer=True), LOSSES["logistic"])
    result = primal(problem, W, until_time(50.0), rtol=1e-10)
    assert result.state.U == pytest.approx(np.zeros((1, 2)), abs=1e-14)
    assert (result.state.side == 0).all()
    assert float(result.state.parameters.outer[0] ** 2) == pytest.approx(1.0 - 0.02, abs=1e-9)
