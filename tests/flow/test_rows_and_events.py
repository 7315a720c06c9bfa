"""Which events there are depends on the problem and the tolerances, not on the rows that are asked for.

Rows are read off the flow inside its steps.  A row that ended a step would move all later ones by rounding, or by the
tolerance, which decides where a neuron comes to w = 0 and where all forces on a kink fade together.
Between contradicting samples the flow comes to rest where the pulls of one branch cancel.  A neuron that slides on
their kink is held by a force that tends to an end of its range and never reaches it, so it never leaves.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.transition import EventKind
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, until_log_time

Array = NDArray[np.float64]
ROWS = (2, 15, 20, 60, 200)


def told(result: Result) -> list[tuple[int, int, EventKind]]:
    return [(event.neuron, event.surface, event.kind) for event in result.events]


def on_a_line(seed: int) -> tuple[Problem, Array]:
    """Every input twice, with both labels, one of them once more: the loss has its minimum at finite weights."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 1))
    y = rng.choice([-1.0, 1.0], size=3)
    X, labels = np.vstack([x, x, x[:1]]), np.concatenate([y, -y, y[:1]])
    outer = np.array([1.0, -1.0, 1.0, -1.0]) / 2.0
    return Problem.of(X, labels, Network(outer, 0.0), LOSSES["logistic"]), rng.standard_normal((4, 1))


def on_half_integers() -> tuple[Problem, Array]:
    """Two neurons slide, and two others settle to where the pulls of the - branch cancel."""
    X = np.array([[0.5, 1.0, 0.5, -2.5, -1.5, 0.5, 1.5, -1.5]]).T
    y = np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
    W = np.array([[-0.362, 0.691, 0.899, -0.987, -0.102]]).T
    outer = np.array([-1.0, -1.0, 1.0, -1.0, -1.0]) / np.sqrt(5.0)
    return Problem.of(X, y, Network(outer, 0.0), LOSSES["logistic"]), W


def in_the_plane(seed: int) -> tuple[Problem, Array]:
    """Four inputs in a plane, each with both labels, so that all forces on a kink fade together."""
    rng = np.random.default_rng(seed)
    x, y = np.round(2.0 * rng.standard_normal((4, 2))) / 2.0, rng.choice([-1.0, 1.0], size=4)
    x[np.abs(x).sum(axis=1) == 0.0] = 1.0
    outer = rng.choice([-1.0, 1.0], size=6) / np.sqrt(6.0)
    problem = Problem.of(np.vstack([x, x]), np.append(y, -y), Network(outer, 0.0), LOSSES["exponential"])
    return problem, rng.standard_normal((6, 2))


@pytest.mark.parametrize("seed", [0, 2, 5, 7])
def test_rows_do_not_change_the_flow_in_the_plane(seed: int) -> None:
    """Not by a bit: here float64 decides what a neuron at w = 0 does, so that a step that is cut shows in the events.

    Where the clock alone moves in the end, rows come after all that happens.
    """
    problem, W = in_the_plane(seed)
    first, *others = (flow(problem, W, until_log_time(8.0), rows=rows) for rows in ROWS[:4])
    for other in others:
        assert other.events == first.events and other.steps == first.steps
        assert (other.state.U == first.state.U).all() and other.finish.sentence == first.finish.sentence


def test_a_force_that_only_tends_to_the_end_of_its_range_lets_no_neuron_go() -> None:
    """By hand: with the others at rest the - branch has no force left, the + branch pushes back; so both slide on."""
    problem, W = on_half_integers()
    results = [flow(problem, W, until_log_time(9.0), rows=rows) for rows in ROWS]
    assert all(told(result) == [(1, 0, EventKind.SLIDE), (4, 0, EventKind.SLIDE)] for result in results)
    assert all((result.state.U[[1, 4]] == 0.0).all() for result in results)


@pytest.mark.parametrize("seed", range(6))
def test_rows_do_not_change_the_events_on_a_line(seed: int) -> None:
    problem, W = on_a_line(seed)
    first, *others = (flow(problem, W, until_log_time(9.0), rows=rows) for rows in ROWS[:4])
    for other in others:
        assert other.events == first.events
