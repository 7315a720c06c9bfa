"""An analyzer or a claim that ends in an error says so for itself; refusals and interruptions pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.rank import rank
from gflow.claims.frei import theorems
from gflow.cli import main
from gflow.errors import GflowError
from gflow.pipeline import findings
from gflow.pipeline.findings import ANALYZERS
from gflow.scenario import parse_scenario
from tests.analysis.runs import GAUSSIAN


@pytest.fixture
def run(tmp_path: Path) -> gflow.Trajectory:
    return gflow.simulate(parse_scenario(GAUSSIAN.format(seed=0, slope=0.1, log_time=3.0)), out=tmp_path)


def broken(_: AnalyzedRun) -> float:
    """An error in the middle of an analyzer."""
    return 1.0 / float(0)


def test_the_others_stand(run: gflow.Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(findings.ANALYZERS, "kkt", broken)
    found = gflow.analyze(run)
    assert list(found) == list(ANALYZERS) and found.failed == ("kkt",)
    content = json.loads((run.path.parent / "analysis.json").read_text())
    assert content["kkt"]["verdict"] == "failed" and content["kkt"]["error"].startswith("ZeroDivisionError")
    assert "report" in content["kkt"]["summary"] and content["kkt"]["where"].startswith("gflow/")
    assert content["rank"]["verdict"] == found["rank"].verdict != "failed"


def test_a_result_that_json_cannot_hold_is_none(run: gflow.Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(findings.ANALYZERS, "rank", lambda analyzed: replace(rank(analyzed), stable_rank=float("nan")))
    found = gflow.analyze(run, ["rank"])
    assert found.failed == ("rank",) and "nan is no result" in found["rank"].error


@pytest.mark.parametrize("error", [GflowError("refused"), KeyboardInterrupt()])
def test_refusals_and_interruptions_pass(
    run: gflow.Trajectory, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def ends(_: AnalyzedRun) -> float:
        raise error

    monkeypatch.setitem(findings.ANALYZERS, "rank", ends)
    with pytest.raises(type(error)):
        gflow.analyze(run, ["rank"])


@pytest.mark.sample("claims")
@pytest.mark.parametrize("where", ["kkt", "claims", "one claim"])
def test_the_command_line_shows_it_and_counts_it(
    run: gflow.Trajectory, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Exit code 1 with the others shown and saved; a report of it is written, with 1 only where it analysed itself."""
    if where == "one claim":
        monkeypatch.setattr(theorems, "CLAIMS", (broken, *theorems.CLAIMS))
    else:
        monkeypatch.setitem(findings.ANALYZERS, where, broken)
    folder = run.path.parent
    first = CliRunner().invoke(main, ["report", str(folder)])
    assert first.exit_code == 1 and "Report" in first.stdout and "ended in an error of gflow" in first.stderr
    assert "ZeroDivisionError" in (folder / "report.html").read_text() or where == "one claim"
    shown = CliRunner().invoke(main, ["analyze", str(folder)])
    assert shown.exit_code == 1 and "ZeroDivisionError" in shown.stdout and "the flow" in shown.stdout
    assert "freezing" in json.loads((folder / "analysis.json").read_text())
    assert CliRunner().invoke(main, ["report", str(folder)]).exit_code == 0
    page = (folder / "report.html").read_text()
    assert "failed" in page


def test_one_claim_leaves_the_others_standing(run: gflow.Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = gflow.analyze(run, ["claims"])["claims"]
    monkeypatch.setattr(theorems, "CLAIMS", (broken, *theorems.CLAIMS))
    after = gflow.analyze(run, ["claims"])
    assert [claim.id for claim in after["claims"][1:]] == [claim.id for claim in before]
    assert after["claims"][0].verdict == "failed" and after.failed == ("pipeline.test_failing_analyzers.broken",)
