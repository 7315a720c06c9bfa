"""Dual and primal coordinates are two ways to integrate one flow: weights, times and events are the same."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, relative_gap, until_time
from tests.primal.driver import event_list, primal, slides

Array = NDArray[np.float64]

# kind, slope, loss, n, d, m, T
CASES = [
    ("generic", 0.1, "logistic", 20, 60, 32, 20.0),  # 206 events, 92 slides
    ("generic", 0.0, "logistic", 20, 60, 24, 100.0),
    ("generic", 0.0, "exponential", 12, 40, 16, 20.0),
    ("generic", 0.1, "exponential", 12, 40, 16, 20.0),
    ("repeated", 0.0, "logistic", 16, 30, 16, 20.0),
    ("repeated", 0.1, "exponential", 16, 30, 16, 20.0),
    ("repeated", 0.1, "logistic", 16, 30, 16, 20.0),
    ("repeated", 0.0, "exponential", 16, 30, 16, 20.0),
    ("dependent", 0.0, "exponential", 10, 4, 12, 10.0),
    ("dependent", 0.1, "logistic", 10, 4, 12, 10.0),
    ("dependent", 0.0, "logistic", 8, 2, 12, 10.0),  # crossings only
    ("dependent", 0.1, "exponential", 8, 2, 12, 10.0),  # likewise
    ("line", 0.0, "logistic", 8, 3, 12, 10.0),
    ("line", 0.1, "exponential", 8, 3, 12, 10.0),
]
Case = tuple[str, float, str, int, int, int, float]


def drawn(kind: str, slope: float, loss: str, n: int, d: int, m: int) -> tuple[Problem, Array]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    if kind == "repeated":
        X[1], X[3], X[5], X[7] = 2.0 * X[0], -X[2], X[4], -0.5 * X[6]
    if kind == "line":
        X = X[:, :1] * X[0]
    y = rng.choice([-1.0, 1.0], size=n)
    a = np.where(np.arange(m) % 2, 1.0, -1.0) / np.sqrt(m)
    return Problem.of(X, y, Network(a, slope), LOSSES[loss]), 0.1 * rng.normal(size=(m, d))


@cache
def both(case: Case) -> tuple[Result, Result]:
    problem, W = drawn(*case[:-1])
    until = until_time(case[-1])
    return flow(problem, W, until, rtol=1e-10, rows=4), primal(problem, W, until, rtol=1e-10, rows=4)


@pytest.mark.sample("*'line'*", "*'dependent'*", "*'exponential', 12, 40*", "*'repeated', 0.0, 'logistic'*")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_weights_margins_and_loss_agree_at_every_row(case: Case) -> None:
    dual, direct = both(case)
    assert len(dual.rows) == len(direct.rows) == 4
    for one, other in zip(dual.rows, direct.rows, strict=True):
        assert relative_gap(other.state.U, one.state.U) < 1e-8
        assert other.state.p == pytest.approx(one.state.p, abs=1e-8)
        assert other.state.log_loss == pytest.approx(one.state.log_loss, abs=1e-8)
        np.testing.assert_array_equal(other.state.side, one.state.side)


@pytest.mark.sample("*'line'*", "*'dependent'*", "*'exponential', 12, 40*", "*'repeated', 0.1, 'logistic'*")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_events_are_the_same_at_the_same_times(case: Case) -> None:
    dual, direct = both(case)
    assert event_list(direct) == event_list(dual)
    assert [e.v for e in direct.events] == pytest.approx([e.v for e in dual.events], abs=1e-7)
    assert len(dual.events) > 0
    assert slides(dual) > 0 or case[4] < 4


def test_two_hundred_events_and_ninety_slides_in_one_run() -> None:
    dual, _ = both(CASES[0])
    assert len(dual.events) >= 200
    assert slides(dual) >= 90
