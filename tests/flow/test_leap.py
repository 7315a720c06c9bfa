"""The clock may leap at the start for as long as neurons keep their place, not only margins."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.field.transition import EventKind
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import flow, until_log_time


def one_neuron(x: float, outer: float) -> Problem:
    """w' = outer x / 4 at slope 1/2 while margins are near 0."""
    return Problem.of(np.array([[x]]), np.array([1.0]), Network(np.array([outer]), 0.5), LOSSES["logistic"])


@pytest.mark.parametrize(("x", "outer"), [(1e-30, 1.0), (1.0, 1e-30), (1e-20, 1e-10)])
def test_a_neuron_crosses_its_kink_while_margins_stand_still(x: float, outer: float) -> None:
    """From w = -1 it gets to 0 at t = 4 / (x outer), when margins are below 1e-20."""
    result = flow(one_neuron(x, outer), np.array([[-1.0]]), until_log_time(90.0), rows=4)
    assert [event.kind for event in result.events] == [EventKind.CROSS_UP]
    assert result.events[0].v == pytest.approx(np.log(4.0 / (x * outer)), rel=1e-9)


def test_a_neuron_at_zero_has_the_weights_of_the_time() -> None:
    """On the + side of its kink from w = 0, w = x outer t / 2 while the margin, its square over t, is near 0."""
    result = flow(one_neuron(1.0, 1e-30), np.array([[0.0]]), until_log_time(90.0), rows=7)
    for row in result.rows[1:]:
        assert row.state.U[0, 0] == pytest.approx(0.5e-30 * np.expm1(row.state.v), rel=1e-7)
