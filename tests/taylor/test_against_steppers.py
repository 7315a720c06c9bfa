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
from gflow.field.branch import Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Event, Finish, FlowRow, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import spaced
from gflow.problem.sizes import check_products
from tests.flow.driver import until_log_time
from tests.fuzz.problems import TIED, Recipe, built, drawn

# The tolerance of the run that is asked, and of those that it is compared with.
RTOL, TIGHT = 1e-8, 1e-11
# Weights may differ by so much of their largest: the sum of what a few hundred steps are allowed.
AGREED = 1e-8
# So near are the times of an event that a problem determines; a neuron that dies approaches 0 for ever, and meets it
# where rounding says.
STABLE = 1e-5
KINDS = ("moderate", "tied", "late")
EACH, BATCH = 84, 12
LIMIT = Budget(steps=1500)


def recipe_of(kind: str, seed: int) -> Recipe:
    """A small problem with weights and inputs near size 1."""
    recipe = replace(drawn(seed), scales=(1.0, 1.0, 1.0))
    match kind:
        case "tied":
            return replace(recipe, log_time=min(recipe.log_time, 3.0), shape=TIED[seed % len(TIED)])
        case "late":
            return replace(recipe, log_time=100.0)
        case _:
            return replace(recipe, log_time=min(recipe.log_time, 3.0))


@dataclass(frozen=True, slots=True)
class Way:
    """The events (neuron, surface, kind) of a run in their order, log(1 + t) of each, the size of its weights, and how
    it ended.
    """

    events: list[tuple[int, int, int]]
    times: list[float]
    size: float
    finish: Finish

    @classmethod
    def of(cls, recipe: Recipe, method: str, rtol: float) -> Way:
        """As far as `LIMIT` goes: rows 1000 times as long as others take tens of thousands of steps to late times."""
        problem, W = built(recipe)
        check_products(problem, W)
        until, size = until_log_time(recipe.log_time), 1e-300
        events, times = list[tuple[int, int, int]](), list[float]()
        manner = Manner("dual", method, Tolerances(rtol, rtol / 100.0))
        for item in steps(problem, W, until, manner, spaced("log", 3, until), account=Account(LIMIT)):
            if isinstance(item, Event):
                events.append((item.neuron, item.surface, int(item.kind)))
                times.append(item.v)
            if isinstance(item, FlowRow):
                size = max(size, float(np.abs(item.state.U).max()))
            if isinstance(item, Finish):
                return cls(events, times, size, item)
        raise AssertionError("the flow ended without saying how")

    @property
    def outcome(self) -> Outcome:
        return self.finish.outcome


def together(one: Way, two: Way, part: float) -> bool:
    """Are the events the same, at times that differ by this part at most?"""
    return one.events == two.events and bool(np.allclose(one.times, two.times, rtol=part, atol=part))


def apart(one: Way, two: Way) -> float:
    """The largest difference of weights at the end, over the largest of all rows."""
    return float(np.abs(one.finish.state.U - two.finish.state.U).max()) / max(one.size, two.size)


@dataclass(frozen=True, slots=True)
class Compared:
    """One problem: its name, whether the steppers agree with themselves, and what differs from them."""

    name: str
    determined: bool
    different: str


def compared(kind: str, seed: int) -> Compared:
    """The Taylor engine beside the steppers at a tolerance 1000 times as tight."""
    recipe = recipe_of(kind, seed)
    ours, theirs, tight = (Way.of(recipe, *how) for how in (("taylor", RTOL), (SWITCHING, RTOL), (SWITCHING, TIGHT)))
    determined = together(theirs, tight, STABLE) and theirs.outcome is tight.outcome is not Outcome.PRECISION
    determined = determined and Outcome.BUDGET not in (ours.outcome, tight.outcome)
    told = []
    if not together(ours, tight, STABLE):
        told.append(f"events {ours.events} at {ours.times}, not {tight.events} at {tight.times}")
    if ours.outcome is not tight.outcome:
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


@pytest.mark.sample("moderate-0", "tied-0")
@pytest.mark.parametrize("part", range(EACH // BATCH))
@pytest.mark.parametrize("kind", KINDS)
def test_both_loops_find_the_same(kind: str, part: int) -> None:
    """252 problems; starts on kinks and at 0, repeated, scaled and antipodal samples, a_j = 0, hypercubes, circles."""
    found = list(several(kind, part))
    assert [f"{each.name}: {each.different}" for each in found if each.determined and each.different] == []
    assert sum(each.determined for each in found) > len(found) // 2
