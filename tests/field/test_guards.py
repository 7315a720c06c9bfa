"""A neuron held on dependent kinks: by how much the hull of its velocities may miss 0 before it is let go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gflow.field.branch import Tolerances
from gflow.flow.dual import dual_engine
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem

ANGLES = 2.0 * np.pi * np.arange(3) / 3.0


def is_let_go(excess: float, rtol: float) -> bool:
    """At w = 0 on the kinks of three samples 120 degrees apart, of length 2 + excess, 1 and 1, slope 1/2, held there.

    The velocity least along the first sample is ((2 + excess) / 2 - 1) q: the hull misses 0 by excess q / 2.
    """
    X = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)]) * np.array([[2.0 + excess], [1.0], [1.0]])
    problem = Problem.of(X, np.ones(3), Network(np.ones(1), 0.5), LOSSES["exponential"])
    engine = dual_engine(problem, np.zeros((1, 2)), Tolerances(rtol, rtol))
    state, _ = engine.start()
    state = engine.resume(replace(state, side=np.zeros((1, 3), dtype=np.int8)))
    stretch = engine.stretch(state)
    assert set(stretch.branch.mode.dependent) == {0}
    return stretch.guards.lowest(stretch.branch.y0, np.array([0])) < 0.0


def test_one_whose_hull_holds_0_stays() -> None:
    assert not is_let_go(-1e-3, 1e-8)


def test_what_the_integrator_may_be_off_lets_none_go() -> None:
    """An excess of 3e-9 is 1e-9 of the largest velocity: within 100 rtol at 1e-8, and beyond it at 1e-12."""
    assert not is_let_go(3e-9, 1e-8)
    assert is_let_go(3e-9, 1e-12)


@pytest.mark.parametrize("excess", [1e-5, 1e-2, 1.0])
def test_what_is_more_than_that_does_at_once(excess: float) -> None:
    assert is_let_go(excess, 1e-8)
