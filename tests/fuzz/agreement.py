"""The dual and the primal engine on one recipe: two integrations that share the kinks and nothing of the variables."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Measure
from gflow.flow.budget import Budget
from gflow.flow.state import Outcome
from tests.fuzz.judge import RTOL, followed
from tests.fuzz.problems import Recipe, built

# Each engine keeps every step to 1e-8 of the weights and margins; a few hundred steps and events, after which an error
# may grow as neurons part, leave a factor of 100 for both together.
AGREED = 1e-6
# Weights are asked for to rtol of their size and, those near 0, to this absolutely.
ATOL = RTOL / 100.0


def gap(recipe: Recipe, budget: Budget) -> tuple[float, float] | None:
    """How far the engines are apart where both reach the end: weights relative to the start and the way they went
    (where these are small, to the size at which both tolerances are alike), log L absolutely.

    None where the budget cut one of them short, or where both end early in the same way.  Raises AssertionError where
    they end in different ways, ScenarioError for sizes that `gflow simulate` refuses.
    """
    problem, W = built(recipe)
    dual = followed(recipe, budget)
    primal = followed(recipe, budget, "primal", partial(_allowed, problem.network.outer, problem.X))
    ends = {dual.outcome, primal.outcome}
    if Outcome.BUDGET in ends:
        return None
    assert len(ends) == 1, f"dual: {dual.sentence}; primal: {primal.sentence}"
    if dual.outcome is not Outcome.LOG_TIME:
        return None
    size = np.linalg.norm(dual.state.U - W @ problem.span.B.T) + np.linalg.norm(W) + ATOL / RTOL
    apart = float(np.linalg.norm(dual.state.U - primal.state.U) / size)
    return apart, abs(dual.state.log_loss - primal.state.log_loss)


def _allowed(outer: NDArray[np.float64], X: NDArray[np.float64], at: Measure) -> float:
    """How far the loss of the primal engine may rise: by 100 times what weights within their tolerances move a margin.

    It keeps weights, not margins: an error e_j of w_j moves them by up to sum_j |a_j| |e_j| max |x_i|, with sizes of
    1000 far more than the width over which the shares q of contradicting samples change, and a step across that is
    off by some tens of tolerances.
    """
    far = float(np.linalg.norm(outer) * np.linalg.norm(X, axis=1).max())
    return 100.0 * (RTOL + far * (RTOL * at.norm + ATOL * float(np.sqrt(outer.size))))
