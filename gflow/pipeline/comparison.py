"""The function behind `gflow compare`, which checks what is asked and sets gradient descent beside the flow."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from math import expm1
from pathlib import Path

from threadpoolctl import threadpool_limits

from gflow.arrays import Array
from gflow.comparison.plan import CompareCallback, DescentManner, PrecisionName, planned
from gflow.comparison.result import Comparison
from gflow.console import printable
from gflow.descent_plan.asked import at_kink_of, seeds_of
from gflow.errors import TrajectoryError
from gflow.pipeline.ends import number, number_list, plain_list, plain_value
from gflow.pipeline.flow_file import ProgressCallback
from gflow.pipeline.flow_only import check_flow
from gflow.pipeline.simulation import Say, known_end, simulate
from gflow.scenario import load_scenario, parse_scenario, sha256
from gflow.trajectory import FILE_NAME, Trajectory, open_trajectory, sole_writer


def compare(
    trajectory: Trajectory,
    etas: Sequence[float] | Array | None = None,
    *,
    until_time: float | None = None,
    sgd: int | None = None,
    seed: int | None = None,
    seeds: Sequence[int] | Array | str | None = None,
    replacement: bool | None = None,
    stream: bool | None = None,
    at_kink: float | str | None = None,
    device: str = "cpu",
    precision: PrecisionName | None = None,
    modified: bool = False,
    progress: CompareCallback | None = None,
    resume: bool = False,
    say: Say | None = None,
) -> Comparison:
    """Gradient descent at each step size, on the clock t = eta k, beside the flow, integrated anew to the same times.

    etas (k,): default those of the scenario's `descent`.  until_time: default that of the scenario, else the end of the
    flow, or 100,000 of the largest steps if that comes first.  sgd: batch size of stochastic descent with this seed
    (default: the scenario's).  seeds, replacement, stream, at_kink: as for `gflow.descend`; with seeds, every step size
    is run with the batches of each.  All else that `descent` asks for is done, but drawn starts, schedules, momentum
    and weight decay, which have no one flow and clock beside them.  modified: also beside the flow of
    L + (eta / 4) |grad L|^2 (smooth activations).
    Writes `descent.h5` and `comparison.json` beside the trajectory, in place of older ones; a `descent.h5` of the same
    descent that `gflow.descend` has left there is used as it is.  resume: go on with the
    comparison that was interrupted or killed there, to the bits it would have had without a stop (same machine,
    versions and arguments); one that is complete is returned as it is.  say is called with a sentence on what a resume
    does.  Raises GflowError for what cannot be compared or resumed, before anything is written.  An interruption keeps
    the rows of descent so far: KeyboardInterrupt passes through, its message says what there is.
    """
    check_flow("gflow.compare", trajectory)
    scenario = parse_scenario(trajectory.scenario_resolved, name_for_messages=str(trajectory.path))
    more = {
        "seeds": seeds_of(seeds) if isinstance(seeds, str) else plain_list(seeds),
        "replacement": plain_value(replacement),
        "stream": plain_value(stream),
        "at_kink": at_kink_of(at_kink) if isinstance(at_kink, str) else plain_value(at_kink),
    }
    manner = DescentManner.of(scenario, plain_value(sgd), plain_value(seed), device, precision, more)
    etas = None if etas is None else number_list(etas, "--eta")
    until_time = None if until_time is None else number(until_time, "--until-time")
    flow_end = expm1(min(float(trajectory.read("log1p_time", -1)), 700.0))
    plan = planned(scenario, etas, until_time, flow_end, manner, modified)
    folder = trajectory.path.parent if trajectory.path.name == FILE_NAME else trajectory.path
    command = plan.command(shlex.quote(printable(folder)))
    from gflow.pipeline.comparison_run import ComparisonRun  # loads torch

    with threadpool_limits(limits=1), sole_writer(trajectory.path.parent):  # small matrices, as in a run
        run = ComparisonRun(trajectory, scenario, plan, progress or _silent)
        return (run.resume if resume else run.begin)(command, say or _silent)


def run_of(
    path: Path,
    etas: Sequence[float] | None,
    until_time: float | None,
    progress: ProgressCallback | None = None,
    resume: bool = False,
) -> Trajectory:
    """The trajectory of a run folder or file; a scenario file without a run is simulated first, into outputs/<name>.

    Raises GflowError before that for step sizes that cannot be compared, where outputs/<name> is another run, and where
    there is none whose comparison could be resumed.
    """
    if path.suffix not in (".yaml", ".yml"):
        return open_trajectory(path)
    scenario = load_scenario(path)
    planned(scenario, etas, until_time, known_end(scenario))
    there = Path("outputs") / scenario.name / FILE_NAME
    if resume and not there.exists():
        raise TrajectoryError(f"{there}: there is no run whose comparison could be resumed; leave --resume away")
    if not there.exists():
        return simulate(scenario, progress=progress)
    trajectory = open_trajectory(there)
    if trajectory.scenario_sha256 != sha256(scenario):
        raise TrajectoryError(
            f"{there} is a run of another scenario than {path}: give a run folder, or move that one away"
        )
    return trajectory


def _silent(_: object) -> None:
    """The callback of a caller that does not want to see progress: it does nothing."""
