"""Random problems of every kind by both loops: the same events, weights and ends, where the problem determines them.

Some do not, as in `tests.taylor.test_against_steppers`: the steppers themselves find others at another tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from gflow.errors import ScenarioError
from gflow.flow.budget import Account
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Outcome
from gflow.problem.sizes import check_products
from tests.flow.driver import until_log_time
from tests.taylor_primal.problems import KINDS, LIMIT, Way, made, way

RTOL, TIGHT = 1e-8, 1e-11
# Weights may differ by so much of their largest.
AGREED = 1e-8
# So near are the times of an event that a problem determines.
STABLE = 1e-5
EACH, BATCH = 48, 6


def together(one: Way, two: Way) -> bool:
    """Are the events the same, at times that hardly differ?"""
    return one.events == two.events and bool(np.allclose(one.times, two.times, rtol=STABLE, atol=STABLE))


def apart(one: Way, two: Way) -> float:
    """The largest difference of weights at the end, over the largest of all rows."""
    return float(np.abs(one.weights - two.weights).max()) / max(one.size, two.size)


@dataclass(frozen=True, slots=True)
class Compared:
    """One problem: its name, whether the steppers agree with themselves, and what differs from them."""

    name: str
    determined: bool
    different: str


def compared(kind: str, seed: int) -> Compared:
    """The series beside the steppers at a tolerance 1000 times as tight."""
    problem, W, log_time = made(kind, seed)
    check_products(problem, W)
    until = until_log_time(log_time)
    ours, theirs, tight = (
        way(problem, W, until, method, rtol, account=Account(LIMIT))
        for method, rtol in (("taylor", RTOL), (SWITCHING, RTOL), (SWITCHING, TIGHT))
    )
    outcomes = {ours.finish.outcome, theirs.finish.outcome, tight.finish.outcome}
    determined = together(theirs, tight) and theirs.finish.outcome is tight.finish.outcome is not Outcome.PRECISION
    determined = determined and Outcome.BUDGET not in outcomes
    told = []
    if not together(ours, tight):
        told.append(f"events {ours.events} at {ours.times}, not {tight.events} at {tight.times}")
    if ours.finish.outcome is not tight.finish.outcome:
        told.append(f"{ours.finish.sentence}, not: {tight.finish.sentence}")
    if (gap := apart(ours, tight)) > AGREED:
        told.append(f"weights {gap:.1e} apart (the steppers themselves {apart(theirs, tight):.1e})")
    return Compared(f"{kind} {seed}", determined, "; ".join(told))


def several(kind: str, part: int) -> Iterator[Compared]:
    for seed in range(part * BATCH, (part + 1) * BATCH):
        try:
            yield compared(kind, seed)
        except ScenarioError:
            continue


@pytest.mark.sample("both-0", "bias-0")
@pytest.mark.parametrize("part", range(EACH // BATCH))
@pytest.mark.parametrize("kind", KINDS)
def test_both_loops_find_the_same(kind: str, part: int) -> None:
    """240 problems; starts on kinks and at 0, repeated, scaled and antipodal samples, a_j = 0, hypercubes, circles."""
    found = list(several(kind, part))
    assert [f"{each.name}: {each.different}" for each in found if each.determined and each.different] == []
    assert sum(each.determined for each in found) > len(found) // 2
