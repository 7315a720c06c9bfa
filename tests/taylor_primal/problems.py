"""Random problems with trained outer layers, or in primal coordinates, and their flows by one method or another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.state import Event, Finish, FlowRow
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until, spaced
from gflow.problem.problem import Problem
from tests.fuzz.problems import TIED, Recipe, built, drawn

Array = NDArray[np.float64]
KINDS = ("both", "inner", "tied", "late", "bias")
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


def made(kind: str, seed: int) -> tuple[Problem, Array, float]:
    """The problem, W (m, d) at its start and log t of its end.  `bias` adds a coordinate 1 to every input."""
    recipe = recipe_of(kind, seed)
    problem, W = built(recipe)
    X = problem.X
    if kind == "bias":
        X = np.column_stack([X, np.ones(problem.samples)])
        W = np.column_stack([W, np.random.default_rng([seed, 2]).normal(size=len(W))])
    network = replace(problem.network, trains_outer=kind != "inner")
    return Problem.of(X, problem.y, network, problem.loss), W, recipe.log_time


@dataclass(frozen=True, slots=True)
class Way:
    """The events (neuron, surface, kind) of a run in their order, log(1 + t) of each, its rows, and how it ended."""

    events: list[tuple[int, int, int]]
    times: list[float]
    rows: list[FlowRow]
    finish: Finish

    @property
    def weights(self) -> Array:
        """(w_j, a_j) at the end, (m, r + 1)."""
        parameters = self.finish.state.parameters
        return np.column_stack([parameters.U, parameters.outer])

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
) -> Way:
    """The flow in primal coordinates."""
    due = spaced("log", rows, until) if isinstance(rows, int) else iter(rows)
    events, times, kept = list[tuple[int, int, int]](), list[float](), list[FlowRow]()
    manner = Manner("primal", method, Tolerances(rtol, rtol / 100.0))
    for item in steps(problem, W, until, manner, due, account=account):
        if isinstance(item, Event):
            events.append((item.neuron, item.surface, int(item.kind)))
            times.append(item.v)
        elif isinstance(item, FlowRow):
            kept.append(item)
        elif isinstance(item, Finish):
            return Way(events, times, kept, item)
    raise AssertionError("the flow ended without saying how")
