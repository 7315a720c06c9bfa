"""The command line: results on stdout, the rest on stderr, exit codes, and refusals in one line."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import gflow
from gflow.cli import main
from tests.test_pipeline import SMALL


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_simulate_then_inspect(scenario: Path, tmp_path: Path) -> None:
    done = call("simulate", scenario, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("small: two_layer, m = 8, leaky_relu(0.2); n = 6, d = 12, rank 6; logistic")
    assert "Outcome      reached t = 20" in done.stdout
    assert "\r" not in done.stderr
    shown = call("inspect", tmp_path / "run")
    assert shown.exit_code == 0 and "Events" in shown.stdout
    data = json.loads(call("inspect", tmp_path / "run" / "trajectory.h5", "--json").stdout)
    assert data["outcome"] == "time"


def test_the_default_folder_is_named_after_the_scenario(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("simulate", scenario).exit_code == 0
    assert (tmp_path / "outputs" / "small" / "trajectory.h5").is_file()


def test_a_second_run_is_refused_unless_asked_for(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert call("simulate", scenario, "--out", out).exit_code == 0
    refused = call("simulate", scenario, "--out", out)
    assert refused.exit_code == 2 and "exists already" in refused.stderr and refused.stdout == ""
    assert call("simulate", scenario, "--out", out, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    "override, said",
    [
        ("flow.rtol=3", "--set flow.rtol"),
        ("flow.rtoll=1e-9", "flow.rtol"),
        ("model.width=0", "model.width"),
        ("nonsense", "not of the form key.path=value"),
    ],
)
def test_bad_overrides_exit_with_2_and_write_nothing(scenario: Path, tmp_path: Path, override: str, said: str) -> None:
    refused = call("simulate", scenario, "--out", tmp_path / "run", "--set", override)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("gflow: ") and refused.stderr.count("\n") == 1 and said in refused.stderr
    assert not (tmp_path / "run").exists()


def test_a_limit_exits_with_3_and_saves(scenario: Path, tmp_path: Path) -> None:
    override = "init={kind: gaussian, std: 1.0e+15}"
    stopped = call("simulate", scenario, "--out", tmp_path / "run", "--set", override)
    assert stopped.exit_code == 3
    assert "float64 resolves" in stopped.stdout
    assert (tmp_path / "run" / "trajectory.h5").is_file()


@pytest.mark.parametrize("path", ["absent", "small.yaml"])
def test_inspect_explains_what_is_no_trajectory(scenario: Path, tmp_path: Path, path: str) -> None:
    refused = call("inspect", tmp_path / path)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("gflow: ") and path in refused.stderr


def test_an_interruption_exits_with_130(scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gflow.pipeline.simulation.simulate", interrupt)
    stopped = call("simulate", scenario, "--out", tmp_path / "run")
    assert stopped.exit_code == 130
    assert stopped.stderr == "gflow: interrupted; nothing was written yet\n"


def test_an_interruption_says_what_there_is(scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("gflow.report.progress.ProgressPrinter.__call__", interrupt)
    stopped = call("simulate", scenario, "--out", tmp_path / "run")
    kept = tmp_path / "run" / "trajectory.h5"
    assert stopped.exit_code == 130 and stopped.stdout == ""
    assert stopped.stderr.startswith(f"gflow: interrupted; {kept} keeps ") and stopped.stderr.count("\n") == 1


@pytest.mark.parametrize("out, said", [(".", "scenario.yaml is another scenario"), ("", "--out '': is empty")])
def test_a_scenario_of_ones_own_is_kept(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scenario.yaml").write_text("# mine\n")
    refused = call("simulate", scenario, "--out", out, "--overwrite")
    assert refused.exit_code == 2 and said in refused.stderr
    assert Path("scenario.yaml").read_text() == "# mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenario.yaml", "small.yaml"]


def test_the_folder_of_the_scenario_itself_may_be_the_run_folder(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(SMALL)
    assert call("simulate", tmp_path / "scenario.yaml", "--out", tmp_path).exit_code == 0
    (tmp_path / "scenario.yaml").write_text("# edited since\n")
    again = tmp_path / "other.yaml"
    again.write_text(SMALL)
    assert call("simulate", again, "--out", tmp_path, "--overwrite").exit_code == 0
    assert (tmp_path / "scenario.yaml").read_text() == SMALL


@pytest.mark.parametrize("below", ["", "deeper/run"])
def test_out_needs_a_folder(scenario: Path, tmp_path: Path, below: str) -> None:
    refused = call("simulate", scenario, "--out", scenario / below)
    assert refused.exit_code == 2
    assert refused.stderr == f"gflow: {scenario}: is a file; --out needs a folder\n"


def test_a_name_that_is_too_long_is_refused(scenario: Path, tmp_path: Path) -> None:
    refused = call("simulate", scenario, "--out", tmp_path / (300 * "x"))
    assert refused.exit_code == 2 and refused.stderr.count("\n") == 1


def test_usage_errors_exit_with_2() -> None:
    assert call("simulate").exit_code == 2
    assert call("simulat").exit_code == 2


def test_schema_is_json_schema() -> None:
    schema = json.loads(call("schema").stdout)
    assert set(schema["required"]) == {"gflow", "name", "data", "model", "init", "loss", "flow"}


def test_scenarios_lists_those_of_the_checkout() -> None:
    listed = call("scenarios")
    assert listed.exit_code == 0
    assert "frei-corollary-3.5.yaml" in listed.stdout and "digits-3-vs-5.yaml" in listed.stdout


def test_scenarios_of_a_missing_folder(tmp_path: Path) -> None:
    assert call("scenarios", tmp_path / "absent").exit_code == 2


def test_numbers_in_json_are_finite(scenario: Path, tmp_path: Path) -> None:
    call("simulate", scenario, "--out", tmp_path / "run")
    text = call("inspect", tmp_path / "run", "--json").stdout

    def refuse(name: str) -> None:
        raise AssertionError(name)

    data = json.loads(text, parse_constant=refuse)
    assert np.isfinite([v for v in data.values() if isinstance(v, float)]).all()


def test_a_device_that_is_not_there_is_refused(scenario: Path, tmp_path: Path) -> None:
    dual = call("simulate", scenario, "--out", tmp_path / "run", "--device", "cuda")
    assert dual.exit_code == 2 and "the dual engine runs on the CPU" in dual.stderr
    remedy = dual.stderr.split("use ")[1].split()
    assert remedy == ["--set", "flow.engine=primal", "--set", "flow.method=DOP853-Radau"]
    series = call("simulate", scenario, "--out", tmp_path / "run", "--device", "cuda", *remedy[:2])
    assert series.exit_code == 2 and "the Taylor engine runs on the CPU" in series.stderr and remedy[3] in series.stderr
    if not torch.cuda.is_available():
        steppers = call("simulate", scenario, "--out", tmp_path / "run", "--device", "cuda", *remedy)
        assert steppers.exit_code == 2 and "no such device here" in steppers.stderr
    assert not (tmp_path / "run").exists()


def test_both_engines_say_the_same(scenario: Path, tmp_path: Path) -> None:
    """`--set flow.engine=primal` on a dual problem is the cross-check that users can run."""
    for engine in ("dual", "primal"):
        done = call("simulate", scenario, "--out", tmp_path / engine, "--set", f"flow.engine={engine}")
        assert done.exit_code == 0 and f"{engine} engine" in done.stdout
    dual, primal = (gflow.open_trajectory(tmp_path / engine) for engine in ("dual", "primal"))
    assert np.abs(dual.margins - primal.margins).max() < 1e-7
    assert list(dual.events.kind) == list(primal.events.kind)
