"""A comparison being carried out: it writes `descent.h5`, integrates the flow beside it, and writes `comparison.json`.
Loads torch."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import expm1
from pathlib import Path
from typing import Any

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.assembly import Setup, check_room, provenance, row_bytes
from gflow.comparison.composition import Labels, composed
from gflow.comparison.descent_runs import descent_items, iterates_of, precision_warning
from gflow.comparison.flow_and_descent import FlowAndDescent
from gflow.comparison.ledger import Ledger
from gflow.comparison.modified import beside_modified_flows, modified_flows
from gflow.comparison.plan import Alive, CompareCallback, CompareProgress, Counted, Plan, Stage
from gflow.comparison.result import COMPARISON_FILE_NAME, Comparison
from gflow.comparison.timetable import cut_short
from gflow.descent import DescentCheckpoint, Iterate
from gflow.descent.loop import DescentItem
from gflow.flow_time import log_time_of
from gflow.pipeline.analysis import foreknown
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, remove, save
from gflow.pipeline.descent.file import DescentFile
from gflow.pipeline.descent.resumption import Kept, identity_of, kept_descent
from gflow.pipeline.descent.store import DescentStore
from gflow.pipeline.flow_file import header
from gflow.pipeline.interruption import Interruption
from gflow.pipeline.json_file import write_json
from gflow.pipeline.simulation import Say
from gflow.scenario import Scenario
from gflow.trajectory import DESCENT, DESCENT_FILE_NAME, Header, Trajectory, file_sha256, open_trajectory

FLOW_FACTS = ("engine", "method", "rtol", "atol")
GO_ON = "go on with the same command and --resume"


class ComparisonRun:
    """Descent as planned, beside the flow of one run, with the files that it leaves."""

    def __init__(self, trajectory: Trajectory, scenario: Scenario, plan: Plan, progress: CompareCallback) -> None:
        self._trajectory, self._scenario, self._plan = trajectory, scenario, plan
        self._progress = progress
        self._path = trajectory.path.with_name(DESCENT_FILE_NAME)
        ahead = self._counted("ahead")
        self._analyzed = AnalyzedRun.of(trajectory, lambda seen: ahead(seen.steps, seen.most_steps))
        self._setup = Setup(self._analyzed.problem, self._analyzed.inner_initial)  # the files of a scenario may be gone
        self._about = _about(trajectory)
        self._made = _header(trajectory, scenario, self._setup, plan)

    def resume(self, command: str, say: Say) -> Comparison:
        """Carry out the rest of the comparison.  TrajectoryError where it cannot go on; nothing is changed then."""
        kept = kept_descent(self._path, self._made, self._plan, self._iterates)
        found = None if kept.rows.outcome is None else self._stored(command)
        if found is not None:
            say(f"{self._path.with_name(COMPARISON_FILE_NAME)} is complete, nothing is left to do")
            remove(self._path.with_name(CHECKPOINT_FILE_NAME))
            return found
        say(kept.sentence())
        return self.carry_out(command, kept)

    def carry_out(self, command: str, kept: Kept | None = None) -> Comparison:
        """Carry out the comparison, or the rest of it; what cannot be done is refused before anything is written."""
        plan, setup = self._plan, self._setup
        with _interrupted("nothing was written yet" if kept is None else f"{self._path} is as it was; {GO_ON}"):
            flows = modified_flows(setup, plan.etas) if plan.modified else None
            items = self._items(kept)
            self._check_room()
            known = foreknown(self._trajectory, self._analyzed)
            both = FlowAndDescent(self._analyzed, self._scenario, setup, plan, known)
        file = self._file(kept)
        with Interruption() as interruption:

            def alive() -> None:
                if interruption.noticed:
                    raise KeyboardInterrupt

            if kept is None or not kept.complete:
                _descend(file, items, self._path, alive)
            with _interrupted(f"{self._path} holds descent, but {COMPARISON_FILE_NAME} was not written; {GO_ON}"):
                descent, ended = open_trajectory(self._path), file.ledger.ended
                seen = both.follow(descent, ended, alive, self._counted("flow"))
                labels = Labels(self._about, command, self._warnings(file.ledger.largest_margin))
                found = composed(seen, self._analyzed, plan, self._scenario.flow.rtol, labels)
                if flows is not None:
                    counted = self._counted("modified")
                    modified = beside_modified_flows(setup, plan, seen.rows, flows, alive, counted)
                    found = replace(found, modified=modified)
            write_json(self._path.with_name(COMPARISON_FILE_NAME), found.to_json())
        remove(self._path.with_name(CHECKPOINT_FILE_NAME))
        return found

    def _warnings(self, largest_margin: float) -> tuple[str, ...]:
        flow_end = expm1(min(float(self._trajectory.read("log1p_time", -1)), 700.0))
        early = cut_short(self._plan.end, flow_end, self._plan.etas)
        return tuple(each for each in (early, precision_warning(self._plan.manner, largest_margin)) if each is not None)

    def _iterates(self, origin: DescentCheckpoint) -> Sequence[Iterate]:
        return iterates_of(self._setup, self._plan, origin)

    def _items(self, kept: Kept | None) -> Iterator[DescentItem]:
        origin = None if kept is None else kept.origin
        return descent_items(self._setup, self._plan, origin)

    def _file(self, kept: Kept | None) -> DescentFile:
        rows, ledger = (None, Ledger()) if kept is None else (kept.rows, kept.ledger)
        store = DescentStore(self._path, self._made, self._plan.rows, rows)
        path, identity = self._path.with_name(CHECKPOINT_FILE_NAME), identity_of(self._made)
        counted = self._counted("descent")
        return DescentFile(
            self._setup, self._plan.etas, store, lambda saved: save(path, identity, saved), ledger, counted
        )

    def _stored(self, command: str) -> Comparison | None:
        """The comparison on disk, if it is what the same command gives."""
        path = self._path.with_name(COMPARISON_FILE_NAME)
        try:
            found = Comparison.from_json(json.loads(path.read_text(encoding="utf-8")))
            same = _options(found.command) == _options(command)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # there is none, or none that can be read: it is worked out again
        return found if same and found.trajectory == self._about else None

    def _check_room(self) -> None:
        row = row_bytes(self._scenario, self._setup.problem.samples, self._setup.problem.coordinates().shape[-1])
        remedy = "compare fewer step sizes, or copy the run to a larger disk"
        check_room("--eta", self._plan.rows, row, self._path, True, remedy)

    def _counted(self, stage: Stage) -> Counted:
        return lambda done, total: self._progress(CompareProgress(stage, done, total))


def _descend(file: DescentFile, items: Iterable[DescentItem], path: Path, alive: Alive) -> None:
    """Run descent to its end, or to an interruption; then its rows so far are on disk."""
    try:
        file.follow(items, alive)
    except KeyboardInterrupt as stop:
        file.settle()
        kept = f"{path} keeps {file.n_rows} rows of descent; {GO_ON}" if file.n_rows else "nothing was written yet"
        stop.args = (f"interrupted; {kept}",)
        raise


def _options(command: str) -> list[str]:
    """The options of a command line, without the folder, which may have been moved or be named relative to another."""
    return shlex.split(command)[3:]


@contextmanager
def _interrupted(what: str) -> Iterator[None]:
    """Adds to an interruption inside a sentence on what it leaves."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = (f"interrupted; {what}",)
        raise


def _header(trajectory: Trajectory, scenario: Scenario, setup: Setup, plan: Plan) -> Header:
    """The header of `descent.h5`: that of the flow's file, with the facts of descent."""
    of_flow = header(scenario, setup)
    facts = {name: value for name, value in of_flow.facts.items() if name not in FLOW_FACTS}
    return replace(
        of_flow,
        kind=DESCENT,
        scenario=trajectory.scenario,
        scenario_resolved=trajectory.scenario_resolved,
        scenario_sha256=trajectory.scenario_sha256,
        provenance=provenance(scenario),
        facts=facts | plan.facts,
    )


def _about(trajectory: Trajectory) -> dict[str, Any]:  # Any: JSON values
    return {
        "scenario_sha256": trajectory.scenario_sha256,
        "trajectory_sha256": file_sha256(trajectory.path),
        "name": trajectory.facts.get("name"),
        "n_rows": trajectory.n_rows,
        "outcome": trajectory.outcome,
        "log_time": log_time_of(float(trajectory.read("log1p_time", -1))),
    }
