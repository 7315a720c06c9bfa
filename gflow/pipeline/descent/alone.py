"""The function behind `gflow descend`: gradient descent without a flow beside it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from gflow.arrays import Array
from gflow.console import printable
from gflow.descent_plan.asked import Content, asked_descent, at_kink_of, schedule_of, seeds_of
from gflow.descent_plan.plan import DescentPlan
from gflow.descent_plan.result import RESULT_FILE_NAME, DescentResult, descent_result
from gflow.descent_plan.runs import precision_warning
from gflow.errors import GflowError, ScenarioError, TrajectoryError
from gflow.pipeline.descent.finished import identity, stored_result
from gflow.pipeline.descent.origin import Origin, Source, origin_of
from gflow.pipeline.descent.resumption import Asked, Kept, Words, fits
from gflow.pipeline.descent.work import GO_ON, DescentWork, descent_header, interrupted
from gflow.pipeline.ends import number_list, plain_list, plain_value
from gflow.pipeline.interruption import Interruption
from gflow.pipeline.json_file import write_json
from gflow.pipeline.simulation import Say
from gflow.trajectory import DESCENT_FILE_NAME, open_trajectory, sole_writer

CALLER = "gflow.descend"
WORDS = Words("descent", "begin anew with --overwrite", "nothing")
Progress = Callable[[int, int], None]
"""Told steps taken and asked for, over all runs."""


def descend(
    source: Source,
    etas: Sequence[float] | Array | None = None,
    *,
    steps: int | None = None,
    until_time: float | None = None,
    until_log_loss: float | None = None,
    schedule: Mapping[str, Any] | str | None = None,
    batch: int | None = None,
    replacement: bool | None = None,
    stream: bool | None = None,
    momentum: float | None = None,
    weight_decay: float | None = None,
    at_kink: float | str | None = None,
    seed: int | None = None,
    seeds: Sequence[int] | Array | str | None = None,
    starts: str | None = None,
    precision: str | None = None,
    watch: Mapping[str, Any] | None = None,
    device: str = "cpu",
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> DescentResult:
    """Gradient descent alone; rows go to `descent.h5` in the run folder, results to `descent.json` beside it.

    source: a scenario; the trajectory of a run, whose data and start are taken and in whose folder the rows go; or what
    `gflow.from_arrays` returns.  out: another folder (default of a scenario: outputs/<name>, of arrays
    outputs/arrays-<digest>).  etas (k,) to watch: as the keys of `descent` in a scenario,
    which they replace; steps, until_time and until_log_loss replace its `until`.  By default descent ends with the
    flow, or after 100,000 of the largest steps.  schedule: {kind: log_squared, first, factor}, also as text
    `log_squared:first=0.1,factor=0.02`.  seed: of random batches (default: the scenario's).  seeds: a list, or `0..9`.

    resume: go on with the descent that was interrupted or killed there, to the bits it would have had without a stop
    (same machine, versions and arguments); one that is complete is returned as it is.  progress is called with steps
    taken and steps asked for, say with a sentence on what a resume does.  Raises GflowError for what cannot be done,
    before anything is written, and where descent is there already (unless overwrite or resume).  An interruption keeps
    the rows so far: KeyboardInterrupt passes through, its message says what there is.
    """
    if resume and overwrite:
        raise ScenarioError("--resume and --overwrite exclude each other: one keeps the rows, the other removes them")
    given = {
        "eta": None if etas is None else number_list(etas, "--eta"),
        "schedule": schedule_of(schedule) if isinstance(schedule, str) else schedule,
        "batch": plain_value(batch),
        "replacement": plain_value(replacement),
        "stream": plain_value(stream),
        "momentum": plain_value(momentum),
        "weight_decay": plain_value(weight_decay),
        "at_kink": at_kink_of(at_kink) if isinstance(at_kink, str) else plain_value(at_kink),
        "seeds": seeds_of(seeds) if isinstance(seeds, str) else plain_list(seeds),
        "starts": starts,
        "precision": precision,
        "watch": watch,
    }
    end = {"steps": plain_value(steps), "time": plain_value(until_time), "log_loss": plain_value(until_log_loss)}
    with threadpool_limits(limits=1):  # small matrices, as in a run
        origin = origin_of(source, out)
        run = _Run(origin, _planned(origin, given, end, plain_value(seed), device), progress or _untold)
        return run.resume(say or _unsaid) if resume else run.begin(overwrite)


def _planned(origin: Origin, given: Content, end: Content, seed: int | None, device: str) -> DescentPlan:
    scenario = origin.scenario
    asked = asked_descent(CALLER, scenario, given, end)
    if device not in ("cpu", "cuda"):
        raise GflowError(f"--device {device!r}: is not available; use one of cpu, cuda")
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63):
        raise GflowError(f"--seed {seed!r}: must be an integer of at least 0")
    if seed is not None and (asked.batch is None or asked.stream or asked.seeds is not None):
        raise GflowError(f"--seed {seed}: draws batches, and here it draws none; leave it out, or add --batch")
    return DescentPlan.of(asked, origin.flow_end, scenario.seed if seed is None else seed, device)


class _Run:
    """Descent as planned, into the folder of its origin."""

    def __init__(self, origin: Origin, plan: DescentPlan, progress: Progress) -> None:
        self._origin, self._plan, self._progress = origin, plan, progress
        self._path = origin.folder / DESCENT_FILE_NAME
        options = plan.options()
        made = descent_header(origin.scenario, origin.setup, options, origin.run)
        self._asked = Asked(plan, options, made, WORDS)
        self._work = DescentWork(self._path, origin.scenario, origin.setup, self._asked)

    def begin(self, overwrite: bool) -> DescentResult:
        """Carry out all of it.  TrajectoryError where descent is there already, unless it is to be overwritten."""
        with interrupted("nothing was written yet"):
            if not overwrite:
                _refuse_existing(self._path)
            self._work.prepare(None)
            self._work.check_room("descent", "take fewer step sizes or seeds, or another --out")
        with sole_writer(self._origin.folder):
            if not overwrite:
                _refuse_existing(self._path)
            self._origin.write_scenario()
            return self._carry_out(None)

    def resume(self, say: Say) -> DescentResult:
        """Carry out the rest of it.  TrajectoryError where it cannot go on; nothing is changed then."""
        if not self._path.exists():
            raise TrajectoryError(f"{self._path}: there is no descent to resume; leave --resume away to start one")
        with sole_writer(self._origin.folder):
            done = stored_result(self._path)
            if done is not None and fits(open_trajectory(self._path), self._asked):
                say(f"{self._path} is complete, nothing is left to do")
                self._work.clear()
                return done
            kept = self._work.kept()
            say(kept.sentence(WORDS))
            with interrupted(f"{self._path} is as it was; {GO_ON}"):
                self._work.prepare(kept)
            return self._carry_out(kept)

    def _carry_out(self, kept: Kept | None) -> DescentResult:
        with Interruption() as interruption:

            def alive() -> None:
                if interruption.noticed:
                    raise KeyboardInterrupt

            ledger = self._work.carry_out(kept, alive, self._progress)
            rows = open_trajectory(self._path)
            warning = precision_warning(self._plan, ledger.largest_margin)
            command = self._plan.command(shlex.quote(printable(self._origin.named)))
            found = descent_result(
                self._plan, rows, ledger, identity(rows), command, () if warning is None else (warning,)
            )
            write_json(self._path.with_name(RESULT_FILE_NAME), found.to_json())
        self._work.clear()
        return found


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise TrajectoryError(
            f"{path} exists already; go on with it by --resume, replace it by --overwrite, or choose another --out"
        )


def _untold(taken: int, total: int) -> None:
    """The callback of a caller that does not want to see progress: it does nothing."""


def _unsaid(_: str) -> None:
    """The callback of a caller that does not want sentences on a resume: it does nothing."""
