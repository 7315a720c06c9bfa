"""Gradient descent beside the flow: `descent.h5` and `comparison.json` in the run folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import exp, expm1, inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from threadpoolctl import threadpool_limits

from gflow.analysis.subject import Subject
from gflow.build import Setup, check_room, provenance, row_bytes
from gflow.comparison.clock import Timetable, checked_etas, horizon, record_steps, timetable
from gflow.comparison.result import Comparison
from gflow.errors import GflowError, TrajectoryError
from gflow.flow.stopping import log_time
from gflow.pipeline.interruption import Interruption
from gflow.pipeline.json_file import write_json
from gflow.pipeline.run import ProgressCallback, header
from gflow.pipeline.simulation import simulate
from gflow.scenario import Scenario, load_scenario, parse_scenario, sha256
from gflow.trajectory import (
    DESCENT,
    DESCENT_FILE_NAME,
    FILE_NAME,
    Header,
    Row,
    Trajectory,
    TrajectoryWriter,
    open_trajectory,
)

if TYPE_CHECKING:
    from gflow.pipeline.descents import DescentFile, Manner

COMPARISON_FILE_NAME = "comparison.json"
FLOW_FACTS = ("engine", "method", "rtol", "atol")


@dataclass(frozen=True, slots=True)
class CompareProgress:
    """How far a comparison is: `descent` counts steps of all runs, `flow` times at which both are compared."""

    stage: Literal["descent", "flow", "modified"]
    done: int
    total: int


CompareCallback = Callable[[CompareProgress], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which runs, how far, which steps are rows, and the times of these."""

    etas: tuple[float, ...]
    end: float
    steps: tuple[Any, ...]  # Any: an index array of each run
    table: Timetable

    @classmethod
    def of(cls, etas: Sequence[float], end: float) -> Plan:
        """Runs until t = end."""
        steps = tuple(record_steps(etas, end))
        return cls(tuple(etas), end, steps, timetable(etas, steps))


def compare(
    trajectory: Trajectory,
    etas: Sequence[float] | None = None,
    *,
    until_time: float | None = None,
    sgd: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    precision: Literal["double", "single"] = "double",
    modified: bool = False,
    progress: CompareCallback | None = None,
) -> Comparison:
    """Gradient descent at each step size, on the clock t = eta k, beside the flow, integrated anew to the same times.

    etas: default those of the scenario's `descent`.  until_time: default that of the scenario, else the end of the
    flow, or 100,000 of the largest steps if that comes first.  sgd: batch size of stochastic descent with this seed
    (default: the scenario's).  modified: also beside the flow of L + (eta / 4) |grad L|^2 (smooth activations).
    Writes `descent.h5` and `comparison.json` beside the trajectory, in place of older ones.  Raises GflowError for what
    cannot be compared, before anything is written.  An interruption keeps the rows of descent so far:
    KeyboardInterrupt passes through, its message says what there is.
    """
    if trajectory.kind == DESCENT:
        raise GflowError(f"{trajectory.path} holds descent, not a flow: give the run folder or its {FILE_NAME}")
    scenario = parse_scenario(trajectory.scenario_resolved, name_for_messages=str(trajectory.path))
    plan = planned(scenario, etas, until_time, expm1(min(float(trajectory.read("log1p_time", -1)), 700.0)))
    if seed is not None and sgd is None:
        raise GflowError(f"--seed {seed}: only stochastic descent draws; add --sgd BATCH or leave --seed out")
    from gflow.pipeline.descents import Manner  # loads torch

    manner = Manner(sgd, scenario.seed if seed is None else seed, device, precision)
    command = _command(trajectory.path, plan, manner, modified)
    with threadpool_limits(limits=1):  # small matrices, as in a run
        return _compared(trajectory, scenario, plan, manner, modified, progress or _silent, command)


def planned(scenario: Scenario, etas: Sequence[float] | None, until_time: float | None, flow_end: float) -> Plan:
    """The plan of a comparison; None: what the scenario says.  Raises GflowError."""
    asked = scenario.descent
    if not etas and asked is None:
        raise GflowError(
            "--eta: no step size is given, and the scenario has no `descent.eta`; add for example --eta 0.1"
        )
    chosen = checked_etas(etas or (asked.eta if asked is not None else ()))
    if until_time is None and asked is not None and asked.until is not None:
        until_time = asked.until.time
    return Plan.of(chosen, horizon(until_time, flow_end, chosen))


