"""The one place that wires the parts: a scenario becomes a trajectory on disk."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from gflow.build import (
    Setup,
    build_choice,
    build_engine,
    build_rows,
    build_setup,
    build_until,
    check_disk,
    existing_parent,
    expected_rows,
    facts,
    provenance,
)
from gflow.errors import ScenarioError, TrajectoryError
from gflow.field.branch import Measure
from gflow.flow.simulate import simulate as simulate_flow
from gflow.flow.state import Event, Finish, Item, Outcome, Progress, Row
from gflow.flow.stopping import Until, log_time
from gflow.scenario import Scenario, resolved_yaml, sha256
from gflow.scenario.schema import SpacedTimes
from gflow.trajectory import FILE_NAME, EventEntry, Header, Target, Trajectory, TrajectoryWriter, open_trajectory
from gflow.trajectory import Progress as RunProgress
from gflow.trajectory import Row as FileRow
from gflow.trajectory.extremes import Extremes
from gflow.trajectory.recorder import Recorder

# Rows wait at most this long (seconds) before they are safe on disk.
COMMIT_EVERY = 1.0

ProgressCallback = Callable[[RunProgress], None]


def simulate(
    scenario: Scenario,
    out: str | Path | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    overwrite: bool = False,
    device: str = "cpu",
) -> Trajectory:
    """Integrate the gradient flow of a scenario and write the run folder `out` (default: outputs/<name>).

    device: `cpu`, or `cuda` for the primal engine.  progress is called after every accepted step.  Raises
    ScenarioError for unusable input and for lack of memory or disk, before anything is written, and TrajectoryError
    where the folder already has a trajectory (unless overwrite) or cannot be written.
    A run that is interrupted (SIGINT, SIGTERM) keeps its rows: KeyboardInterrupt passes through after they are saved,
    its message says what there is.
    """
    if resume:
        raise ScenarioError("resume = True: runs cannot be resumed in this version; start anew with another `out`")
    path = _run_folder(scenario, out) / FILE_NAME
    setup = build_setup(scenario)
    until = build_until(scenario)
    check_disk(scenario, setup.problem.samples, setup.problem.span.rank, path, overwrite)
    engine = build_engine(scenario, setup, device)
    flow = simulate_flow(engine, until, build_rows(scenario, until), build_choice(scenario))
    run = _Run(scenario, setup, until, path, progress)
    run.take(next(flow))  # the measure of the start
    first = next(flow)  # it is judged before anything is written
    assert isinstance(first, Row), "a flow begins with its row 0"
    _check_loss(until, first)
    if overwrite:
        _remove(path)
    _write(run, first, flow)
    return open_trajectory(path)


def _run_folder(scenario: Scenario, out: str | Path | None) -> Path:
    """The folder of the run.  Raises TrajectoryError where it cannot be one or holds somebody's scenario.yaml."""
    if out == "":
        raise TrajectoryError("--out '': is empty; name a folder, or leave --out away for outputs/<name>")
    folder = Path("outputs") / scenario.name if out is None else Path(out)
    beside = folder / "scenario.yaml"
    try:
        on_the_way = folder if folder.exists() else existing_parent(folder)
        if not on_the_way.is_dir():
            raise TrajectoryError(f"{on_the_way}: is a file; --out needs a folder")
        foreign = beside.exists() and not (folder / FILE_NAME).exists() and beside.read_bytes() != _given(scenario)
    except (OSError, ValueError) as error:
        raise TrajectoryError(f"{folder} cannot be used: {error}: choose another --out") from error
    if foreign:
        raise TrajectoryError(
            f"{beside} is another scenario, and no run ({FILE_NAME}) is beside it: a run would overwrite it; "
            "choose another --out"
        )
    return folder


def _check_loss(until: Until, first: Row) -> None:
    """Raise ScenarioError for a loss to be reached that is not below the first."""
    at = first.state.log_loss
    if until.log_loss is not None and until.log_loss >= at:
        raise ScenarioError(
            f"flow.until.log_loss: {until.log_loss:.6g}: the loss at the start is already log L = {at:.6g}; "
            "ask for a smaller one"
        )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TrajectoryError(f"{path} cannot be replaced: {error}: choose another --out") from error


def _write(run: _Run, first: Row, flow: Iterator[Item]) -> None:
    """Follow the flow to its end, or to an interruption; then every row so far is on disk."""
    # The matrices are small: threads of the linear algebra would only wait for each other (measured: up to 6 times
    # slower on two busy cores), and the bits of a run must not depend on how many cores a machine has.
    with _Interruption() as interruption, threadpool_limits(limits=1):
        try:
            try:
                run.open(first)
                for item in flow:
                    run.take(item)
                    if interruption.noticed and not isinstance(item, Finish):
                        raise KeyboardInterrupt
            finally:
                run.commit()
        except KeyboardInterrupt as stop:
            stop.args = (run.kept(),)
            raise


