"""The writer of one run, which takes rows and events to the file and keeps the progress line informed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gflow.assembly import Setup, expected_rows, facts, provenance
from gflow.errors import TrajectoryError
from gflow.field.branch import Measure, Measures
from gflow.flow.items import Item
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow
from gflow.flow.stopping import Until
from gflow.flow_time import log_time_of, time_text
from gflow.pipeline.disk_room import check_disk
from gflow.pipeline.recording import Recording
from gflow.pipeline.resumption import entry
from gflow.scenario import Scenario, resolved_yaml, sha256
from gflow.scenario.schema import Commit, SpacedTimes
from gflow.trajectory import EventLog, Header, Row, RunProgress, Target, Trajectory, TrajectoryWriter
from gflow.trajectory.content import Changes

SCENARIO_FILE = "scenario.yaml"
ProgressCallback = Callable[[RunProgress], None]


class FlowFile:
    """Rows and events on their way to the file, and what the progress line needs to know."""

    def __init__(
        self, scenario: Scenario, setup: Setup, until: Until, path: Path, progress: ProgressCallback | None
    ) -> None:
        self._scenario, self._setup, self.until, self._path, self._progress = scenario, setup, until, path, progress
        times = scenario.record.times
        self._spacing = times.spacing if isinstance(times, SpacedTimes) else "log"
        self._recording = Recording(setup)
        self._cadence = scenario.record.commit or Commit()
        self._rows: list[Row] = []
        self._last: list[Row] = []  # the row at the end, which is saved with the outcome
        self._events = EventLog()
        self._last_commit = time.monotonic()
        self._writer: TrajectoryWriter
        self._header: Header
        self._first: Row
        self._safe: tuple[int, float] | None = None  # how many rows are on disk, and v at the last of them
        self._steps, self._safe_steps = 0, 0  # taken so far, and up to the checkpoint of the last row on disk

    def begin(self, first: FlowRow, replaced: bool) -> None:
        """Take row 0.  Raises ScenarioError where the file, in place of one that is `replaced`, will not fit."""
        self._first, self._first_log_loss = self._recording.row(first), first.state.log_loss
        self._header = header(self._scenario, self._setup)
        series, neurons = list(self._first.series), list(self._first.neurons)
        form = self._header.form(series, neurons, self._scenario.record.events, resumable=True)
        check_disk(self._scenario, self._header, form, self._path, replaced)

    def open(self) -> None:
        """Create the folder, the file with row 0, and scenario.yaml beside it."""
        self._writer = TrajectoryWriter.create(
            self._path,
            self._header,
            list(self._first.series),
            neuron_series=list(self._first.neurons),
            records_events=self._scenario.record.events,
            resumable=True,
            expected_rows=expected_rows(self._scenario),
        )
        self._rows = [self._first]
        self.commit()
        write_scenario(self._scenario, self._path.parent)

    def reopen(self, kept: Trajectory) -> None:
        """Go on with a file after its last row."""
        self._first_log_loss = float(kept.read("log_loss", 0))
        self._recording.restore(kept)
        extended = kept.scenario_sha256 != sha256(self._scenario)
        self._writer = TrajectoryWriter.reopen(
            kept.path,
            entry(provenance(self._scenario), kept),
            _changes(self._scenario) if extended else Changes(),
            expected_rows=kept.n_rows + expected_rows(self._scenario),
        )
        self._safe = kept.n_rows, float(kept.read("log1p_time", -1))
        self._steps, self._safe_steps = int(kept.read("series/steps", -1)), int(kept.resume_at(-1)["steps"])
        if extended or not (kept.path.parent / SCENARIO_FILE).exists():
            write_scenario(self._scenario, self._path.parent)

    def take(self, item: Item) -> None:
        """One item of the flow."""
        match item:
            case Event():
                event = self._recording.event(item)  # counted, whether or not it is kept
                if self._scenario.record.events:
                    self._events.append(event)
            case FlowRow():
                (self._last if item.last else self._rows).append(self._recording.row(item))
                self._commit_if_due()
            case Measure() | Measures():
                self._recording.measure(item)
            case FlowProgress():
                self._steps = item.steps
                if self._progress is not None:
                    self._progress(self._shown(item))
            case Finish():
                self.commit()
                self._writer.finish(item.outcome.value, item.sentence, self._last, self._events.events())

    def _commit_if_due(self) -> None:
        full = self._cadence.rows is not None and len(self._rows) >= self._cadence.rows
        if full or time.monotonic() - self._last_commit >= self._cadence.seconds:
            self.commit()

    def commit(self) -> None:
        """Save the rows so far to disk."""
        if self._rows:
            self._writer.commit(self._rows, self._events.events())
            self._safe = self._writer.n_rows, self._rows[-1].log1p_time
            self._safe_steps = int(self._rows[-1].resume["steps"])
            self._rows, self._events = [], EventLog()
        self._last_commit = time.monotonic()

    def kept(self) -> str:
        """A sentence for users on what an interrupted run leaves."""
        if self._safe is None:
            return "interrupted; nothing was written yet"
        rows, v = self._safe
        again = self._steps - self._safe_steps
        lost = f"; of {self._steps} steps {again} will be done again" if again else ""
        return f"interrupted; {self._path} keeps {rows} row{'s' if rows > 1 else ''}, up to {time_text(v)}{lost}; " + (
            "go on with --resume"
        )

    def _shown(self, at: FlowProgress) -> RunProgress:
        log_t = log_time_of(at.v)
        return RunProgress(
            log_time=log_t,
            target=_target(self.until, log_t, at.log_loss),
            share=self.until.share(at.v, at.log_loss, self._first_log_loss, self._spacing),
            log_loss=at.log_loss,
            events=self._recording.events,
            sliding=at.sliding,
            steps=at.steps,
        )


def _target(until: Until, log_t: float | None, log_loss: float) -> Target:
    if until.v_end is not None:
        return Target("log t", log_t, log_time_of(until.v_end))
    if until.log_loss is not None:
        return Target("log loss", log_loss, until.log_loss)
    return Target("log t", log_t)


def given_text(scenario: Scenario) -> bytes:
    """The scenario as its author wrote it, else with every default filled in."""
    return (scenario.origin.text or resolved_yaml(scenario)).encode()


def write_scenario(scenario: Scenario, folder: Path) -> None:
    """Put scenario.yaml into a folder.  TrajectoryError where it cannot be written."""
    try:
        (folder / SCENARIO_FILE).write_bytes(given_text(scenario))
    except OSError as error:
        raise TrajectoryError(f"{folder / SCENARIO_FILE} cannot be written: {error}: choose another --out") from error


def _changes(scenario: Scenario) -> Changes:
    """The changes that put another scenario into a file."""
    texts = {"scenario": given_text(scenario).decode(), "scenario_resolved": resolved_yaml(scenario)}
    return Changes({"scenario_sha256": sha256(scenario)}, texts)


def header(scenario: Scenario, setup: Setup) -> Header:
    """The header of a file, written before it has rows."""
    problem, network, resolved = setup.problem, setup.problem.network, resolved_yaml(scenario)
    scalar = network.directions is not None
    return Header(
        scenario=scenario.origin.text or resolved,
        scenario_resolved=resolved,
        scenario_sha256=sha256(scenario),
        provenance=provenance(scenario),
        X=problem.X,
        y=problem.y,
        W_initial=setup.W_initial,
        basis=np.zeros((1, problem.X.shape[1])) if scalar else problem.span.B,
        outer=network.outer,
        trains_outer=network.trains_outer,
        has_output_bias=network.output_bias is not None,
        directions=network.directions,
        X_test=None if setup.test is None else setup.test.X,
        y_test=None if setup.test is None else setup.test.y,
        facts=facts(scenario, setup),
    )
