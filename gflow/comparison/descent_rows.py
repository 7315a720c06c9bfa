"""The rows of `descent.h5` by run, as states on the clock of the flow; read in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.comparison.paired_run import StateSeries
from gflow.flow.state import FlowState
from gflow.problem.problem import Problem
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRow, names_of_state

# The most memory that the blocks of all runs may take together.
BLOCK_BYTES = 256 * 1024 * 1024
SERIES = ("stable_rank", "normalized_margin", "test_accuracy", "test_log_loss")
"""Those of `StateSeries`; the last two only where there are test samples."""

Block = dict[str, NDArray[Any]]  # name -> some rows; dtypes differ


class DescentRows:
    """The rows of all runs, `counts[run]` of each, in the order of `runs`; rows of a run are not adjacent on disk."""

    def __init__(self, descent: Trajectory, problem: Problem, runs: Sequence[tuple[float, int | None]]) -> None:
        """runs: the step size of each, and its seed where each has its own."""
        eta = descent.read("eta")
        seed = descent.read("seed") if descent.form.has_seeds else np.zeros(eta.size)
        self._places = [np.flatnonzero((eta == each) & (seed == (own or 0))) for each, own in runs]
        self.counts = [places.size for places in self._places]
        self._descent, self._problem = descent, problem
        self._series = [name for name in SERIES if name in descent.series]
        self._names = (*names_of_state(descent), *(f"series/{name}" for name in self._series))
        row = sum(np.asarray(descent.read(name, 0)).nbytes for name in self._names)
        self._length = max(1, BLOCK_BYTES // (row * len(runs)))
        self._blocks: dict[int, tuple[int, Block]] = {}

    def state(self, run: int, k: int) -> FlowState:
        """Row k of a run; a pre-activation of exactly 0 is on the - side, as the step takes it."""
        row = RecordedRow.of(k, self._row(run, k), self._problem.network)
        state = row.state(self._problem)
        return replace(state, side=np.where(state.side == 0, -1, state.side).astype(np.int8))

    def series(self, run: int, k: int) -> StateSeries:
        """What is shown of row k of a run."""
        row = self._row(run, k)
        return StateSeries.of({name: float(row[f"series/{name}"]) for name in self._series})

    def all(self, run: int, name: str, first: int = 0) -> NDArray[Any]:  # Any: dtypes differ
        """One dataset (T, ...), the T rows of a run from its row `first` on."""
        return self._descent.read(name, self._places[run][first:])

    def _row(self, run: int, k: int) -> Block:
        first, block = self._blocks.get(run, (0, {}))
        if not block or not first <= k < first + len(block["tau"]):
            first = k - k % self._length
            places = self._places[run][first : first + self._length]
            block = {name: self._descent.read(name, places) for name in self._names}
            self._blocks[run] = first, block
        return {name: values[k - first] for name, values in block.items()}
