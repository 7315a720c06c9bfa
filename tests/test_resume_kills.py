"""Kills, full disks and other ends that nobody planned: no committed row is lost, and no bit of what follows."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

import gflow
from gflow.errors import TrajectoryError
from gflow.scenario import parse_scenario
from gflow.trajectory import FILE_NAME, layout, writer
from tests.killing import Alone, Descent, Flow, Job, check_kills, committed_rows, started
from tests.resumed import EVERY_ROW, announced_rows, announced_run, assert_same, contents, cut, scenario_of
from tests.test_pipeline import SMALL

LEAKY = scenario_of("leaky", Path())

KILLED = {
    "dual": [EVERY_ROW, "record.times={spacing: log, count: 30}"],
    "primal": [EVERY_ROW, "record.times={spacing: log, count: 30}", "model.outer.train=true"],
    "primal, late": [
        EVERY_ROW,
        "record.times={spacing: loglog, count: 40}",
        "model.outer.train=true",
        "flow.until={log_time: 100.0}",
    ],
    "late": [EVERY_ROW, "record.times={spacing: loglog, count: 60}", "flow.until={log_time: 1e4}"],
    "steppers": [EVERY_ROW, "record.times={spacing: log, count: 30}", "flow.method=DOP853-Radau"],
    "steppers, primal": [
        EVERY_ROW,
        "record.times={spacing: log, count: 30}",
        "model.outer.train=true",
        "flow.method=DOP853-Radau",
    ],
}


def job(kind: str, folder: Path) -> Job:
    """A run with one of the engines, descent beside one, or descent alone."""
    if kind == "alone":
        return Alone(folder)
    return Descent(folder) if kind == "descent" else Flow(folder, KILLED[kind])


FEW = {
    "dual": 3,
    "primal": 2,
    "primal, late": 2,
    "late": 3,
    "steppers": 2,
    "steppers, primal": 2,
    "descent": 4,
    "alone": 20,
}
MANY = {"dual": 60, "primal": 60, "primal, late": 60, "late": 60, "steppers": 20, "steppers, primal": 20, "descent": 80}


@pytest.mark.parametrize(("kind", "kills"), FEW.items())
def test_kills_lose_no_committed_row_and_no_bit(tmp_path: Path, kind: str, kills: int) -> None:
    check_kills(job(kind, tmp_path), tmp_path, kills, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills"), MANY.items())
def test_many_kills_lose_no_committed_row_and_no_bit(tmp_path: Path, kind: str, kills: int) -> None:
    check_kills(job(kind, tmp_path), tmp_path, kills, seed=2)


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    overrides = [EVERY_ROW, "record.times={spacing: log, count: 100}"]
    process = started(announced_run, (overrides, tmp_path / "run", False))
    while not announced_rows(tmp_path / "run"):
        time.sleep(0.005)
    scenario = parse_scenario(SMALL, overrides=overrides)
    with pytest.raises(TrajectoryError, match="is being written by another run"):
        gflow.simulate(scenario, tmp_path / "run", resume=True)
    process.kill()
    process.join()
    assert gflow.simulate(scenario, tmp_path / "run", resume=True).n_rows == 100
    assert sorted(os.listdir(tmp_path / "run")) == ["scenario.yaml", "trajectory.h5"]


LONG = ("model.width=100", "record.times.count=200", "record.commit={rows: 20}")


def limited(folder: Path, size: int) -> None:
    """A run, in a child, where no file may grow beyond `size` bytes."""
    layout.CHUNK_LENGTH = 16  # so that the file grows while it runs
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        gflow.simulate(scenario_of("leaky", folder, *LONG), folder)
    except TrajectoryError as error:
        assert "free disk space" in str(error) or "choose another folder" in str(error)
        assert "\n" not in str(error)
        sys.exit(error.exit_code)


def test_a_disk_that_is_full_loses_nothing_committed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The kernel itself refuses; with more room the run goes on to the same bits.  HDF5 says nothing of its own."""
    scenario = scenario_of("leaky", tmp_path, *LONG)
    whole = gflow.simulate(scenario, tmp_path / "whole")
    rows = list[int]()
    for k, share in enumerate((0.5, 0.9, 1.3)):
        folder = tmp_path / str(k)
        process = started(limited, (folder, int(share * whole.path.stat().st_size)))
        process.join()
        rows.append(committed_rows(folder / FILE_NAME, whole))
        assert process.exitcode == (3 if rows[-1] else 2), "a run that has begun was stopped by a limit"
        if rows[-1]:
            assert_same(gflow.simulate(scenario, folder, resume=True).path, contents(whole.path))
    assert rows == sorted(rows) and 1 < rows[-1] < 200, rows
    assert "h5py" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["synchronise", "os.replace"])
def test_a_resume_that_cannot_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    cut(LEAKY, tmp_path / "run", 4)
    before = (tmp_path / "run" / "trajectory.h5").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(f"gflow.trajectory.writer.{name}", refuse)
        with pytest.raises(TrajectoryError, match="cannot be resumed: .*Read-only file system: make the file"):
            gflow.simulate(LEAKY, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "trajectory.h5").read_bytes() == before
    assert gflow.simulate(LEAKY, tmp_path / "run", resume=True).outcome == "time"


def test_an_end_that_cannot_be_saved_is_reached_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last row and the outcome come together or not at all."""

    def full(path: Path) -> None:
        if path.parent.name == "run" and (tmp_path / "run" / "trajectory.h5").exists():
            raise OSError(28, "No space left on device")

    whole = gflow.simulate(LEAKY, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "synchronise", full)
        with pytest.raises(TrajectoryError, match="the outcome could not be saved"):
            gflow.simulate(LEAKY, tmp_path / "run")
    assert gflow.open_trajectory(tmp_path / "run").n_rows == whole.n_rows - 1
    assert_same(gflow.simulate(LEAKY, tmp_path / "run", resume=True).path, contents(whole.path))
