"""Sweeps on workers of dask.distributed: the same rows, whoever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gflow
from gflow.errors import SweepError
from gflow.sweeps.engine import cluster
from gflow.sweeps.engine.batch import Ended
from gflow.sweeps.engine.versions import versions
from gflow.sweeps.progress import SweepProgress
from gflow.sweeps.store.folder import rows_by_id
from tests.sweeps.dying import DEADLY_SEED
from tests.sweeps.small import facts, sweep_file

pytest.importorskip("distributed")

MANY = f"base: base.yaml\naxes: {{seeds: [{', '.join(map(str, range(20)))}, {DEADLY_SEED}]}}\n"
MEMORY = 3e9


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:  # Any: a client of dask
    import dask

    with (
        dask.config.set({"distributed.worker.preload": ["tests.sweeps.dying"]}),
        cluster.local_workers(2, MEMORY) as client,
    ):
        yield client


def test_workers_have_one_thread_a_memory_limit_and_no_interrupts(client: Any) -> None:
    workers = client.scheduler_info()["workers"].values()
    assert [(each["nthreads"], each["memory_limit"]) for each in workers] == [(1, int(MEMORY))] * 2
    assert set(client.run(os.environ.get, "OMP_NUM_THREADS").values()) == {"1"}
    masked = client.run(signal.pthread_sigmask, signal.SIG_BLOCK, ())
    assert all(signal.SIGINT in signals for signals in masked.values())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # this process still has its Ctrl-C


def test_a_death_does_not_make_queued_tasks_suspect(client: Any) -> None:
    """dask gives up tasks that were on a worker when it died, at fault or not, after `allowed-failures` deaths."""
    allowed = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures)
    assert allowed == cluster.SETTINGS["distributed.scheduler.allowed-failures"] and allowed > 1000


def test_a_run_that_kills_its_workers_costs_no_other_run(client: Any, tmp_path: Path) -> None:
    """dask would give up, or forget, what is queued beside it; and a worker that dies again soon, for ever."""
    path = sweep_file(tmp_path, MANY)
    told: list[SweepProgress] = []
    found = gflow.sweep(path, tmp_path / "out", scheduler=client.scheduler.address, progress=told.append)
    assert told[-1].left == 0 and (told[-1].done, told[-1].failed) == (found.done, 1) == (21, 1)
    deadly = [row for row in found.table if row["seed"] == DEADLY_SEED]
    assert [row["failure"] for row in deadly] == ["its worker died 3 times in this run; did it run out of memory?"]
    serial = gflow.sweep(path, tmp_path / "serial", workers=0)
    rest = [[row for row in facts(sweep) if row["seed"] != DEADLY_SEED] for sweep in (found, serial)]
    assert len(rest[0]) == 20 and rest[0] == rest[1]
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"results.jsonl", "summary.csv"}
    assert not list((tmp_path / "out" / "parts").iterdir())


def test_workers_that_differ_are_refused_before_anything_is_written(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gflow.sweeps.sweeping.versions", lambda: versions() | {"numba": "0.1"})
    with pytest.raises(SweepError, match=r"a worker has numba .* instead of 0.1"):
        gflow.sweep(sweep_file(tmp_path), tmp_path / "out", scheduler=client.scheduler.address)
    assert not (tmp_path / "out").exists()


def test_a_scheduler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x", "127.0.0.1"):
        with pytest.raises(SweepError, match=f"--scheduler {address}: no scheduler answers there") as caught:
            gflow.sweep(sweep_file(tmp_path), tmp_path / "out", scheduler=address)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


class KilledWorker(Exception):  # noqa: N818  (the name is what counts)
    """As dask calls what it raises for a task whose worker died too often."""


class Task:
    """A future of dask that has ended; without a result, the worker that held it died."""

    def __init__(self, status: str, error: Exception | None = None, result: list[Ended] | None = None) -> None:
        self.status, self._error, self._result = status, error, result

    def exception(self) -> Exception | None:
        return self._error

    def result(self, timeout: float) -> list[Ended]:
        if self._result is None:
            raise TimeoutError
        return self._result


def result_of(status: str, error: Exception | None = None, result: list[Ended] | None = None) -> list[Ended] | None:
    future: Any = Task(status, error, result)
    return cluster._result(future)


def test_tasks_whose_worker_died_are_handed_over_again_and_errors_end_the_sweep() -> None:
    ended = [Ended(False, 0.1)]
    assert result_of("finished", result=ended) == ended
    assert result_of("finished") is None  # a result that died with its worker
    assert result_of("error", KilledWorker()) is None and result_of("cancelled") is None and result_of("lost") is None
    with pytest.raises(SweepError, match="as a worker said"):
        result_of("error", SweepError("as a worker said"))
    with pytest.raises(SweepError, match="a task ended in OSError: disk full; go on with the same command"):
        result_of("error", OSError("disk full"))


def test_a_sweep_without_workers_or_scheduler_is_given_up() -> None:
    class Client:
        lost = False

        def nthreads(self) -> dict[str, int]:
            if self.lost:
                raise OSError("reset by peer")
            return {}

    client: Any = Client()
    assert cluster._Workers(client, 60.0).count() == 1
    with pytest.raises(SweepError, match="all worker processes are gone, and none came back; go on"):
        cluster._Workers(client, -1.0).count()
    client.lost = True
    with pytest.raises(
        SweepError, match=r"the scheduler is lost \(OSError: reset by peer\); go on with the same command"
    ):
        cluster._Workers(client, 60.0).count()


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "gflow",
        "sweep",
        str(folder / "sweep.yaml"),
        "--out",
        str(folder / "out"),
        *options,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder
    )


def wait_for_rows(folder: Path, count: int, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while len(rows_by_id(folder)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_is_gone(group: int) -> bool:
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_sweep_goes_on_after_a_kill_and_after_an_interrupt(tmp_path: Path) -> None:
    long = "base: base.yaml\naxes: {seeds: 0..119}\n"
    path, out = sweep_file(tmp_path, long), tmp_path / "out"
    process = started(tmp_path, "--workers", "0")
    wait_for_rows(out, 10)
    process.kill()
    process.communicate()
    first = rows_by_id(out)
    assert 10 <= len(first) < 120

    process = started(tmp_path, "--workers", "1", "--resume")
    wait_for_rows(out, len(first) + 5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to workers as well
    shown, said = process.communicate(timeout=60)
    assert process.returncode == 130 and group_is_gone(process.pid) and shown == ""
    second = rows_by_id(out)
    assert len(first) < len(second) < 120 and "Traceback" not in said
    assert f"interrupted; {len(second)} of 120 runs are done, go on with: gflow sweep {path} --out {out}" in said
    assert len((out / "summary.csv").read_text().splitlines()) == 1 + len(second)  # the table of what there is

    told: list[SweepProgress] = []
    found = gflow.sweep(path, out, workers=0, progress=told.append)
    assert (told[-1].before, told[-1].done) == (len(second), 120 - len(second))
    kept = {str(row["id"]): row["wall_time"] for row in found.table}
    assert all(kept[run] == row["wall_time"] for run, row in (first | second).items())  # nothing was done twice
    assert facts(found) == facts(gflow.sweep(path, tmp_path / "serial", workers=0))
