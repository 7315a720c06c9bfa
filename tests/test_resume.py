"""A run that is cut and resumed has the bits of one that was not; what cannot be resumed is refused and untouched."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import gflow
from gflow.assembly import build_manner, build_setup, build_until
from gflow.cli import main
from gflow.flow.state import Finish
from gflow.flow.steps import steps
from gflow.flow.stopping import spaced
from gflow.pipeline.resumption import last_checkpoint
from gflow.pipeline.simulation import stopped_by_limit
from gflow.scenario import parse_scenario
from gflow.trajectory import TrajectoryWriter
from tests.resumed import (
    CASES,
    EVERY_ROW,
    FEW_ROWS,
    FILES,
    assert_same,
    contents,
    cut,
    scenario_of,
)
from tests.test_pipeline import SMALL

LEAKY = scenario_of("leaky", Path())


@pytest.mark.sample(
    "relu",
    "primal*",
    "both layers",
    "scalar",
    "softmax",
    "late",
    "dying",
    "in a plane",
    "steppers",
    "steppers, primal",
    "held, primal",
)
@pytest.mark.parametrize("name", [*CASES, *FILES])
def test_a_run_cut_after_any_rows_has_the_same_bits(tmp_path: Path, name: str) -> None:
    """Cut after the first row, in the middle and before the last one, and resumed each time."""
    scenario = scenario_of(name, tmp_path)
    whole = gflow.simulate(scenario, tmp_path / "whole")
    rows, folder = whole.n_rows, tmp_path / "cut"
    at = [1, rows // 3, rows // 2, rows - 1]
    for k, count in enumerate(at):
        cut(scenario, folder, count, resume=k > 0)
    again = gflow.simulate(scenario, folder, resume=True)
    assert_same(again.path, contents(whole.path))
    assert [entry["from_row"] for entry in again.provenance[1:]] == [count - 1 for count in at]
    assert again.outcome is not None and again.outcome == whole.outcome


@pytest.mark.sample("leaky")
@pytest.mark.parametrize("name", ["leaky", "in a plane, primal", "steppers in a plane", "steppers late"])
def test_a_run_cut_after_every_row_has_the_same_bits(tmp_path: Path, name: str) -> None:
    scenario = scenario_of(name, tmp_path)
    whole = gflow.simulate(scenario, tmp_path / "whole")
    for count in range(1, whole.n_rows):
        cut(scenario, tmp_path / "cut", count, resume=count > 1)
    assert_same(gflow.simulate(scenario, tmp_path / "cut", resume=True).path, contents(whole.path))


def test_a_run_cut_between_rows_of_one_step_has_the_same_bits(tmp_path: Path) -> None:
    """Rows are looked for in the whole step, and not from the row before on."""
    scenario = parse_scenario(SMALL, overrides=[EVERY_ROW, "record.times={spacing: log, count: 30}"])
    whole = gflow.simulate(scenario, tmp_path / "whole")
    steps, counts = whole.series["steps"], range(14, 24)
    assert np.unique(steps[14:24]).size <= 6, "several rows lie in one step"
    for count in counts:
        cut(scenario, tmp_path / "cut", count, resume=count > counts[0])
    assert_same(gflow.simulate(scenario, tmp_path / "cut", resume=True).path, contents(whole.path))


def test_the_cases_contain_what_is_hard_to_resume(tmp_path: Path) -> None:
    """Slides, the implicit method, neurons held by decision, rests, leaps of the clock, and kinks at the start."""
    names = ("steppers late", "held", "dying", "leap")
    found = {name: gflow.simulate(scenario_of(name, tmp_path), tmp_path / name) for name in names}
    late = found["steppers late"]
    assert late.series["sliding"].max() > 0 and set(late.read("resume/stiff")) == {0, 1}
    assert found["held"].read("resume/held").any() and found["held"].read("resume/unsettled")[0] > 0
    assert set(found["dying"].read("resume/resting")) == {0, 1}
    clock, shown = found["leap"].read("resume/clock"), found["leap"].log1p_time
    assert (clock[:2] > shown[:2] + 10.0).all() and (clock[2:] < shown[2:]).all()
    steps = late.read("resume/steps"), late.series["steps"]
    assert np.unique(steps[0]).size > 2 and (steps[1] - steps[0] > 1).any(), "the way to a row is gone again"


@pytest.mark.parametrize("field", ["step", "tau", "clock"])
def test_another_checkpoint_gives_other_bits(tmp_path: Path, field: str) -> None:
    """The negative control: the comparison sees a step that is not the one the integrator would have tried."""
    whole = gflow.simulate(LEAKY, tmp_path / "whole")
    cut(LEAKY, tmp_path / "cut", 5)
    with h5py.File(tmp_path / "cut" / "trajectory.h5", "r+") as file:
        file[f"resume/{field}"][4] += 1e-9
    again = gflow.simulate(LEAKY, tmp_path / "cut", resume=True)
    assert not np.array_equal(again.inner[5:], whole.inner[5:]) or field == "tau"
    assert not np.array_equal(again.tau[5:], whole.tau[5:])
    assert again.margins == pytest.approx(whole.margins, abs=1e-6)


def test_a_run_that_is_killed_before_its_first_step_resumes(tmp_path: Path) -> None:
    """Also where nothing can follow: margins that floats cannot resolve."""
    scenario = scenario_of("leaky", tmp_path, "init={kind: gaussian, std: 1.0e+15}")
    whole = gflow.simulate(scenario, tmp_path / "whole")
    cut(scenario, tmp_path / "cut", 1)
    again = gflow.simulate(scenario, tmp_path / "cut", resume=True)
    assert again.outcome == "precision" and stopped_by_limit(again)
    assert_same(again.path, contents(whole.path))


def test_what_is_not_committed_is_dropped(tmp_path: Path) -> None:
    """Rows and events beyond the last committed row, as a kill inside a block leaves them."""
    whole = gflow.simulate(LEAKY, tmp_path / "whole")
    cut(LEAKY, tmp_path / "cut", 6)
    with h5py.File(tmp_path / "cut" / "trajectory.h5", "r+") as file:
        file.attrs["n_committed"] = 4
    again = gflow.simulate(LEAKY, tmp_path / "cut", resume=True)
    assert again.provenance[-1]["from_row"] == 3
    assert_same(again.path, contents(whole.path))


@pytest.mark.sample("leaky", "dying")
@pytest.mark.parametrize("name", ["leaky", "primal relu", "dying"])
def test_a_run_is_extended_to_a_later_end(tmp_path: Path, name: str) -> None:
    short, long = scenario_of(name, tmp_path), scenario_of(name, tmp_path, "flow.until={time: 60.0}")
    first = gflow.simulate(short, tmp_path / "run")
    kept, rows = first.inner, first.n_rows
    setup, until = build_setup(long), build_until(long)
    rows_left = (v for v in spaced("log", 9, until) if v > first.log1p_time[-1])
    origin = last_checkpoint(first, setup.problem)
    *_, end = steps(setup.problem, setup.inner, until, build_manner(long), rows_left, origin)
    again = gflow.simulate(long, tmp_path / "run", resume=True)
    assert np.array_equal(again.inner[:rows], kept) and again.outcome == "time"
    grid = np.linspace(0.0, 1.0, 9) * np.log1p(60.0)
    assert np.array_equal(again.log1p_time[rows:], grid[grid > np.log1p(20.0)])
    assert isinstance(end, Finish) and np.array_equal(again.inner[-1], end.state.U)
    assert again.outcome_sentence == end.sentence
    direct = gflow.simulate(long, tmp_path / "direct")
    assert np.array_equal(again.margins[-1], direct.margins[-1]), "neither rows nor ends on the way move the flow"
    assert again.scenario_sha256 == direct.scenario_sha256 and "60.0" in again.scenario_resolved
    assert again.provenance[1]["ended_before"] == first.outcome_sentence


def test_an_extension_that_is_cut_has_the_same_bits(tmp_path: Path) -> None:
    late = scenario_of("leaky", tmp_path, "flow.until={log_time: 1e4}", "record.times.spacing=loglog")
    for folder in ("one", "other"):
        gflow.simulate(LEAKY, tmp_path / folder)
    whole = gflow.simulate(late, tmp_path / "one", resume=True)
    cut(late, tmp_path / "other", 11, resume=True)
    again = gflow.simulate(late, tmp_path / "other", resume=True)
    assert_same(again.path, contents(whole.path))
    assert again.log1p_time[-1] > 9_999.0 and again.series["steps"][-1] > again.series["steps"][9]


def test_given_times_go_on_behind_the_last_row(tmp_path: Path) -> None:
    gflow.simulate(scenario_of("given times", tmp_path), tmp_path / "run")
    more = ["record.times={at: [0.1, 1.0, 7.0, 20.0, 30.0]}", "flow.until={time: 40.0}"]
    again = gflow.simulate(scenario_of("leaky", tmp_path, *more), tmp_path / "run", resume=True)
    assert np.array_equal(again.log1p_time, np.log1p([0.0, 0.1, 1.0, 7.0, 20.0, 30.0, 40.0]))


def test_a_stationary_run_gets_rows_up_to_an_end_on_the_clock(tmp_path: Path) -> None:
    first = gflow.simulate(scenario_of("dying before a loss", tmp_path), tmp_path / "run")
    assert first.outcome == "stationary"
    timed = scenario_of("dying before a loss", tmp_path, "flow.until={log_loss: -5.0, time: 1e4}")
    again = gflow.simulate(timed, tmp_path / "run", resume=True)
    assert again.outcome == "time" and again.log1p_time[-1] == np.log1p(1e4)
    assert (np.diff(again.log1p_time) > 0.0).all() and np.array_equal(again.inner[-1], first.inner[-1])


@pytest.mark.parametrize("name", ["leaky", "late", "certified", "until a loss", "dying before a loss"])
def test_a_finished_run_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    scenario, said = scenario_of(name, tmp_path), list[str]()
    done = gflow.simulate(scenario, tmp_path / "run")
    before = done.path.read_bytes()
    gflow.simulate(scenario, tmp_path / "run", resume=True, say=said.append)
    assert said == [f"{done.path} is complete, nothing is left to do: {done.outcome_sentence}"]
    assert done.path.read_bytes() == before


def test_a_proof_or_a_limit_is_not_undone_by_a_later_end(tmp_path: Path) -> None:
    for name, more in (
        ("certified", ["flow.until={certified: true, log_time: 1e6}"]),
        ("leaky", ["init={kind: gaussian, std: 1.0e+15}", "flow.until={time: 50.0}"]),
    ):
        done = gflow.simulate(scenario_of(name, tmp_path, *more[:-1]), tmp_path / name)
        before = done.path.read_bytes()
        gflow.simulate(scenario_of(name, tmp_path, *more), tmp_path / name, resume=True)
        assert done.path.read_bytes() == before


@pytest.mark.parametrize(("cadence", "commits"), [("{seconds: 86400, rows: 3}", [1, 4, 7]), (None, [1])])
def test_rows_are_saved_at_the_cadence_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cadence: str | None, commits: list[int]
) -> None:
    """9 rows: the first at once, then as many as may wait, the last one with the outcome."""
    saved, commit = list[int](), TrajectoryWriter.commit

    def note(self: TrajectoryWriter, *block: object) -> None:
        commit(self, *block)  # type: ignore[arg-type]
        saved.append(self.n_rows)

    monkeypatch.setattr(TrajectoryWriter, "commit", note)
    monkeypatch.setattr("gflow.pipeline.flow_file.time.monotonic", lambda: 0.0)
    overrides = [FEW_ROWS, *([f"record.commit={cadence}"] if cadence else [])]
    run = gflow.simulate(parse_scenario(SMALL, overrides=overrides), tmp_path / "run")
    assert run.n_rows == 9 and saved == [*commits, 8]


def call(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_goes_on_where_a_signal_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    file, out = tmp_path / "small.yaml", tmp_path / "run"
    file.write_text(SMALL)
    monkeypatch.setattr("gflow.flow.taylor.BATCH", 1)
    with monkeypatch.context() as patch:
        patch.setattr("gflow.report.progress.ProgressPrinter.__call__", lambda *_: signal.raise_signal(number))
        code, _, said = call("simulate", file, "--out", out)
    assert code == 130 and said.endswith("; go on with --resume\n")
    code, shown, said = call("simulate", file, "--out", out, "--resume")
    begun = re.search(r"going on after row (\d+) of", said)
    assert code == 0 and "Outcome      reached t = 20" in shown and begun and int(begun[1]) < 100
    code, shown, said = call("simulate", file, "--out", out, "--resume")
    assert code == 0 and "nothing is left to do: reached t = 20" in said and "Outcome      reached t = 20" in shown
    code, shown, _ = call("simulate", file, "--out", out, "--resume", "--set", "flow.until.time=30")
    assert code == 0 and "Outcome      reached t = 30" in shown
    assert f"Resumed      2 times, after rows {begun[1]} and 199" in call("inspect", out)[1]
    code, shown, said = call("simulate", file, "--out", out, "--resume", "--set", "flow.rtol=1e-9")
    assert code == 2 and shown == "" and said.startswith("gflow: --resume: ") and said.count("\n") == 1
