"""A start whose neurons cancel in pairs: means of rows are 0, and what divides by them has nothing to say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import gflow
from gflow.cli import main
from tests.cases.runs import simulated


@pytest.mark.parametrize("overrides", [
    (), ("loss=exponential",), ("model.activation.slope=0.5",), ("flow.until={log_time: 1}",), ("flow.engine=primal",),
])  # fmt: skip
def test_every_analyzer_and_claim_has_an_answer(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    found = gflow.analyze(simulated("symmetric-start/min3", tmp_path, *overrides))
    assert found.failed == ()
    claims = {claim.id: claim for claim in found["claims"]}
    assert claims["frei.thm3.2.item3.range"].verdict == "not applicable"
    assert not any(claim.verdict == "violated" for claim in claims.values())


def test_the_command_line(tmp_path: Path) -> None:
    simulated("symmetric-start/min3", tmp_path)
    for command in ("analyze", "report"):
        shown = CliRunner().invoke(main, [command, str(tmp_path)])
        assert shown.exit_code == 0 and "Traceback" not in shown.output, shown.output
    assert json.loads((tmp_path / "analysis.json").read_text())["freezing"]["verdict"] == "proved"
