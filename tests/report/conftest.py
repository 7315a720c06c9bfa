"""The small trajectory of tests/trajectory, finished, in the current folder so that its path is short."""

from __future__ import annotations

from pathlib import Path

import pytest

from gflow.trajectory import FILE_NAME, Trajectory, open_trajectory
from tests.trajectory.appending import append_blocks


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trajectory:
    """6 rows at log(1 + t) = 0, 1.5, ..., 7.5 and 15 events, in run/trajectory.h5."""
    monkeypatch.chdir(tmp_path)
    append_blocks(f"run/{FILE_NAME}", 3)
    return open_trajectory("run")
