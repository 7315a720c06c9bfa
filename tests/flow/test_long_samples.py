"""A sample that is far longer than the others makes a run slow: where it stops short, the sentence names it."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.flow.budget import Account, Budget
from gflow.flow.state import Finish, Outcome
from gflow.flow.steps import steps
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import until_log_time


def finish_of(norms: dict[int, float], most: int = 30) -> Finish:
    """Of a run of so many steps on 20 unit samples but for those whose norms are given."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 10)), rng.choice([-1.0, 1.0], size=20)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    for sample, norm in norms.items():
        X[sample] *= norm
    outer = rng.choice([-1.0, 1.0], size=8) / np.sqrt(8.0)
    problem, W = Problem.of(X, y, Network(outer, 0.1), LOSSES["logistic"]), rng.standard_normal((8, 10))
    *_, end = steps(problem, W, until_log_time(1e4), account=Account(Budget(steps=most)))
    assert isinstance(end, Finish)
    return end


def test_a_long_sample_is_named_where_the_budget_is_spent() -> None:
    end = finish_of({3: 1e6})
    assert end.outcome is Outcome.BUDGET
    assert "sample 3 has norm 1e+06, 1e+06 times the median" in end.sentence
    assert end.sentence.index("normalise the inputs") > end.sentence.index("flow.budget.steps")


def test_the_longest_of_several_is_named() -> None:
    assert (
        "sample 7 has norm 1e+04, 1e+04 times the median (and 1 more over 100 times)"
        in finish_of({3: 1e3, 7: 1e4}).sentence
    )


@pytest.mark.parametrize("norms", [{}, {3: 50.0}, {3: 1e-6}, dict.fromkeys(range(20), 1e6)])
def test_others_are_not_blamed(norms: dict[int, float]) -> None:
    end = finish_of(norms)
    assert end.outcome is Outcome.BUDGET and "normalise" not in end.sentence


def test_a_run_that_came_to_its_end_says_nothing_of_it() -> None:
    rng = np.random.default_rng(0)
    problem = Problem.of(np.array([[1.0], [1e4]]), np.ones(2), Network(np.ones(1), 0.1), LOSSES["logistic"])
    *_, end = steps(problem, np.abs(rng.standard_normal((1, 1))), until_log_time(5.0))
    assert isinstance(end, Finish) and end.outcome is Outcome.LOG_TIME and "normalise" not in end.sentence
