"""Why a stretch ends: each reason has one consequence, and the types know nothing of how an engine finds where."""

from __future__ import annotations

import typing
from pathlib import Path

import numpy as np
import pytest

from gflow.field.branch import Tolerances
from gflow.flow import reason
from gflow.flow.choice import Choice
from gflow.flow.cut import GUARD_RESOLUTION, end_time, ends_of, first_cut
from gflow.flow.dual import dual_engine
from gflow.flow.ending import MOST_STALLED, UNRESOLVED, outcome_of, sentence
from gflow.flow.reason import (
    AtRest,
    BudgetSpent,
    Cut,
    EndReached,
    GuardReached,
    Proved,
    Reason,
    Restart,
    StepFailed,
    TurnedStiff,
)
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from tests.flow.driver import problem_of
from tests.reference.setting import drawn
from tests.test_architecture import imports_of

NEAR = np.array([0])
ENDS: dict[Reason, Outcome | None] = {
    EndReached(Outcome.LOG_LOSS): Outcome.LOG_LOSS,
    Proved(): Outcome.CERTIFIED,
    BudgetSpent("steps"): Outcome.BUDGET,
    StepFailed("too short"): Outcome.STEP_UNDERFLOW,
    AtRest(): None,
    Restart(): None,
    TurnedStiff(): None,
}


@pytest.mark.parametrize("why", ENDS, ids=lambda why: type(why).__name__)
def test_what_follows_from_a_reason(why: Reason) -> None:
    assert outcome_of(why, 0.0, 0) is ENDS[why]
    assert outcome_of(why, 2.0 * UNRESOLVED, 0) is Outcome.PRECISION


def test_guards_end_a_run_only_where_they_stall() -> None:
    assert outcome_of(GuardReached(NEAR), 0.0, MOST_STALLED) is None
    assert outcome_of(GuardReached(NEAR), 0.0, MOST_STALLED + 1) is Outcome.EVENTS_ACCUMULATE


def test_every_reason_is_looked_at() -> None:
    assert {type(why) for why in ENDS} | {GuardReached} == set(typing.get_args(Reason))


def test_the_reasons_know_no_stepper() -> None:
    """An engine that integrates otherwise returns the same types."""
    names = set(imports_of(Path(reason.__file__)))
    assert {name.rpartition(".")[0] for name in names if name.startswith("gflow")} == {
        "gflow.arrays",
        "gflow.flow.state",
    }


def cut_of(v_end: float | None = None, fall: float | None = None) -> Cut:
    """The first cut of a small flow from its start, where log L may fall by so much."""
    setting, W = drawn("wide", 0.0, "logistic", seed=1)
    engine = dual_engine(problem_of(setting), W, Tolerances(1e-8, 1e-10))
    state, _ = engine.start()
    stretch = engine.stretch(state)
    stepper = Choice("DOP853").stepper(stretch.branch, state.h / stretch.branch.unit, False)
    ends = ends_of(stretch, Until(v_end, Outcome.TIME, None if fall is None else state.log_loss - fall))
    assert end_time(ends) == (np.inf if v_end is None else v_end)
    while (cut := first_cut(stretch, stepper, stepper.step(), ends, 1)) is None:
        pass
    if isinstance(cut.reason, GuardReached):
        assert abs(stretch.guards.lowest(cut.y, cut.reason.near)) <= GUARD_RESOLUTION
    return cut


def test_the_first_to_come_is_the_reason() -> None:
    guard = cut_of()
    assert isinstance(guard.reason, GuardReached)
    half = 0.5 * float(guard.y[-1])
    clock, loss = cut_of(v_end=half), cut_of(fall=1e-6)
    assert clock.reason == EndReached(Outcome.TIME) and clock.y[-1] == half
    assert loss.reason == EndReached(Outcome.LOG_LOSS) and loss.elapsed < clock.elapsed < guard.elapsed
    assert cut_of(v_end=half, fall=1e-6).reason == loss.reason
    assert cut_of(v_end=0.5 * float(loss.y[-1]), fall=1e-6).reason == clock.reason
    late = cut_of(v_end=2.0 * float(guard.y[-1]))
    assert isinstance(late.reason, GuardReached) and late.elapsed == guard.elapsed


def test_sentences_say_the_reason() -> None:
    setting, W = drawn("wide", 0.0, "logistic", seed=1)
    state, _ = dual_engine(problem_of(setting), W, Tolerances(1e-8, 1e-10)).start()
    told = sentence(Outcome.BUDGET, BudgetSpent("the budget of steps is spent"), state, 0.0, [])
    assert told == "stopped at t = 0: the budget of steps is spent"
    told = sentence(Outcome.EVENTS_ACCUMULATE, GuardReached(NEAR), state, 0.0, [(3, 5)])
    assert "the last at neuron 3 surface 5; it hovers" in told
