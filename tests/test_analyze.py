"""`gflow analyze` from a run to analysis.json and the terminal, for every kind of network."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import pytest
from click.testing import CliRunner

import gflow
from gflow.analyzer_names import ANALYZER_NAMES
from gflow.cli import main
from gflow.errors import GflowError
from gflow.flow.state import Outcome
from gflow.pipeline.findings import ANALYZERS, plain
from gflow.scenario import parse_scenario
from tests.analysis.runs import GAUSSIAN

KINDS = {
    "leaky": "",
    "relu": "model.activation={kind: relu}",
    "linear": "model.activation={kind: linear}",
    "both layers": "model.outer={train: true}",
    "smooth": "model.activation={kind: smooth_leaky_relu, slope: 0.3}",
    "huberized": "model.activation={kind: huberized_relu}",
    "bias": "model.bias=true",
    "exponential": "loss=exponential",
}


def simulated(folder: Path, log_time: float, *overrides: str) -> gflow.Trajectory:
    scenario = parse_scenario(GAUSSIAN.format(seed=0, slope=0.1, log_time=log_time), overrides=overrides)
    return gflow.simulate(scenario, out=folder)


def numbers(value: Any) -> list[float]:
    """Every number in a JSON value."""
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, float) else []


# A Huberized network late is stiff, and has explicit steps only: a minute and a half from 6 to 12.
@pytest.mark.sample("relu-12.0", "huberized-0.5", "both layers-12.0", "linear-*", "smooth-*", "bias-0.5")
@pytest.mark.parametrize(
    "kind, log_time", [(kind, late) for kind in KINDS for late in (0.5, 6.0 if kind == "huberized" else 12.0)]
)
def test_every_network_is_analysed(tmp_path: Path, kind: str, log_time: float) -> None:
    """Each analyzer has a verdict and a sentence, or says that it does not apply; nothing is NaN; no claim fails."""
    found = gflow.analyze(simulated(tmp_path, log_time, *filter(None, [KINDS[kind]])))
    content = json.loads((tmp_path / "analysis.json").read_text())
    assert set(ANALYZERS) < set(content) and list(found) == list(ANALYZERS)
    for name in set(ANALYZERS) - {"claims"}:
        assert content[name]["verdict"] and content[name]["summary"].strip()
        assert "nan" not in content[name]["summary"] and "None" not in content[name]["summary"]
    assert all(math.isfinite(number) for number in numbers(content))
    violated = [claim["id"] for claim in content["claims"] if claim["verdict"] == "violated"]
    assert violated == []


def test_the_contract_of_analysis_json(tmp_path: Path) -> None:
    trajectory = simulated(tmp_path, 1e4)
    gflow.analyze(trajectory)
    content = json.loads((tmp_path / "analysis.json").read_text())
    assert content["freezing"]["verdict"] == "proved"
    assert {"log1p_time", "pending", "sliding"} <= content["freezing"].keys()
    assert content["direction"]["angle_to_limit"] < 0.01 and content["direction"]["limit_normalized_margin"] > 0.0
    assert content["kkt"]["stationarity"] < 1e-9 and content["kkt"]["complementarity"] < 1e-9
    assert content["kkt"]["min_margin_ratio"] > 0.99 and len(content["kkt"]["multipliers"]) == 6
    for claim in content["claims"]:
        assert {"id", "hypotheses", "conclusion", "verdict"} <= claim.keys()
        assert claim["verdict"] in ("holds", "violated", "not applicable")
        for hypothesis in claim["hypotheses"]:
            assert {"name", "holds", "value", "bound"} <= hypothesis.keys()
        assert claim["conclusion"] is None or {"holds", "value", "bound"} <= claim["conclusion"].keys()
        applies = all(hypothesis["holds"] for hypothesis in claim["hypotheses"])
        assert (claim["verdict"] == "not applicable") == (not applies or claim["conclusion"] is None)
    ids = [claim["id"] for claim in content["claims"]]
    assert len(ids) == len(set(ids))


def test_only_and_earlier_entries(tmp_path: Path) -> None:
    """Entries of the same rows stay; those of other rows go."""
    trajectory = simulated(tmp_path, 30.0)
    path = tmp_path / "analysis.json"
    gflow.analyze(trajectory, ["freezing"])
    gflow.analyze(trajectory, ["rank"])
    assert {"freezing", "rank"} <= json.loads(path.read_text()).keys()
    content = json.loads(path.read_text())
    content["trajectory"]["n_rows"] += 1
    path.write_text(json.dumps(content))
    gflow.analyze(trajectory, ["rank"])
    assert "freezing" not in json.loads(path.read_text())
    gflow.analyze(trajectory, ["freezing"])
    with h5py.File(trajectory.path, "r+") as file:
        file["margins"][3, 0] += 1e-9
    gflow.analyze(gflow.open_trajectory(trajectory.path), ["rank"])
    assert "freezing" not in json.loads(path.read_text())
    path.write_text("{ half a fi")
    gflow.analyze(trajectory, ["rank"])
    assert "rank" in json.loads(path.read_text())


def test_the_scenario_says_what_is_analysed(tmp_path: Path) -> None:
    found = gflow.analyze(simulated(tmp_path, 3.0, "analyses=[margins, freezing]"))
    assert list(found) == ["freezing", "margins"]


def test_command_line(tmp_path: Path) -> None:
    simulated(tmp_path, 1e4)
    shown = CliRunner().invoke(main, ["analyze", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "proved to stay as it is for ever" in shown.output and "0 violated" in shown.output
    one = CliRunner().invoke(main, ["analyze", str(tmp_path), "--only", "claims", "--json"])
    assert list(json.loads(one.stdout)) == ["claims"]
    table = CliRunner().invoke(main, ["analyze", str(tmp_path), "--only", "claims"])
    assert "kou.C4.elementary" in table.output and "slack" in table.output


def test_what_the_command_line_offers_is_what_there_is() -> None:
    assert list(ANALYZER_NAMES) == list(ANALYZERS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nowhere"], "no such file"), (["nowhere", "--only", "freezng"], "freezng")],
)
def test_wrong_input(arguments: list[str], said: str) -> None:
    shown = CliRunner().invoke(main, ["analyze", *arguments])
    assert shown.exit_code == 2 and said in shown.output


def test_refusals_in_python(tmp_path: Path) -> None:
    trajectory = simulated(tmp_path, 1.0)
    with pytest.raises(GflowError, match="analyzers spectrum are not known; there are freezing"):
        gflow.analyze(trajectory, ["spectrum"])
    with pytest.raises(ValueError, match="no result"):
        plain({"value": float("nan")})


def test_a_folder_that_cannot_be_written_costs_no_result(tmp_path: Path) -> None:
    """The file that would be renamed is a folder: printed all the same, said in one line, the exit code as ever."""
    trajectory = simulated(tmp_path, 1.0)
    (tmp_path / "analysis.json.part").mkdir()
    with pytest.warns(UserWarning, match=r"not saved: .*analysis\.json cannot be written"):
        assert list(gflow.analyze(trajectory, ["rank"])) == ["rank"]
    shown = CliRunner().invoke(main, ["analyze", str(tmp_path), "--only", "rank", "--json"])
    assert shown.exit_code == 0 and list(json.loads(shown.stdout)) == ["rank"]
    assert shown.stderr.count("\n") == 1 and "not saved" in shown.stderr
    assert not (tmp_path / "analysis.json").exists()


def test_a_run_can_end_at_its_proof(tmp_path: Path) -> None:
    trajectory = gflow.simulate(
        parse_scenario(GAUSSIAN.format(seed=0, slope=0.1, log_time=1), overrides=["flow.until={certified: true}"]),
        out=tmp_path,
    )
    assert trajectory.outcome == Outcome.CERTIFIED.value
    assert "proved to stay" in (trajectory.outcome_sentence or "")
    found = gflow.analyze(trajectory, ["freezing"])["freezing"]
    assert found.verdict == "proved" and found.proved_log1p_time == trajectory.log1p_time[-1]


def test_analysis_of_a_dual_run_loads_no_torch(tmp_path: Path) -> None:
    simulated(tmp_path, 30.0)
    probe = f"import gflow, sys; gflow.analyze(gflow.open_trajectory({str(tmp_path)!r})); print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
