"""The loop of descent: a generator of rows at the requested steps, of progress, and of the end of each run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import chain

import numpy as np
import torch

from gflow.arrays import Array, Sides
from gflow.descent.plan import DescentRun, Options, check_runs
from gflow.descent.program import IterateArrays, Program, State
from gflow.descent.watch import LossReport
from gflow.errors import CheckpointError, ScenarioError
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem

# The most steps between two checks of the iterates for overflow; they bound the memory of batches, too.
CHUNK, CHUNK_ENTRIES = 1024, 2**20
# The most numbers, m n for each run, of runs that advance together.  On a CPU they should stay in its cache: measured,
# up to 2^17 a batch is as fast as its runs alone or faster (10 times at n = 20, m = 64), at 2^19 1.5 times slower.
TOGETHER = {"cpu": 2**17, "cuda": 2**27}


class DescentOutcome(Enum):
    """How a run ended, with a sentence for the reader."""

    STEPS = "all steps taken"
    LOSS = "the loss was reached"
    DIVERGED = "an iterate is not finite: the steps are too large"


@dataclass(frozen=True, slots=True, eq=False)
class Iterate:
    """Run `run` after `step` steps, all in float64; t is the sum of the step sizes."""

    run: int
    step: int
    t: float
    U: Array
    """(m, r), or b (m, 1) of the scalar network"""
    outer: Array
    """(m,) or (K, m)"""
    output_bias: Array | None
    """(K,)"""
    p: Array
    """margins (n,)"""
    log_loss: float
    pattern: Sides
    """signs of the pre-activations (m, n), 0 for exactly 0"""
    outside: float = 1.0
    """the factor of the part of W outside the span of the samples, which only weight decay moves"""


@dataclass(frozen=True, slots=True, eq=False)
class DescentCheckpoint:
    """A point from which descent continues as if the same runs with the same options had never stopped."""

    taken: int
    """steps of all runs up to here"""
    group: tuple[int, ...]
    """the runs that advance together now; the others have ended, or wait"""
    alive: tuple[int, ...]
    """the runs of the group that have not ended"""
    step: int
    """the step of the runs alive; rows and ends due at it come before this point"""
    state: State
    """the state of the runs alive (`Program.state`)"""


@dataclass(frozen=True, slots=True)
class DescentProgress:
    """The steps taken and the steps requested, over all runs; checkpoint: makes this point, only before the next
    item.
    """

    taken: int
    total: int
    checkpoint: Callable[[], DescentCheckpoint] = field(compare=False)


@dataclass(frozen=True, slots=True)
class DescentFinish:
    """The end of a run.  One that diverged was finite at most CHUNK steps before `step`, and has no row there."""

    run: int
    outcome: DescentOutcome
    step: int
    losses: LossReport | None
    """None unless losses were watched"""


DescentItem = Iterate | DescentProgress | DescentFinish


def descend(
    problem: Problem,
    runs: Sequence[DescentRun],
    options: Options | None = None,
    origin: DescentCheckpoint | None = None,
) -> Iterator[DescentItem]:
    """Advance all runs together, each to its own end; items name runs by their positions in `runs`.

    Rows of one run come in the order of its steps; rows of different runs in no fixed order.  A run alone and the same
    run among others agree to rounding.  Memory does not grow with the number of steps.  origin: a checkpoint from which
    to continue; the items are the same, bit for bit, as without the stop (on the same machine, with the same versions
    and threads).  Raises ScenarioError at once where runs cannot advance together, and CheckpointError for a checkpoint
    of other runs.
    """
    options = options or Options()
    first, others = _begun(problem, runs, options, origin)
    return _items(problem, runs, options, first, others, 0 if origin is None else origin.taken)


def iterates_at(
    problem: Problem, runs: Sequence[DescentRun], options: Options, origin: DescentCheckpoint
) -> list[Iterate]:
    """The iterates at a checkpoint of the runs that `descend` would continue, without those whose margins overflow.

    Raises what `descend` raises.
    """
    return _begun(problem, runs, options, origin)[0].iterates()


def _begun(
    problem: Problem, runs: Sequence[DescentRun], options: Options, origin: DescentCheckpoint | None
) -> tuple[_Group, list[list[int]]]:
    """The group that advances first, at its start or at the checkpoint, and the runs of the groups after it."""
    check_runs(problem, runs, options)
    _check_device(options.device)
    groups = _groups(problem, runs, options)
    place = 0 if origin is None else _place(origin, groups)
    first = _Group(problem, runs, groups[place], options)
    if origin is not None:
        first.restore(origin)
    return first, groups[place + 1 :]


def _place(origin: DescentCheckpoint, groups: Sequence[list[int]]) -> int:
    group = list(origin.group)
    if group not in groups or not set(origin.alive) <= set(group):
        raise CheckpointError(f"descent: a checkpoint of runs {origin.alive} of {group}, where groups are {groups}")
    return groups.index(group)


def _check_device(device: str) -> None:
    if torch.device(device).type not in TOGETHER:
        raise ScenarioError(f"descent.device = {device}: use cpu or cuda")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ScenarioError(f"descent.device = {device}: torch finds no CUDA device here; use cpu")


def _items(
    problem: Problem,
    runs: Sequence[DescentRun],
    options: Options,
    first: _Group,
    others: Sequence[list[int]],
    taken: int,
) -> Iterator[DescentItem]:
    total = sum(run.steps for run in runs)
    for group in chain([first], (_Group(problem, runs, numbers, options) for numbers in others)):
        if group.begins:
            yield from group.rows_and_ends()
            yield DescentProgress(taken, total, partial(group.checkpoint, taken))
        while group.alive:
            taken += group.advance()
            yield from group.rows_and_ends()
            yield DescentProgress(taken, total, partial(group.checkpoint, taken))


def _groups(problem: Problem, runs: Sequence[DescentRun], options: Options) -> list[list[int]]:
    """The positions of runs that advance together; they are of similar length, so that few wait for none."""
    limit = TOGETHER[torch.device(options.device).type]
    size = max(1, limit // (problem.network.width * problem.samples))
    order = sorted(range(len(runs)), key=lambda number: runs[number].steps)
    return [order[start : start + size] for start in range(0, len(order), size)]


def _outcome(run: DescentRun, step: int, row: Iterate | None) -> DescentOutcome | None:
    """How a run ends at a step, whose row it may be; None: it goes on."""
    if row is not None and run.log_loss is not None and row.log_loss <= run.log_loss:
        return DescentOutcome.LOSS
    return DescentOutcome.STEPS if step == run.steps else None


class _Group:
    """Runs that advance together, all at one step; runs that have ended are dropped."""

    def __init__(self, problem: Problem, runs: Sequence[DescentRun], numbers: list[int], options: Options) -> None:
        self._problem, self._runs, self._numbers, self.alive = problem, runs, numbers, numbers
        self._program = Program(problem, [runs[number] for number in numbers], options)
        self._step = 0
        self.begins = True
        """Are the rows of step 0 still to come?"""

    def checkpoint(self, taken: int) -> DescentCheckpoint:
        """This point, after all runs have taken `taken` steps."""
        state = self._program.state() if self.alive else {}
        return DescentCheckpoint(taken, tuple(self._numbers), tuple(self.alive), self._step, state)

    def restore(self, origin: DescentCheckpoint) -> None:
        """Go from step 0 to a checkpoint.

        Runs that have ended are dropped here and not left out before, since the last bit of what is computed for all
        runs of a group at once may depend on their number.
        """
        self._step, self.begins = origin.step, False
        self._keep([place for place, number in enumerate(self.alive) if number in origin.alive])
        if self.alive:
            self._program.restore(origin.state, origin.step)

    def advance(self) -> int:
        """Advance to the next row of any run, or to the next check; returns the number of steps that all runs took."""
        records = [self._runs[number].record for number in self.alive]
        due = min(int(record[np.searchsorted(record, self._step, side="right")]) for record in records)
        most = min(CHUNK, max(1, CHUNK_ENTRIES // max(1, self._program.batch_entries)))
        steps = min(due - self._step, most)
        self._program.advance(steps)
        self._step += steps
        return steps * len(self.alive)

    def rows_and_ends(self) -> Iterator[Iterate | DescentFinish]:
        """The rows due at this step, and the runs that end here."""
        kept, finites = [], self._program.finite()
        due = [place for place, finite in enumerate(finites) if finite and self._is_due(self._runs[self.alive[place]])]
        rows, wanted = self._rows(due), set(due)
        for place, number in enumerate(self.alive):
            run, finite, row = self._runs[number], finites[place], None
            if place in wanted:
                row = next(rows)
                finite = row is not None
            if row is not None:
                yield row
            outcome = _outcome(run, self._step, row) if finite else DescentOutcome.DIVERGED
            if outcome is None:
                kept.append(place)
                continue
            losses = self._program.report(place, None if row is None else row.log_loss)
            yield DescentFinish(number, outcome, self._step, losses)
        self._keep(kept)

    def iterates(self) -> list[Iterate]:
        """The present iterates of the runs alive."""
        return [each for each in self._rows(range(len(self.alive))) if each is not None]

    def _is_due(self, run: DescentRun) -> bool:
        """Is this step a row of the run?"""
        return bool(run.record[np.searchsorted(run.record, self._step)] == self._step)

    def _keep(self, places: Sequence[int]) -> None:
        if len(places) < len(self.alive):
            self.alive = [self.alive[place] for place in places]
            if places:
                self._program.keep(places)

    def _rows(self, places: Sequence[int]) -> Iterator[Iterate | None]:
        """The iterates of the runs at these places, None where margins overflow."""
        for place, seen in zip(places, self._program.snapshots(places), strict=True):
            yield self._row(self.alive[place], seen)

    def _row(self, number: int, seen: IterateArrays) -> Iterate | None:
        """The iterate, or None where its margins overflow."""
        log_loss = log_mean(self._problem.loss.log_value(seen.p)) if np.isfinite(seen.p).all() else np.inf
        if not np.isfinite(log_loss):
            return None
        t = self._runs[number].schedule.elapsed(self._step, seen.summed_steps)
        outer, bias = seen.outer, seen.output_bias
        return Iterate(number, self._step, t, seen.U, outer, bias, seen.p, log_loss, seen.pattern, seen.outside)