def run_of(
    path: Path, etas: Sequence[float] | None, until_time: float | None, progress: ProgressCallback | None = None
) -> Trajectory:
    """The trajectory of a run folder or file; a scenario file without a run is simulated first, into outputs/<name>.

    Raises GflowError before that for step sizes that cannot be compared, and where outputs/<name> is another run.
    """
    if path.suffix not in (".yaml", ".yml"):
        return open_trajectory(path)
    scenario = load_scenario(path)
    planned(scenario, etas, until_time, _known_end(scenario))
    there = Path("outputs") / scenario.name / FILE_NAME
    if not there.exists():
        return simulate(scenario, progress=progress)
    trajectory = open_trajectory(there)
    if trajectory.scenario_sha256 != sha256(scenario):
        raise TrajectoryError(
            f"{there} is a run of another scenario than {path}: give a run folder, or move that one away"
        )
    return trajectory


def _known_end(scenario: Scenario) -> float:
    """Where the flow of a scenario ends on the clock at the latest; inf if that is not known before it is run."""
    until = scenario.flow.until
    ends = [until.time, None if until.log_time is None else exp(min(until.log_time, 700.0))]
    return min((end for end in ends if end is not None), default=inf)


def _compared(
    trajectory: Trajectory,
    scenario: Scenario,
    plan: Plan,
    manner: Manner,
    modified: bool,
    progress: CompareCallback,
    command: str,
) -> Comparison:
    from gflow.pipeline.beside import Beside, Labels  # loads torch, as does the next
    from gflow.pipeline.descents import DescentFile, descent_items, modified_flows, precision_warning

    with _interrupted("nothing was written yet"):
        subject = Subject.of(trajectory)
        setup = Setup(subject.problem, _start(trajectory))
        flows = modified_flows(setup, plan.etas) if modified else None
        items = descent_items(setup, plan.etas, plan.steps, manner)
        beside = Beside(subject, scenario, setup, plan.etas, plan.end, plan.table)
        path = trajectory.path.with_name(DESCENT_FILE_NAME)
        rows = sum(len(each) for each in plan.steps)
        row = row_bytes(scenario, setup.problem.samples, setup.problem.coordinates().shape[-1])
        check_room("--eta", rows, row, path, True, "compare fewer step sizes, or copy the run to a larger disk")
    made = _header(trajectory, scenario, setup, manner)

    def counted(done: int, total: int) -> None:
        progress(CompareProgress("descent", done, total))

    file = DescentFile(setup, plan.etas, lambda first: _create(path, made, first, rows), counted)
    with Interruption() as interruption:

        def alive() -> None:
            if interruption.noticed:
                raise KeyboardInterrupt

        _descend(file, items, path, alive)
        with _interrupted(f"{path} holds descent, but {COMPARISON_FILE_NAME} was not written"):
            runs = beside.follow(
                open_trajectory(path), file.ended, alive, _counted("flow", len(plan.table.v), progress)
            )
            warning = precision_warning(manner, file.largest_margin)
            labels = Labels(_about(trajectory), command, () if warning is None else (warning,))
            found = beside.found(runs, manner, labels)
            if flows is not None:
                found = replace(
                    found, modified=beside.modified(runs, flows, alive, _counted("modified", len(flows), progress))
                )
        write_json(path.with_name(COMPARISON_FILE_NAME), found.to_json())
    return found


def _descend(
    file: DescentFile, items: Iterable[Any], path: Path, alive: Callable[[], None]
) -> None:  # Any: items of descent, whose module loads torch
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


def _counted(stage: Literal["flow", "modified"], total: int, progress: CompareCallback) -> Callable[[int], None]:
    return lambda done: progress(CompareProgress(stage, done, total))


def _silent(progress: CompareProgress) -> None:
    pass


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


def _command(path: Path, plan: Plan, manner: Manner, modified: bool) -> str:
    """The command line that gives the same comparison."""
    folder = path.parent if path.name == FILE_NAME else path
    words = ["gflow", "compare", shlex.quote(str(folder)), *(f"--eta {eta!r}" for eta in plan.etas)]
    words.append(f"--until-time {plan.end!r}")
    words += [] if manner.batch is None else [f"--sgd {manner.batch} --seed {manner.seed}"]
    words += [] if manner.device == "cpu" else [f"--device {manner.device}"]
    words += [] if manner.precision == "double" else [f"--precision {manner.precision}"]
    return " ".join([*words, *(["--modified"] if modified else [])])
