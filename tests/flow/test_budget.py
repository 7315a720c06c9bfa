"""A run ends when its budget is spent: wall time by an injected clock, events, steps; and says which, and where."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import gflow
from gflow.cli import main
from gflow.errors import ScenarioError
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import SWITCHING, TAYLOR
from gflow.flow.items import Item
from gflow.flow.state import Event, Finish, FlowRow, Outcome
from gflow.flow.steps import Manner, steps
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.scenario import parse_scenario
from tests.flow.driver import until_log_time

# Contradicting labels in the plane: no network separates them, and late steps are proportional to t.
INSEPARABLE = """\
gflow: 1
name: inseparable
seed: 1
data: {kind: gaussian, n: 8, d: 2}
model: {kind: two_layer, width: 8, activation: {kind: leaky_relu, slope: 0.5}}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {log_time: 1e6}}
record: {times: {spacing: loglog, count: 20}}
"""


BOTH = pytest.mark.parametrize("method", [SWITCHING, TAYLOR])


def items(account: Account, method: str = SWITCHING) -> Iterator[Item]:
    """A small network with events, to log t = 100."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((8, 5)), rng.choice([-1.0, 1.0], size=8)
    problem = Problem.of(X, y, Network(np.array([1.0, -1.0, 1.0, -1.0]), 0.1), LOSSES["logistic"])
    W, manner = 0.1 * rng.standard_normal((4, 5)), Manner(method=method)
    return steps(problem, W, until_log_time(100.0), manner, account=account)


def finish_of(account: Account, method: str = SWITCHING) -> tuple[Finish, list[Event]]:
    said = list(items(account, method))
    assert isinstance(said[-1], Finish) and isinstance(said[-2], FlowRow)
    assert said[-2].state is said[-1].state
    return said[-1], [item for item in said if isinstance(item, Event)]


@BOTH
def test_steps(method: str) -> None:
    finish, _ = finish_of(Account(Budget(steps=7)), method)
    assert finish.outcome is Outcome.BUDGET and finish.steps == 7
    assert "flow.budget.steps = 7 is spent (7 steps" in finish.sentence and "raise flow.budget.steps" in finish.sentence


@BOTH
def test_events(method: str) -> None:
    finish, events = finish_of(Account(Budget(events=5)), method)
    assert finish.outcome is Outcome.BUDGET and finish.outcome.is_limit and 5 <= len(events) < 10
    last = events[-1]
    assert f"{len(events)} events" in finish.sentence
    assert f"last event at neuron {last.neuron} surface {last.surface}" in finish.sentence


def test_wall_time() -> None:
    ticks = count()
    finish, _ = finish_of(Account(Budget(wall_time=20.0), clock=lambda: float(next(ticks))))
    assert finish.outcome is Outcome.BUDGET and "flow.budget.wall_time = 20 is spent" in finish.sentence
    assert next(ticks) == 21, "the clock is read once when opened, and once a step or event"


def test_the_compiled_loop_comes_back_to_look_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gflow.flow.taylor.BATCH", 1)
    ticks = count()
    finish, _ = finish_of(Account(Budget(wall_time=20.0), clock=lambda: float(next(ticks))), "taylor")
    assert finish.outcome is Outcome.BUDGET and "flow.budget.wall_time = 20 is spent" in finish.sentence
    assert next(ticks) == 21 and finish.steps == 21, "once a step"


@BOTH
def test_no_row_lies_at_the_instant_of_an_event(method: str) -> None:
    """Where the budget is spent when an event comes, the run ends before it, and goes on with it."""
    said = list(items(Account(Budget()), method))
    times = np.array([item.v for item in said if isinstance(item, Event)])
    checked = 0
    for limit in range(1, len(times)):
        finish, events = finish_of(Account(Budget(events=limit)), method)
        assert [event.v for event in events] == times[: len(events)].tolist()
        assert limit <= len(events) and (np.abs(times - finish.state.v) > 1e-12 * times).all()
        checked += len(events) == limit and finish.state.v < times[limit]
    assert checked > len(times) // 2


