"""The slow lane: 10,000 small hostile problems with seeds 0 to 9999, each within a budget of its own."""

from __future__ import annotations

import pytest

from gflow.errors import ScenarioError
from gflow.flow.budget import Budget
from tests.fuzz.judge import followed
from tests.fuzz.problems import OPEN, drawn

pytestmark = pytest.mark.slow
LIMIT = Budget(wall_time=1.0, events=1000, steps=1000)


@pytest.mark.parametrize("first", range(0, 10_000, 100))
def test_seeds(first: int) -> None:
    failures = []
    for seed in set(range(first, first + 100)) - set(OPEN):
        try:
            followed(drawn(seed), LIMIT)
        except ScenarioError:
            pass
        except Exception as error:
            failures.append(f"{seed}: {type(error).__name__}: {str(error)[:200]}")
    assert not failures, "keep these seeds in test_problems.py:\n" + "\n".join(failures)
