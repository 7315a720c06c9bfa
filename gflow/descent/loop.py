"""The loop of descent, a generator: rows at the steps asked for, progress between them, and how each run ended."""

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
from gflow.descent.program import Program, State
from gflow.descent.watch import LossReport
from gflow.errors import CheckpointError, ScenarioError
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem

# Most steps between two looks at the iterates: for overflow, for progress, and for the memory that batches take.
CHUNK, CHUNK_ENTRIES = 1024, 2**20
# Numbers (m, n) of all runs that advance together.  On a CPU they should stay in its cache: measured, a batch of up to
# 2^17 gains (10 times at n = 20, m = 64) or is neutral; at 2^19 it cost up to 1.5 times what its runs cost alone.
TOGETHER = {"cpu": 2**17, "cuda": 2**27}


class DescentOutcome(Enum):
    """How a run ended, with the sentence that says so."""

    STEPS = "all steps taken"
    DIVERGED = "an iterate is not finite: the steps are too large"


@dataclass(frozen=True, slots=True, eq=False)
class Iterate:
    """Run `run` after `step` steps, all float64; t is the sum of their sizes."""

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


@dataclass(frozen=True, slots=True, eq=False)
class DescentCheckpoint:
    """A point from which descent goes on, as the same runs with the same options would have without a stop."""

    taken: int
    """steps of all runs so far"""
    group: tuple[int, ...]
    """runs that advance together now; others have ended, or wait"""
    alive: tuple[int, ...]
    """those of the group that have not ended"""
    step: int
    """of the runs alive; rows and ends that are due there lie before this point"""
    state: State
    """of the runs alive (`Program.state`)"""


@dataclass(frozen=True, slots=True)
class DescentProgress:
    """Steps taken, and asked for, over all runs; checkpoint: this point, to be asked for before the next item."""

    taken: int
    total: int
    checkpoint: Callable[[], DescentCheckpoint] = field(compare=False)


@dataclass(frozen=True, slots=True)
class DescentFinish:
    """A run ended.  One that diverged was finite CHUNK steps before `step` at the latest, and has no row there."""

    run: int
    outcome: DescentOutcome
    step: int
    losses: LossReport | None
    """None unless they were watched"""


DescentItem = Iterate | DescentProgress | DescentFinish


def descend(
    problem: Problem,
    runs: Sequence[DescentRun],
    options: Options | None = None,
    origin: DescentCheckpoint | None = None,
) -> Iterator[DescentItem]:
    """Advance all runs together, each to its own end; items name runs by their place in `runs`.

    Rows of one run come in the order of its steps, rows of different runs as they fall.  A run alone and the same run
    among others agree to rounding.  Memory does not grow with the number of steps.  origin: a checkpoint to go on
    from; what follows has the bits it had without it (same machine, versions and threads).  Raises ScenarioError at
    once, CheckpointError for a checkpoint that is not one of these runs.
    """
    options = options or Options()
    first, others = _begun(problem, runs, options, origin)
    return _items(problem, runs, options, first, others, 0 if origin is None else origin.taken)


def iterates_at(
    problem: Problem, runs: Sequence[DescentRun], options: Options, origin: DescentCheckpoint
) -> list[Iterate]:
    """The runs alive at a checkpoint as `descend` would go on with them, but those whose margins overflow.  Raises what
    `descend` raises."""
    return _begun(problem, runs, options, origin)[0].iterates()


def _begun(
    problem: Problem, runs: Sequence[DescentRun], options: Options, origin: DescentCheckpoint | None
) -> tuple[_Group, list[list[int]]]:
    """The group that advances first, at its start or where a checkpoint has it, and the runs of those after it."""
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
    """Numbers of the runs that advance together; runs of similar length, so that few wait for none."""
    limit = TOGETHER[torch.device(options.device).type]
    size = max(1, limit // (problem.network.width * problem.samples))
    order = sorted(range(len(runs)), key=lambda number: runs[number].steps)
    return [order[start : start + size] for start in range(0, len(order), size)]


class _Group:
    """Runs that advance together, all at one step; those that ended are dropped."""

    def __init__(self, problem: Problem, runs: Sequence[DescentRun], numbers: list[int], options: Options) -> None:
        self._problem, self._runs, self._numbers, self.alive = problem, runs, numbers, numbers
        self._program = Program(problem, [runs[number] for number in numbers], options)
        self._step = 0
        self.begins = True
        """Are the rows of step 0 still to come?"""

    def checkpoint(self, taken: int) -> DescentCheckpoint:
        """This point, when all runs have taken so many steps."""
        state = self._program.state() if self.alive else {}
        return DescentCheckpoint(taken, tuple(self._numbers), tuple(self.alive), self._step, state)

    def restore(self, origin: DescentCheckpoint) -> None:
        """From step 0 to a checkpoint.  Runs that have ended are dropped here, not left out before: what is worked out
        for all runs of a group at once may depend, in its last bit, on how many they are."""
        self._step, self.begins = origin.step, False
        self._keep([place for place, number in enumerate(self.alive) if number in origin.alive])
        if self.alive:
            self._program.restore(origin.state, origin.step)

    def advance(self) -> int:
        """To the next row of any run, or as far as one looks at once; how many steps of all runs that is."""
        records = [self._runs[number].record for number in self.alive]
        due = min(int(record[np.searchsorted(record, self._step, side="right")]) for record in records)
        most = min(CHUNK, max(1, CHUNK_ENTRIES // max(1, self._program.batch_entries)))
        steps = min(due - self._step, most)
        self._program.advance(steps)
        self._step += steps
        return steps * len(self.alive)

    def rows_and_ends(self) -> Iterator[Iterate | DescentFinish]:
        """The rows due at this step and the runs that end here."""
        kept = []
        for place, finite in enumerate(self._program.finite()):
            number = self.alive[place]
            run = self._runs[number]
            row = None
            if finite and run.record[np.searchsorted(run.record, self._step)] == self._step:
                row = self._row(number, place)
                finite = row is not None
            if row is not None:
                yield row
            if finite and self._step < run.steps:
                kept.append(place)
                continue
            losses = self._program.report(place, None if row is None else row.log_loss)
            yield DescentFinish(number, DescentOutcome.STEPS if finite else DescentOutcome.DIVERGED, self._step, losses)
        self._keep(kept)

    def iterates(self) -> list[Iterate]:
        """The runs alive, as they are now."""
        found = (self._row(number, place) for place, number in enumerate(self.alive))
        return [each for each in found if each is not None]

    def _keep(self, places: Sequence[int]) -> None:
        if len(places) < len(self.alive):
            self.alive = [self.alive[place] for place in places]
            if places:
                self._program.keep(places)

    def _row(self, number: int, place: int) -> Iterate | None:
        """The iterate, or None if its margins overflow."""
        seen = self._program.snapshot(place)
        log_loss = log_mean(self._problem.loss.log_value(seen.p)) if np.isfinite(seen.p).all() else np.inf
        if not np.isfinite(log_loss):
            return None
        t = self._runs[number].schedule.elapsed(self._step, seen.summed_steps)
        outer, bias = seen.outer, seen.output_bias
        return Iterate(number, self._step, t, seen.U, outer, bias, seen.p, log_loss, seen.pattern)
