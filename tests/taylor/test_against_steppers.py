"""Random problems of every kind by both loops: the same events, weights and ends, where the problem determines them.

Some do not: an event that hangs on more digits than a tolerance asks for is found or not by the steppers themselves at
another tolerance.  Such problems are named and counted, and may be no more than a small part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from gflow.errors import ScenarioError
from gflow.flow.state import Outcome
from gflow.problem.sizes import check_products
from tests.flow.driver import Result, flow, until_log_time
from tests.fuzz.problems import TIED, Recipe, built, drawn

# The tolerance of the run that is asked, and of those that it is compared with.
RTOL, TIGHT = 1e-8, 1e-11
# Weights may differ by so much of their largest: the sum of what a few hundred steps are allowed.
AGREED = 1e-8
KINDS = ("moderate", "tied", "late")
EACH, BATCH = 84, 12


def recipe_of(kind: str, seed: int) -> Recipe:
    """A small problem with weights and inputs near size 1."""
    recipe = replace(drawn(seed), scales=(1.0, 1.0, 1.0))
    match kind:
        case "tied":
            return replace(recipe, log_time=min(recipe.log_time, 3.0), shape=TIED[seed % len(TIED)])
        case "late":
            # Rows 1000 times as long as others take the steppers tens of thousands of steps to so late a time.
            return replace(recipe, log_time=100.0, shape="gaussian" if recipe.shape == "scaled" else recipe.shape)
        case _:
            return replace(recipe, log_time=min(recipe.log_time, 3.0))


def happened(result: Result) -> list[tuple[int, int, int]]:
    return [(event.neuron, event.surface, int(event.kind)) for event in result.events]


def apart(one: Result, two: Result) -> float:
    """The largest difference of weights, over their largest."""
    size = max(float(np.abs(row.state.U).max()) for row in (*one.rows, *two.rows))
    return float(np.abs(one.state.U - two.state.U).max()) / max(size, 1e-300)


@dataclass(frozen=True, slots=True)
class Compared:
    """One problem: its name, whether the steppers agree with themselves, and what differs from them."""

    name: str
    determined: bool
    different: str


def compared(kind: str, seed: int) -> Compared:
    """The Taylor engine beside the steppers at a tolerance 1000 times as tight."""
    recipe = recipe_of(kind, seed)
    problem, W = built(recipe)
    check_products(problem, W)
    until = until_log_time(recipe.log_time)
    ours = flow(problem, W, until, method="taylor", rtol=RTOL, rows=3)
    theirs, tight = (flow(problem, W, until, rtol=rtol, rows=3) for rtol in (RTOL, TIGHT))
    determined = happened(theirs) == happened(tight) and theirs.finish.outcome is tight.finish.outcome
    determined = determined and tight.finish.outcome is not Outcome.PRECISION
    told = []
    if happened(ours) != happened(tight):
        told.append(f"{len(ours.events)} events in place of {len(tight.events)}")
    if ours.finish.outcome is not tight.finish.outcome:
        told.append(f"{ours.finish.sentence}, not: {tight.finish.sentence}")
    if (gap := apart(ours, tight)) > AGREED:
        told.append(f"weights {gap:.1e} apart (the steppers themselves {apart(theirs, tight):.1e})")
    return Compared(f"{kind} {seed}: {recipe}", determined, "; ".join(told))


def several(kind: str, part: int) -> Iterator[Compared]:
    for seed in range(part * BATCH, (part + 1) * BATCH):
        try:
            yield compared(kind, seed)
        except ScenarioError:
            continue


@pytest.mark.sample("*-0")
@pytest.mark.parametrize("part", range(EACH // BATCH))
@pytest.mark.parametrize("kind", KINDS)
def test_both_loops_find_the_same(kind: str, part: int) -> None:
    """252 problems; starts on kinks and at 0, repeated, scaled and antipodal samples, a_j = 0, hypercubes, circles."""
    found = list(several(kind, part))
    assert [f"{each.name}: {each.different}" for each in found if each.determined and each.different] == []
    assert sum(each.determined for each in found) > len(found) // 2
