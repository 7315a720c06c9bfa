"""The loop of descent, a generator: rows at the steps asked for, progress between them, and how each run ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray

from gflow.descent.plan import Options, Run, check_runs
from gflow.descent.program import Program
from gflow.descent.watch import LossReport
from gflow.errors import ScenarioError
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem

Array = NDArray[np.float64]

# Most steps between two looks at the iterates: for overflow, for progress, and for the memory that batches take.
CHUNK, CHUNK_ENTRIES = 1024, 2**20
# Numbers (m, n) of all runs that advance together.  On a CPU they should stay in its cache: measured, a batch of up to
# 2^17 gains (10 times at n = 20, m = 64) or is neutral; at 2^19 it cost up to 1.5 times what its runs cost alone.
TOGETHER = {"cpu": 2**17, "cuda": 2**27}


class Outcome(Enum):
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
    pattern: NDArray[np.int8]
    """signs of the pre-activations (m, n), 0 for exactly 0"""


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps taken, and asked for, over all runs."""

    taken: int
    total: int


@dataclass(frozen=True, slots=True)
class Finish:
    """A run ended.  One that diverged was finite CHUNK steps before `step` at the latest, and has no row there."""

    run: int
    outcome: Outcome
    step: int
    losses: LossReport | None
    """None unless they were watched"""


Item = Iterate | Progress | Finish


def descend(problem: Problem, runs: Sequence[Run], options: Options | None = None) -> Iterator[Item]:
    """Advance all runs together, each to its own end; items name runs by their place in `runs`.

    Rows of one run come in the order of its steps, rows of different runs as they fall.  A run alone and the same run
    among others agree to rounding.  Memory does not grow with the number of steps.  Raises ScenarioError at once.
    """
    options = options or Options()
    check_runs(problem, runs, options)
    _check_device(options.device)
    return _items(problem, runs, options)


def _check_device(device: str) -> None:
    if torch.device(device).type not in TOGETHER:
        raise ScenarioError(f"descent.device = {device}: use cpu or cuda")
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ScenarioError(f"descent.device = {device}: torch finds no CUDA device here; use cpu")


def _items(problem: Problem, runs: Sequence[Run], options: Options) -> Iterator[Item]:
    total, ended = sum(run.steps for run in runs), 0
    for numbers in _groups(problem, runs, options):
        group = _Group(problem, runs, numbers, options)
        while group.alive:
            yield from group.rows_and_ends()
            if group.alive:
                group.advance()
            yield Progress(ended + group.taken, total)
        ended += group.taken


def _groups(problem: Problem, runs: Sequence[Run], options: Options) -> list[list[int]]:
    """Numbers of the runs that advance together; runs of similar length, so that few wait for none."""
    limit = TOGETHER[torch.device(options.device).type]
    size = max(1, limit // (problem.network.width * problem.samples))
    order = sorted(range(len(runs)), key=lambda number: runs[number].steps)
    return [order[start : start + size] for start in range(0, len(order), size)]


class _Group:
    """Runs that advance together, all at one step; those that ended are dropped."""

    def __init__(self, problem: Problem, runs: Sequence[Run], numbers: list[int], options: Options) -> None:
        self._problem, self._runs, self.alive = problem, runs, numbers
        self._program = Program(problem, [runs[number] for number in numbers], options)
        self._step, self.taken = 0, 0

    def advance(self) -> None:
        """To the next row of any run, or as far as one looks at once."""
        records = [self._runs[number].record for number in self.alive]
        due = min(int(record[np.searchsorted(record, self._step, side="right")]) for record in records)
        most = min(CHUNK, max(1, CHUNK_ENTRIES // max(1, self._program.batch_entries)))
        steps = min(due - self._step, most)
        self._program.advance(steps)
        self._step += steps
        self.taken += steps * len(self.alive)

    def rows_and_ends(self) -> Iterator[Iterate | Finish]:
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
            yield Finish(number, Outcome.STEPS if finite else Outcome.DIVERGED, self._step, losses)
        if len(kept) < len(self.alive):
            self.alive = [self.alive[place] for place in kept]
            if kept:
                self._program.keep(kept)

    def _row(self, number: int, place: int) -> Iterate | None:
        """The iterate, or None if its margins overflow."""
        seen = self._program.snapshot(place)
        log_loss = log_mean(self._problem.loss.log_value(seen.p)) if np.isfinite(seen.p).all() else np.inf
        if not np.isfinite(log_loss):
            return None
        t = self._runs[number].schedule.elapsed(self._step, seen.summed_steps)
        outer, bias = seen.outer, seen.output_bias
        return Iterate(number, self._step, t, seen.U, outer, bias, seen.p, log_loss, seen.pattern)
