"""A recorded run: its rows as states of the flow, and the problem it belongs to, rebuilt from the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array, Integers, Sides
from gflow.field.branch import Tolerances
from gflow.flow.state import FlowState
from gflow.flow.steps import Manner
from gflow.problem.activation import smoothing_of
from gflow.problem.dataset import Dataset
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.problem.span import Span, row_norms
from gflow.problem.surfaces import group_surfaces
from gflow.trajectory.record import Record

BLOCK_BYTES = 16 * 1024 * 1024

Block = Mapping[str, NDArray[Any]]  # name -> one row or some of them; dtypes differ


@dataclass(frozen=True, slots=True)
class RecordedRow:
    """One row as stored: its number, v = log(1 + t), tau, parameters, margins p (n,), pattern (m, n) and log L."""

    row: int
    v: float
    tau: float
    parameters: Parameters
    p: Array
    pattern: Sides
    log_loss: float

    @classmethod
    def of(cls, row: int, values: Block, network: Network) -> RecordedRow:
        """The row made from the datasets `names_of_state` at one row."""
        parameters = Parameters(values["inner"], values.get("outer", network.outer), values.get("output_bias"))
        v, tau, log_loss = (float(values[name]) for name in ("log1p_time", "tau", "log_loss"))
        return cls(row, v, tau, parameters, values["margins"], values["pattern"], log_loss)

    @property
    def U(self) -> Array:  # noqa: N802 (the matrix of the literature)
        """Inner parameters (m, r)."""
        return self.parameters.U

    @property
    def outer(self) -> Array:
        """The outer layer (m,), or (K, m) for several outputs."""
        return self.parameters.outer

    @property
    def bias(self) -> Array | None:
        """The bias of the outputs (K,); None without one."""
        return self.parameters.output_bias

    def side(self, problem: Problem) -> Sides:
        """The sides (m, H) of all pairs, 0 where a pair slides."""
        return np.sign(self.pattern[:, problem.surfaces.first_sample])

    def state(self, problem: Problem, h: float = 0.0) -> FlowState:
        """The flow at the row.  h: the step that an integrator would try next."""
        return FlowState(self.tau, self.v, self.parameters, self.side(problem), self.p, self.log_loss, h)


def names_of_state(record: Record) -> tuple[str, ...]:
    """The datasets along the rows that a `RecordedRow` is made of."""
    trained = ("outer",) if record.trains_outer else ()
    bias = ("output_bias",) if record.form.has_output_bias else ()
    return ("log1p_time", "tau", "inner", "margins", "log_loss", "pattern", *trained, *bias)


@dataclass(frozen=True)
class RecordedRun:
    """A trajectory with its problem.  Rows count from 0; -1 is the last."""

    trajectory: Record
    problem: Problem

    @classmethod
    def of(cls, trajectory: Record) -> Self:
        """Rebuild the problem; its span coordinates are those of the record."""
        return cls(trajectory, problem_of(trajectory))

    @cached_property
    def log1p_time(self) -> Array:
        """(T,) v = log(1 + t)."""
        return self.trajectory.log1p_time

    @cached_property
    def tau(self) -> Array:
        """(T,)"""
        return self.trajectory.tau

    @cached_property
    def log_loss(self) -> Array:
        """(T,)"""
        return self.trajectory.log_loss

    @property
    def event_counts(self) -> Integers:
        """(T,) events up to each row."""
        return np.rint(self.trajectory.series["events"]).astype(np.int64)

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
        tolerances = Tolerances(float(facts["rtol"]), float(facts["atol"]))
        return Manner(str(facts["engine"]), str(facts["method"]), tolerances)

    @property
    def inner_initial(self) -> Array:
        """W (m, d) at the start, or b (m, 1) of a scalar network."""
        scalar = self.problem.network.directions is not None
        return self.trajectory.read("inner", 0) if scalar else self.trajectory.W_initial

    @cached_property
    def test(self) -> Dataset | None:
        """The test samples; None without them."""
        X, y = self.trajectory.X_test, self.trajectory.y_test
        return None if X is None or y is None else Dataset(X, y)

    @cached_property
    def outside(self) -> Array:
        """W_perp (m, d), the part of the first layer that the flow cannot move; zeros for a scalar network."""
        W = self.trajectory.W_initial
        if self.problem.network.directions is not None:
            return np.zeros_like(W)
        return self.problem.span.outside(W)

    @cached_property
    def outside_norms(self) -> Array:
        """(m,) |w_j| outside the span of the samples, which never changes."""
        return row_norms(self.outside)

    def weights(self, U: Array) -> Array:
        """W (m, d) at inner parameters U (m, r)."""
        directions = self.problem.network.directions
        if directions is not None:
            return np.asarray(U * directions)
        return np.asarray(self.outside + U @ self.problem.span.B)

    def row(self, row: int) -> RecordedRow:
        """One row as stored."""
        values = {name: self.trajectory.read(name, row) for name in names_of_state(self.trajectory)}
        return RecordedRow.of(self.trajectory.number_of(row), values, self.problem.network)

    def each_row(self) -> Iterator[RecordedRow]:
        """All rows in order, read in blocks."""
        names = names_of_state(self.trajectory)
        columns = zip(*(self.values(name) for name in names), strict=True)
        for row, values in enumerate(columns):
            yield RecordedRow.of(row, dict(zip(names, values, strict=True)), self.problem.network)

    def state(self, row: int) -> FlowState:
        """The flow at a row; its side at a sliding pair is 0."""
        return self.row(row).state(self.problem)

    def values(self, name: str) -> Iterator[NDArray[Any]]:
        """One dataset (T, ...) row by row, read in blocks; Any: dtypes differ."""
        for block in self.blocks(name):
            yield from block

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """One dataset (T, ...) in blocks of rows (k, ...) of bounded memory; Any: dtypes differ."""
        one = max(int(np.asarray(self.trajectory.read(name, 0)).nbytes), 1)
        length = max(BLOCK_BYTES // one, 1)
        for first in range(0, self.trajectory.n_rows, length):
            yield self.trajectory.read(name, slice(first, first + length))


def problem_of(record: Record) -> Problem:
    """The problem of a record, from nothing but what it keeps."""
    X, y, basis, directions = record.X, record.y, record.basis, record.directions
    facts, bias = record.facts, record.output_bias
    network = Network(
        record.outer_at(0),
        float(facts["slope"]),
        record.trains_outer,
        smoothing_of(str(facts["activation"]), facts),
        directions,
        None if bias is None else bias[0],
    )
    loss = LOSSES[str(facts["loss"])]
    if directions is not None:
        return Problem.of(X, y, network, loss)
    span = Span(C=X @ basis.T, B=basis)
    return Problem(X, y, network, loss, span, group_surfaces(span.C))
