"""The queue of a sweep, which cuts its runs into batches that take about a few seconds each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from gflow.sweeps.engine.batch import Batch, Ended
from gflow.sweeps.plan.plan import Plan
from gflow.sweeps.run.row import Job

SECONDS = 2.0  # of a batch: a task costs the scheduler about a millisecond, and a stop loses little
MOST_JOBS = 500
SHARES = 4  # the last batches become small, so that no worker is left alone with a long one


class Queue:
    """The runs that are missing.  points: of the plan, one for each run that is to be carried out."""

    def __init__(self, plan: Plan, points: Sequence[int]) -> None:
        self._jobs = (Job(plan.ids[point], plan.content(point)) for point in points)
        self._left = len(points)
        self._seconds, self._ended, self._number = 0.0, 0, 0

    def next(self, workers: int) -> Batch | None:
        """The next batch, None where nothing is left."""
        jobs = tuple(islice(self._jobs, self._size(workers)))
        self._left -= len(jobs)
        self._number += 1
        return Batch(self._number, jobs) if jobs else None

    def learn(self, ended: Ended) -> None:
        """Take account of how long a run took."""
        if ended.seconds > 0.0:
            self._seconds, self._ended = self._seconds + ended.seconds, self._ended + 1

    def _size(self, workers: int) -> int:
        if not self._ended:
            return 1  # nothing is known yet, and a run may take hours
        fitting = int(SECONDS * self._ended / self._seconds)
        return max(1, min(fitting, MOST_JOBS, -(-self._left // (SHARES * workers))))

    def __iter__(self) -> Iterator[Batch]:
        """All batches, for one worker."""
        while (batch := self.next(1)) is not None:
            yield batch
