"""What descent starts from: a scenario, or the run of one, with the folder that its rows go to."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256 as digest_of
from math import expm1
from pathlib import Path

import numpy as np

from gflow.arrays import Array
from gflow.assembly import Setup, build_setup
from gflow.errors import GflowError, TrajectoryError
from gflow.pipeline.arrays import scenario_around
from gflow.pipeline.flow_file import SCENARIO_FILE, write_scenario
from gflow.pipeline.simulation import known_end, run_folder
from gflow.problem.problem import Problem
from gflow.scenario import Scenario, parse_scenario, sha256
from gflow.trajectory import DESCENT, DESCENT_FILE_NAME, FILE_NAME, Trajectory, open_trajectory
from gflow.trajectory.recorded_run import RecordedRun

ARRAYS = Path("ARRAYS")
LATEST = 700.0  # of log(1 + t), where e^v is finite
Source = Scenario | Trajectory | tuple[Problem, Array]
"""Whence descent has its data and start: the last is what `gflow.from_arrays` returns."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A scenario with its problem and start.

    folder: where the rows go; named: what a command line calls the source; flow_end: t where the flow ends, as far as
    it is known; run: the run whose data these are.
    """

    scenario: Scenario
    setup: Setup
    folder: Path
    named: Path
    flow_end: float
    run: Trajectory | None

    def write_scenario(self) -> None:
        """Put the scenario into a folder that has none; that of arrays could not be run, as it has no files."""
        if self.named != ARRAYS and not (self.folder / SCENARIO_FILE).exists():
            write_scenario(self.scenario, self.folder)


def origin_of(source: Source, out: str | Path | None) -> Origin:
    """The origin of descent into the folder `out`; None: that of the run, or outputs/<name>.  Raises GflowError."""
    if isinstance(source, Trajectory):
        return _of_run(source, out)
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], Problem):
        return _of_arrays(*source, out)
    if not isinstance(source, Scenario):
        found = type(source).__name__
        raise GflowError(
            f"gflow.descend: {found} is no source; use gflow.load_scenario(path), gflow.open_trajectory(path) or "
            "gflow.from_arrays(X, y, W, a)"
        )
    folder = run_folder(source, out, (FILE_NAME, DESCENT_FILE_NAME))
    _check_same(source, folder)
    named = source.origin.path or Path("SCENARIO")
    return Origin(source, build_setup(source, flow=False), folder, named, known_end(source), None)


def _of_run(run: Trajectory, out: str | Path | None) -> Origin:
    if run.kind == DESCENT:
        raise GflowError(f"{run.path} holds descent: give the scenario, or the run folder with its {FILE_NAME}")
    scenario = parse_scenario(run.scenario_resolved, name_for_messages=str(run.path))
    recorded = RecordedRun.of(run)
    setup = Setup(recorded.problem, recorded.inner_initial, recorded.test)  # the files of a scenario may be gone
    folder = run.path.parent if out is None else run_folder(scenario, out, (FILE_NAME, DESCENT_FILE_NAME))
    if out is not None:
        _check_same(scenario, folder)
    named = run.path.parent if run.path.name == FILE_NAME else run.path
    return Origin(scenario, setup, folder, named, expm1(min(float(run.read("log1p_time", -1)), LATEST)), run)


def _of_arrays(problem: Problem, start: Array, out: str | Path | None) -> Origin:
    """Other arrays have another name, so that no descent goes on with those of others."""
    until = {"until": {"log_time": LATEST}}
    scenario, setup = scenario_around("gflow.descend", problem, start, until, {"count": 200}, flow=False)
    arrays = (problem.X, problem.y, setup.inner, problem.network.outer, problem.network.output_bias)
    given = (np.ascontiguousarray(each).tobytes() for each in arrays if each is not None)
    digest = digest_of(b"".join(given)).hexdigest()
    scenario = scenario.model_copy(update={"name": f"arrays-{digest[:12]}"})
    folder = run_folder(scenario, out, (FILE_NAME, DESCENT_FILE_NAME))
    _check_same(scenario, folder)
    return Origin(scenario, setup, folder, ARRAYS, known_end(scenario), None)


def _check_same(scenario: Scenario, folder: Path) -> None:
    """TrajectoryError where the folder has a run of another scenario."""
    if (folder / FILE_NAME).exists() and open_trajectory(folder).scenario_sha256 != sha256(scenario):
        raise TrajectoryError(f"{folder} has a run of another scenario: choose another --out, or give that run folder")
