"""The function behind `gflow verify`: the verification of a trajectory, in memory and as `verify.json` beside it."""

from __future__ import annotations

from collections.abc import Callable

from threadpoolctl import threadpool_limits

from gflow.pipeline.analysis import identity
from gflow.pipeline.flow_only import check_flow
from gflow.pipeline.interruption import Interruption
from gflow.pipeline.json_file import saved
from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.trajectory.rows import installed_version
from gflow.verification.check import Check, Verification, not_applicable
from gflow.verification.dual_masses import dual_masses
from gflow.verification.ending import ending
from gflow.verification.event_log import event_log
from gflow.verification.event_times import event_times
from gflow.verification.extremes import extremes
from gflow.verification.identities import identities
from gflow.verification.invariants import invariants
from gflow.verification.ladder import rungs
from gflow.verification.motion import motion
from gflow.verification.origin import origin
from gflow.verification.recomputation import recomputation, soundness
from gflow.verification.reintegration import Callback, LadderProgress, all_again
from gflow.verification.stability import agreement, where_unique

VERIFY_FILE_NAME = "verify.json"


def verify(
    trajectory: Trajectory, progress: Callback | None = None, say: Callable[[str], None] | None = None
) -> Verification:
    """Check a run: its rows, its events, exact identities, and the flow integrated again; writes `verify.json`.

    Where that cannot be written, say is called with a sentence (default: a warning).  Raises GflowError for a file of
    descent and for a flow in memory, TrajectoryError where the file cannot be read.  An interruption leaves no file
    behind: KeyboardInterrupt passes through, its message says so.
    """
    check_flow("gflow.verify", trajectory)
    path, about = trajectory.path.with_name(VERIFY_FILE_NAME), identity(trajectory)
    with Interruption() as interruption, threadpool_limits(limits=1):  # small matrices, as in a run

        def alive(at: LadderProgress) -> None:
            if interruption.noticed:
                raise KeyboardInterrupt(f"interrupted; {path} was not written")
            if progress is not None:
                progress(at)

        checks = _checks(trajectory, alive)
    found = Verification.of(installed_version(), about, checks)
    saved(path, found.to_json(), say)
    return found


def _checks(trajectory: Trajectory, progress: Callback) -> list[Check]:
    """Cheap ones first; the integrations are those of the problem in the file."""
    scenario = parse_scenario(trajectory.scenario_resolved, name_for_messages=str(trajectory.path))
    recorded = RecordedRun.of(trajectory)
    checks = [origin(trajectory, scenario), *soundness(recorded)]
    if any(check.verdict == "fail" for check in checks):
        why = "another start, numbers that are not finite, or rows out of order: nothing else can be judged"
        return [
            *checks,
            *(not_applicable(group, "all", why) for group in ("events", "invariants", "identities", "again")),
        ]
    checks += [*recomputation(recorded), *event_log(recorded)]
    checks += [*invariants(recorded), *dual_masses(recorded), *ending(recorded, scenario)]
    chosen, left = rungs(recorded)
    runs = list(all_again(recorded, chosen, progress))
    beside = [where_unique(recorded, check) for check in (event_times(recorded, runs), *extremes(recorded, runs))]
    exact = [*identities(recorded, runs), motion(recorded)]
    return [*checks, *beside, *exact, *agreement(recorded, runs, left)]
