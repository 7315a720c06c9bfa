"""Results as a JSON file beside the trajectory they are about."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gflow.errors import TrajectoryError


def write_json(path: Path, content: dict[str, Any]) -> None:  # Any: JSON values
    """Replace the file in one step, so that a kill leaves the old one or the new one; TrajectoryError if it cannot."""
    part = path.with_suffix(".json.part")
    try:
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be written: {error}: copy the run to a folder that can") from error


def saved(path: Path, content: dict[str, Any], say: Callable[[str], None] | None) -> None:  # Any: JSON values
    """Write the file, or say in a sentence why it could not be: whoever asked for the result has it anyway.

    Nobody to say it to: it is a warning of Python's.
    """
    try:
        write_json(path, content)
    except TrajectoryError as error:
        said = f"the result was not saved: {error}"
        if say is None:
            warnings.warn(said, stacklevel=3)
        else:
            say(said)
