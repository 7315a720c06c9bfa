"""Long runs, in the slow lane: many seeds to log t = 1e6, and wide parity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gflow
from tests.test_scenarios import FOLDER

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["gaussian-leaky", "gaussian-relu"])
@pytest.mark.parametrize("seed", range(10))
def test_reach_for_many_seeds(name: str, seed: int, tmp_path: Path) -> None:
    scenario = gflow.load_scenario(FOLDER / f"{name}.yaml", [f"seed={seed}", "record.times.count=20"])
    trajectory = gflow.simulate(scenario, out=tmp_path)
    assert trajectory.outcome == "log_time" and trajectory.log1p_time[-1] == 1e6
    assert trajectory.series["margin_spread"][-1] < 1e-5
    assert (np.diff(trajectory.log_loss) < 0.0).all()


def test_wide_parity_keeps_its_balance(tmp_path: Path) -> None:
    """Telgarsky's Figure 1: with width 256 neurons rotate less than with 16."""
    wide = gflow.simulate(gflow.load_scenario(FOLDER / "parity-256.yaml"), out=tmp_path / "wide")
    narrow = gflow.simulate(
        gflow.load_scenario(FOLDER / "parity-16.yaml", ["flow.until={log_time: 10.0}"]), out=tmp_path / "narrow"
    )
    for trajectory in (wide, narrow):
        assert trajectory.series["balancedness_drift"][-1] < 1e-7
        assert (np.diff(trajectory.log_loss) < 0.0).all()
    assert wide.series["median_rotation"][-1] > narrow.series["median_rotation"][-1]
