"""A pair that starts on a kink which pushes, and is held there: solutions of the inclusion may leave it at any time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.trajectory import Trajectory
from tests.cases.runs import INPUTS, simulated


def run_from(first: float, folder: Path, *overrides: str) -> Trajectory:
    """The case with another W[0, 0]."""
    folder.mkdir()
    scenario = (INPUTS / "pushing.yaml").read_text(encoding="utf-8").replace("pushing-", "")
    (folder / "s.yaml").write_text(scenario, encoding="utf-8")
    (folder / "data.npz").write_bytes((INPUTS / "pushing-data.npz").read_bytes())
    start = np.load(INPUTS / "pushing-init.npz")
    W = start["W"].copy()
    W[0, 0] = first
    np.savez(folder / "init.npz", W=W, a=start["a"])
    return gflow.simulate(gflow.load_scenario(folder / "s.yaml", overrides=overrides), out=folder / "run")


def test_what_is_held_on_a_pushing_kink_is_not_proved(tmp_path: Path) -> None:
    run = simulated("pushing", tmp_path)
    found = gflow.analyze(run, ["freezing", "limit", "direction"])
    assert {each.verdict for each in found.values()} == {"proved_from_state"}
    freezing = found["freezing"]
    assert "held on a kink that pushes (neuron 0, sample 0), where other solutions leave at any time" in freezing.reason
    assert "proved for the solution of the policy" in freezing.summary
    assert (freezing.unsettled, freezing.conservative) == (1, 0)
    assert found["limit"].normalized_margin == pytest.approx(0.485071, rel=1e-5)


def test_its_neighbours_go_elsewhere(tmp_path: Path) -> None:
    """What is right: the limits to both sides, in closed form.  To the right neuron 0 is active on both samples, as
    neuron 1 is, and one linear predictor 2 a^2 w with margins 1 has norm^2 (1 + 1.5^2) / (2 a^2); the normalised margin
    is 1 / sqrt(3.25).  To the left neuron 0 is active on sample 1 alone, where it takes over, and neuron 1 has sample 0
    for itself."""
    margins = {
        first: gflow.analyze(run_from(first, tmp_path / f"{first:g}"), ["limit"])["limit"].normalized_margin
        for first in (1e-9, -1e-9)
    }
    assert margins[1e-9] == pytest.approx(1.0 / np.sqrt(3.25), rel=1e-6)
    assert margins[-1e-9] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize("first", [1e-9, -1e-9])
def test_a_start_beside_a_pushing_kink_is_no_proof_either(tmp_path: Path, first: float) -> None:
    """A start within a part of 1e-6 of the kink: its neighbours go to the other side."""
    found = gflow.analyze(run_from(first, tmp_path / "run"), ["freezing"])["freezing"]
    assert found.verdict == "proved_from_state" and "another pattern" in found.reason


@pytest.mark.parametrize("first", [1e-3, -1e-3])
def test_a_start_off_it_is_proved(tmp_path: Path, first: float) -> None:
    """Control."""
    found = gflow.analyze(run_from(first, tmp_path / "run"), ["freezing", "limit"])
    assert found["freezing"].verdict == found["limit"].verdict == "proved"
