"""Random problems with trained outer layers by both loops (`tests.both_loops`)."""

from __future__ import annotations

import pytest

from tests.both_loops import check, compare_all
from tests.taylor_primal.problems import KINDS, made

EACH, BATCH = 48, 6


@pytest.mark.sample("both-0", "bias-0")
@pytest.mark.parametrize("part", range(EACH // BATCH))
@pytest.mark.parametrize("kind", KINDS)
def test_both_loops_find_the_same(kind: str, part: int) -> None:
    """240 problems; starts on kinks and at 0, repeated, scaled and antipodal samples, a_j = 0, hypercubes, circles."""
    check(compare_all(kind, range(part * BATCH, (part + 1) * BATCH), made, "primal"))
