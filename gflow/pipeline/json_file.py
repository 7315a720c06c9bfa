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
    """Write the file; where that fails, say why in a sentence, since the caller has the result in any case.

    say: called with the sentence; None: it becomes a Python warning.
    """
    try:
        write_json(path, content)
    except TrajectoryError as error:
        text = f"the result was not saved: {error}"
        if say is None:
            warnings.warn(text, stacklevel=3)
        else:
            say(text)
