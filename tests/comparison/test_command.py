"""`gflow compare`: files, text, exit codes, refusals that write nothing, interruptions."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import gflow
from gflow.cli import main
from gflow.comparison.plan import CompareProgress
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME
from gflow.trajectory import DESCENT_FILE_NAME
from tests.comparison.cases import KINKED, simulated

TEXT = KINKED.format(seed=0, slope=0.1, loss="logistic")


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    simulated(tmp_path / "run")
    return tmp_path / "run"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_folder_then_inspect(run: Path) -> None:
    done = call("compare", run, "--eta", "0.1", "--eta", "0.05", "--eta", "0.025")
    # Slow machines are told how far it is: that is no complaint.
    assert done.exit_code == 0 and not re.search("gflow:|warning|error", done.stderr, re.IGNORECASE)
    for words in ("gradient descent until t = 4", "eta = 0.05: ", "Summary      descent stays within 1 %", "eta^"):
        assert words in done.stdout
    assert names(run) == {"scenario.yaml", "trajectory.h5", "comparison.json", DESCENT_FILE_NAME}
    shown = call("inspect", run / DESCENT_FILE_NAME)
    assert shown.exit_code == 0 and "gradient descent, eta = 0.1, 0.05, 0.025; double precision" in shown.stdout
    assert call("inspect", run / DESCENT_FILE_NAME, "--json").exit_code == 0
    content = json.loads((run / "comparison.json").read_text())
    again = call("compare", run / "trajectory.h5", "--eta", "0.1", "--eta", "0.05", "--eta", "0.025", "--json")
    assert json.loads(again.stdout) == content


def test_rows_of_a_run_come_in_the_order_of_its_steps(run: Path) -> None:
    assert call("compare", run, "--eta", "0.05", "--eta", "0.02").exit_code == 0
    descent = gflow.open_trajectory(run / DESCENT_FILE_NAME)
    eta, step = descent.read("eta"), descent.read("step")
    assert descent.kind == "descent" and not descent.records_events and descent.outcome == "time"
    for size, last in ((0.05, 80), (0.02, 200)):
        own = step[eta == size]
        assert (np.diff(own) > 0).all() and (own[0], own[-1]) == (0, last)
    assert (np.diff(step) >= 0).all() and set(eta) == {0.05, 0.02}, "runs that advance together take turns"
    assert json.loads(str(descent.facts["etas"])) == [0.05, 0.02]
    assert descent.facts["until_time"] == pytest.approx(4.0, rel=1e-15)
    assert np.log1p(eta * step) == pytest.approx(descent.log1p_time, abs=1e-15)
    z = descent.weights(50) @ descent.X.T
    assert (descent.pattern[50] == np.sign(z)).all()
    p = descent.y * (descent.outer @ np.where(z > 0.0, z, 0.1 * z))
    assert descent.margins[50] == pytest.approx(p, abs=1e-12)
    tree = descent.to_xarray()
    assert tree["eta"].dims == ("log1p_time",)


def test_a_scenario_without_a_run_is_simulated_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(TEXT + "descent: {eta: [0.1, 0.05], until: {time: 2.0}}\n")
    done = call("compare", "small.yaml")
    assert done.exit_code == 0, done.stderr
    folder = tmp_path / "outputs" / "small"
    assert names(folder) == {"scenario.yaml", "trajectory.h5", "comparison.json", DESCENT_FILE_NAME}
    content = json.loads((folder / "comparison.json").read_text())
    assert [each["eta"] for each in content["etas"]] == [0.1, 0.05]
    assert content["horizon_log1p_time"] == pytest.approx(np.log1p(2.0))
    modified = (folder / "trajectory.h5").stat().st_mtime_ns
    assert call("compare", "small.yaml", "--eta", "0.2").exit_code == 0
    assert (folder / "trajectory.h5").stat().st_mtime_ns == modified, "the run that is there is used"
    Path("small.yaml").write_text(TEXT.replace("seed: 0", "seed: 1"))
    other = call("compare", "small.yaml", "--eta", "0.2")
    assert other.exit_code == 2 and "run of another scenario" in other.stderr


WRONG = [
    (["--eta", "0"], "--eta 0.0: a step size must be"),
    (["--eta", "-1"], "--eta -1.0: a step size must be"),
    (["--eta", "nan"], "--eta nan: a step size must be"),
    (["--eta", "0.1", "--eta", "0.1"], "--eta 0.1: is given twice"),
    (["--eta", "5"], "--eta 5: one step goes beyond the end at t = 4"),
    (["--eta", "1e-9", "--until-time", "4"], "over the bound of 1e+08"),
    ([], "no step size is given"),
    (["--eta", "0.1", "--until-time", "-1"], "--until-time -1.0"),
    (["--eta", "0.1", "--seed", "1"], "only stochastic descent draws"),
    (["--eta", "0.1", "--sgd", "2", "--seed", "-1"], "--seed -1: must be an integer of at least 0"),
    (["--eta", "0.1", "--sgd", "7"], "must be in 1..6"),
    (["--eta", "0.1", "--modified"], "smooth activation"),
    (["--eta", "0.1", "--seeds", "0..3"], "all runs start where the flow does, and draw nothing; add --batch BATCH"),
    (["--eta", "0.1", "--seeds", "0..3", "--batch", "2", "--seed", "1"], "--seeds gives every run its own"),
    (["--eta", "0.1", "--seeds", "3..0", "--batch", "2"], "seeds"),
    (["--eta", "0.1", "--seeds", "0..3", "--batch", "2", "--modified"], "--modified: has one flow for each step size"),
    (["--eta", "0.1", "--replacement"], "replacement"),
    (["--eta", "0.1", "--at-kink", "2"], "at_kink"),
]


@pytest.mark.parametrize("arguments, said", WRONG)
def test_what_cannot_be_compared_is_refused_in_one_line(run: Path, arguments: list[str], said: str) -> None:
    refused = call("compare", run, *arguments)
    assert refused.exit_code == 2 and refused.stdout == ""
    assert refused.stderr.startswith("gflow: ") and refused.stderr.count("\n") == 1 and said in refused.stderr
    assert names(run) == {"scenario.yaml", "trajectory.h5"}


@pytest.mark.parametrize("arguments, said", WRONG[:6])
def test_a_scenario_is_not_simulated_for_wrong_step_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(TEXT)
    refused = call("compare", "small.yaml", *arguments)
    assert refused.exit_code == 2 and said in refused.stderr and names(tmp_path) == {"small.yaml"}


def test_paths_that_are_no_run(run: Path, tmp_path: Path) -> None:
    assert call("compare", run, "--eta", "0.1").exit_code == 0
    descent = call("compare", run / DESCENT_FILE_NAME, "--eta", "0.1")
    assert descent.exit_code == 2 and "holds descent, not a flow" in descent.stderr
    analyzed = call("analyze", run / DESCENT_FILE_NAME)
    assert analyzed.exit_code == 2 and "holds descent, not a flow" in analyzed.stderr
    missing = call("compare", tmp_path / "nowhere", "--eta", "0.1")
    assert missing.exit_code == 2 and "no such file" in missing.stderr
    assert call("compare", run, "--eta", "abc").exit_code == 2


@pytest.mark.parametrize("stage", ["descent", "flow"])
def test_an_interruption_leaves_a_valid_descent_and_no_comparison(run: Path, stage: str) -> None:
    """The first signal is noticed between two items; what an earlier comparison left does not stay beside new rows."""
    trajectory = gflow.open_trajectory(run)
    gflow.compare(trajectory, [0.1])

    def interrupt(progress: CompareProgress) -> None:
        if progress.stage == stage and progress.done > 0:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=f"interrupted; .*{DESCENT_FILE_NAME} (keeps|holds).* --resume$"):
        gflow.compare(trajectory, [0.05, 0.01], progress=interrupt)
    assert names(run) == {"scenario.yaml", "trajectory.h5", DESCENT_FILE_NAME, CHECKPOINT_FILE_NAME}
    descent = gflow.open_trajectory(run / DESCENT_FILE_NAME)
    assert set(descent.read("eta")) <= {0.05, 0.01} and descent.n_rows > 0
    assert (descent.outcome is None) == (stage == "descent")
    assert gflow.compare(trajectory, [0.1]).etas[0].outcome == "time"
    assert names(run) == {"scenario.yaml", "trajectory.h5", DESCENT_FILE_NAME, "comparison.json"}


def test_a_flow_that_stops_early_exits_with_3(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What both have is compared; the summary says why there is no more."""
    for loop in ("ending", "taylor"):
        monkeypatch.setattr(f"gflow.flow.{loop}.MOST_STALLED", -1)
    stopped = call("compare", run, "--eta", "0.05")
    assert stopped.exit_code == 3 and "the flow was stopped early: stopped at" in stopped.stdout
    content = json.loads((run / "comparison.json").read_text())
    assert content["flow_outcome"] == "events_accumulate"
    assert content["etas"][0]["steps"] == 80 and content["etas"][0]["series"]["log1p_time"][-1] < np.log(5.0)
