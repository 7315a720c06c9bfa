"""Small runs to be verified, and copies of them in which one thing was changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

import gflow
from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory, open_trajectory
from gflow.verification.check import Check, Verification
from tests.analysis.runs import GAUSSIAN

Change = Callable[[Any], None]  # Any: an open h5py.File


def run(folder: Path, *overrides: str, log_time: float = 4.0, slope: float = 0.1) -> Trajectory:
    """Six samples, ten neurons."""
    text = GAUSSIAN.format(seed=0, slope=slope, log_time=log_time)
    return gflow.simulate(parse_scenario(text, overrides=overrides), out=folder)


def changed(of: Trajectory, folder: Path, change: Change) -> Trajectory:
    """A copy of a run after `change`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / of.path.name
    shutil.copy(of.path, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return open_trajectory(path)


def named(found: Verification | list[Check]) -> dict[str, Check]:
    """Checks by `group: name`."""
    checks = found.checks if isinstance(found, Verification) else found
    return {f"{check.group}: {check.name}": check for check in checks}


def failing(found: Verification | list[Check]) -> set[str]:
    """Names of the checks that fail."""
    return {name for name, check in named(found).items() if check.verdict == "fail"}
