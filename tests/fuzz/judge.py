"""Follow the flow of a hostile problem within a budget, and judge all that it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gflow.field.affine import margin_rounding
from gflow.field.branch import Measure, Measures, Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.ending import UNRESOLVED
from gflow.flow.items import Advance, Item
from gflow.flow.state import Event, Finish, FlowRow
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import spaced
from gflow.problem.sizes import check_products
from tests.flow.driver import until_log_time
from tests.fuzz.problems import Recipe, built
from tests.fuzz.rows import check_cone, check_row

RTOL = 1e-8


Allowed = Callable[[Measure], float]


def followed(
    recipe: Recipe, budget: Budget, engine: str = "dual", allowed: Allowed | None = None, method: str = "auto"
) -> Finish:
    """Run a recipe by an engine; all it says is judged.  Returns how the run ended.

    allowed: how far the loss may rise at a measure; by default what fits the dual engine, which keeps margins to rtol.
    Raises ScenarioError for sizes that `gflow simulate` refuses, too.
    """
    problem, W = built(recipe)
    check_products(problem, W)
    manner = Manner(engine, method, tolerances=Tolerances(RTOL, RTOL / 100.0))
    until = until_log_time(recipe.log_time)
    finish = None
    items = steps(problem, W, until, manner, spaced("loglog", 5, until), account=Account(budget))
    rise = 100.0 * RTOL if recipe.is_moderate else 2.0 * UNRESOLVED
    for item in judged(items, allowed or (lambda _: rise)):
        assert finish is None, "something was said after the end"
        finish = item if isinstance(item, Finish) else None
        if isinstance(item, FlowRow) and recipe.is_moderate:
            check_row(problem, W, item.state)
    assert finish is not None, "the flow ended without saying how"
    assert finish.sentence and finish.state.v <= (until.v_end or np.inf)
    if recipe.is_moderate:
        check_cone(problem, W, finish.state)
    return finish


def judged(items: Iterator[Item], rise: Allowed) -> Iterator[Item]:
    """The items, each finite; the clock never runs back, and the loss never rises beyond rounding and `rise`."""
    v, happened, lowest = 0.0, 0.0, np.inf
    for item in items:
        match item:
            case FlowRow() | Finish():
                state = item.state
                assert _finite(state.U, state.p, state.v, state.tau, state.log_loss, state.h), f"not finite: {state}"
                here = state.v
            case Measure() | Measures():
                for each in [item] if isinstance(item, Measure) else item.each():
                    lowest = _judged_measure(each, lowest, rise)
                    assert each.v >= v * (1.0 - 10.0 * RTOL) - 1e-100, f"measured at {each.v!r}, after {v!r}"
                    v = here = max(v, each.v)
            case Event():
                assert item.v >= 0.0, f"an event before the start, at {item.v!r}"
                assert item.v >= happened * (1.0 - 10.0 * RTOL) - 1e-100, f"an event at {item.v!r} after {happened!r}"
                happened = item.v
                here = max(v, item.v)  # in a batch, events come after the measures
            case Advance():
                here = float(item.y[-1])
            case _:
                here = item.v
        assert here >= v * (1.0 - 10.0 * RTOL) - 1e-100, f"the clock runs back from {v!r} to {here!r}"
        v = max(v, here)
        yield item


def _judged_measure(item: Measure, lowest: float, rise: Allowed) -> float:
    """The least log loss so far."""
    assert _finite(item.p, item.margin_rates, item.v, item.norm, item.speed, item.log_loss), f"not finite: {item}"
    slack = 1e3 * margin_rounding(item.p) + rise(item)
    assert item.log_loss <= lowest + slack, f"log loss rises from {lowest!r} to {item.log_loss!r}"
    return min(lowest, item.log_loss)


def _finite(*numbers: float | NDArray[np.float64]) -> bool:
    return all(bool(np.isfinite(number).all()) for number in numbers)
