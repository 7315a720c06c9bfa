"""Children that are killed at random instants, and what is then on disk."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import time
import zipfile
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Protocol

import numpy as np

import gflow
from gflow.errors import TrajectoryError
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME
from gflow.scenario import parse_scenario
from gflow.trajectory import DESCENT_FILE_NAME, FILE_NAME
from tests.descending import (
    KILLED,
    KILLED_ROWS,
    alone_descent,
    announced_alone,
    announced_comparison,
    assert_same_comparison,
    busily,
    found,
    made,
)
from tests.resumed import announced_rows, announced_run, assert_same, contents
from tests.test_pipeline import SMALL

STATE = ("log1p_time", "inner", "margins", "pattern")
OF_A_FLOW = (*STATE, "series/steps", "series/sup_margin_gap", "resume/step")


def forkserver() -> ForkServerContext:
    """Processes that start with everything imported; threads of this one are not copied."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.descending", "gflow.pipeline.simulation", "gflow.pipeline.comparison_run"])
    return context


def committed_rows(file: Path, whole: gflow.Trajectory, names: Sequence[str] = OF_A_FLOW) -> int:
    """The rows on disk, which are those of the whole run; 0 where there is no file, or none in it yet."""
    try:
        cut = gflow.open_trajectory(file)
    except TrajectoryError as error:
        assert "no such file" in str(error) or "holds no rows" in str(error)
        return 0
    for name in names:
        assert np.array_equal(cut.read(name), whole.read(name, slice(cut.n_rows))), name
    count = len(cut.events)
    assert np.array_equal(cut.events.log1p_time, whole.events.log1p_time[:count])
    return cut.n_rows


class Job(Protocol):
    """Something that writes a folder, can be killed and goes on."""

    def child(self, folder: Path, resume: bool) -> ForkServerProcess:
        """A process that does it, started."""

    def rows(self, folder: Path) -> int:
        """Rows on disk, all of them right."""

    def through(self, folder: Path) -> bool:
        """Is it at its end?"""

    def check(self, folder: Path) -> None:
        """AssertionError unless its end has the bits of one that was not killed."""


def started(target: object, arguments: tuple[object, ...]) -> ForkServerProcess:
    process = forkserver().Process(target=target, args=arguments)  # type: ignore[arg-type]  # any function
    process.start()
    return process


class Flow:
    """A run."""

    def __init__(self, folder: Path, overrides: list[str]) -> None:
        self._overrides = overrides
        self.whole = gflow.simulate(parse_scenario(SMALL, overrides=overrides), folder / "whole")
        self._expected = contents(self.whole.path)

    def child(self, folder: Path, resume: bool) -> ForkServerProcess:
        return started(announced_run, (self._overrides, folder, resume))

    def rows(self, folder: Path) -> int:
        return committed_rows(folder / FILE_NAME, self.whole)

    def through(self, folder: Path) -> bool:
        return gflow.open_trajectory(folder).outcome is not None

    def check(self, folder: Path) -> None:
        assert_same(folder / FILE_NAME, self._expected)


class Descent:
    """A comparison: descent, then the flow beside it."""

    def __init__(self, folder: Path) -> None:
        self._start = made(KILLED, folder / "start")
        shutil.copytree(self._start, folder / "whole")
        with busily(KILLED, KILLED_ROWS):
            gflow.compare(gflow.open_trajectory(folder / "whole"), KILLED.etas, **KILLED.options)
        self._whole = gflow.open_trajectory(folder / "whole" / DESCENT_FILE_NAME)
        self._expected = found(folder / "whole")

    def child(self, folder: Path, resume: bool) -> ForkServerProcess:
        if not folder.exists():
            shutil.copytree(self._start, folder)
        return started(announced_comparison, (folder, resume))

    def rows(self, folder: Path) -> int:
        checkpoint = folder / CHECKPOINT_FILE_NAME
        if checkpoint.exists():
            with zipfile.ZipFile(checkpoint) as archive:
                assert archive.testzip() is None
        return committed_rows(folder / DESCENT_FILE_NAME, self._whole, (*STATE, "tau", "eta", "step"))

    def through(self, folder: Path) -> bool:
        return (folder / "comparison.json").exists() and not (folder / CHECKPOINT_FILE_NAME).exists()

    def check(self, folder: Path) -> None:
        for left in folder.glob("*.part"):  # of a writer that was killed while it made one
            left.unlink()
        assert_same_comparison(folder, self._expected)


class Alone:
    """Descent without a flow, of several seeds."""

    def __init__(self, folder: Path) -> None:
        alone_descent(folder / "whole", False)
        self._whole = gflow.open_trajectory(folder / "whole")
        self._expected = contents(self._whole.path)

    def child(self, folder: Path, resume: bool) -> ForkServerProcess:
        return started(announced_alone, (folder, resume))

    def rows(self, folder: Path) -> int:
        return committed_rows(folder / DESCENT_FILE_NAME, self._whole, (*STATE, "tau", "eta", "seed", "step"))

    def through(self, folder: Path) -> bool:
        return (folder / "descent.json").exists() and not (folder / CHECKPOINT_FILE_NAME).exists()

    def check(self, folder: Path) -> None:
        for left in folder.glob("*.part"):  # of a writer that was killed while it made one
            left.unlink()
        assert_same(folder / DESCENT_FILE_NAME, self._expected)
        assert sorted(os.listdir(folder)) == ["descent.h5", "descent.json", "scenario.yaml"]


def check_kills(job: Job, folder: Path, kills: int, seed: int) -> None:
    """Start, kill at a random instant, look, resume, ...; whenever it is through, compare it and begin anew."""
    rng = random.Random(seed)
    job.child(folder / "warm", False).join()
    start = time.monotonic()
    job.child(folder / "timed", False).join()
    lasts = time.monotonic() - start
    run, done, before = 0, 0, 0
    while done < kills or before:
        place = folder / str(run)
        process = job.child(place, resume=before > 0)
        process.join(rng.uniform(0.0, lasts) if done < kills else None)
        process.kill()  # does nothing where it has just ended
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        done += process.exitcode != 0
        rows = job.rows(place)
        assert rows >= max(before, announced_rows(place))
        before = rows
        if rows and job.through(place):
            job.check(place)
            run, before = run + 1, 0
    assert done == kills and run > 0
