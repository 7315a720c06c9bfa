"""An integration that ends by its budget decides nothing beyond what it reached, and is judged on that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gflow.flow.budget import Budget
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification import reintegration
from gflow.verification.check import Verification
from gflow.verification.ladder import MOST_EVENTS, STEP_FACTOR, STEPS_TO_START, rungs
from gflow.verification.reintegration import Again, LadderProgress, again
from gflow.verification.stability import agreement
from tests.verification.runs import changed, failing, named


def silent(_: LadderProgress) -> None:
    pass


def recorded(trajectory: Trajectory) -> RecordedRun:
    return RecordedRun.of(trajectory)


def cut(at: RecordedRun, budget: Budget) -> Again:
    """The first integration, with this budget."""
    return again(at, replace(rungs(at)[0][0], budget=budget), silent)


def test_budgets_are_work_and_follow_from_the_run(clean: Trajectory) -> None:
    at = recorded(clean)
    chosen, _ = rungs(at)
    steps = clean.series["steps"]
    assert [rung.budget.steps for rung in chosen] == [
        STEPS_TO_START + STEP_FACTOR * int(steps[rung.rows[-1]]) for rung in chosen
    ]
    assert [rung.budget.events for rung in chosen] == [None, None, MOST_EVENTS, MOST_EVENTS]
    assert all(rung.budget.wall_time is None for rung in chosen)


def test_what_it_reached_is_judged(clean: Trajectory, tmp_path: Path) -> None:
    """Half of the steps: some rows are reached.  They agree: not decided.  One of them is changed: it fails."""
    half = Budget(steps=int(clean.series["steps"][-1]) // 2)
    found = cut(recorded(clean), half)
    assert found.spent and 0 < len(found.reached) < len(found.rung.rows)
    checks = named(agreement(recorded(clean), [found], []))
    check = checks["again: rtol / 10"]
    assert check.verdict == "not decided" and check.value is not None and check.bound is not None
    assert check.value < check.bound
    assert f"after {half.steps} steps (of {half.steps})" in check.sentence and "largest relative gap" in check.sentence
    assert checks["again: rtol / 10, events"].verdict == "pass"
    assert checks["conclusions: stable"].verdict == "not decided"
    row = found.reached[0].row

    def change(file: Any) -> None:  # Any: an open h5py.File
        file["margins"][row] = file["margins"][row] + 1e-3

    at = recorded(changed(clean, tmp_path, change))
    assert "again: rtol / 10" in failing(agreement(at, [cut(at, half)], []))


@pytest.mark.parametrize("entry", ["kind", "neuron", "log1p_time"])
def test_events_before_the_end_are_compared_one_by_one(clean: Trajectory, tmp_path: Path, entry: str) -> None:
    """Before any row is reached, and each thing an entry says."""
    assert clean.n_events > 12
    few = Budget(events=12)
    stopped = cut(recorded(clean), few)
    assert stopped.spent and 12 <= len(stopped.events) < clean.n_events
    check = named(agreement(recorded(clean), [stopped], []))["again: rtol / 10, events"]
    assert check.verdict == "pass" and check.value == 0.0

    def change(file: Any) -> None:  # Any: an open h5py.File
        value = file[f"events/{entry}"][2]
        file[f"events/{entry}"][2] = value * 0.9 if entry == "log1p_time" else (value + 1) % 5

    at = recorded(changed(clean, tmp_path, change))
    assert "again: rtol / 10, events" in failing(agreement(at, [cut(at, few)], []))


def test_no_row_at_all(clean: Trajectory) -> None:
    check = named(agreement(recorded(clean), [cut(recorded(clean), Budget(steps=1))], []))["again: rtol / 10"]
    assert check.verdict == "not decided" and check.value is None and "none of its rows was reached" in check.sentence


def test_the_summary_names_what_is_open(clean: Trajectory) -> None:
    at = recorded(clean)
    found = Verification.of("0", {}, agreement(at, [cut(at, Budget(steps=1))], []))
    assert found.passed and "not decided (rtol / 10, stable)" in found.summary


def test_the_other_engine_goes_on_while_that_is_cheap(clean: Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the rows that it has to reach: to the last one, or not a row further where no step more is granted; either
    is judged as far as it came."""
    at = recorded(clean)
    other = next(rung for rung in rungs(at)[0] if rung.name.startswith("other engine"))
    assert all(not rung.further for rung in rungs(at)[0] if rung is not other)
    asked = replace(other, rows=(2,), further=(clean.n_rows // 2, clean.n_rows - 1))
    for most, reached in ((1000, 3), (0, 1)):
        monkeypatch.setattr(reintegration, "FURTHER_STEPS", most)
        found = again(at, asked, silent)
        assert len(found.reached) == reached and found.stopped is None
        checks = named(agreement(at, [found], []))
        check = checks[f"again: {other.name}"]
        assert check.verdict == checks[f"again: {other.name}, events"].verdict == "pass"
        assert f"to row {found.reached[-1].row} (asked: 2" in check.sentence
