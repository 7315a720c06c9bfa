"""Sizes that are fine one by one and leave float64 together are refused with the numbers; zero layers are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.errors import ScenarioError
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.problem.sizes import check_products
from gflow.scenario import parse_scenario
from tests.scenario.test_load import SHORT

X, W = np.array([[1.0, 2.0], [3.0, -4.0]]), np.eye(2)


def checked(inputs: float, outer: float, weights: float) -> None:
    problem = Problem.of(inputs * X, np.array([1.0, -1.0]), Network(np.array([outer, -outer]), 0.1), LOSSES["logistic"])
    check_products(problem, weights * W)


@pytest.mark.parametrize(("inputs", "outer"), [(1e100, 1e50), (1e150, 1e150), (1e-100, 1e-50), (1e-150, 1.0)])
def test_kernels_that_leave_float64(inputs: float, outer: float) -> None:
    with pytest.raises(ScenarioError, match=r"data and outer layer: .*must lie in \[1e-140, 1e\+140\].*rescale"):
        checked(inputs, outer, 1.0)


def test_margins_that_leave_float64() -> None:
    with pytest.raises(ScenarioError, match="start: a largest weight of 1e[+]200 makes margins of up to 1e[+]301"):
        checked(1e100, 1.0, 1e200)
    with pytest.raises(ScenarioError, match="margins of up to inf"):
        checked(1e139, 1.0, 1e200)


@pytest.mark.parametrize(("inputs", "outer", "weights"), [(1e100, 1e-50, 1e100), (1.0, 1.0, 0.0), (1e150, 0.0, 1.0)])
def test_what_fits_passes(inputs: float, outer: float, weights: float) -> None:
    checked(inputs, outer, weights)


def test_a_scenario_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    scenario = parse_scenario(SHORT, overrides=["data.std=1e145"])
    with pytest.raises(ScenarioError, match="rescale the data or the outer layer"):
        gflow.simulate(scenario, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
