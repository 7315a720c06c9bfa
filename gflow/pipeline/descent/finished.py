"""A finished descent on disk, by `descent.h5` and the `descent.json` that `gflow descend` leaves beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gflow.descent_plan.ledger import Ledger
from gflow.descent_plan.result import RESULT_FILE_NAME, DescentResult
from gflow.errors import TrajectoryError
from gflow.pipeline.descent.resumption import Asked, Kept, fits
from gflow.trajectory import Trajectory, file_sha256, open_trajectory


def identity(rows: Trajectory) -> dict[str, Any]:  # Any: JSON values
    """What `descent.json` says of the file that it is about."""
    return {"sha256": file_sha256(rows.path), "n_rows": rows.n_rows, "scenario_sha256": rows.scenario_sha256}


def stored_result(path: Path) -> DescentResult | None:
    """What is said beside `descent.h5` about it as it is; None where nothing is, or about another."""
    try:
        rows = open_trajectory(path)
        content = json.loads(path.with_name(RESULT_FILE_NAME).read_text(encoding="utf-8"))
        found = DescentResult.from_json(content, path)
    except (OSError, ValueError, KeyError, TypeError, TrajectoryError):
        return None
    return found if found.descent == identity(rows) else None


def finished(path: Path, asked: Asked) -> Kept | None:
    """The descent that is asked for, if it is on disk to its end; None where it is not."""
    found = stored_result(path)
    if found is None:
        return None
    rows = open_trajectory(path)
    kept = Kept(rows, len(asked.plan.runs), Ledger.from_json(found.ledger), None)
    return kept if fits(rows, asked) and kept.complete else None
