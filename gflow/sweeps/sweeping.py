"""The function behind `gflow sweep`: carries out what is missing of a sweep, and writes its table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from math import inf
from pathlib import Path
from typing import Any
from uuid import uuid4

from gflow.console import printable
from gflow.errors import SweepError
from gflow.pipeline.interruption import termination_interrupts
from gflow.sweeps.engine import cluster, serial
from gflow.sweeps.engine.batch import Terms
from gflow.sweeps.engine.queue import Queue
from gflow.sweeps.engine.versions import versions
from gflow.sweeps.opened import Sweep, open_sweep
from gflow.sweeps.plan.plan import Plan, plan_of
from gflow.sweeps.plan.sweep_file import SweepSpec, load_sweep, sweep_of
from gflow.sweeps.progress import Count, SweepProgress, Tell
from gflow.sweeps.store.folder import begin, check_folder, collect, leave, manifest_of, rows_by_id
from gflow.sweeps.store.table import columns_of, table_of, write_tables
from gflow.trajectory import sole_writer

LATE_SECONDS = 60.0
Given = str | Path | Mapping[str, Any] | SweepSpec  # Any: nested dicts, lists and scalars


def sweep(
    given: Given,
    out: str | Path | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    memory: float | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    progress: Tell | None = None,
    say: Callable[[str], None] | None = None,
) -> Sweep:
    """Carry out a sweep into the folder `out` (default: outputs/<name>): every run that has no row there yet.

    given: the path of a sweep file, a mapping with its keys, whose base may be a Scenario, or a sweep as it was read.
    workers: processes on this machine (default: one a core), 0 for none beside this one, which needs no dask;
    scheduler: the address of a running dask scheduler instead, whose workers see `out` under the same path.  memory:
    bytes that a worker process may have.  resume: there must be a sweep in `out`; without it, too, one that is there
    goes on.  retry_failed: carry out runs again whose row is a failure.  progress is called after every run or batch,
    say with sentences.

    Raises GflowError for what cannot be done, before anything is written.  A run that fails is a row.  An interruption
    (SIGINT, SIGTERM) or a kill loses the runs that are under way; KeyboardInterrupt passes through, its message says
    how to go on.
    """
    _check_engine(workers, scheduler)
    spec = spec_of(given)
    plan = plan_of(spec)
    folder = folder_of(spec, out)
    said = say or _unsaid
    if check_folder(folder, plan, resume):
        said(f"{printable(folder)} has a sweep already; runs that have a row there are not done again")
    with termination_interrupts(), ExitStack() as engine:
        client = engine.enter_context(_engine(workers, scheduler, memory))
        if client is not None:
            cluster.check_workers(client, versions())
        patience = cluster.LOCAL_PATIENCE if scheduler is None else inf
        with sole_writer(folder):
            session = uuid4().hex[:8]
            begin(folder, plan, session)
            try:
                _carry_out(plan, folder, session, client, patience, retry_failed, progress or _untold)
            except KeyboardInterrupt as stop:
                leave(folder)
                engine.close()  # before rows are counted
                stop.args = (_interrupted(spec, folder, plan),)
                raise
            finally:
                leave(folder)
                _write(folder)
    return open_sweep(folder)


def spec_of(given: Given) -> SweepSpec:
    """The sweep of a file or of a mapping; one that has been read already is as it is.  Raises ScenarioError."""
    if isinstance(given, SweepSpec):
        return given
    return sweep_of(given) if isinstance(given, Mapping) else load_sweep(given)


def folder_of(spec: SweepSpec, out: str | Path | None) -> Path:
    """The folder of the sweep, as an absolute path, which workers understand as well."""
    return (Path("outputs") / spec.name if out is None else Path(out)).absolute()


def missing_points(plan: Plan, folder: Path, retry_failed: bool) -> list[int]:
    """One point for every run that is to be carried out."""
    rows = rows_by_id(folder)
    done = {run for run, row in rows.items() if not (retry_failed and row["failure"] is not None)}
    first = {run: point for point, run in reversed(list(enumerate(plan.ids)))}
    return sorted(point for run, point in first.items() if run not in done)


def _carry_out(
    plan: Plan,
    folder: Path,
    session: str,
    client: Any,  # Any: a dask client
    patience: float,
    retry_failed: bool,
    tell: Tell,
) -> None:
    collect(folder)
    points = missing_points(plan, folder, retry_failed)
    total = len(set(plan.ids))
    count, queue = Count(total, total - len(points), tell), Queue(plan, points)
    terms = Terms(folder, plan.spec.folder.absolute(), plan.spec.wanted, session, versions())
    if not points:
        tell(SweepProgress(total, total))
    elif client is None:
        serial.carry_out(terms, queue, count)
    else:
        cluster.carry_out(terms, queue, client, lambda ended: count(*ended), patience)
        _wait_for_rows(plan, folder)
    collect(folder)


def _wait_for_rows(plan: Plan, folder: Path) -> None:
    """Wait until the rows of all runs are seen: a file system of several machines may show new files late."""
    until = time.monotonic() + LATE_SECONDS
    while missing_points(plan, folder, retry_failed=False) and time.monotonic() < until:
        time.sleep(1.0)


def _write(folder: Path) -> None:
    """The table of all that has ended so far."""
    write_tables(folder, columns_of(table_of(manifest_of(folder), rows_by_id(folder))))


@contextmanager
def _engine(workers: int | None, scheduler: str | None, memory: float | None) -> Iterator[Any]:  # Any: a dask client
    """The client of the workers; None for this process."""
    if scheduler is not None:
        with cluster.running_scheduler(scheduler) as client:
            yield client
    elif workers == 0:
        yield None
    else:
        with cluster.local_workers(workers or cluster.cores(), memory) as client:
            yield client


def _check_engine(workers: int | None, scheduler: str | None) -> None:
    if workers is not None and scheduler is not None:
        raise SweepError("--workers and --scheduler exclude each other: a scheduler has workers of its own")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or not 0 <= workers <= 4096):
        raise SweepError(f"--workers {workers}: must be an integer from 0 (this process alone) to 4096")


def _interrupted(spec: SweepSpec, folder: Path, plan: Plan) -> str:
    done = len(rows_by_id(folder).keys() & set(plan.ids))
    source = (
        "the same call" if spec.source is None else f"gflow sweep {printable(spec.source)} --out {printable(folder)}"
    )
    return f"interrupted; {done} of {len(set(plan.ids))} runs are done, go on with: {source}"


def _unsaid(_: str) -> None:
    """The callback of a caller that wants no sentences: it does nothing."""


def _untold(_: SweepProgress) -> None:
    """The callback of a caller that does not want to see progress: it does nothing."""
