"""A comparison being carried out: it writes `descent.h5`, integrates the flow beside it, and writes `comparison.json`.
Loads torch."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from math import expm1
from typing import Any

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.assembly import Setup
from gflow.comparison.composition import Labels, composed
from gflow.comparison.flow_and_descent import FlowAndDescent
from gflow.comparison.modified import beside_modified_flows, modified_flows
from gflow.comparison.plan import CompareCallback, CompareProgress, Counted, Plan, Stage
from gflow.comparison.result import COMPARISON_FILE_NAME, Comparison
from gflow.descent_plan.record import cut_short
from gflow.descent_plan.runs import precision_warning
from gflow.flow_time import log_time_of
from gflow.pipeline.analysis import foreknown
from gflow.pipeline.descent.finished import finished
from gflow.pipeline.descent.resumption import Asked, Kept, Words
from gflow.pipeline.descent.work import GO_ON, DescentWork, descent_header, interrupted
from gflow.pipeline.interruption import Interruption
from gflow.pipeline.json_file import write_json
from gflow.pipeline.simulation import Say
from gflow.scenario import Scenario
from gflow.trajectory import DESCENT_FILE_NAME, Trajectory, file_sha256, open_trajectory

WORDS = Words("comparison", "compare anew, without --resume", "the flow beside it")


class ComparisonRun:
    """Descent as planned, beside the flow of one run, with the files that it leaves."""

    def __init__(self, trajectory: Trajectory, scenario: Scenario, plan: Plan, progress: CompareCallback) -> None:
        self._trajectory, self._scenario, self._plan = trajectory, scenario, plan
        self._progress = progress
        self._path = trajectory.path.with_name(DESCENT_FILE_NAME)
        ahead = self._counted("ahead")
        self._analyzed = AnalyzedRun.of(trajectory, lambda seen: ahead(seen.steps, seen.most_steps))
        analyzed = self._analyzed  # the files of a scenario may be gone
        self._setup = Setup(analyzed.problem, analyzed.inner_initial, analyzed.test)
        self._about = _about(trajectory)
        made = descent_header(scenario, self._setup, plan.options, trajectory)
        self._work = DescentWork(self._path, scenario, self._setup, Asked(plan.descent, plan.options, made, WORDS))

    def begin(self, command: str, say: Say) -> Comparison:
        """Carry out the comparison, with the descent that is there already if it is the one asked for."""
        there = finished(self._path, self._work.asked)
        if there is not None:
            say(f"{self._path} holds the descent that is asked for; {WORDS.left} is integrated")
        return self._carry_out(command, there)

    def resume(self, command: str, say: Say) -> Comparison:
        """Carry out the rest of the comparison.  TrajectoryError where it cannot go on; nothing is changed then."""
        kept = finished(self._path, self._work.asked) or self._work.kept()
        found = None if kept.rows.outcome is None else self._stored(command)
        if found is not None:
            say(f"{self._path.with_name(COMPARISON_FILE_NAME)} is complete, nothing is left to do")
            self._work.clear()
            return found
        say(kept.sentence(WORDS))
        return self._carry_out(command, kept)

    def _carry_out(self, command: str, kept: Kept | None) -> Comparison:
        """The comparison, or the rest of it; what cannot be done is refused before anything is written."""
        plan, setup = self._plan, self._setup
        with interrupted("nothing was written yet" if kept is None else f"{self._path} is as it was; {GO_ON}"):
            flows = modified_flows(setup, plan.etas) if plan.modified else None
            self._work.prepare(kept)
            self._work.check_room("--eta", "compare fewer step sizes, or copy the run to a larger disk")
            known = foreknown(self._trajectory, self._analyzed)
            both = FlowAndDescent(self._analyzed, self._scenario, setup, plan, known)
        with Interruption() as interruption:

            def alive() -> None:
                if interruption.noticed:
                    raise KeyboardInterrupt

            ledger = self._work.carry_out(kept, alive, self._counted("descent"))
            with interrupted(f"{self._path} holds descent, but {COMPARISON_FILE_NAME} was not written; {GO_ON}"):
                seen = both.follow(open_trajectory(self._path), ledger.ended, alive, self._counted("flow"))
                labels = Labels(self._about, command, self._warnings(ledger.largest_margin))
                found = composed(seen, self._analyzed, plan, self._scenario.flow.rtol, labels)
                if flows is not None:
                    counted = self._counted("modified")
                    modified = beside_modified_flows(setup, plan, seen.rows, flows, alive, counted)
                    found = replace(found, modified=modified)
            write_json(self._path.with_name(COMPARISON_FILE_NAME), found.to_json())
        self._work.clear()
        return found

    def _warnings(self, largest_margin: float) -> tuple[str, ...]:
        flow_end = expm1(min(float(self._trajectory.read("log1p_time", -1)), 700.0))
        early = cut_short(self._plan.end, flow_end, self._plan.etas)
        return tuple(
            each for each in (early, precision_warning(self._plan.descent, largest_margin)) if each is not None
        )

    def _stored(self, command: str) -> Comparison | None:
        """The comparison on disk, if it is what the same command gives."""
        path = self._path.with_name(COMPARISON_FILE_NAME)
        try:
            found = Comparison.from_json(json.loads(path.read_text(encoding="utf-8")))
            same = _options(found.command) == _options(command)
        except (OSError, ValueError, KeyError, TypeError):
            return None  # there is none, or none that can be read: it is worked out again
        return found if same and found.trajectory == self._about else None

    def _counted(self, stage: Stage) -> Counted:
        return lambda done, total: self._progress(CompareProgress(stage, done, total))


def _options(command: str) -> list[str]:
    """The options of a command line, without the folder, which may have been moved or be named relative to another."""
    return shlex.split(command)[3:]


def _about(trajectory: Trajectory) -> dict[str, Any]:  # Any: JSON values
    return {
        "scenario_sha256": trajectory.scenario_sha256,
        "trajectory_sha256": file_sha256(trajectory.path),
        "name": trajectory.facts.get("name"),
        "n_rows": trajectory.n_rows,
        "outcome": trajectory.outcome,
        "log_time": log_time_of(float(trajectory.read("log1p_time", -1))),
    }
