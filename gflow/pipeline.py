"""The one place that wires the parts: a scenario becomes a trajectory on disk."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from gflow.build import Setup, build_choice, build_engine, build_rows, build_setup, build_until
from gflow.errors import ScenarioError, TrajectoryError
from gflow.flow.simulate import simulate as simulate_flow
from gflow.flow.state import Event, Finish, Outcome, Progress, Row
from gflow.flow.stopping import Until, log_time
from gflow.scenario import Scenario, resolved_yaml, sha256
from gflow.scenario.schema import GivenTimes
from gflow.trajectory import FILE_NAME, EventEntry, Header, Target, Trajectory, TrajectoryWriter, open_trajectory
from gflow.trajectory import Progress as RunProgress
from gflow.trajectory import Row as FileRow
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
) -> Trajectory:
    """Integrate the gradient flow of a scenario and write the run folder `out` (default: outputs/<name>).

    progress is called after every accepted step.  Raises ScenarioError for unusable input (before anything is
    written) and TrajectoryError where the folder already has a trajectory (unless overwrite) or cannot be written.
    A run that is interrupted keeps its rows: KeyboardInterrupt passes through after they are saved.
    """
    if resume:
        raise ScenarioError("resume = True: runs cannot be resumed in this version; start anew with another `out`")
    setup = build_setup(scenario)
    until = build_until(scenario)
    flow = simulate_flow(build_engine(scenario, setup), until, build_rows(scenario, until), build_choice(scenario))
    folder = Path("outputs") / scenario.name if out is None else Path(out)
    path = folder / FILE_NAME
    run = _Run(scenario, setup, until, path, progress)
    first = next(flow)  # the start is judged before anything is written
    assert isinstance(first, Row), "a flow begins with its row 0"
    if overwrite:
        path.unlink(missing_ok=True)
    run.open(first)
    try:
        # The matrices are small: threads of the linear algebra would only wait for each other (measured: up to 6 times
        # slower on two busy cores), and the bits of a run must not depend on how many cores a machine has.
        with threadpool_limits(limits=1, user_api="blas"):
            for item in flow:
                run.take(item)
    finally:
        run.commit()
    return open_trajectory(path)


class _Run:
    """Rows and events on their way to the file, and what the progress line needs to know."""

    def __init__(
        self, scenario: Scenario, setup: Setup, until: Until, path: Path, progress: ProgressCallback | None
    ) -> None:
        self._scenario, self._setup, self._until, self._path, self._progress = scenario, setup, until, path, progress
        self._recorder = Recorder(setup.problem, setup.W_initial)
        self._rows: list[FileRow] = []
        self._events: list[EventEntry] = []
        self._counted = 0
        self._last_commit = time.monotonic()
        self._writer: TrajectoryWriter

    def open(self, first: Row) -> None:
        """Create the folder, the file with row 0, and scenario.yaml beside it."""
        row = self._recorder.row(first.state, events=0, steps=0)
        self._first_log_loss = first.state.log_loss
        self._writer = TrajectoryWriter.create(
            self._path,
            _header(self._scenario, self._setup),
            list(row.series),
            records_events=self._scenario.record.events,
            expected_rows=_expected_rows(self._scenario),
        )
        self._writer.commit([row])
        _write_scenario(self._scenario, self._path.parent)

    def take(self, item: Event | Progress | Row | Finish) -> None:
        """One item of the flow."""
        match item:
            case Event():
                self._counted += 1
                if self._scenario.record.events:
                    self._events.append(self._recorder.entry(item))
            case Row():
                self._rows.append(self._recorder.row(item.state, self._counted, item.steps))
                if time.monotonic() - self._last_commit > COMMIT_EVERY:
                    self.commit()
            case Progress():
                if self._progress is not None:
                    self._progress(self._shown(item))
            case Finish():
                self.commit()
                self._writer.finish(item.outcome.value, item.sentence)

    def commit(self) -> None:
        """Make the rows so far safe."""
        if self._rows:
            self._writer.commit(self._rows, self._events)
            self._rows, self._events = [], []
        self._last_commit = time.monotonic()

    def _shown(self, at: Progress) -> RunProgress:
        log_t = log_time(at.v)
        return RunProgress(
            log_time=log_t,
            target=_target(self._until, log_t, at.log_loss),
            share=self._until.share(at.v, at.log_loss, self._first_log_loss),
            log_loss=at.log_loss,
            events=self._counted,
            sliding=at.sliding,
            steps=at.steps,
        )


def _target(until: Until, log_t: float | None, log_loss: float) -> Target:
    if until.v_end is not None:
        return Target("log t", log_t, log_time(until.v_end))
    return Target("log loss", log_loss, until.log_loss)


def _expected_rows(scenario: Scenario) -> int:
    times = scenario.record.times
    return len(times.at) + 2 if isinstance(times, GivenTimes) else times.count + 1


def _write_scenario(scenario: Scenario, folder: Path) -> None:
    try:
        (folder / "scenario.yaml").write_text(scenario.origin.text or resolved_yaml(scenario), encoding="utf-8")
    except OSError as error:
        raise TrajectoryError(f"{folder / 'scenario.yaml'} cannot be written: {error}: choose another --out") from error


def _header(scenario: Scenario, setup: Setup) -> Header:
    problem, model = setup.problem, scenario.model
    return Header(
        scenario=scenario.origin.text or resolved_yaml(scenario),
        scenario_resolved=resolved_yaml(scenario),
        scenario_sha256=sha256(scenario),
        provenance=_provenance(scenario),
        X=problem.X,
        y=problem.y,
        W_initial=setup.W_initial,
        basis=problem.span.B,
        outer=problem.network.outer,
        facts={
            "name": scenario.name,
            "model": model.kind,
            "activation": model.activation.kind,
            "slope": problem.network.slope,
            "homogeneity": 1,
            "loss": scenario.loss,
            "engine": "dual",
            "method": scenario.flow.method,
            "rtol": scenario.flow.rtol,
            "atol": scenario.flow.atol,
        },
    )


def _provenance(scenario: Scenario) -> dict[str, Any]:
    """Who ran what, with which versions, when and on what: one entry a start."""
    packages = ("gflow", "numpy", "scipy", "h5py", "torch", "torchdiffeq")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "overrides": list(scenario.origin.overrides),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in packages},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def stopped_by_limit(trajectory: Trajectory) -> bool:
    """Did the run end short of what was asked (exit code 3 of the command line)?"""
    return trajectory.outcome is not None and Outcome(trajectory.outcome).is_limit
