"""Hidden biases are one more input; Chatterji's reduction (claims `chat.redA`) doubles the time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.activation import Huberized, Smoothing
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import flow, relative_gap, until_time
from tests.primal.driver import event_list, primal, slides
from tests.reference.plain_network import PlainNetwork, Weights, huber, leaky

Array = NDArray[np.float64]
HALF, T = 6, 12.0


def drawn(seed: int, d: int = 4, n: int = 10) -> tuple[Array, Array, Array]:
    """Unit inputs (n, d), labels, and (v, b) (2P, d + 1) with the outer layer +1 (P of them) and -1 fixed."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X /= np.linalg.norm(X, axis=1)[:, None]
    return X, rng.choice([-1.0, 1.0], size=n), 0.3 * rng.normal(size=(2 * HALF, d + 1))


def problem(X: Array, y: Array, smoothing: Smoothing | None) -> Problem:
    return Problem.of(X, y, Network(np.repeat([1.0, -1.0], HALF), 0.0, smoothing=smoothing), LOSSES["logistic"])


def with_ones(X: Array) -> Array:
    return np.column_stack([X, np.ones(X.shape[0])])


@pytest.mark.sample("0-*")
@pytest.mark.parametrize("smoothing", [Huberized(1.0 / HALF), None], ids=["huberized", "ReLU"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_reduction_to_no_bias_doubles_the_time(seed: int, smoothing: Smoothing | None) -> None:
    """xt = (x, 1) / sqrt 2 and vt = sqrt 2 (v, b): vt(2t) = sqrt 2 (v, b)(t), same margins, same events."""
    X, y, W = drawn(seed)
    root = np.sqrt(2.0)
    times = [3.0, 6.0, T]
    one = primal(
        problem(with_ones(X), y, smoothing), W, until_time(T), rtol=1e-10, rows=[float(np.log1p(t)) for t in times]
    )
    other = primal(
        problem(with_ones(X) / root, y, smoothing), root * W, until_time(2.0 * T), rtol=1e-10,
        rows=[float(np.log1p(2.0 * t)) for t in times],
    )  # fmt: skip
    for k in range(len(times) + 1):
        assert relative_gap(other.weights(root * W, k), root * one.weights(W, k)) < 1e-8
        assert other.rows[k].state.p == pytest.approx(one.rows[k].state.p, abs=1e-8)
    assert event_list(other) == event_list(one)
    assert np.expm1([e.v for e in other.events]) == pytest.approx(2.0 * np.expm1([e.v for e in one.events]), abs=1e-6)
    assert (slides(one) > 0) == (smoothing is None)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_dual_engine_takes_biases_too(seed: int) -> None:
    X, y, W = drawn(seed)
    P = problem(with_ones(X), y, None)
    one, other = (run(P, W, until_time(T), rtol=1e-10) for run in (flow, primal))
    assert relative_gap(other.weights(W), one.weights(W)) < 1e-8
    assert event_list(other) == event_list(one)


@pytest.mark.sample("ReLU")
@pytest.mark.parametrize("smoothing", [Huberized(1.0 / HALF), None], ids=["huberized", "ReLU"])
def test_descent_on_weights_and_biases_tends_to_it(smoothing: Smoothing | None) -> None:
    X, y, W = drawn(2)
    result = primal(problem(with_ones(X), y, smoothing), W, until_time(T), rtol=1e-10)
    activation = leaky(0.0) if smoothing is None else huber(1.0 / HALF)
    plain = PlainNetwork(with_ones(X), y, activation, trains_outer=False)
    outer = np.repeat([1.0, -1.0], HALF)
    etas = (4e-3, 1e-3)
    gaps = [relative_gap(plain.descend(Weights(W, outer), eta, round(T / eta)).W, result.weights(W)) for eta in etas]
    assert gaps[1] < 5e-4
    assert 2.5 < gaps[0] / gaps[1] < 6.0
