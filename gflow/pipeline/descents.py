"""Runs of gradient descent on their way to `descent.h5`.  Loads torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, log1p

import numpy as np
from numpy.typing import NDArray

from gflow.build import Setup
from gflow.comparison.modified import states_at
from gflow.comparison.sharpness import LARGEST_EXPONENT
from gflow.descent import (
    Constant,
    Finish,
    FullBatch,
    Iterate,
    LossReport,
    LossWatch,
    ModifiedFlow,
    Options,
    Outcome,
    Precision,
    Progress,
    RandomBatches,
    Run,
    Weights,
    descend,
    single_precision_warning,
)
from gflow.descent.loop import Item
from gflow.flow.state import FlowState, Parameters
from gflow.pipeline.plan import Manner
from gflow.problem.loss import log_mean
from gflow.trajectory import Row, TrajectoryWriter
from gflow.trajectory.recorder import Recorder

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Rows wait at most this long (seconds) before they are safe on disk.
COMMIT_EVERY = 1.0
# Weights and margins beyond this have diverged: their squares are near the end of float64.
LARGEST = 1e100


@dataclass(frozen=True, slots=True)
class Ended:
    """How one run ended."""

    step: int
    diverged: bool
    losses: LossReport | None


def descent_items(setup: Setup, etas: Sequence[float], steps: Sequence[Index], manner: Manner) -> Iterator[Item]:
    """All runs, one for each eta with rows at its steps.  Raises ScenarioError at once for what cannot be run."""
    start = Weights.of(setup.problem, setup.inner)
    batches = FullBatch() if manner.batch is None else RandomBatches(manner.batch, False, manner.seed)
    runs = [Run(start, Constant(eta), each, batches) for eta, each in zip(etas, steps, strict=True)]
    precision = Precision.DOUBLE if manner.precision == "double" else Precision.SINGLE
    watch = LossWatch() if manner.batch is None else None
    return descend(setup.problem, runs, Options(precision=precision, device=manner.device, watch=watch))


class DescentFile:
    """Puts the rows of all runs into one file, run after run; rows that come too early wait in memory."""

    def __init__(
        self,
        setup: Setup,
        etas: Sequence[float],
        create: Callable[[Row], TrajectoryWriter],
        progress: Callable[[int, int], None],
    ) -> None:
        """create: makes the file when the first row is there; progress: told steps taken and asked for."""
        self._problem, self._etas, self._create, self._progress = setup.problem, etas, create, progress
        self._recorder = Recorder(setup.problem, setup.W_initial)
        self._waiting: list[list[Row]] = [[] for _ in etas]
        self._before: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0) for _ in etas]  # t, mean g, tau
        self._current = 0  # the run whose rows go to the file
        self._writer: TrajectoryWriter | None = None
        self._last_commit = time.monotonic()
        self.ended: dict[int, Ended] = {}
        self.largest_margin = 0.0
        self._lost: dict[int, int] = {}  # run: the step at which it had left all scales

    @property
    def n_rows(self) -> int:
        """Rows on disk."""
        return 0 if self._writer is None else self._writer.n_rows

    def take(self, item: Item) -> None:
        """One item of descent."""
        match item:
            case Iterate():
                self._keep(item)
            case Finish():
                diverged = item.outcome is Outcome.DIVERGED or item.run in self._lost
                self.ended[item.run] = Ended(self._lost.get(item.run, item.step), diverged, item.losses)
            case Progress():
                self._progress(item.taken, item.total)
                if time.monotonic() - self._last_commit > COMMIT_EVERY:
                    self.commit()

    def commit(self) -> None:
        """Make the rows safe that are in turn."""
        while self._current < len(self._etas):
            self._write(self._current)
            if self._current not in self.ended:
                break
            self._current += 1
        self._last_commit = time.monotonic()

    def abandon(self) -> None:
        """After an interruption: keep the rows of all runs as far as they came."""
        for run in range(self._current, len(self._etas)):
            self._write(run)

    def finish(self) -> None:
        """All runs have ended: the rows, and how they did."""
        self.commit()
        assert self._writer is not None
        diverged = [self._etas[run] for run, end in self.ended.items() if end.diverged]
        sentence = f"{len(self._etas)} runs of descent"
        if diverged:
            sentence += f"; diverged at eta = {', '.join(f'{eta:g}' for eta in sorted(diverged))}"
        self._writer.finish("diverged" if diverged else "time", sentence)

    def _write(self, run: int) -> None:
        rows, self._waiting[run] = self._waiting[run], []
        if rows and self._writer is None:
            self._writer = self._create(rows[0])
        if rows and self._writer is not None:
            self._writer.commit(rows)

    def _keep(self, at: Iterate) -> None:
        """The row, unless the run has left all scales: then it has diverged, and no later row counts either."""
        size = max(float(np.abs(at.U).max()), float(np.abs(at.p).max()), float(np.abs(at.outer).max()))
        if size > LARGEST or at.run in self._lost:
            self._lost.setdefault(at.run, at.step)
        else:
            self._waiting[at.run].append(self._row(at))

    def _row(self, at: Iterate) -> Row:
        self.largest_margin = max(self.largest_margin, float(np.abs(at.p).max()))
        state = iterate_state(at, self._problem.surfaces.first_sample, self._tau(at))
        return replace(self._recorder.row(state, 0, at.step), eta=self._etas[at.run], step=at.step)

    def _tau(self, at: Iterate) -> float:
        """The trapezoid rule over the rows of the run."""
        t, rate, tau = self._before[at.run]
        here = exp(min(log_mean(self._problem.loss.log_slope(at.p)), LARGEST_EXPONENT))
        tau += 0.5 * (at.t - t) * (rate + here)
        self._before[at.run] = at.t, here, tau
        return tau


def iterate_state(at: Iterate, first_sample: NDArray[np.intp], tau: float) -> FlowState:
    """An iterate as a state on the clock of the flow; its sides are the signs at the first sample of each surface."""
    parameters = Parameters(at.U, at.outer, at.output_bias)
    return FlowState(tau, log1p(at.t), parameters, at.pattern[:, first_sample], at.p, at.log_loss, h=0.0)


def precision_warning(manner: Manner, largest_margin: float) -> str | None:
    """What to know of single precision at margins of this size."""
    return single_precision_warning(largest_margin) if manner.precision == "single" else None


def modified_flows(setup: Setup, etas: Sequence[float]) -> list[ModifiedFlow]:
    """One for each step size.  Raises ScenarioError for a network with kinks."""
    return [ModifiedFlow(setup.problem, eta) for eta in etas]


def modified_gaps(
    setup: Setup, flow: ModifiedFlow, times: Array, inner: Array, alive: Callable[[], None]
) -> list[float]:
    """|W_GD - W| / |W - W(0)|, W of the modified flow, at times (T,) > 0; inner (T, m, r) of descent.

    alive is called with every evaluation, so that an interruption can end it.
    """
    start = Weights.of(setup.problem, setup.inner)

    def field(t: float, theta: Array) -> Array:
        alive()
        return flow(t, theta)

    found = states_at(field, flow.pack(start), np.concatenate([[0.0], times]))[1:]
    U = np.stack([flow.unpack(np.ascontiguousarray(theta)).U for theta in found])
    axes = (1, 2)
    return [float(x) for x in np.linalg.norm(inner - U, axis=axes) / np.linalg.norm(U - start.U, axis=axes)]
