"""The analysis of a trajectory, in memory and as `analysis.json` beside the trajectory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.foreknown import Foreknown
from gflow.analysis.progress import Tell, untold
from gflow.errors import GflowError
from gflow.pipeline.findings import ANALYZERS, Findings, findings
from gflow.pipeline.flow_only import check_flow
from gflow.pipeline.json_file import saved
from gflow.scenario import parse_scenario
from gflow.trajectory import Record, Trajectory, file_sha256
from gflow.trajectory.rows import installed_version

FILE_NAME = "analysis.json"


def analyze(
    trajectory: Record,
    only: Sequence[str] | str | None = None,
    say: Callable[[str], None] | None = None,
    progress: Tell | None = None,
) -> Findings:
    """Run the analyzers named in `only` (default: those of the scenario) and write `analysis.json` beside the file.

    Of a flow in memory (`gflow.integrate`) nothing is written.  Entries that other analyzers left in the file are kept
    if they are about the same rows.  Where the file cannot be written, say is called with a sentence (default: a
    warning).  progress is called after every step of a flow that is followed: ahead to a proof, and again from the
    start to see whether the way to it is stable.  Raises GflowError for an unknown analyzer and for a file of descent.
    """
    check_flow("gflow.analyze", trajectory, in_memory=True)
    names = _asked(trajectory) if only is None else [only] if isinstance(only, str) else list(only)
    unknown = sorted(set(names) - ANALYZERS.keys())
    if unknown:
        raise GflowError(f"analyzers {', '.join(unknown)} are not known; there are {', '.join(ANALYZERS)}")
    about = identity(trajectory) if isinstance(trajectory, Trajectory) else None
    with threadpool_limits(limits=1):  # small matrices, as in a run
        found = findings(trajectory, names, progress or untold)
    if isinstance(trajectory, Trajectory) and about is not None:
        path = trajectory.path.parent / FILE_NAME
        content = {"gflow": installed_version(), "trajectory": about} | _earlier(path, about)
        saved(path, content | found.to_json(), say)
    return found


def identity(trajectory: Trajectory) -> dict[str, Any]:  # Any: JSON values
    """What a result is about: the run, the bytes of its file, and how far the run had come.

    It has to be taken before the analysis starts: rows that are added meanwhile are not analysed.
    """
    return {
        "scenario_sha256": trajectory.scenario_sha256,
        "trajectory_sha256": file_sha256(trajectory.path),
        "n_rows": trajectory.n_rows,
        "log1p_time": float(trajectory.read("log1p_time", -1)),
        "outcome": trajectory.outcome,
    }


def foreknown(trajectory: Trajectory, run: AnalyzedRun) -> Foreknown | None:
    """What `analysis.json` beside a trajectory says of the limit of its flow.

    None unless it is about the same rows and bytes, and was written by this version.
    """
    content = _content(trajectory.path.parent / FILE_NAME, identity(trajectory))
    entry = content.get("limit")
    if content.get("gflow") != installed_version() or not isinstance(entry, dict):
        return None
    return Foreknown.of(entry, run.last.side, run.problem.surfaces)


def _asked(trajectory: Record) -> list[str]:
    asked = parse_scenario(trajectory.scenario_resolved, name_for_messages=trajectory.place).analyses
    return list(ANALYZERS) if asked == "all" else [name for name in ANALYZERS if name in asked]


def _earlier(path: Path, about: dict[str, Any]) -> dict[str, Any]:  # Any: JSON values
    """Entries of an earlier analysis of the same rows."""
    content = _content(path, about)
    return {name: content[name] for name in ANALYZERS if name in content}


def _content(path: Path, about: dict[str, Any]) -> dict[str, Any]:  # Any: JSON values
    """What an earlier analysis of the same rows wrote, {} where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.get("trajectory") == about else {}
