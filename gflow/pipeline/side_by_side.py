"""A comparison carried out: `descent.h5`, then the flow beside it, then `comparison.json`.  Loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from gflow.analysis.subject import Subject
from gflow.build import Setup, check_room, provenance, row_bytes
from gflow.comparison.result import Comparison
from gflow.descent.loop import Item
from gflow.errors import TrajectoryError
from gflow.flow.stopping import log_time
from gflow.pipeline.beside import Beside, Labels
from gflow.pipeline.descents import DescentFile, descent_items, modified_flows, precision_warning
from gflow.pipeline.interruption import Interruption
from gflow.pipeline.json_file import write_json
from gflow.pipeline.plan import CompareCallback, CompareProgress, Manner, Plan
from gflow.pipeline.run import header
from gflow.scenario import Scenario
from gflow.trajectory import DESCENT, DESCENT_FILE_NAME, Header, Row, Trajectory, TrajectoryWriter, open_trajectory

COMPARISON_FILE_NAME = "comparison.json"
FLOW_FACTS = ("engine", "method", "rtol", "atol")


class SideBySide:
    """Descent as planned, beside the flow of one run."""

    def __init__(
        self, trajectory: Trajectory, scenario: Scenario, plan: Plan, manner: Manner, progress: CompareCallback
    ) -> None:
        self._trajectory, self._scenario, self._plan, self._manner = trajectory, scenario, plan, manner
        self._progress = progress
        self._path = trajectory.path.with_name(DESCENT_FILE_NAME)

    def carry_out(self, modified: bool, command: str) -> Comparison:
        """All of it; whatever cannot be done is refused before anything is written."""
        plan, manner = self._plan, self._manner
        with _interrupted("nothing was written yet"):
            subject = Subject.of(self._trajectory)
            setup = Setup(subject.problem, _start(self._trajectory))
            flows = modified_flows(setup, plan.etas) if modified else None
            items = descent_items(setup, plan.etas, plan.steps, manner)
            self._check_room(setup)
            beside = Beside(subject, self._scenario, setup, plan.etas, plan.end, plan.table)
        file = DescentFile(setup, plan.etas, self._creation(setup), self._counted("descent"))
        with Interruption() as interruption:

            def alive() -> None:
                if interruption.noticed:
                    raise KeyboardInterrupt

            _descend(file, items, self._path, alive)
            with _interrupted(f"{self._path} holds descent, but {COMPARISON_FILE_NAME} was not written"):
                seen = beside.follow(open_trajectory(self._path), file.ended, alive, self._counted("flow"))
                warning = precision_warning(manner, file.largest_margin)
                labels = Labels(_about(self._trajectory), command, () if warning is None else (warning,))
                found = beside.found(seen, manner, labels)
                if flows is not None:
                    found = replace(found, modified=beside.modified(seen, flows, alive, self._counted("modified")))
            write_json(self._path.with_name(COMPARISON_FILE_NAME), found.to_json())
        return found

    def _check_room(self, setup: Setup) -> None:
        row = row_bytes(self._scenario, setup.problem.samples, setup.problem.coordinates().shape[-1])
        remedy = "compare fewer step sizes, or copy the run to a larger disk"
        check_room("--eta", self._rows, row, self._path, True, remedy)

    @property
    def _rows(self) -> int:
        return sum(len(each) for each in self._plan.steps)

    def _creation(self, setup: Setup) -> Callable[[Row], TrajectoryWriter]:
        made = _header(self._trajectory, self._scenario, setup, self._manner)
        return lambda first: _create(self._path, made, first, self._rows)

    def _counted(self, stage: Literal["descent", "flow", "modified"]) -> Callable[[int, int], None]:
        return lambda done, total: self._progress(CompareProgress(stage, done, total))


def _descend(file: DescentFile, items: Iterable[Item], path: Path, alive: Callable[[], None]) -> None:
    """Run descent to its end, or to an interruption; then its rows so far are on disk."""
    try:
        for item in items:
            file.take(item)
            alive()
        file.finish()
    except KeyboardInterrupt as stop:
        file.abandon()
        kept = f"{path} keeps {file.n_rows} rows of descent" if file.n_rows else "nothing was written yet"
        stop.args = (f"interrupted; {kept}",)
        raise


@contextmanager
def _interrupted(what: str) -> Iterator[None]:
    """Says what an interruption in here leaves."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = (f"interrupted; {what}",)
        raise


def _start(trajectory: Trajectory) -> Any:  # Any: an array, W (m, d) or b (m, 1)
    """Where the run started: the file alone says it, so data and start files may have gone."""
    return trajectory.W_initial if trajectory.directions is None else trajectory.read("inner", 0)


def _header(trajectory: Trajectory, scenario: Scenario, setup: Setup, manner: Manner) -> Header:
    """That of the flow's file, for descent."""
    of_flow = header(scenario, setup)
    facts = {name: value for name, value in of_flow.facts.items() if name not in FLOW_FACTS}
    facts |= {"descent": manner.kind, "precision": manner.precision, "device": manner.device}
    if manner.batch is not None:
        facts |= {"batch": manner.batch, "batch_seed": manner.seed}
    return replace(
        of_flow,
        kind=DESCENT,
        scenario=trajectory.scenario,
        scenario_resolved=trajectory.scenario_resolved,
        scenario_sha256=trajectory.scenario_sha256,
        provenance=provenance(scenario),
        facts=facts,
    )


def _create(path: Path, made: Header, first: Row, rows: int) -> TrajectoryWriter:
    """The new file; an older comparison goes first, since its parts would not fit the new ones."""
    try:
        path.with_name(COMPARISON_FILE_NAME).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be replaced: {error}: copy the run to a folder that can") from error
    series, neurons = list(first.series), list(first.neurons)
    return TrajectoryWriter.create(path, made, series, neuron_series=neurons, records_events=False, expected_rows=rows)


def _about(trajectory: Trajectory) -> dict[str, Any]:  # Any: JSON values
    return {
        "scenario_sha256": trajectory.scenario_sha256,
        "name": trajectory.facts.get("name"),
        "n_rows": trajectory.n_rows,
        "outcome": trajectory.outcome,
        "log_time": log_time(float(trajectory.read("log1p_time", -1))),
    }
