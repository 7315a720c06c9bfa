"""An outer weight that passes through zero while its neuron slides: the shares do not depend on it, so it goes on.

d = 2.  x_0 on e_1 with label -1 holds the neuron on w_1 = 0 against x_1; x_2 with label -1 lowers a through zero.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gflow.field.transition import EventKind
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import loglog_slope, relative_gap, until_time
from tests.primal.driver import event_list, parity, primal
from tests.reference.plain_network import PlainNetwork, Weights, leaky

Array = NDArray[np.float64]

X = np.array([[1.0, 0.0], [0.1, 1.0], [0.0, 3.0]])
Y = np.array([-1.0, 1.0, -1.0])


def reduced(a: float, w: float, times: Array) -> Array:
    """(a, w_2) while w_1 = 0, by scipy: x_1 sees w_2, x_2 sees 3 w_2."""

    def rate(_: float, s: Array) -> Array:
        up, down = 1.0 / (1.0 + np.exp(s[0] * s[1])), 1.0 / (1.0 + np.exp(-3.0 * s[0] * s[1]))
        return np.asarray(s[::-1] * (up - 3.0 * down) / 3.0)

    return np.asarray(solve_ivp(rate, (0.0, times[-1]), [a, w], "DOP853", times, rtol=1e-13, atol=1e-15).y)


def test_it_keeps_sliding() -> None:
    problem = Problem.of(X, Y, Network(np.array([0.3]), 0.0, trains_outer=True), LOSSES["logistic"])
    times = np.array([0.1, 0.5, 1.0, 2.0, 4.0])
    W = np.array([[0.0, 1.0]])
    result = primal(problem, W, until_time(4.0), rtol=1e-11, rows=[float(np.log1p(t)) for t in times])
    assert result.events == []
    assert all(int((row.state.side == 0).sum()) == 1 for row in result.rows)
    outer = [float(row.state.parameters.outer[0]) for row in result.rows]
    assert outer[0] > 0.0 > outer[-1]
    exact = reduced(0.3, 1.0, times)
    assert outer[1:] == pytest.approx(exact[0], abs=1e-9)
    weights = np.array([result.weights(W, k + 1)[0] for k in range(times.size)])
    assert weights[:, 1] == pytest.approx(exact[1], abs=1e-9)
    assert np.abs(weights[:, 0]).max() < 1e-14


def test_it_slides_into_it_from_a_start_off_the_kink() -> None:
    problem = Problem.of(X, Y, Network(np.array([0.3]), 0.0, trains_outer=True), LOSSES["logistic"])
    result = primal(problem, np.array([[0.005, 1.0]]), until_time(4.0), rtol=1e-10)
    assert [kind for _, _, kind in event_list(result)] == [EventKind.SLIDE]
    assert float(result.state.parameters.outer[0]) < 0.0
    assert int((result.state.side == 0).sum()) == 1


ETAS = (8e-3, 4e-3, 2e-3, 1e-3)
SEEDS = range(6)


@pytest.mark.sample("0.0")
@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_descent_on_both_layers_approaches_the_flow_linearly(slope: float) -> None:
    """Independent gradient descent; a kink passed between two steps costs a share of eta, so seeds are averaged."""
    gaps = np.empty((len(ETAS), len(SEEDS)))
    for k, seed in enumerate(SEEDS):
        problem, W = parity(12, 6, 8, seed, slope)
        result = primal(problem, W, until_time(8.0), rtol=1e-10)
        assert len(result.events) > 0
        exact = np.column_stack([result.weights(W), result.state.parameters.outer])
        plain = PlainNetwork(problem.X, problem.y, leaky(slope))
        for i, eta in enumerate(ETAS):
            end = plain.descend(Weights(W, problem.network.outer), eta, round(8.0 / eta))
            gaps[i, k] = relative_gap(np.column_stack([end.W, end.a]), exact)
    assert 0.85 < loglog_slope(ETAS, gaps.mean(axis=1)) < 1.15
    assert gaps.mean(axis=1)[-1] < ETAS[-1]
