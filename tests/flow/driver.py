"""Run the engine on a problem and keep what it says: the one way in for the tests of the flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.field.mode import DualMode
from gflow.flow.choice import Choice, has_series, method_for
from gflow.flow.dual import dual_engine
from gflow.flow.engine import Engine
from gflow.flow.simulate import flow_items
from gflow.flow.state import Checkpoint, Event, Finish, FlowRow, FlowState, Outcome
from gflow.flow.stopping import Until, spaced
from gflow.flow_time import log1p_of_log_time, log1p_of_time
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.reference.setting import Setting

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Result:
    """The last state, all events and rows in order, how the run ended, and the engine that made them.

    counted: how many of the events came before each row.
    """

    state: FlowState
    events: list[Event]
    rows: list[FlowRow]
    finish: Finish
    engine: Engine
    counted: list[int]

    @property
    def steps(self) -> int:
        """Accepted steps of the integrator."""
        return self.finish.steps

    @property
    def kernel(self) -> Array:
        """K (n, n) of the last mode of a dual run."""
        return DualMode(self.engine.problem, self.state.side).K

    def weights(self, W_initial: Array, row: int = -1) -> Array:
        """The full weights (m, d) at a row: what the flow cannot move, plus U B."""
        return self.engine.problem.weights(self.rows[row].state.U, W_initial)


def flow(
    problem: Problem,
    W: Array,
    until: Until,
    *,
    rtol: float = 1e-8,
    atol: float | None = None,
    method: str = "auto",
    rows: int | Sequence[float] = 2,
) -> Result:
    """Run from W (m, d).  rows: a number (uniform in log(1 + t), both ends counted) or increasing times v = log(1 + t).

    atol is rtol / 100 unless given.
    """
    engine = dual_engine(problem, W, Tolerances(rtol, rtol / 100.0 if atol is None else atol))
    return followed(engine, until, method, rows)


def followed(
    engine: Engine, until: Until, method: str, rows: int | Sequence[float], origin: Checkpoint | None = None
) -> Result:
    """Run an engine, from a checkpoint where one is given, and keep what it says; rows as for `flow`."""
    due: Iterator[float] = spaced("log", rows, until) if isinstance(rows, int) else iter(rows)
    events: list[Event] = []
    kept: list[FlowRow] = []
    counted: list[int] = []
    choice = Choice(method_for(method, has_series(engine.problem.network)))
    for said in flow_items(engine, until, due, choice, origin):
        if isinstance(said, Event):
            events.append(said)
        elif isinstance(said, FlowRow):
            kept.append(said)
            counted.append(len(events))
        elif isinstance(said, Finish):
            return Result(said.state, events, kept, said, engine, counted)
    raise AssertionError("the flow ended without saying how")


def until_time(t: float) -> Until:
    """End at t."""
    return Until(log1p_of_time(t), Outcome.TIME, None)


def until_log_time(log_t: float) -> Until:
    """End at log t."""
    return Until(log1p_of_log_time(log_t), Outcome.LOG_TIME, None)


def problem_of(setting: Setting) -> Problem:
    """The same problem for the engine."""
    return Problem.of(setting.X, setting.y, Network(setting.outer, setting.slope), LOSSES[setting.loss])


def relative_gap(A: Array, B: Array) -> float:
    """|A - B| / |B|, Frobenius."""
    return float(np.linalg.norm(A - B) / np.linalg.norm(B))


def loglog_slope(x: Sequence[float] | Array, y: Sequence[float] | Array) -> float:
    """Least-squares slope of log y against log x."""
    return float(np.polyfit(np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float)), 1)[0])
