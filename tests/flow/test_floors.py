"""Flows whose loss has a floor: dead samples, nothing left to move, data that no network separates."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import flow, until_log_time


def dying(seed: int = 0) -> tuple[Problem, np.ndarray]:
    """A small ReLU network in d = 3 of which some samples end with no active neuron."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((5, 3)), rng.choice([-1.0, 1.0], size=5)
    return Problem.of(X, y, Network(np.array([1.0, 1.0, -1.0, -1.0]) / 2.0, 0.0), LOSSES["logistic"]), (
        0.1 * rng.standard_normal((4, 3))
    )


@pytest.mark.parametrize("log_time", [45.0, 1000.0])
def test_dead_samples_do_not_set_the_clock(log_time: float) -> None:
    """A sample without active neurons keeps its margin exactly; the others go on, however the rows are spaced."""
    problem, W = next((p, w) for p, w in map(dying, range(50)) if _dead(p, w))
    few, many = (flow(problem, W, until_log_time(log_time), rows=rows) for rows in (2, 51))
    assert [(e.neuron, e.surface, e.kind) for e in few.events] == [(e.neuron, e.surface, e.kind) for e in many.events]
    assert few.state.p == pytest.approx(many.state.p, rel=1e-6, abs=1e-9)
    dead = np.abs(few.state.p) < 1e-12
    assert 0 < dead.sum() < dead.size
    assert (few.state.p[~dead] > 0.9 * log_time).all()
    losses = [row.state.log_loss for row in many.rows]
    assert (np.diff(losses) <= 1e-13).all()
    assert few.steps < 2000


def _dead(problem: Problem, W: np.ndarray) -> bool:
    p = flow(problem, W, until_log_time(20.0)).state.p
    dead = np.abs(p) < 1e-12
    return bool(dead.any() and (p[~dead] > 10.0).all() and not dead.all())


def all_dead() -> tuple[Problem, np.ndarray]:
    problem = Problem.of(np.eye(2), np.array([1.0, -1.0]), Network(np.array([1.0, -1.0]), 0.0), LOSSES["logistic"])
    return problem, np.array([[-1.0, -1.0], [-2.0, -1.0]])


def test_where_nothing_moves_only_the_clock_goes_on() -> None:
    problem, W = all_dead()
    result = flow(problem, W, until_log_time(1000.0), rows=5)
    assert [row.state.v for row in result.rows] == [0.0, 250.0, 500.0, 750.0, 1000.0]
    assert all((row.state.U == result.rows[0].state.U).all() for row in result.rows)
    assert result.finish.outcome is Outcome.LOG_TIME
    assert "nothing but the clock moved after t = 0" in result.finish.sentence


def test_a_loss_that_cannot_be_reached_is_told() -> None:
    problem, W = all_dead()
    result = flow(problem, W, Until(None, Outcome.TIME, -5.0), rows=5)
    assert result.finish.outcome is Outcome.STATIONARY and result.finish.outcome.is_limit
    assert result.state.log_loss == pytest.approx(np.log(np.log(2.0)))


def test_a_linear_network_on_data_that_no_line_separates() -> None:
    """The flow converges to the minimum of the logistic loss, found independently, and then rests."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 2)), rng.choice([-1.0, 1.0], size=30)
    problem = Problem.of(X, y, Network(np.array([1.0, -1.0, 1.0, -1.0]) / 2.0, 1.0), LOSSES["logistic"])
    result = flow(problem, rng.standard_normal((4, 2)), until_log_time(1000.0), rows=3)
    least = minimize(lambda w: np.mean(np.logaddexp(0.0, -y * (X @ w))), np.zeros(2), tol=1e-14).fun
    assert result.state.log_loss == pytest.approx(np.log(least), abs=1e-10)
    assert result.steps < 500


@pytest.mark.parametrize("margin", [400.0, 1e4])
def test_no_row_is_lost_when_the_clock_leaps(margin: float) -> None:
    """At margins of hundreds time runs ahead of the weights: rows and end are still exactly those asked for."""
    problem = Problem.of(np.array([[1.0]]), np.array([1.0]), Network(np.array([1.0]), 0.1), LOSSES["logistic"])
    result = flow(problem, np.array([[margin]]), until_log_time(20.0), rows=6)
    assert [row.state.v for row in result.rows] == pytest.approx(np.linspace(0.0, 1.0, 6) * result.rows[-1].state.v)
    assert result.state.v == until_log_time(20.0).v_end
    assert result.state.p == pytest.approx([margin], abs=1e-9)
