"""The writer of descent: rows go to disk first and checkpoints after them, so that no checkpoint counts a row that is
missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import exp, inf

import numpy as np

from gflow.descent import DescentCheckpoint, DescentFinish, DescentOutcome, DescentProgress, Iterate
from gflow.descent.loop import DescentItem
from gflow.descent_plan.ledger import Ended, Ledger
from gflow.descent_plan.plan import PlannedRun
from gflow.descent_plan.runs import SetupOf, iterate_state
from gflow.pipeline.descent.checkpoint import Saved
from gflow.pipeline.descent.store import DescentStore
from gflow.problem.loss import LARGEST_EXPONENT, log_mean
from gflow.trajectory import Row
from gflow.trajectory.recorder import Recorder

# Rows are written to disk at most this long (seconds) after they were made.
COMMIT_EVERY = 1.0
# And at most so many bytes of them wait, also where many runs have a row at one step.
MOST_WAITING = 64 * 1024 * 1024
# Rows come with a checkpoint, unless the previous one took more than this part of the time since, as large ones do.
CHECKPOINT_SHARE = 0.05
# Weights and margins beyond this have diverged: their squares are near the end of float64.
LARGEST = 1e100
MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are not on disk yet, the first of them with its number."""

    first: int
    rows: list[Row] = field(default_factory=list)

    @property
    def end(self) -> int:
        """How many rows there are with these."""
        return self.first + len(self.rows)


class DescentFile:
    """Takes the items of descent, from its start or from the point that a ledger belongs to."""

    def __init__(
        self,
        setup_of: SetupOf,
        runs: Sequence[PlannedRun],
        store: DescentStore,
        keep: Callable[[Saved], None],
        ledger: Ledger,
        progress: Callable[[int, int], None],
    ) -> None:
        """keep: saves a checkpoint; ledger: of the rows before; progress: told steps taken and asked for."""
        self._setup_of, self._runs, self._store, self._keep = setup_of, runs, store, keep
        self._problem, self._decays = setup_of(None).problem, store.decays
        self.ledger, self._progress = ledger, progress
        self._recorders = dict[int | None, Recorder]()
        # The only count of the rows.  With two of them, a second signal between two statements could make them differ.
        self._block = Block(ledger.n_rows)
        self._point: Callable[[], DescentCheckpoint] | None = (
            None  # saves where descent is, while it can go on from there
        )
        self._rows_due = self._point_due = -inf

    @property
    def n_rows(self) -> int:
        """Rows on disk."""
        return self._store.n_rows

    def follow(self, items: Iterable[DescentItem], alive: Callable[[], None]) -> None:
        """Follow descent to its end; alive is called wherever descent could be resumed, and may raise to stop it."""
        point = None
        for item in items:
            self._take(item)
            if self._point is not None:
                alive()
            point, self._point = self._point, None  # a checkpoint taken while descent moves would fall within a step
        self._point = point  # after its last item descent has not moved
        self._finish()

    def _take(self, item: DescentItem) -> None:
        match item:
            case Iterate():
                self._take_row(item)
            case DescentFinish():
                lost = self.ledger.lost
                diverged = item.outcome is DescentOutcome.DIVERGED or item.run in lost
                reached = item.outcome is DescentOutcome.LOSS and not diverged
                self.ledger.ended[item.run] = Ended(lost.get(item.run, item.step), diverged, item.losses, reached)
            case DescentProgress():
                self._point = item.checkpoint
                self._progress(item.taken, item.total)
                if time.monotonic() >= self._rows_due:
                    self._put(time.monotonic() >= self._point_due)

    def settle(self) -> None:
        """Save all rows so far, and a checkpoint; within a step of descent, the previous checkpoint stays."""
        self._put(True)

    def _finish(self) -> None:
        """Save the last rows, and how all runs ended."""
        self.settle()
        diverged = [self._runs[run] for run, end in self.ledger.ended.items() if end.diverged]
        sentence = f"{len(self._runs)} runs of descent"
        if diverged:
            sentence += f"; diverged at eta = {', '.join(_names(diverged))}"
        self._store.finish("diverged" if diverged else "time", sentence, self._block.end)

    def _put(self, point_too: bool) -> None:
        if self._block.rows:
            self._store.put(self._block.rows, self._block.first)
            self._block = Block(self._block.end)  # not before: where a second signal comes, they are offered again
        if self._point is not None and point_too:
            started = time.monotonic()
            self.ledger.n_rows = self._block.end
            self._keep(Saved(self.ledger, self._point()))
            took = time.monotonic() - started
            self._point_due = time.monotonic() + took / CHECKPOINT_SHARE
        self._rows_due = time.monotonic() + COMMIT_EVERY

    def _take_row(self, at: Iterate) -> None:
        """Take the row, unless its weights or margins are beyond `LARGEST`: then neither it nor a later row counts."""
        size = max(float(np.abs(at.U).max()), float(np.abs(at.p).max()), float(np.abs(at.outer).max()))
        if size > LARGEST or at.run in self.ledger.lost:
            self.ledger.lost.setdefault(at.run, at.step)
            return
        self.ledger.largest_margin = max(self.ledger.largest_margin, float(np.abs(at.p).max()))
        state = iterate_state(at, self._problem.surfaces.first_sample, self._tau(at))
        run = self._runs[at.run]
        row = self._recorder(run.seed).row(state, 0, at.step, at.outside)
        outside = at.outside if self._decays else None
        self._block.rows.append(replace(row, eta=run.eta, step=at.step, seed=run.seed, outside=outside))
        if len(self._block.rows) * (at.U.nbytes + at.pattern.nbytes + at.p.nbytes) > MOST_WAITING:
            self._put(False)

    def _recorder(self, seed: int | None) -> Recorder:
        """That of the start of the runs with a seed."""
        if seed not in self._recorders:
            setup = self._setup_of(seed)
            self._recorders[seed] = Recorder(setup.problem, setup.W_initial, setup.test)
        return self._recorders[seed]

    def _tau(self, at: Iterate) -> float:
        """The trapezoid rule over the rows of the run."""
        t, rate, tau = self.ledger.clock.get(at.run, (0.0, 0.0, 0.0))
        here = exp(min(log_mean(self._problem.loss.log_slope(at.p)), LARGEST_EXPONENT))
        tau += 0.5 * (at.t - t) * (rate + here)
        self.ledger.clock[at.run] = at.t, here, tau
        return tau


def _names(runs: Sequence[PlannedRun]) -> list[str]:
    """`0.1`, `0.1 (seed 3)`: step sizes from the smallest, and how many where they are many."""
    ordered = sorted(runs, key=lambda run: (run.eta, -1 if run.seed is None else run.seed))
    names = [f"{run.eta:g}" + ("" if run.seed is None else f" (seed {run.seed})") for run in ordered]
    return names if len(names) <= MOST_NAMED else [*names[:MOST_NAMED], f"... ({len(names)} runs)"]
