"""Random problems with fixed outer layers by both loops (`tests.both_loops`)."""

from __future__ import annotations

import pytest

from tests.both_loops import Made, check, compare_all, recipe_of
from tests.fuzz.problems import built

KINDS = ("moderate", "tied", "late")
EACH, BATCH = 84, 12


def made(kind: str, seed: int) -> Made:
    """The problem of a seed."""
    recipe = recipe_of(kind, seed)
    return *built(recipe), recipe.log_time


@pytest.mark.sample("moderate-0", "tied-0")
@pytest.mark.parametrize("part", range(EACH // BATCH))
@pytest.mark.parametrize("kind", KINDS)
def test_both_loops_find_the_same(kind: str, part: int) -> None:
    """252 problems; starts on kinks and at 0, repeated, scaled and antipodal samples, a_j = 0, hypercubes, circles."""
    check(compare_all(kind, range(part * BATCH, (part + 1) * BATCH), made, "dual"))
