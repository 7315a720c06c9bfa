"""The slow lane: 10,000 small hostile problems with seeds 0 to 9999, each within a budget of its own."""

from __future__ import annotations

from collections import Counter

import pytest

from gflow.errors import ScenarioError
from gflow.flow.budget import Budget
from gflow.flow.state import Outcome
from tests.fuzz.agreement import AGREED, gap
from tests.fuzz.judge import followed
from tests.fuzz.problems import OFF_KINKS, drawn

pytestmark = pytest.mark.slow
LIMIT = Budget(events=500, steps=500)  # counts, not seconds: the same on every machine


@pytest.mark.parametrize("first", range(0, 10_000, 500))
def test_seeds(first: int) -> None:
    failures, ends = [], Counter[str]()
    for seed in range(first, first + 500):
        try:
            ends[followed(drawn(seed), LIMIT).outcome.value] += 1
        except ScenarioError:
            ends["refused"] += 1
        except Exception as error:
            failures.append(f"{seed}: {type(error).__name__}: {str(error)[:200]}")
    assert not failures, "keep these seeds in test_problems.py:\n" + "\n".join(failures)
    # Sizes that are refused or not resolved show little: many must be followed to their end.
    assert ends[Outcome.LOG_TIME.value] >= 200, ends


@pytest.mark.parametrize("first", range(0, 10_000, 1000))
def test_both_engines_agree(first: int) -> None:
    """Every moderate problem that starts off its kinks and that both engines follow to the end."""
    apart = {}
    for seed in range(first, first + 1000):
        recipe = drawn(seed)
        if recipe.is_moderate and recipe.start in OFF_KINKS:
            apart[seed] = gap(recipe, LIMIT)
    compared = {seed: max(found) for seed, found in apart.items() if found is not None}
    assert len(compared) >= 25
    assert not {seed: far for seed, far in compared.items() if far > AGREED}
