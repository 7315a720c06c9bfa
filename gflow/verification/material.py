"""What is checked: a trajectory, the problem it is the flow of, and its rows, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.field.branch import Tolerances
from gflow.flow.steps import Manner
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.trajectory import Trajectory

BLOCK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One row as stored: U (m, r), outer (m,) or (K, m), output bias (K,), margins p (n,), pattern (m, n)."""

    row: int
    U: Array
    outer: Array
    bias: Array | None
    p: Array
    pattern: NDArray[np.int8]
    log_loss: float


@dataclass(frozen=True)
class Material:
    """A trajectory and its problem, which was rebuilt from the file alone."""

    trajectory: Trajectory
    problem: Problem

    @cached_property
    def rtol(self) -> float:
        """The tolerance of the run."""
        return float(self.trajectory.facts["rtol"])

    @property
    def primal(self) -> bool:
        """Was the run integrated in primal coordinates, whose margins the weights determine?"""
        return str(self.trajectory.facts["engine"]) == "primal"

    @cached_property
    def manner(self) -> Manner:
        """How the run was integrated, as the file says."""
        facts = self.trajectory.facts
        return Manner(
            str(facts["engine"]), str(facts["method"]), Tolerances(float(facts["rtol"]), float(facts["atol"]))
        )

    @property
    def inner_initial(self) -> Array:
        """W (m, d) at the start, or b (m, 1) of a scalar network."""
        scalar = self.problem.network.directions is not None
        return self.trajectory.read("inner", 0) if scalar else self.trajectory.W_initial

    @cached_property
    def v(self) -> Array:
        """(T,) log(1 + t)."""
        return self.trajectory.log1p_time

    @cached_property
    def tau(self) -> Array:
        """(T,)"""
        return self.trajectory.tau

    @cached_property
    def log_loss(self) -> Array:
        """(T,)"""
        return self.trajectory.log_loss

    @cached_property
    def outside(self) -> Array:
        """W_perp (m, d), the part of the first layer that the flow cannot move; zeros for a scalar network."""
        W = self.trajectory.W_initial
        if self.problem.network.directions is not None:
            return np.zeros_like(W)
        return self.problem.span.outside(W)

    @cached_property
    def outside_norms(self) -> Array:
        """(m,)"""
        return row_norms(self.outside)

    @property
    def event_counts(self) -> NDArray[np.int64]:
        """(T,) events up to each row."""
        return np.rint(self.trajectory.series["events"]).astype(np.int64)

    def weights(self, U: Array) -> Array:
        """W (m, d) at inner parameters U (m, r)."""
        directions = self.problem.network.directions
        if directions is not None:
            return np.asarray(U * directions)
        return np.asarray(self.outside + U @ self.problem.span.B)

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """One dataset in blocks of rows of bounded memory; Any: dtypes differ."""
        one = max(int(np.asarray(self.trajectory.read(name, 0)).nbytes), 1)
        length = max(BLOCK_BYTES // one, 1)
        for first in range(0, self.trajectory.n_rows, length):
            yield self.trajectory.read(name, slice(first, first + length))

    def rows(self, name: str) -> Iterator[NDArray[Any]]:
        """One dataset row by row, read in blocks; Any: dtypes differ."""
        for block in self.blocks(name):
            yield from block

    def snapshot(self, row: int) -> Snapshot:
        """One row."""
        read = self.trajectory.read
        bias = read("output_bias", row) if self.problem.network.output_bias is not None else None
        outer, p = self.trajectory.outer_at(row), read("margins", row)
        return Snapshot(row, read("inner", row), outer, bias, p, read("pattern", row), float(read("log_loss", row)))

    def snapshots(self) -> Iterator[Snapshot]:
        """All rows in order."""
        network = self.problem.network
        outer = self.rows("outer") if network.trains_outer else None
        bias = self.rows("output_bias") if network.output_bias is not None else None
        both = zip(self.rows("inner"), self.rows("margins"), self.rows("pattern"), self.log_loss, strict=True)
        for row, (U, p, pattern, log_loss) in enumerate(both):
            a = network.outer if outer is None else next(outer)
            yield Snapshot(row, U, a, None if bias is None else next(bias), p, pattern, float(log_loss))