class _Interruption:
    """Notices the first SIGINT or SIGTERM, so that the run can stop between two items; the second acts at once.

    A KeyboardInterrupt raised anywhere could be lost in a callback of the garbage collection, or split an item.
    Signals that are ignored, or not Python's, stay so, and in another thread than the main one nothing is done.
    """

    def __init__(self) -> None:
        self.noticed = False
        self._before: dict[signal.Signals, Any] = {}  # Any: what `signal.getsignal` gives

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self._before = {number: old for number, old in before.items() if old not in (None, signal.SIG_IGN)}
            for number in self._before:
                signal.signal(number, self._notice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.noticed = True
        self._restore()

    def _restore(self) -> None:
        for number, old in self._before.items():
            signal.signal(number, old)
        self._before = {}


class _Run:
    """Rows and events on their way to the file, and what the progress line needs to know."""

    def __init__(
        self, scenario: Scenario, setup: Setup, until: Until, path: Path, progress: ProgressCallback | None
    ) -> None:
        self._scenario, self._setup, self._until, self._path, self._progress = scenario, setup, until, path, progress
        times = scenario.record.times
        self._spacing = times.spacing if isinstance(times, SpacedTimes) else "log"
        self._recorder, self._extremes = Recorder(setup.problem, setup.W_initial), Extremes(setup.problem)
        self._rows: list[FileRow] = []
        self._events: list[EventEntry] = []
        self._counted = 0
        self._last_commit = time.monotonic()
        self._writer: TrajectoryWriter
        self._safe: tuple[int, float] | None = None  # how many rows are on disk, and v at the last of them

    def open(self, first: Row) -> None:
        """Create the folder, the file with row 0, and scenario.yaml beside it."""
        row = self._row(first)
        self._first_log_loss = first.state.log_loss
        self._writer = TrajectoryWriter.create(
            self._path,
            _header(self._scenario, self._setup),
            list(row.series),
            neuron_series=list(row.neurons),
            records_events=self._scenario.record.events,
            expected_rows=expected_rows(self._scenario),
        )
        self._rows = [row]
        self.commit()
        _write_scenario(self._scenario, self._path.parent)

    def take(self, item: Item) -> None:
        """One item of the flow."""
        match item:
            case Event():
                self._counted += 1
                if self._scenario.record.events:
                    self._events.append(self._recorder.entry(item))
            case Row():
                self._rows.append(self._row(item))
                if time.monotonic() - self._last_commit > COMMIT_EVERY:
                    self.commit()
            case Measure():
                self._extremes.update(item)
            case Progress():
                if self._progress is not None:
                    self._progress(self._shown(item))
            case Finish():
                self.commit()
                self._writer.finish(item.outcome.value, item.sentence)

    def _row(self, at: Row) -> FileRow:
        row = self._recorder.row(at.state, self._counted, at.steps)
        return replace(row, series=row.series | self._extremes.values())

    def commit(self) -> None:
        """Make the rows so far safe."""
        if self._rows:
            self._writer.commit(self._rows, self._events)
            self._safe = self._writer.n_rows, self._rows[-1].log1p_time
            self._rows, self._events = [], []
        self._last_commit = time.monotonic()

    def kept(self) -> str:
        """What an interrupted run leaves, for people."""
        if self._safe is None:
            return "interrupted; nothing was written yet"
        rows, v = self._safe
        log_t = log_time(v)
        reached = "t = 0" if log_t is None else f"log t = {log_t:.4g}"
        return f"interrupted; {self._path} keeps {rows} row{'s' if rows > 1 else ''}, up to {reached}"

    def _shown(self, at: Progress) -> RunProgress:
        log_t = log_time(at.v)
        return RunProgress(
            log_time=log_t,
            target=_target(self._until, log_t, at.log_loss),
            share=self._until.share(at.v, at.log_loss, self._first_log_loss, self._spacing),
            log_loss=at.log_loss,
            events=self._counted,
            sliding=at.sliding,
            steps=at.steps,
        )


def _target(until: Until, log_t: float | None, log_loss: float) -> Target:
    if until.v_end is not None:
        return Target("log t", log_t, log_time(until.v_end))
    return Target("log loss", log_loss, until.log_loss)


def _given(scenario: Scenario) -> bytes:
    """The scenario as its author wrote it, else with every default filled in."""
    return (scenario.origin.text or resolved_yaml(scenario)).encode()


def _write_scenario(scenario: Scenario, folder: Path) -> None:
    try:
        (folder / "scenario.yaml").write_bytes(_given(scenario))
    except OSError as error:
        raise TrajectoryError(f"{folder / 'scenario.yaml'} cannot be written: {error}: choose another --out") from error


def _header(scenario: Scenario, setup: Setup) -> Header:
    problem, network = setup.problem, setup.problem.network
    scalar = network.directions is not None
    return Header(
        scenario=_given(scenario).decode(),
        scenario_resolved=resolved_yaml(scenario),
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
        facts=facts(scenario, setup),
    )


def stopped_by_limit(trajectory: Trajectory) -> bool:
    """Did the run end short of what was asked (exit code 3 of the command line)?"""
    return trajectory.outcome is not None and Outcome(trajectory.outcome).is_limit
