"""How runs of the Taylor engine end beside clock and loss: budgets and proofs."""

from __future__ import annotations

import numpy as np

from gflow.field.branch import Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import Choice
from gflow.flow.dual import dual_engine
from gflow.flow.simulate import flow_items
from gflow.flow.state import Finish, Outcome
from gflow.flow.stopping import Until
from tests.flow.driver import flow, until_log_time
from tests.taylor.test_late import gaussian


def test_a_budget_of_steps_is_spent_to_the_step() -> None:
    problem, W = gaussian(0.1)
    engine, account = dual_engine(problem, W, Tolerances(1e-8, 1e-10)), Account(Budget(steps=17))
    *_, last = flow_items(engine, until_log_time(3.0), iter(()), Choice("taylor"), account=account)
    assert isinstance(last, Finish) and last.outcome is Outcome.BUDGET and last.steps == 17
    assert "flow.budget.steps = 17 is spent" in last.sentence


def test_a_run_ends_where_its_mode_is_proved_to_stay() -> None:
    """The same mode as at log t = 1e4 by the other loop, long before."""
    problem, W = gaussian(0.1)
    result = flow(problem, W, Until(None, Outcome.TIME, None, certified=True), method="taylor")
    late = flow(problem, W, until_log_time(1e4))
    assert result.finish.outcome is Outcome.CERTIFIED
    np.testing.assert_array_equal(result.state.side, late.state.side)
    assert result.state.v < 1e4
