"""The Taylor engine by every way in: the command line, `simulate`, `integrate`, `steps`, and checked by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import gflow
from gflow.cli import main
from gflow.errors import ScenarioError
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Event, FlowRow
from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.ladder import rungs
from tests.resumed import cut
from tests.test_integrate import by_arrays
from tests.test_pipeline import SMALL
from tests.test_steps import of, stream

TAYLOR = "flow.method=taylor"
FEW = "record.times={spacing: loglog, count: 12}"


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    scenario = parse_scenario(SMALL, overrides=[TAYLOR, "flow.until={log_time: 50.0}", FEW])
    return gflow.simulate(scenario, tmp_path_factory.mktemp("late") / "run")


def test_by_the_command_line_and_resumed_there(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SMALL)
    given = ["simulate", str(tmp_path / "s.yaml"), "--set", TAYLOR, "--set", FEW, "--out"]
    done = CliRunner().invoke(main, [*given, str(tmp_path / "whole")])
    assert done.exit_code == 0 and "taylor" in done.stdout
    whole = gflow.open_trajectory(tmp_path / "whole")
    cut(parse_scenario(SMALL, overrides=[TAYLOR, FEW, "record.commit={seconds: 0.0}"]), tmp_path / "cut", 5)
    assert CliRunner().invoke(main, [*given, str(tmp_path / "cut"), "--resume"]).exit_code == 0
    again = gflow.open_trajectory(tmp_path / "cut")
    for name in ("log1p_time", "inner", "margins", "pattern", "series/events", "series/sup_margin_gap"):
        np.testing.assert_array_equal(again.read(name), whole.read(name), err_msg=name)


def test_it_writes_the_events_and_weights_of_the_steppers(late: Trajectory, tmp_path: Path) -> None:
    overrides = [f"flow.method={SWITCHING}", "flow.until={log_time: 50.0}", FEW, "flow.rtol=1e-11", "flow.atol=1e-13"]
    other = gflow.simulate(parse_scenario(SMALL, overrides=overrides), tmp_path / "run")
    assert late.n_events == other.n_events > 10
    for field in ("neuron", "sample", "kind"):
        np.testing.assert_array_equal(getattr(late.events, field), getattr(other.events, field))
    np.testing.assert_allclose(late.events.log1p_time, other.events.log1p_time, rtol=1e-8)
    np.testing.assert_allclose(late.read("inner"), other.read("inner"), rtol=0.0, atol=1e-8)


def test_integrate_and_steps_have_its_rows_to_the_last_bit() -> None:
    flow, items = by_arrays("leaky", method="taylor"), stream("leaky", method="taylor")
    states = [row.state for row in of(FlowRow, items)]
    np.testing.assert_array_equal([state.v for state in states], flow.log1p_time)
    np.testing.assert_array_equal([state.U for state in states], flow.read("inner"))
    np.testing.assert_array_equal([event.v for event in of(Event, items)], flow.events.log1p_time)


def test_a_run_is_checked_by_the_steppers(late: Trajectory) -> None:
    chosen, left = rungs(RecordedRun.of(late))
    assert left == [] and [rung.manner.method for rung in chosen] == [SWITCHING, SWITCHING, "dopri8", SWITCHING]
    found = gflow.verify(late, lambda _: None)
    assert found.passed, [check for check in found.checks if check.verdict == "fail"]


SCALAR = "model={kind: scalar, width: 8, activation: {kind: relu}}"


@pytest.mark.parametrize("how", ["model.activation={kind: huberized_relu}", SCALAR])
def test_what_it_cannot_follow_is_refused(how: str) -> None:
    with pytest.raises(ScenarioError, match="flow.method = taylor: does not apply to .*; use auto"):
        parse_scenario(SMALL, overrides=[TAYLOR, how, *(["init={kind: balanced, size: 0.5}"] if how is SCALAR else [])])


def test_a_run_goes_on_to_a_later_end(tmp_path: Path) -> None:
    """The same bits as a run that was meant to go that far."""
    rows = "record.times={at: [0.5, 3.0, 10.0]}"
    short, long = (parse_scenario(SMALL, overrides=[TAYLOR, rows, f"flow.until.time={end}"]) for end in (12.0, 40.0))
    gflow.simulate(short, tmp_path / "run")
    again, fresh = gflow.simulate(long, tmp_path / "run", resume=True), gflow.simulate(long, tmp_path / "fresh")
    assert again.n_rows == fresh.n_rows + 1
    np.testing.assert_array_equal(again.read("inner", -1), fresh.read("inner", -1))
    np.testing.assert_array_equal(again.events.log1p_time, fresh.events.log1p_time)
