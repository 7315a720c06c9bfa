"""How far a sweep has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gflow.sweeps.engine.batch import Ended


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """total: runs of the sweep; before: of them done by earlier starts; done: by this one, failed of them; seconds: of
    this start, by the wall."""

    total: int
    before: int
    done: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> int:
        """Runs that are still to be carried out."""
        return self.total - self.before - self.done

    @property
    def rate(self) -> float | None:
        """Runs a second of this start; None before the first."""
        return self.done / self.seconds if self.done and self.seconds > 0.0 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at that rate."""
        return None if self.rate is None else self.left / self.rate


Tell = Callable[[SweepProgress], None]


class Count:
    """Counts runs as they end, and tells how far the sweep is."""

    def __init__(self, total: int, before: int, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress, self._tell, self._clock = SweepProgress(total, before), tell, clock
        self._start = clock()

    def __call__(self, *ended: Ended) -> None:
        """Count these runs."""
        now = self._progress
        self._progress = replace(
            now,
            done=now.done + len(ended),
            failed=now.failed + sum(each.failed for each in ended),
            seconds=self._clock() - self._start,
        )
        self._tell(self._progress)

    @property
    def progress(self) -> SweepProgress:
        """How far the sweep is."""
        return self._progress
