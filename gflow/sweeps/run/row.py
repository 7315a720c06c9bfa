"""One run of a sweep: its flow, analyses and descent, kept as far as asked for; whatever fails is told in its row."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from gflow.analysis.failure import error_text, place_of
from gflow.errors import GflowError, TrajectoryError
from gflow.pipeline.analysis import analyze
from gflow.pipeline.findings import ANALYZERS, Findings
from gflow.pipeline.integration import integrated
from gflow.pipeline.simulation import simulate
from gflow.scenario import Origin, Scenario, resolved_yaml, scenario_of
from gflow.sweeps.plan.sweep_file import Wanted
from gflow.sweeps.run.columns import Row, descent_columns, finding_columns, flow_columns
from gflow.sweeps.run.kept_rows import descent_rows, flow_rows, keep_rows
from gflow.trajectory import DESCENT_FILE_NAME, FILE_NAME, Record, open_trajectory

if TYPE_CHECKING:
    from gflow.descent_plan.result import DescentResult

ROWS_FOLDER, RUNS_FOLDER = "rows", "runs"


@dataclass(frozen=True, slots=True)
class Job:
    """One run as it travels to a worker: its id, and the values of its scenario."""

    id: str
    content: dict[str, Any]  # Any: values of the scenario


def row_of(job: Job, base_folder: Path, out: Path, wanted: Wanted) -> Row:
    """Run it.  base_folder: of relative paths in the scenario; out: the folder of the sweep, for what is kept.

    A run that fails has a row too, with the reason as its `failure`; failure is None where all went well.
    """
    start = perf_counter()
    row: Row = {"failure": None}
    try:
        row |= _columns(_scenario_of(job, base_folder), out, job.id, wanted)
    except GflowError as error:
        row["failure"] = " ".join(str(error).split())
    except Exception as error:  # an error of gflow's own ends this run, and no other
        row["failure"] = f"error of gflow: {error_text(error)}, at {place_of(error)}"
    return row | {"wall_time": round(perf_counter() - start, 6)}


def _scenario_of(job: Job, folder: Path) -> Scenario:
    scenario = scenario_of(job.content, f"run {job.id}")
    return scenario.located(Origin(None, ""), folder)


def _columns(scenario: Scenario, out: Path, name: str, wanted: Wanted) -> Row:
    flow = _kept_run(scenario, out / RUNS_FOLDER / name) if wanted.keep == "all" else integrated(scenario)
    row, rows = flow_columns(flow, wanted), flow_rows(flow) if wanted.keep == "rows" else None
    asked = list(ANALYZERS) if scenario.analyses == "all" else [each for each in ANALYZERS if each in scenario.analyses]
    if asked:
        found = analyze(flow, asked, say=_unsaid)
        row |= finding_columns(found) | _failed(found)
    if scenario.descent is not None:
        with _descent(scenario, out / RUNS_FOLDER / name if wanted.keep == "all" else None) as descent:
            row |= descent_columns(descent, wanted)
            if rows is not None:
                rows |= descent_rows(descent)
    if rows is not None:
        keep_rows(rows, out / ROWS_FOLDER / f"{name}.npz")
    return row


@contextmanager
def _descent(scenario: Scenario, kept: Path | None) -> Iterator[DescentResult]:
    """Descent as the scenario asks for it, with its rows for as long as the context lasts."""
    from gflow.pipeline.descent.alone import descend  # torch with it: 4 s and 200 MB of a worker that runs flows alone

    with _descent_folder(kept) as folder:
        again = (folder / DESCENT_FILE_NAME).exists()
        yield descend(scenario, out=folder, overwrite=again, say=_unsaid)


def _failed(found: Findings) -> Row:
    return {"failure": f"failed: {', '.join(found.failed)}"} if found.failed else {}


def _kept_run(scenario: Scenario, folder: Path) -> Record:
    """The run in its folder; one that was cut off there goes on, where its file can be read."""
    located = scenario.located(Origin(None, resolved_yaml(scenario)), scenario.folder)
    if not (folder / FILE_NAME).exists():
        return simulate(located, folder)
    try:
        open_trajectory(folder)
        return simulate(located, folder, resume=True, say=_unsaid)
    except TrajectoryError:  # it was killed before it had a first row
        return simulate(located, folder, overwrite=True)


@contextmanager
def _descent_folder(kept: Path | None) -> Iterator[Path]:
    """The run folder, or one that is removed afterwards."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="gflow-sweep-") as folder:
        yield Path(folder)


def _unsaid(_: str) -> None:
    """The callback for sentences that a sweep does not show: it does nothing."""
