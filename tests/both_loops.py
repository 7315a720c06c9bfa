"""A flow by the series and by the steppers: the same events, weights and ends, where the problem determines them.

Some do not: an event that hangs on more digits than a tolerance asks for is found or not by the steppers themselves at
another tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gflow.errors import ScenarioError
from gflow.field.branch import Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Event, Finish, FlowRow, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until, spaced
from gflow.problem.problem import Problem
from gflow.problem.sizes import check_products
from tests.flow.driver import until_log_time
from tests.fuzz.problems import TIED, Recipe, drawn

Array = NDArray[np.float64]
Engine = Literal["dual", "primal"]
Made = tuple[Problem, Array, float]
"""A problem, W (m, d) at its start and log t of its end."""

# The tolerance of the run that is asked, and of those that it is compared with.
RTOL, TIGHT = 1e-8, 1e-11
# Weights may differ by so much of their largest: the sum of what a few hundred steps are allowed.
AGREED = 1e-8
# So near are the times of an event that a problem determines; a neuron that dies approaches 0 for ever, and meets it
# where rounding says.
STABLE = 1e-5
# Rows 1000 times as long as others take tens of thousands of steps to late times.
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
    """The events (neuron, surface, kind) of a run in their order, log(1 + t) of each, its rows, and how it ended."""

    events: list[tuple[int, int, int]]
    times: list[float]
    rows: list[FlowRow]
    finish: Finish

    @property
    def weights(self) -> Array:
        """(w_j, a_j) at the end, (m, r + K)."""
        parameters = self.finish.state.parameters
        return np.column_stack([parameters.U, np.atleast_2d(parameters.outer).T])

    @property
    def size(self) -> float:
        """The largest weight of all rows."""
        return max([float(np.abs(row.state.U).max()) for row in self.rows] + [1e-300])


def way(
    problem: Problem,
    W: Array,
    until: Until,
    method: str = "taylor",
    rtol: float = 1e-8,
    rows: int | Sequence[float] = 3,
    account: Account | None = None,
    engine: Engine = "primal",
) -> Way:
    """The flow in the coordinates of an engine."""
    due = spaced("log", rows, until) if isinstance(rows, int) else iter(rows)
    events, times, kept = list[tuple[int, int, int]](), list[float](), list[FlowRow]()
    manner = Manner(engine, method, Tolerances(rtol, rtol / 100.0))
    for item in steps(problem, W, until, manner, due, account=account):
        if isinstance(item, Event):
            events.append((item.neuron, item.surface, int(item.kind)))
            times.append(item.v)
        elif isinstance(item, FlowRow):
            kept.append(item)
        elif isinstance(item, Finish):
            return Way(events, times, kept, item)
    raise AssertionError("the flow ended without saying how")


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


def compared(name: str, made: Made, engine: Engine) -> Compared:
    """The series beside the steppers at a tolerance 1000 times as tight."""
    problem, W, log_time = made
    check_products(problem, W)
    until = until_log_time(log_time)
    ours, theirs, tight = (
        way(problem, W, until, method, rtol, account=Account(LIMIT), engine=engine)
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
    return Compared(name, determined, "; ".join(told))


def compare_all(kind: str, seeds: Sequence[int], made: Callable[[str, int], Made], engine: Engine) -> list[Compared]:
    """All problems of these seeds but those that are refused."""
    found = []
    for seed in seeds:
        try:
            found.append(compared(f"{kind} {seed}", made(kind, seed), engine))
        except ScenarioError:
            continue
    return found


def check(found: list[Compared]) -> None:
    """What a problem determines does not differ; and most determine it."""
    assert [f"{each.name}: {each.different}" for each in found if each.determined and each.different] == []
    assert sum(each.determined for each in found) > len(found) // 2
