"""The result that stands in for an analyzer, or for one claim, that ended in an error of gflow's own."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of gflow, not a property of the run: nothing is known of what was asked.

    error: its type and message; where: the innermost line of gflow that it came through.
    """

    summary: str
    error: str
    where: str
    verdict: Literal["failed"] = "failed"


def failed(name: str, error: Exception) -> Failed:
    """The result of the analyzer `name`."""
    message, where = error_text(error), place_of(error)
    summary = (
        f"{name} ended in an error of gflow, so that nothing is known of it here: {message}, at {where}; "
        "the other results stand; please report it with the scenario"
    )
    return Failed(summary, message, where)


def error_text(error: Exception) -> str:
    """`ZeroDivisionError: float division by zero`, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def place_of(error: Exception) -> str:
    """`gflow/analysis/rank.py:80 in excess`: the innermost frame in gflow's own files."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT)] or list(frames)
    if not own:
        return "an unknown place"
    path = Path(own[-1].filename)
    shown = path.relative_to(ROOT.parent) if path.is_relative_to(ROOT) else path.name
    return f"{shown}:{own[-1].lineno} in {own[-1].name}"
