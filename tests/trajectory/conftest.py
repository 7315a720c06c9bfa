"""A finished synthetic trajectory on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from gflow.trajectory import FILE_NAME
from tests.trajectory.appending import append_blocks


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A run folder with 6 rows in 3 blocks, and its outcome."""
    append_blocks(str(tmp_path / "run" / FILE_NAME), 3)
    return tmp_path / "run"
