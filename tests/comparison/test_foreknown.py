"""A comparison takes the limit of the flow from an analysis of the same bytes, else it follows the flow itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.foreknown import Foreknown
from gflow.comparison.plan import CompareProgress
from tests.comparison.cases import simulated


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose limit lies some switches ahead of its last row, and its analysis."""
    folder = tmp_path_factory.mktemp("analysed")
    found = gflow.analyze(simulated(folder), "limit")["limit"]
    assert found.verdict in ("proved", "proved_from_state") and len(found.changes) > 0
    return folder


def compared(folder: Path) -> tuple[dict[str, Any], list[CompareProgress]]:
    """What a comparison finds, and its progress on the way ahead."""
    seen = list[CompareProgress]()
    found = gflow.compare(gflow.open_trajectory(folder), [0.1], progress=seen.append).to_json()
    return found, [each for each in seen if each.stage == "ahead"]


def test_the_same_comparison_without_following_the_flow(tmp_path: Path, analysed: Path) -> None:
    known, ahead = compared(analysed)
    assert not ahead and known["etas"][0]["final_direction_angle"] is not None
    alone = shutil.copytree(analysed, tmp_path / "alone")
    (alone / "analysis.json").unlink()
    found, ahead = compared(alone)
    assert len(ahead) > 10 and all(0 < each.done <= each.total for each in ahead)
    assert found["etas"] == known["etas"]


@pytest.mark.parametrize("place", ["version", "bytes", "entry", "changes"])
def test_what_is_about_something_else_is_not_taken(tmp_path: Path, analysed: Path, place: str) -> None:
    folder = shutil.copytree(analysed, tmp_path / "run")
    content = json.loads((folder / "analysis.json").read_text())
    if place == "version":
        content["gflow"] = "0.0.0"
    elif place == "bytes":
        content["trajectory"]["trajectory_sha256"] = "0" * 64
    elif place == "entry":
        del content["limit"]
    else:
        content["limit"]["changes"] = [[10**6, 0, 1]]
    (folder / "analysis.json").write_text(json.dumps(content))
    assert compared(folder)[1]


def test_the_sides_of_the_limit_come_back(analysed: Path) -> None:
    run = AnalyzedRun.of(gflow.open_trajectory(analysed))
    entry = json.loads((analysed / "analysis.json").read_text())["limit"]
    found = Foreknown.of(entry, run.last.side, run.problem.surfaces)
    assert run.limit is not None and found is not None and found.side is not None
    assert np.array_equal(found.side, run.limit.side) and not np.array_equal(found.side, run.last.side)
    assert Foreknown.of(entry | {"verdict": "expected"}, run.last.side, run.problem.surfaces) == Foreknown(None)
    for wrong in ({}, {"changes": None}, {"changes": [[0, 0, 2]]}, {"changes": [[0]]}, {"changes": [["a", 0, 0]]}):
        if wrong:
            assert Foreknown.of(entry | wrong, run.last.side, run.problem.surfaces) is None
    assert Foreknown.of({}, run.last.side, run.problem.surfaces) is None
