"""Neurons on dependent kinks beside the series of trained outer layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.mode import Mode
from gflow.flow.choice import SWITCHING
from gflow.flow.one_stretch import one_stretch
from gflow.flow.taylor_hulls import Hulls
from gflow.flow.taylor_judge import HullJudge
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.both_loops import Way, apart, together, way
from tests.flow.driver import until_log_time
from tests.taylor.test_hulls import hypercube

Array = NDArray[np.float64]


def trained(trains: bool) -> tuple[Problem, Array]:
    """The corners of a cube, with the outer layer trained, or in primal coordinates."""
    problem, W = hypercube()
    return Problem.of(problem.X, problem.y, replace(problem.network, trains_outer=trains), problem.loss), W


def followed(monkeypatch: pytest.MonkeyPatch, trains: bool) -> tuple[Way, int]:
    """The run, and how many stretches of it the compiled loop left to the steppers."""
    stretches = [0]

    def counted(*arguments: Any) -> Iterator[Any]:  # Any: as `one_stretch`
        stretches[0] += 1
        return one_stretch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("gflow.flow.taylor.one_stretch", counted)
        return way(*trained(trains), until_log_time(5.0)), stretches[0]


@pytest.mark.parametrize("trains", [True, False])
def test_the_compiled_loop_goes_on_beside_dependent_kinks(monkeypatch: pytest.MonkeyPatch, trains: bool) -> None:
    """Control: where no hull is judged to contain 0, more is left to the steppers."""
    ours, few = followed(monkeypatch, trains)
    theirs = way(*trained(trains), until_log_time(5.0), SWITCHING, 1e-10)
    assert together(ours, theirs) and len(theirs.events) > 60
    assert apart(ours, theirs) < 1e-8
    monkeypatch.setattr(HullJudge, "grants", lambda *_: False)
    _, many = followed(monkeypatch, trains)
    assert 2 * few < many, "arrivals at dependent kinks are left to the steppers, little else"


def test_neurons_at_zero_without_an_outer_weight_have_no_hull() -> None:
    """They never move, whatever the velocities around them say; others at 0 do."""
    problem, _ = hypercube()
    network = Network(np.array([0.0, 1.0]), 0.0, True)
    problem = Problem.of(problem.X, problem.y, network, LOSSES["logistic"])
    mode = Mode(problem, np.zeros((2, problem.surfaces.count), dtype=np.int8))
    assert [each.neurons.tolist() for each in Hulls.of(mode, network.outer != 0.0).groups] == [[1]]
