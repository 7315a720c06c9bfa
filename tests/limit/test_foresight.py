"""Signs that no proof can close: which samples count, and where the limit is not known well enough to say."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.field.mode import DualMode
from gflow.limit.certificate import ModeLimit
from gflow.limit.foresight import LEAST_P, too_early, turns
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem


def problem(slope: float, a: list[float], loss: str = "logistic", n: int = 5, d: int = 7) -> Problem:
    """Samples in general position with labels +-1 in turn."""
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    return Problem.of(np.random.default_rng(0).standard_normal((n, d)), y, Network(np.array(a), slope), LOSSES[loss])


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_margins_of_live_samples_count(slope: float) -> None:
    """Dead samples keep margin 0 for ever, and say nothing on how small the others are."""
    given, rng, dead = problem(slope, [1.0, -1.0, 0.0]), np.random.default_rng(1), 0
    for _ in range(200):
        side = rng.choice(np.array([-1, 0, 1], dtype=np.int8), (3, 5), p=[0.6, 0.2, 0.2])
        live = DualMode(given, side).live
        for size in (1.0, 3.0, 8.0):
            p = np.where(live, size * (1.0 + rng.random(5)), 0.0)
            assert too_early(given, side, p) is bool(-np.logaddexp.reduce(-p[live], initial=-np.inf) < LEAST_P)
        dead += not live.all()
    assert dead >= 10
    assert not too_early(problem(slope, [1.0], "exponential"), np.ones((1, 5), dtype=np.int8), np.zeros(5))


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_what_turns_is_pending(slope: float) -> None:
    """On random modes, with kinks held, dead samples, and more samples than dimensions."""
    said, rng = 0, np.random.default_rng(2)
    for k in range(120):
        given = problem(slope, [0.5, -0.5, 1.0, -2.0], n=5, d=7 if k % 2 else 3)
        side = rng.choice(np.array([-1, 0, 1], dtype=np.int8), (4, 5), p=[0.45, 0.1, 0.45])
        mode = DualMode(given, side)
        pending = {tuple(pair) for pair in ModeLimit(given, mode).pending.tolist()}
        if turns(mode):
            assert any(side[pair] != 0 for pair in pending), k
        said += turns(mode)
    assert said >= 20
