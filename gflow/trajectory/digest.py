"""The SHA-256 digest of a file: results on a run are valid for exactly these bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gflow.errors import TrajectoryError

BLOCK = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 of a file of any size, in hexadecimal digits; TrajectoryError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be read: {error}: ask its owner, or copy it") from error
    return digest.hexdigest()
