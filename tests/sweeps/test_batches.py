"""Batches, their journals, and the queue that cuts them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gflow
from gflow.errors import SweepError
from gflow.sweeps.engine.batch import MOST_DEATHS, Batch, Ended, Terms, run_batch
from gflow.sweeps.engine.queue import MOST_JOBS, SECONDS, Queue
from gflow.sweeps.engine.versions import check_versions, versions
from gflow.sweeps.plan.plan import Plan, plan_of
from gflow.sweeps.plan.sweep_file import load_sweep
from gflow.sweeps.run.row import Job
from gflow.sweeps.store.folder import PARTS, SESSION, begin, collect, journals, rows_by_id
from gflow.sweeps.store.journal import Journal, cut_off, entries, rows_in
from tests.sweeps.small import sweep_file


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(load_sweep(sweep_file(tmp_path)))


@pytest.fixture
def terms(tmp_path: Path, plan: Plan) -> Terms:
    out = tmp_path / "out"
    begin(out, plan, "mine")
    return Terms(out, plan.spec.folder, plan.spec.wanted, "mine", versions())


def batch_of(plan: Plan, *points: int, number: int = 1) -> Batch:
    return Batch(number, tuple(Job(plan.ids[point], plan.content(point)) for point in points))


def begun(folder: Path) -> list[str]:
    """Every run that began, in all journals."""
    return [entry["begin"] for path in journals(folder) for entry in entries(path) if "begin" in entry]


def test_a_task_that_is_carried_out_again_does_nothing_twice(plan: Plan, terms: Terms) -> None:
    """What dask does to a task that had finished when the worker that held its result died."""
    batch = batch_of(plan, 0, 1, 2)
    first = run_batch(terms, batch)
    again = run_batch(terms, batch)
    assert sorted(begun(terms.out)) == sorted(plan.ids[:3]) and first == again
    more = run_batch(terms, batch_of(plan, 0, 1, 2, 3))
    assert sorted(begun(terms.out)) == sorted(plan.ids[:4]) and len(more) == 4


def test_a_run_in_which_workers_died_is_given_up_after_some_attempts(plan: Plan, terms: Terms) -> None:
    batch = batch_of(plan, 0, 1, 2)
    for attempt in range(MOST_DEATHS):  # each found run 0 done, began run 1, and was killed
        with Journal(terms.out / PARTS / f"mine-1-{attempt}.jsonl") as journal:
            if attempt == 0:
                journal.begin(plan.ids[0])
                journal.end(plan.ids[0], {"failure": None, "wall_time": 0.5})
            journal.begin(plan.ids[1])
        if attempt < MOST_DEATHS - 1:
            assert cut_off(journals(terms.out))[plan.ids[1]] == attempt + 1
    ended = run_batch(terms, batch)
    assert [each.failed for each in ended] == [False, True, False]
    rows = rows_by_id(terms.out)
    assert str(rows[plan.ids[1]]["failure"]).startswith("its worker died 3 times in this run; did it run out of memory")
    assert rows[plan.ids[0]]["wall_time"] == 0.5  # not done again


def test_a_worker_of_flows_does_not_load_torch() -> None:
    probe = "import gflow.sweeps.engine.batch, gflow.sweeps.sweeping, sys; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_deaths_of_another_session_do_not_count(plan: Plan, terms: Terms) -> None:
    for attempt in range(MOST_DEATHS):
        with Journal(terms.out / PARTS / f"other-1-{attempt}.jsonl") as journal:
            journal.begin(plan.ids[0])
    assert [each.failed for each in run_batch(terms, batch_of(plan, 0))] == [False]


def test_a_line_that_was_cut_off_anywhere_is_no_line(plan: Plan, terms: Terms) -> None:
    run_batch(terms, batch_of(plan, 0, 1))
    (path,) = journals(terms.out)[1:]
    whole = path.read_bytes()
    rows = rows_in([path])
    ends = [k + 1 for k, byte in enumerate(whole) if byte == ord("\n")]
    assert len(ends) == 4
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        complete = sum(end <= cut for end in ends)
        found = rows_in([path])
        assert list(found) == list(plan.ids[: complete // 2]) and all(found[run] == rows[run] for run in found)
    with path.open("ab") as file:  # a line after a torn one is read as well
        file.write(b"\n" + whole[ends[1] :])
    assert plan.ids[1] in rows_in([path])


def test_journals_are_collected_in_one_step(plan: Plan, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    run_batch(terms, batch_of(plan, 0, 1))
    run_batch(terms, batch_of(plan, 2, 3, number=2))
    rows = rows_by_id(terms.out)
    with monkeypatch.context() as killed:
        killed.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            collect(terms.out)
    assert rows_by_id(terms.out) == rows and len(journals(terms.out)) == 3  # nothing is lost by a kill before
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        collect(terms.out)
    assert rows_by_id(terms.out) == rows and len(journals(terms.out)) == 3  # nor by one after
    collect(terms.out)
    assert rows_by_id(terms.out) == rows and len(journals(terms.out)) == 1 and len(rows) == 4


def test_tasks_of_a_client_that_was_replaced_stop(plan: Plan, terms: Terms) -> None:
    begin(terms.out, plan, "other")
    with pytest.raises(SweepError, match="another process has taken this sweep over"):
        run_batch(terms, batch_of(plan, 0))
    (terms.out / SESSION).unlink()
    with pytest.raises(
        SweepError, match="does not see .*: give an --out on a disk that all workers share|does not see"
    ):
        run_batch(terms, batch_of(plan, 0))
    assert not begun(terms.out)


def test_other_versions_are_refused_by_name(plan: Plan, terms: Terms) -> None:
    with pytest.raises(SweepError, match=r"the worker on .* has numba .* instead of 0.1: install the same there"):
        run_batch(replace(terms, versions=versions() | {"numba": "0.1"}), batch_of(plan, 0))
    with pytest.raises(SweepError, match=r"here has gflow \w+ instead of other"):
        check_versions({"gflow": "other"}, "here")
    assert not begun(terms.out)


class ManyRuns:
    """Of a plan, what a queue asks for."""

    ids = tuple(str(k) for k in range(10_000))

    def content(self, point: int) -> dict[str, object]:
        return {}


@pytest.mark.parametrize(("seconds", "size"), [(0.01, int(SECONDS / 0.01)), (1e-5, MOST_JOBS), (60.0, 1)])
def test_batches_are_as_long_as_a_few_seconds(seconds: float, size: int) -> None:
    plan: Any = ManyRuns()
    queue = Queue(plan, range(10_000))
    first = [queue.next(2), queue.next(2)]
    assert all(batch is not None and len(batch.jobs) == 1 for batch in first)  # how long a run takes is not known
    for _ in range(3):
        queue.learn(Ended(False, seconds))
    queue.learn(Ended(False, 0.0))  # one that an earlier attempt had done tells nothing
    third = queue.next(2)
    assert third is not None and len(third.jobs) == size


def test_every_run_is_in_one_batch_and_the_last_ones_are_small(plan: Plan) -> None:
    queue = Queue(plan, range(12))
    queue.learn(Ended(False, 1e-4))
    batches = []
    while (batch := queue.next(1)) is not None:
        batches.append(batch)
    assert [job.id for batch in batches for job in batch.jobs] == list(plan.ids)
    assert [len(batch.jobs) for batch in batches] == [3, 3, 2, 1, 1, 1, 1]
    assert len({batch.number for batch in batches}) == len(batches)


def test_without_dask_workers_are_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    path = sweep_file(tmp_path)
    for how in ({}, {"workers": 2}, {"scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(SweepError) as caught:
            gflow.sweep(path, tmp_path / "out", **how)
        assert str(caught.value) == (
            "worker processes need dask: pip install 'gflow[sweep]', or run it in one process with --workers 0"
        )
    assert not (tmp_path / "out").exists()
    assert gflow.sweep(path, tmp_path / "out", workers=0).done == 12


def test_without_pyarrow_there_is_the_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pandas", "xarray"):
        monkeypatch.setitem(sys.modules, name, None)
    sweep = gflow.sweep(sweep_file(tmp_path), tmp_path / "out", workers=0)
    assert (sweep.path / "summary.csv").exists() and not (sweep.path / "summary.parquet").exists()
    with pytest.raises(SweepError, match=r"to_pandas needs pandas: pip install 'gflow\[sweep\]'"):
        sweep.to_pandas()
    with pytest.raises(SweepError, match=r"to_xarray needs xarray"):
        sweep.to_xarray()
