"""Earlier results on a run, read from the JSON files beside its trajectory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from gflow.errors import ReportError
from gflow.trajectory import Trajectory, file_sha256

ANALYSIS, COMPARISON, VERIFICATION = "analysis.json", "comparison.json", "verify.json"
COMMANDS = {ANALYSIS: "gflow analyze", COMPARISON: "gflow compare", VERIFICATION: "gflow verify"}


@dataclass(frozen=True, slots=True)
class Beside:
    """The objects of the three files; None where there is no file, or it describes another state of the run.

    notes: a sentence for each file that is ignored.
    """

    analysis: Mapping[str, Any] | None
    comparison: Mapping[str, Any] | None
    verification: Mapping[str, Any] | None
    notes: tuple[str, ...]


def found_beside(trajectory: Trajectory) -> Beside:
    """The JSON files of the run folder, as far as they fit; ReportError: one is no JSON object."""
    folder = trajectory.path.parent
    found = {name: read_object(folder / name) for name in COMMANDS}
    about = identity(trajectory)
    fitting = {name: content for name, content in found.items() if content is not None and fits(content, about)}
    notes = [
        f"{folder / name} is of another state of this run and is left aside: run {COMMANDS[name]} again"
        for name, content in found.items()
        if content is not None and name not in fitting
    ]
    return Beside(fitting.get(ANALYSIS), fitting.get(COMPARISON), fitting.get(VERIFICATION), tuple(notes))


def identity(trajectory: Trajectory) -> dict[str, str | int]:
    """The identity that a file has to state of its run: the scenario, the number of rows, and the bytes of the file."""
    return {
        "scenario_sha256": trajectory.scenario_sha256,
        "trajectory_sha256": file_sha256(trajectory.path),
        "n_rows": trajectory.n_rows,
    }


def fits(content: Mapping[str, Any], about: Mapping[str, str | int]) -> bool:
    """Is the content about this state of the run (see `identity`)?  It must state every part of the identity."""
    of = content.get("trajectory")
    return isinstance(of, Mapping) and {name: of.get(name) for name in about} == about


def read_object(path: Path) -> Mapping[str, Any] | None:
    """The JSON object in a file; None: no such file.  ReportError: something else is in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refused)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read: {error}: remove it, or run {COMMANDS[path.name]} again") from error
    if not isinstance(content, Mapping):
        raise ReportError(f"{path} holds no JSON object: remove it, or run {COMMANDS[path.name]} again")
    return content


def _refused(constant: str) -> Never:
    """JSON has no such number, and a page should not show one."""
    raise ValueError(f"{constant} is no number of JSON")
