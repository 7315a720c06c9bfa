"""The simulation of a scenario, which writes the trajectory of its flow to disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, inf
from pathlib import Path

from threadpoolctl import threadpool_limits

from gflow.assembly import build_flow, build_setup, build_until, existing_parent
from gflow.errors import ScenarioError, TrajectoryError
from gflow.flow.items import Item
from gflow.flow.state import Finish, FlowRow, Outcome
from gflow.flow.stopping import Until
from gflow.pipeline.disk_room import check_disk_again
from gflow.pipeline.flow_file import SCENARIO_FILE, FlowFile, ProgressCallback, given_text
from gflow.pipeline.interruption import Interruption
from gflow.pipeline.resumption import (
    check_compilation,
    check_data,
    check_scenario,
    last_checkpoint,
    nothing_left,
    stored_run,
)
from gflow.scenario import Scenario
from gflow.trajectory import FILE_NAME, Trajectory, open_trajectory, sole_writer

Say = Callable[[str], None]


def simulate(
    scenario: Scenario,
    out: str | Path | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    say: Say | None = None,
) -> Trajectory:
    """Integrate the gradient flow of a scenario and write the run folder `out` (default: outputs/<name>).

    resume: go on with the run in that folder, to the bits it would have had without a stop (on the same machine, with
    the same versions); only `flow.until` may have become later.  device: `cpu`, or `cuda` for the primal engine.
    progress is called after every accepted step, say with a sentence on what a resume does.  Raises ScenarioError for
    unusable input and for lack of memory or disk, before anything is written, and TrajectoryError where the folder
    already has a trajectory (unless overwrite or resume), has none to resume, is in use or cannot be written.
    A run that is interrupted (SIGINT, SIGTERM) keeps its rows: KeyboardInterrupt passes through after they are saved,
    its message says what there is.
    """
    if not isinstance(scenario, Scenario):
        raise ScenarioError(f"gflow.simulate: {type(scenario).__name__} is no scenario; use gflow.load_scenario(path)")
    if resume and overwrite:
        raise ScenarioError("--resume and --overwrite exclude each other: one keeps the rows, the other removes them")
    # The matrices are small: threads of the linear algebra would only wait for each other (measured: up to 6 times
    # slower on two busy cores), and the bits of a run must not depend on how many cores a machine has.
    with threadpool_limits(limits=1):
        path = run_folder(scenario, out) / FILE_NAME
        if resume:
            stored_run(path)
            with sole_writer(path.parent):
                _resume(scenario, path, progress, device, say or _silent)
        else:
            _start(scenario, path, progress, overwrite, device)
    return open_trajectory(path)


def _silent(_: str) -> None:
    """The callback of a caller that does not want sentences on a resume: it does nothing."""


def _start(scenario: Scenario, path: Path, progress: ProgressCallback | None, overwrite: bool, device: str) -> None:
    run, flow = _prepared(scenario, path, progress, device)
    run.take(next(flow))  # the measure of the start
    first = next(flow)  # it is judged before anything is written
    assert isinstance(first, FlowRow), "a flow begins with its row 0"
    check_loss(run.until, first)
    run.begin(first, overwrite)
    with sole_writer(path.parent):
        if overwrite:
            _remove(path)
        _write(run, run.open, flow)


def _resume(scenario: Scenario, path: Path, progress: ProgressCallback | None, device: str, say: Say) -> None:
    """Go on with the run at `path`; nothing is changed before everything is known to fit."""
    kept = stored_run(path)
    check_scenario(scenario, kept)
    if nothing_left(scenario, build_until(scenario), kept):
        say(f"{path} is complete, nothing is left to do: {kept.outcome_sentence}")
        return
    check_compilation(scenario, kept)
    run, flow = _prepared(scenario, path, progress, device, kept=kept)
    say(f"going on after row {kept.n_rows - 1} of {path}")
    _write(run, lambda: run.reopen(kept), flow)


def _prepared(
    scenario: Scenario,
    path: Path,
    progress: ProgressCallback | None,
    device: str,
    kept: Trajectory | None = None,
) -> tuple[FlowFile, Iterator[Item]]:
    """A run, from its start or after the last row of a file, and its flow; nothing is integrated or written yet."""
    until, setup = build_until(scenario), build_setup(scenario)
    if kept is not None:
        check_data(setup, kept)
        check_disk_again(scenario, kept)
    after = None if kept is None else (float(kept.read("log1p_time", -1)), last_checkpoint(kept, setup.problem))
    flow = build_flow(scenario, setup, until, device, path, after)
    return FlowFile(scenario, setup, until, path, progress), flow


def run_folder(scenario: Scenario, out: str | Path | None, runs: Sequence[str] = (FILE_NAME,)) -> Path:
    """The folder of the run; runs: the files by which it is known as one.

    Raises TrajectoryError where it cannot be one or holds somebody's scenario.yaml.
    """
    if out == "":
        raise TrajectoryError("--out '': is empty; name a folder, or leave --out away for outputs/<name>")
    folder = Path("outputs") / scenario.name if out is None else Path(out)
    beside = folder / SCENARIO_FILE
    try:
        on_the_way = folder if folder.exists() else existing_parent(folder)
        if not on_the_way.is_dir():
            raise TrajectoryError(f"{on_the_way}: is a file; --out needs a folder")
        has_run = any((folder / name).exists() for name in runs)
        foreign = beside.exists() and not has_run and beside.read_bytes() != given_text(scenario)
    except (OSError, ValueError) as error:
        raise TrajectoryError(f"{folder} cannot be used: {error}: choose another --out") from error
    if foreign:
        raise TrajectoryError(
            f"{beside} is another scenario, and no run ({runs[0]}) is beside it: a run would overwrite it; "
            "choose another --out"
        )
    return folder


def known_end(scenario: Scenario) -> float:
    """Where the flow of a scenario ends on the clock at the latest; inf if that is not known before it is run."""
    until = scenario.flow.until
    ends = [until.time, None if until.log_time is None else exp(min(until.log_time, 700.0))]
    return min((end for end in ends if end is not None), default=inf)


def check_loss(until: Until, first: FlowRow) -> None:
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


def _write(run: FlowFile, begin: Callable[[], None], flow: Iterator[Item]) -> None:
    """Follow the flow to its end, or to an interruption; then every row so far is on disk."""
    with Interruption() as interruption:
        try:
            try:
                begin()
                for item in flow:
                    run.take(item)
                    if interruption.noticed and not isinstance(item, Finish) and not _is_last(item):
                        raise KeyboardInterrupt
            finally:
                run.commit()
        except KeyboardInterrupt as stop:
            stop.args = (run.kept(),)
            raise


def _is_last(item: Item) -> bool:
    """Is this the row at the end, which is saved with what follows it at once?"""
    return isinstance(item, FlowRow) and item.last


def stopped_by_limit(trajectory: Trajectory) -> bool:
    """Did the run end short of what was asked (exit code 3 of the command line)?"""
    return trajectory.outcome is not None and Outcome(trajectory.outcome).is_limit
