"""The resumption of a run: the point of its trajectory from which it goes on, or the reason why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Sides
from gflow.assembly import Setup, compilation
from gflow.errors import ScenarioError, TrajectoryError
from gflow.flow.state import Checkpoint, FlowState, Notes, Outcome
from gflow.flow.stopping import Until
from gflow.flow_time import log1p_of_time, log_time_of
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.scenario import Scenario, differences, parse_scenario
from gflow.scenario.schema import GivenTimes
from gflow.trajectory import Trajectory, open_trajectory
from gflow.trajectory.layout import FORMAT_VERSION
from gflow.trajectory.rows import installed_version

# The keys that may change when a run goes on: how often it is saved, its budget, its end, and therefore when it is
# recorded.
CADENCE, BUDGET, END, TIMES = "record.commit", "flow.budget", "flow.until", "record.times"
# The code of `Checkpoint.left` in `resume/stiff`.
LEFT = 2


def stored_run(path: Path) -> Trajectory:
    """The run to go on with.  TrajectoryError where there is none, or this version cannot go on with it."""
    if not path.exists():
        raise TrajectoryError(f"{path}: there is no run to resume; leave --resume away to start one, or check --out")
    kept = open_trajectory(path)
    check_version(kept, "start anew with --overwrite")
    if not kept.resumable:
        raise TrajectoryError(
            f"{path} keeps nothing to go on from: it is of an earlier version, or no flow; start anew with --overwrite"
        )
    return kept


def check_version(kept: Trajectory, anew: str) -> None:
    """TrajectoryError for a file that this version cannot go on with; anew: the remedy, for the message."""
    versions = kept.gflow_version, installed_version()
    majors = {version.split(".")[0] for version in versions if version != "unknown"}
    if kept.format_version != FORMAT_VERSION or len(majors) > 1:
        raise TrajectoryError(
            f"{kept.path} is of format {kept.format_version} and gflow {versions[0]}, and this is format "
            f"{FORMAT_VERSION} and gflow {versions[1]}: resume it with the version that began it, or {anew}"
        )


def check_scenario(scenario: Scenario, kept: Trajectory) -> None:
    """ScenarioError where the scenario differs from that of the run in more than a later end and its rows."""
    changed = differences(_stored(kept), scenario)
    extended = any(key.startswith(END) for key in changed)
    free = (CADENCE, BUDGET, END, TIMES) if extended else (CADENCE, BUDGET)
    barred = [key for key in changed if not key.startswith(free)]
    if barred:
        shown = ", ".join(barred[:3]) + (f" and {len(barred) - 3} more" if len(barred) > 3 else "")
        reason = "" if extended or not barred[0].startswith(TIMES) else ", and record.times only with it"
        raise ScenarioError(
            f"--resume: {shown}: not as in {kept.path}; a run goes on as it began, and only flow.until may become "
            f"later{reason}; set it back, or choose another --out for another run"
        )
    if extended:
        _check_times(scenario, kept)


def _stored(kept: Trajectory) -> Scenario:
    return parse_scenario(kept.scenario_resolved, name_for_messages=str(kept.path))


def _check_times(scenario: Scenario, kept: Trajectory) -> None:
    """ScenarioError where a given time lies before the last row and has none."""
    times, recorded = scenario.record.times, kept.log1p_time
    if isinstance(times, GivenTimes):
        for t in times.at:
            v = log1p_of_time(t)
            if v < recorded[-1] and v not in recorded:
                raise ScenarioError(
                    f"record.times.at: {t!r} is before the last row of {kept.path} and was not recorded; remove it"
                )


def check_compilation(scenario: Scenario, kept: Trajectory) -> None:
    """TrajectoryError where code that integrates the flow is compiled by, or for, something else than it was."""
    began, now = kept.provenance[0].get("compiled", {}), compilation(scenario)
    if began != now:
        named = [", ".join(f"{key} {value}" for key, value in each.items()) or "nothing" for each in (began, now)]
        raise TrajectoryError(
            f"{kept.path}: its flow was compiled by {named[0]}, and here by {named[1]}, on which the last bits depend: "
            "resume it where it began, or start anew with --overwrite"
        )


def nothing_left(scenario: Scenario, until: Until, kept: Trajectory) -> bool:
    """Is the run at its end?  ScenarioError where the end asked for is behind its last row."""
    if kept.outcome is not None and _at_end(Outcome(kept.outcome), scenario, until, kept):
        return True
    v, log_loss = float(kept.read("log1p_time", -1)), float(kept.read("log_loss", -1))
    if until.v_end is not None and until.v_end <= v:
        log_t = log_time_of(v)
        raise ScenarioError(
            f"flow.until: {kept.path} has come to log t = {log_t!r} already, which is not before the end asked for; "
            "choose a later end"
        )
    if until.log_loss is not None and until.log_loss >= log_loss:
        raise ScenarioError(
            f"flow.until.log_loss: {until.log_loss!r}: {kept.path} has come to log L = {log_loss!r} already; "
            "choose a smaller one"
        )
    return False


def _at_end(outcome: Outcome, scenario: Scenario, until: Until, kept: Trajectory) -> bool:
    """Is the end that a run came to also the end of this scenario?"""
    stored = _stored(kept)
    match outcome:
        case Outcome.TIME | Outcome.LOG_TIME:
            return until.v_end == float(kept.read("log1p_time", -1))
        case Outcome.LOG_LOSS:
            return scenario.flow.until.log_loss == stored.flow.until.log_loss
        case Outcome.CERTIFIED:
            return until.certified
        case Outcome.STATIONARY:
            return until.v_end is None
        case Outcome.BUDGET:
            return False
        case Outcome.STEP_UNDERFLOW | Outcome.EVENTS_ACCUMULATE | Outcome.PRECISION:
            return True  # nothing can follow, whatever the scenario says


def check_data(setup: Setup, kept: Trajectory) -> None:
    """ScenarioError where data or start are not, bit for bit, those of the run."""
    problem, network = setup.problem, setup.problem.network
    bias = kept.output_bias
    pairs: dict[str, tuple[NDArray[Any] | None, NDArray[Any] | None]] = {
        "X": (kept.X, problem.X),
        "y": (kept.y, problem.y),
        "X_test": (kept.X_test, None if setup.test is None else setup.test.X),
        "y_test": (kept.y_test, None if setup.test is None else setup.test.y),
        "W_initial": (kept.W_initial, setup.W_initial),
        "outer": (kept.outer_at(0), network.outer),
        "output_bias": (None if bias is None else bias[0], network.output_bias),
        "directions": (kept.directions, network.directions),
    }
    if network.directions is None:
        pairs["basis"] = (kept.basis, problem.span.B)
    for name, (stored, built) in pairs.items():
        if (stored is None) != (built is None) or not np.array_equal(np.asarray(stored), np.asarray(built)):
            raise ScenarioError(
                f"--resume: {name} is not, bit for bit, what {kept.path} holds: a file it is made from has changed, or "
                "this is another machine or other versions; resume where the run began, or choose another --out"
            )


def last_checkpoint(kept: Trajectory, problem: Problem) -> Checkpoint:
    """The checkpoint from which the run goes on after its last row."""
    saved = kept.resume_at(-1)
    side = saved["pattern"][:, problem.surfaces.first_sample] if problem.network.kinked else _undecided(problem)
    outer = saved["outer"] if problem.network.trains_outer else kept.outer_at(-1)
    bias = None if problem.network.output_bias is None else saved["output_bias"]
    state = FlowState.of(
        problem,
        tau=float(saved["tau"]),
        v=float(saved["clock"]),
        parameters=Parameters(saved["inner"], outer, bias),
        side=np.ascontiguousarray(side),
        h=float(saved["step"]),
    )
    return Checkpoint(
        state=state,
        inexact=saved["held"].astype(bool),
        steps=int(saved["steps"]),
        stiff=bool(saved["stiff"] == 1),
        left=bool(saved["stiff"] == LEFT),
        stalled=int(saved["stalled"]),
        notes=Notes(int(saved["unsettled"]), int(saved["conservative"])),
        resting=bool(saved["resting"]),
        shown=float(kept.read("log1p_time", -1)) if saved["silent"] else None,
    )


def _undecided(problem: Problem) -> Sides:
    """Sides of a network without kinks: + throughout, whatever the signs in its pattern."""
    return np.ones((problem.network.width, problem.surfaces.count), dtype=np.int8)


def kept_of(checkpoint: Checkpoint, problem: Problem) -> dict[str, float | NDArray[Any]]:  # Any: of several types
    """What a row keeps of its checkpoint: the fields of `Form.resume`, numbers and arrays with the shapes of
    `layout.RESUME`, such as (m, r) or (n,)."""
    state, notes = checkpoint.state, checkpoint.notes
    trained: dict[str, float | NDArray[Any]] = {"outer": state.parameters.outer} if problem.network.trains_outer else {}
    if state.parameters.output_bias is not None:
        trained["output_bias"] = state.parameters.output_bias
    return trained | {
        "clock": state.v,
        "tau": state.tau,
        "inner": state.U,
        "pattern": problem.sample_sides(state.side),
        "steps": checkpoint.steps,
        "step": state.h,
        "stiff": LEFT if checkpoint.left else int(checkpoint.stiff),
        "stalled": checkpoint.stalled,
        "unsettled": notes.unsettled,
        "conservative": notes.conservative,
        "resting": checkpoint.resting,
        "silent": checkpoint.shown is not None,
        "held": checkpoint.inexact,
    }


def entry(provenance: Mapping[str, Any], kept: Trajectory) -> dict[str, Any]:  # Any: JSON values
    """The entry of a resume: who resumed what, from which row, and how it had ended before, if it had."""
    last = {"from_row": kept.n_rows - 1, "from_log1p_time": float(kept.read("log1p_time", -1))}
    ended = {} if kept.outcome is None else {"ended_before": kept.outcome_sentence}
    return {**provenance, **last, **ended}