@pytest.mark.parametrize("name", ["memory", "disk"])
def test_a_gauge_that_grows(name: str) -> None:
    taken = count(1000, 100)
    budget = Budget(**{name: 1500.0})  # type: ignore[arg-type]
    finish, _ = finish_of(Account(budget, gauges={name: lambda: float(next(taken))}))
    assert finish.outcome is Outcome.BUDGET and f"flow.budget.{name} = 1500 is spent" in finish.sentence
    assert next(taken) == 1600, "it is read once a step or event"


def test_a_wide_budget_changes_nothing() -> None:
    wide, some = finish_of(Account(Budget(1e9, 10**6, 10**6)))
    free, all_events = finish_of(Account(Budget()))
    assert wide.outcome is free.outcome is Outcome.LOG_TIME and wide.sentence == free.sentence
    assert some == all_events and np.array_equal(wide.state.U, free.state.U)


@BOTH
@pytest.mark.parametrize(
    "key, fragment",
    [
        ("steps=300", "300 steps"),
        ("events=10", "10 events"),
        ("disk=1e5", "flow.budget.disk = 100000 is spent"),  # the first block of rows alone takes more
        ("memory=1e5", "flow.budget.memory = 100000 is spent"),
    ],
)
def test_the_file_keeps_all_rows_and_the_exit_code_is_3(tmp_path: Path, key: str, fragment: str, method: str) -> None:
    (tmp_path / "s.yaml").write_text(INSEPARABLE)
    given = ["simulate", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "run"), "--set", f"flow.budget.{key}"]
    given += ["--set", f"flow.method={method}"]
    done = CliRunner().invoke(main, given)
    assert done.exit_code == 3 and fragment in done.stdout
    trajectory = gflow.open_trajectory(tmp_path / "run")
    assert trajectory.outcome == "budget" and fragment in (trajectory.outcome_sentence or "")
    assert trajectory.n_rows >= 2 and np.isfinite(trajectory.log_loss[:]).all()
    assert (np.diff(trajectory.log1p_time[:]) > 0.0).all()


@BOTH
@pytest.mark.sample("*-taylor", "events-*")
@pytest.mark.parametrize("key, most", [("steps", 15), ("events", 5)])
def test_each_start_has_the_whole_budget(tmp_path: Path, key: str, most: int, method: str) -> None:
    by = f"flow.method={method}"
    scenario = parse_scenario(INSEPARABLE, overrides=[by, f"flow.budget={{{key}: {most}}}"])
    spent = [0.0]
    for resume in range(4):
        run = gflow.simulate(scenario, out=tmp_path, resume=resume > 0)
        assert run.outcome == "budget" and f"({most if key == 'steps' else ''}" in (run.outcome_sentence or "")
        spent.append(float(run.series[key][-1]))
    assert (np.diff(spent) >= most).all() and (np.diff(spent) <= 2 * most).all()
    longer = parse_scenario(INSEPARABLE, overrides=[by, "flow.budget={steps: 200}"])
    far = gflow.simulate(longer, out=tmp_path, resume=True)
    fresh = gflow.simulate(longer, out=tmp_path / "fresh")
    shared = [float(v) for v in far.log1p_time if v in fresh.log1p_time]
    assert len(shared) >= 3
    for v in shared:
        there, here = (int(np.searchsorted(run.log1p_time, v)) for run in (far, fresh))
        assert far.margins[there] == pytest.approx(fresh.margins[here], rel=1e-6, abs=1e-6)


@BOTH
def test_data_that_nothing_separates_end_by_wall_time(tmp_path: Path, method: str) -> None:
    scenario = parse_scenario(INSEPARABLE, overrides=[f"flow.method={method}", "flow.budget={wall_time: 0.5}"])
    assert gflow.simulate(scenario, out=tmp_path).outcome == "budget"


@pytest.mark.parametrize(
    "value", ["{wall_time: 0}", "{steps: 0}", "{events: -1}", "{steps: 1.5}", "{time: 3}", "{disk: 0}", "7"]
)
def test_a_budget_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ScenarioError, match=r"flow.budget"):
        parse_scenario(INSEPARABLE, overrides=[f"flow.budget={value}"])
