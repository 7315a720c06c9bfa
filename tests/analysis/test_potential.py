"""Parity, cones and the potentials of reference neurons, against direct computation."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.potential import cone_potential, cone_shares, cones, nodes, parity_features, potential_rate
from gflow.flow.state import FlowState
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.trajectory import Trajectory

Array = NDArray[np.float64]


def of(X: Array, y: Array, directions: Array | None = None, m: int = 4) -> Problem:
    network = Network(np.ones(m), 0.0, trains_outer=True, directions=directions)
    return Problem.of(X, y, network, LOSSES["exponential"])


def test_parity_is_recognised() -> None:
    X = np.array([[1.0, 1.0, -1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]]) / np.sqrt(3.0)
    found = parity_features(of(X, np.array([1.0, -1.0, -1.0])))
    assert found is not None and found.margin == pytest.approx(1.0 / np.sqrt(24.0))
    f = found.alpha @ np.maximum(found.beta @ X.T, 0.0)
    assert f == pytest.approx(np.array([1.0, -1.0, -1.0]) * found.margin)
    assert parity_features(of(X, np.array([1.0, 1.0, -1.0]))) is None
    assert parity_features(of(1.1 * X, np.array([1.0, -1.0, -1.0]))) is None


def on_circle(degrees: list[float]) -> Array:
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_cones_are_found_with_their_margin() -> None:
    """Three cones at 0, 120 and 240 degrees, one of them with two samples at +-6 degrees."""
    X, y = on_circle([-6.0, 6.0, 120.0, 240.0]), np.array([1.0, 1.0, -1.0, 1.0])
    found = cones(of(X, y))
    assert found is not None and found.apart
    assert found.cone_margin == pytest.approx(np.cos(np.deg2rad(6.0)))
    assert found.eps == pytest.approx(1.0 - np.sin(np.deg2rad(114.0)))  # the closest of another cone: 6 to 120
    assert np.sort(found.features.alpha) == pytest.approx(np.array([-1.0, 1.0, 1.0]) / 3.0)
    assert found.features.margin == pytest.approx(found.cone_margin / 3.0)


@pytest.mark.parametrize(
    "degrees, labels",
    [
        ([0.0, 40.0, 80.0], [1.0, 1.0, 1.0]),  # chained: the ends of the cone are too far apart
        ([0.0, 80.0], [1.0, -1.0]),  # another label in the half space
        ([-30.0, 30.0, 180.0], [1.0, 1.0, -1.0]),  # one cone, too wide for eps < margin
    ],
)
def test_data_outside_the_assumption_have_no_cones(degrees: list[float], labels: list[float]) -> None:
    assert cones(of(on_circle(degrees), np.array(labels))) is None


def test_the_potential_of_cones_by_hand() -> None:
    """One neuron on each of two opposite cones, norms 2 and 1/2; a third neuron points nowhere."""
    problem = of(on_circle([0.0, 180.0]), np.array([1.0, -1.0]), m=3)
    found = cones(problem)
    assert found is not None and found.eps == pytest.approx(0.5)
    W = np.array([[2.0, 0.0], [-0.5, 0.0], [1e-3, 0.0]])
    parameters = Parameters(W @ problem.span.B.T, np.array([1.0, -1.0, -1.0]))
    state = FlowState(0.0, 0.0, parameters, np.ones((3, 1), dtype=np.int8), np.ones(2), 0.0, 0.0)
    run = AnalyzedRun(cast(Trajectory, None), problem)
    vars(run)["outside"] = np.zeros((3, 2))
    shares = cone_shares(run, state, found)
    order = np.argsort(found.features.alpha)  # the cone of label -1 first
    assert shares[order] == pytest.approx(np.array([[0.0, 0.25, 0.0], [1.0, 0.0, 0.0]]))
    expected = 0.125 * (np.log(0.25 * 0.5) + np.log(1.0 * 2.0))
    assert cone_potential(run, state, found) == pytest.approx(expected)


def test_the_least_rate_of_a_potential() -> None:
    tau = np.array([0.0, 1.0, 2.0, 2.0, 4.0])
    assert potential_rate(tau, np.array([-np.inf, 0.0, 3.0, 3.0, 5.0])) == pytest.approx(1.0)
    assert potential_rate(tau, np.array([0.0, 2.0, 1.0, 1.0, 9.0])) == pytest.approx(-1.0)
    assert potential_rate(tau, np.full(5, -np.inf)) is None


def test_nodes_are_one_neuron_a_feature() -> None:
    """Eight directions around the circle represent parity; without one of the four that matter nothing does."""
    X, y = on_circle([45.0, 135.0, 225.0, 315.0]), np.array([1.0, -1.0, 1.0, -1.0])
    V = on_circle([45.0, 135.0, 225.0, 315.0, 0.0, 90.0, 180.0, 270.0])

    def chosen(outer: Array) -> NDArray[np.intp] | None:
        problem = of(X, y, V, m=8)
        parameters = Parameters(np.ones((8, 1)), outer)
        state = FlowState(0.0, 0.0, parameters, np.ones((8, 4), dtype=np.int8), np.ones(4), 0.0, 0.0)
        run = AnalyzedRun(cast(Trajectory, None), problem)
        object.__setattr__(run, "state", lambda row: state)
        features = parity_features(problem)
        assert features is not None
        return nodes(run, features)

    signs = np.array([1.0, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0])
    found = chosen(signs)
    assert found is not None and sorted(found) == [0, 1, 2, 3]
    signs[0] = -1.0
    assert chosen(signs) is None
