"""The folder of a sweep.

sweep.yaml          the sweep file as given, if there was one
sweep.json          what was asked for: axes, the id of every run, what is kept
session             which process carries the sweep out; its tasks stop where another one took over
results.jsonl       rows of the runs that ended, collected from
parts/*.jsonl       the journals of single tasks
summary.csv         the table, a row for every point of the sweep whose run has ended
summary.parquet     the same, where pyarrow is installed
rows/ID.npz         series over time (keep: rows);  runs/ID/: run folders (keep: all)
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gflow.errors import SweepError
from gflow.scenario.tree import plain
from gflow.sweeps.plan.plan import Plan
from gflow.sweeps.run.columns import Row
from gflow.sweeps.store.journal import Journal, rows_in
from gflow.trajectory.rows import installed_version

MANIFEST, SESSION, RESULTS, PARTS, COPY = "sweep.json", "session", "results.jsonl", "parts", "sweep.yaml"
FORMAT, VERSION = "gflow sweep", 1


def check_folder(path: Path, plan: Plan, must_be_there: bool) -> bool:
    """Is there a sweep in the folder, which this plan may go on with?  Nothing is written.

    Raises SweepError where there is none and one must be, where the folder holds something else, and where a file that
    scenarios name has changed since.
    """
    if path.exists() and not path.is_dir():
        raise SweepError(f"{path}: is a file; --out needs a folder")
    if not (path / MANIFEST).exists():
        if must_be_there:
            raise SweepError(f"{path}: there is no sweep to resume; leave --resume away to start one")
        if path.is_dir() and any(path.iterdir()):
            raise SweepError(f"{path}: has files, and they are not those of a sweep; choose another --out")
        return False
    before = manifest_of(path)["files"]
    for name, digest in plan.files.items():
        if before.get(name, digest) != digest:
            raise SweepError(f"{name} has changed since the sweep in {path} began; choose another --out")
    return True


def begin(path: Path, plan: Plan, session: str) -> None:
    """Write what is asked for.  SweepError where that cannot be done."""
    spec = plan.spec
    content = {
        "format": FORMAT,
        "version": VERSION,
        "gflow": installed_version(),
        "name": spec.name,
        "wanted": asdict(spec.wanted),
        "dimensions": [
            {
                "name": each.name,
                "keys": list(each.keys),
                "steps": [[plain(node) for node in step] for step in each.steps],
            }
            for each in spec.dimensions
        ],
        "files": (manifest_of(path)["files"] if (path / MANIFEST).exists() else {}) | plan.files,
        "base": plain(spec.base),
        "ids": list(plan.ids),
    }
    try:
        (path / PARTS).mkdir(parents=True, exist_ok=True)
        if spec.text:
            replace_file(path / COPY, spec.text.encode("utf-8"))
        replace_file(path / MANIFEST, json.dumps(content).encode("ascii"))
        replace_file(path / SESSION, session.encode("ascii"))
    except OSError as error:
        raise SweepError(f"{path} cannot be written: {error}; choose another --out") from error


def manifest_of(path: Path) -> dict[str, Any]:  # Any: JSON values
    """What was asked for.  SweepError where there is no sweep, or one that this version cannot read."""
    try:
        content = json.loads((path / MANIFEST).read_bytes())
        found = content.get("format"), content.get("version")
    except FileNotFoundError:
        raise SweepError(f"{path}: has no {MANIFEST}, so it is no folder of a sweep; check the path") from None
    except (OSError, ValueError, AttributeError) as error:
        raise SweepError(f"{path / MANIFEST} cannot be read ({error}); restore it, or run the sweep again") from None
    if found != (FORMAT, VERSION):
        raise SweepError(
            f"{path / MANIFEST}: is {found[0]} {found[1]}, not {FORMAT} {VERSION}; use the gflow that wrote it"
        )
    assert isinstance(content, dict)
    return content


def leave(path: Path) -> None:
    """Make tasks stop that still go on somewhere: each ends the run it is in."""
    replace_file(path / SESSION, b"")


def journals(path: Path) -> list[Path]:
    """All journals, the common one first."""
    return [path / RESULTS, *sorted((path / PARTS).glob("*.jsonl"))]


def rows_by_id(path: Path) -> dict[str, Row]:
    """The rows of all runs that ended."""
    return rows_in(journals(path))


def collect(path: Path) -> None:
    """Take the journals of tasks into the common one, in one step; nobody may be writing them any more."""
    parts = journals(path)[1:]
    rows = rows_by_id(path)
    whole = path / (RESULTS + ".part")
    whole.unlink(missing_ok=True)
    with Journal(whole) as journal:
        for run, row in rows.items():
            journal.end(run, row)
    if rows:
        os.replace(whole, path / RESULTS)
    for part in parts:
        part.unlink()


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file in one step, so that a kill leaves the old one or the new one."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
