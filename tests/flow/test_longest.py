"""How long an explicit step may be: as long as the states inside it, of which rows and events are made, are good."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import DOP853

from gflow.field.branch import Tolerances
from gflow.field.dual import DualBranch
from gflow.flow.choice import LONGEST, SWITCHING, Choice
from gflow.flow.dual import dual_engine
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
PLACES = np.linspace(0.0, 1.0, 101)[1:]


def largest_inside(z: float) -> float:
    """Of one step of length z of DOP853 on y' = -y from 1, on its dense output."""
    solver = DOP853(lambda _, y: -y, 0.0, [1.0], np.inf, first_step=z, rtol=1e6, atol=1e9)
    solver.step()
    assert solver.t == z
    return float(np.abs(solver.dense_output()(z * PLACES)).max())


def test_no_state_inside_is_larger_than_the_start() -> None:
    assert all(largest_inside(z) <= 1.0 for z in np.linspace(0.1, LONGEST, 50))
    assert largest_inside(6.0) > 10.0 and largest_inside(12.0) > 1e5  # beyond it is


def strayed(rounding: float, bounded: bool) -> float:
    """One sample with both labels, whose margin falls to 0: the largest margin inside late steps, over rtol."""
    X, rtol = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]) * (1.0 + rounding), 1e-9
    problem = Problem.of(X, np.array([1.0, -1.0]), Network(np.ones(1), 1.0), LOSSES["logistic"])
    engine = dual_engine(problem, np.array([[0.1, 2.0, 0.0]]), Tolerances(rtol, rtol / 100.0))
    state, _ = engine.start()
    branch, choice, worst = engine.stretch(state).branch, Choice(SWITCHING), 0.0
    assert isinstance(branch, DualBranch)
    system = choice.system(branch, False) if bounded else branch.system
    stepper = choice.method(False)(system, branch.y0, state.h)
    for _ in range(60):
        step = stepper.step()
        if float(np.abs(branch.margins(step.coefficients[0])).max()) < rtol:
            worst = max(worst, float(np.abs(branch.margins(step.at(PLACES))).max()) / rtol)
    return worst


@pytest.mark.parametrize("rounding", [0.0, 1e-15, 3e-10])
def test_states_inside_late_steps_are_as_good_as_the_ends(rounding: float) -> None:
    assert strayed(rounding, bounded=True) < 1.0
    assert strayed(rounding, bounded=False) > 30.0  # negative control: the ends alone are within the tolerance
