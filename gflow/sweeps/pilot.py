"""The forecast of a sweep: a few of its runs are carried out, timed and measured, and nothing of them is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import perf_counter

import numpy as np

from gflow.sweeps.engine import cluster
from gflow.sweeps.plan.plan import Plan, plan_of
from gflow.sweeps.run.row import Job, row_of
from gflow.sweeps.store.folder import RESULTS, check_folder
from gflow.sweeps.store.journal import Journal
from gflow.sweeps.sweeping import Given, folder_of, missing_points, spec_of

MOST_TRIED, MOST_SECONDS = 6, 30.0
TABLE_FACTOR = 2.0  # the table repeats what the journal has, as csv and as Parquet


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a sweep would cost.  sizes: values along each dimension, by its name; missing: runs without a row yet.

    tried: runs of the pilot, run_seconds each, failed of them, with the reason of one; seconds: of all missing runs on
    so many workers, core_seconds on one; disk: bytes.
    """

    total: int
    missing: int
    sizes: Mapping[str, int]
    tried: int
    run_seconds: tuple[float, ...]
    failed: int
    failure: str
    workers: int
    core_seconds: float
    disk: float

    @property
    def seconds(self) -> float:
        """By the wall, if all workers are as fast as this process."""
        return self.core_seconds / self.workers


def forecast_sweep(given: Given, out: str | Path | None = None, *, workers: int | None = None) -> Forecast:
    """Judge a sweep as `gflow.sweep` does, and try a few of the missing runs, spread over all, in this process.

    Nothing is written into `out`; at most 6 runs, and no further one after 30 s.  Raises GflowError as `gflow.sweep`.
    """
    spec = spec_of(given)
    plan = plan_of(spec)
    folder = folder_of(spec, out)
    there = check_folder(folder, plan, must_be_there=False)
    points = missing_points(plan, folder, retry_failed=False) if there else sorted(_first_points(plan))
    with tempfile.TemporaryDirectory(prefix="gflow-sweep-") as scratch:
        seconds, failures = _tried(plan, points, Path(scratch))
        disk = _bytes_below(Path(scratch))
    mean = fmean(seconds) if seconds else 0.0
    return Forecast(
        total=len(set(plan.ids)),
        missing=len(points),
        sizes={each.name: len(each) for each in spec.dimensions},
        tried=len(seconds),
        run_seconds=tuple(seconds),
        failed=len(failures),
        failure=failures[0] if failures else "",
        workers=workers or (1 if workers == 0 else cluster.cores()),
        core_seconds=mean * len(points),
        disk=disk * len(points) / max(len(seconds), 1),
    )


def _first_points(plan: Plan) -> list[int]:
    return list({run: point for point, run in reversed(list(enumerate(plan.ids)))}.values())


def _tried(plan: Plan, points: list[int], scratch: Path) -> tuple[list[float], list[str]]:
    """Seconds and failures of some runs.  The first is carried out twice, since what it compiles is compiled once."""
    chosen = np.unique(np.linspace(0, len(points) - 1, min(MOST_TRIED, len(points))).round()).astype(int).tolist()
    seconds, failures, spent = list[float](), list[str](), perf_counter()
    with Journal(scratch / RESULTS) as journal:
        for number in chosen:
            if seconds and perf_counter() - spent > MOST_SECONDS:
                break
            job = Job(plan.ids[points[number]], plan.content(points[number]))
            if not seconds:
                with tempfile.TemporaryDirectory(prefix="gflow-sweep-") as first:
                    row_of(job, plan.spec.folder, Path(first), plan.spec.wanted)
                spent = perf_counter()
            start = perf_counter()
            row = row_of(job, plan.spec.folder, scratch, plan.spec.wanted)
            journal.end(job.id, row)
            seconds.append(perf_counter() - start)
            failures += [] if row["failure"] is None else [str(row["failure"])]
    return seconds, failures


def _bytes_below(folder: Path) -> float:
    """What a folder holds; the journal counts for the tables as well."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return sum(size * (1.0 + TABLE_FACTOR if path.name == RESULTS else 1.0) for path, size in sizes.items())
