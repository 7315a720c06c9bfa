"""Simulate a case: scenario and arrays lie in `inputs`, unchanged since they were found to fail."""

from __future__ import annotations

from pathlib import Path

import gflow
from gflow.trajectory import Trajectory

INPUTS = Path(__file__).parent / "inputs"


def simulated(name: str, folder: Path, *overrides: str) -> Trajectory:
    """The run of `inputs/<name>.yaml` with overrides (`key=value`), written to a folder."""
    scenario = gflow.load_scenario(INPUTS / f"{name}.yaml", overrides=overrides)
    return gflow.simulate(scenario, out=folder, overwrite=True)
