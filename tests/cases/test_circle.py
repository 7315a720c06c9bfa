"""Samples on a circle, whose limit has a sample on the margin with multiplier 0: no certificate closes, and the way
ahead hardly comes forward.  It is left after bounded work, with a word on what was left open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import gflow
from gflow.analysis.continuation import MOST_IDLE, MOST_STEPS
from gflow.analysis.progress import AnalysisProgress
from tests.cases.runs import simulated

# A step costs 2 to 4 ms: so many are within 10 s of work.
ENOUGH = 2_500


def test_the_way_ahead_is_bounded_and_seen(tmp_path: Path) -> None:
    run, seen = simulated("circle/s", tmp_path), list[AnalysisProgress]()
    found = gflow.analyze(run, ["freezing", "limit", "direction"], progress=seen.append)
    assert found["freezing"].verdict == "observed" and found["limit"].verdict == "expected"
    for said in (found["freezing"].summary, found["limit"].summary, found["limit"].reason):
        assert "the way ahead was left at log t = " in said and f"after {seen[-1].steps} steps" in said
    assert MOST_IDLE < seen[-1].steps <= len(seen) <= ENOUGH < MOST_STEPS
    assert (np.diff([each.steps for each in seen], prepend=0) <= 1).all()  # none is counted twice, none left out
    assert all(each.doing == "the way ahead" and each.most_steps == MOST_STEPS for each in seen)
    # Work is counted, not timed, and nobody has to watch.
    assert gflow.analyze(run, ["freezing", "limit", "direction"]).to_json() == found.to_json()
