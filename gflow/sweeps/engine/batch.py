"""A batch: the runs that one task carries out, one after the other.

A task returns a few numbers only; its results are lines of a journal.  A task that is carried out again, because its
worker died or was thought to, finds the lines of the earlier attempts, does what is missing, and gives up a run in
which workers died again and again.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from gflow.errors import SweepError
from gflow.sweeps.engine.versions import check_versions
from gflow.sweeps.plan.sweep_file import Wanted
from gflow.sweeps.run.columns import Row
from gflow.sweeps.run.row import Job, row_of
from gflow.sweeps.store.folder import PARTS, SESSION
from gflow.sweeps.store.journal import Journal, cut_off, rows_in

MOST_DEATHS = 3
_one_run = threading.Lock()  # a worker may have been given several threads; runs in one process would share their cores


@dataclass(frozen=True, slots=True)
class Terms:
    """What all tasks of a sweep share.  session: that of the process which carries the sweep out; versions: its own."""

    out: Path
    base_folder: Path
    wanted: Wanted
    session: str
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some runs; number: of the batch within its session."""

    number: int
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """One run that ended.  seconds: by the wall, 0 for one that an earlier attempt had carried out."""

    failed: bool
    seconds: float


def run_batch(terms: Terms, batch: Batch) -> list[Ended]:
    """Carry out a batch, as a task of a worker."""
    where = f"the worker on {platform.node()}"
    check_versions(terms.versions, where)
    check_session(terms, where)
    with _one_run:
        return list(runs_of(terms, batch, where))


def runs_of(terms: Terms, batch: Batch, where: str) -> Iterator[Ended]:
    """The runs of a batch as they end, each kept before it is handed over."""
    parts = terms.out / PARTS
    earlier = sorted(parts.glob(f"{terms.session}-{batch.number}-*.jsonl"))
    done, deaths = rows_in(earlier), cut_off(earlier)
    with Journal(parts / f"{terms.session}-{batch.number}-{uuid4().hex[:8]}.jsonl") as journal:
        for job in batch.jobs:
            if job.id in done:
                yield _ended(done[job.id])
                continue
            check_session(terms, where)
            if deaths[job.id] >= MOST_DEATHS:
                row: Row = {"failure": f"its worker died {MOST_DEATHS} times in this run; did it run out of memory?"}
            else:
                journal.begin(job.id)
                row = row_of(job, terms.base_folder, terms.out, terms.wanted)
            journal.end(job.id, row)
            yield _ended(row)


def check_session(terms: Terms, where: str) -> None:
    """Raise SweepError where the folder is not seen, or another process has taken the sweep over."""
    try:
        session = (terms.out / SESSION).read_text(encoding="ascii")
    except OSError:
        raise SweepError(f"{where} does not see {terms.out}; give an --out on a disk that all workers share") from None
    if session != terms.session:
        raise SweepError(f"{terms.out}: another process has taken this sweep over")


def _ended(row: Row) -> Ended:
    seconds = row.get("wall_time")
    return Ended(row["failure"] is not None, float(seconds) if isinstance(seconds, float) else 0.0)
