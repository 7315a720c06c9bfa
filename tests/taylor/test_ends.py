"""How runs of the Taylor engine end beside clock and loss: budgets and proofs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow import load_scenario, simulate
from gflow.field.branch import Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.certified import Watch
from gflow.flow.choice import SWITCHING, Choice
from gflow.flow.dual import dual_engine
from gflow.flow.simulate import flow_items
from gflow.flow.state import Finish, Outcome
from gflow.flow.stopping import Until
from tests.flow.driver import flow, until_log_time
from tests.fuzz.whole import drawn_whole
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


def test_no_row_comes_after_the_loss_that_ends_a_run() -> None:
    """Many rows, some in the very step in which the loss is reached; the last is where that is, for both loops."""
    problem, W = gaussian(0.1)
    until = Until(None, Outcome.TIME, -3.0)
    for method in ("taylor", SWITCHING):
        result = flow(problem, W, until, method=method, rows=300)
        assert result.finish.outcome is Outcome.LOG_LOSS and result.state.log_loss == pytest.approx(-3.0, abs=1e-9)
        losses, v = ([getattr(row.state, name) for row in result.rows] for name in ("log_loss", "v"))
        assert min(losses[:-1]) > -3.0 and (np.diff(v) > 0.0).all() and len(v) > 20


def test_the_first_of_two_ends_counts() -> None:
    problem, W = gaussian(0.1)
    reached = flow(problem, W, Until(None, Outcome.TIME, -3.0)).state.v
    for factor, outcome in ((1.0 + 1e-6, Outcome.LOG_LOSS), (1.0 - 1e-6, Outcome.TIME)):
        found = flow(problem, W, Until(factor * reached, Outcome.TIME, -3.0), method="taylor", rows=20).finish
        assert found.outcome is outcome and found.state.v == pytest.approx(reached, rel=2e-6)


def test_a_proof_is_looked_for_after_each_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at every 16 strides only, this run would be seen again after tau has doubled 15 times."""
    problem, W = gaussian(0.1)
    looks, due = list[tuple[float, float]](), Watch.due

    def seen(self: Watch, since: float, tau: float) -> bool:
        looks.append((since, tau))
        return due(self, since, tau)

    monkeypatch.setattr(Watch, "due", seen)
    monkeypatch.setattr(Watch, "proved_at", lambda *_: False)
    result = flow(problem, W, Until(1e9, Outcome.LOG_TIME, None, certified=True), method="taylor")
    assert result.finish.outcome is Outcome.LOG_TIME
    assert max(np.log2(tau / since) for since, tau in looks[-20:]) < 4.0
    assert all(since == before for (_, before), (since, _) in zip(looks, looks[1:], strict=False))


@pytest.mark.parametrize("seed", [79, 92])
def test_no_proof_ends_a_run_at_an_event(seed: int, tmp_path: Path) -> None:
    """At the very instant what was decided is a limit from one side: other neurons may fire at it, too."""
    run = simulate(load_scenario(drawn_whole(seed).write(tmp_path)), out=tmp_path / "run")
    assert run.outcome == "certified" and run.n_events > 0
    assert run.log1p_time[-1] > run.events.log1p_time[-1]
