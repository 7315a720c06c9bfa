"""The dual and the primal engine on one recipe: two integrations that share the kinks and nothing of the variables."""

from __future__ import annotations

import numpy as np

from gflow.field.branch import Tolerances
from gflow.flow.budget import Budget
from gflow.flow.primal import primal_engine
from gflow.flow.state import Outcome
from tests.fuzz.judge import RTOL, followed
from tests.fuzz.problems import Recipe, built

# Each engine keeps every step to 1e-8 of the weights and margins; a few hundred steps and events, after which an error
# may grow as neurons part, leave a factor of 100 for both together.
AGREED = 1e-6
# Weights are asked for to rtol of their size and, those near 0, to this absolutely.
ATOL = RTOL / 100.0


def gap(recipe: Recipe, budget: Budget) -> tuple[float, float] | None:
    """How far the engines are apart where both reach the end, None where one does not: weights relative to the start
    and the way they went (where these are small, to the size at which both tolerances are alike), log L absolutely.

    Raises ScenarioError for sizes that `gflow simulate` refuses.
    """
    dual = followed(recipe, budget)
    if dual.outcome is not Outcome.LOG_TIME:
        return None
    problem, W = built(recipe)
    primal = followed(recipe, budget, primal_engine(problem, W, Tolerances(RTOL, ATOL)))
    if primal.outcome is not Outcome.LOG_TIME:
        return None
    size = np.linalg.norm(dual.state.U - W @ problem.span.B.T) + np.linalg.norm(W) + ATOL / RTOL
    apart = float(np.linalg.norm(dual.state.U - primal.state.U) / size)
    return apart, abs(dual.state.log_loss - primal.state.log_loss)
