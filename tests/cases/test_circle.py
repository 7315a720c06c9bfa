"""Samples on a circle, whose limit has a sample on the margin with multiplier 0: no certificate closes, and no switch
is ever met again.  The way ahead is followed to its end, or left after bounded work, with a word on what is open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.analysis.continuation import MOST_STEPS
from gflow.analysis.progress import AnalysisProgress
from tests.cases.runs import simulated

ASKED = ["freezing", "limit", "direction"]


def test_the_way_ahead_comes_to_its_end_in_few_steps(tmp_path: Path) -> None:
    run, seen = simulated("circle/s", tmp_path), list[AnalysisProgress]()
    found = gflow.analyze(run, ASKED, progress=seen.append)
    assert found["freezing"].verdict == "observed" and found["limit"].verdict == "expected"
    assert "mode reached ahead, at log t = 1e+09" in found["limit"].summary
    assert seen[-1].steps < 200 and all(each.most_steps == MOST_STEPS for each in seen)
    assert (np.diff([each.steps for each in seen], prepend=0) >= 0).all()
    # Work is counted, not timed, and nobody has to watch.
    assert gflow.analyze(run, ASKED).to_json() == found.to_json()


def test_the_way_ahead_is_bounded_and_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gflow.analysis.continuation.MOST_STEPS", 20)
    run, seen = simulated("circle/s", tmp_path), list[AnalysisProgress]()
    found = gflow.analyze(run, ASKED, progress=seen.append)
    assert found["freezing"].verdict == "observed" and found["limit"].verdict == "expected"
    for said in (found["freezing"].summary, found["limit"].summary, found["limit"].reason):
        assert "the way ahead was left at log t = " in said and f"after {seen[-1].steps} steps" in said
    assert seen[-1].steps < 40 and all(each.doing == "the way ahead" and each.most_steps == 20 for each in seen)
