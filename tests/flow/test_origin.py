"""Neurons that slide into w_j = 0 (six to thirteen samples in three dimensions): dependent kinks met in passing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import flow, relative_gap, until_time
from tests.reference.descent import descend
from tests.reference.setting import Setting

Array = NDArray[np.float64]
END = 10.0


def crowded(seed: int, slope: float) -> tuple[Setting, Array]:
    rng = np.random.default_rng(seed)
    n, d, m = int(rng.integers(6, 14)), 3, 10
    X = rng.standard_normal((n, d))
    y = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    W = 0.2 * rng.standard_normal((m, d))
    return Setting(X, y, np.where(np.arange(m) % 2, 1.0, -1.0) * 0.5, slope, "logistic"), W


def problem_of(setting: Setting) -> Problem:
    return Problem.of(setting.X, setting.y, Network(setting.outer, setting.slope), LOSSES["logistic"])


@pytest.mark.parametrize("seed", [503, 513, 504, 521])
def test_descent_tends_to_the_flow_through_the_origin(seed: int) -> None:
    """Seeds 503 and 513 leave the origin along a face with two sliding surfaces."""
    setting, W = crowded(seed, 0.0)
    result = flow(problem_of(setting), W, until_time(END))
    found = result.weights(W)
    gaps = [relative_gap(descend([setting], W[None], eta, round(END / eta))[0], found) for eta in (4e-3, 1e-3)]
    assert gaps[1] < 2e-4 and gaps[1] < 0.5 * gaps[0]
    assert "conservative" not in result.finish.sentence


def test_several_ways_out_are_told() -> None:
    """Where descent itself depends on its step, the outcome says that the policy decided."""
    setting, W = crowded(522, 0.0)
    result = flow(problem_of(setting), W, until_time(END))
    assert "kinks that can be left in several ways, where the policy decided" in result.finish.sentence
