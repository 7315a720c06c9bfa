"""Flows from arrays, without files: `integrate` and `steps`, for notebooks, tests and loops over many problems."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController

from gflow.arrays import Array
from gflow.assembly import Setup, build_flow, build_setup, build_until
from gflow.errors import ScenarioError
from gflow.field.branch import Measure, Measures
from gflow.flow.items import Item
from gflow.flow.state import Event, Finish, FlowRow
from gflow.pipeline.arrays import (
    NetworkOptions,
    arrays_of,
    both_or_none,
    flow_of,
    scenario_around,
    scenario_for,
    setup_of,
    times_of,
)
from gflow.pipeline.ends import End
from gflow.pipeline.flow_file import header
from gflow.pipeline.recording import Recording
from gflow.pipeline.simulation import check_loss
from gflow.problem.problem import Problem
from gflow.scenario import Scenario
from gflow.trajectory import EventLog, Flow, Row
from gflow.trajectory.flow import ended
from gflow.trajectory.rows import Fact


def integrate(
    X: ArrayLike,  # noqa: N803 (the matrices of the literature)
    y: ArrayLike,
    W: ArrayLike,  # noqa: N803
    a: ArrayLike,
    *,
    until: End,
    activation: str = "relu",
    slope: float | None = None,
    bandwidth: float | None = None,
    train_outer: bool = False,
    bias: ArrayLike | None = None,
    output_bias: ArrayLike | None = None,
    directions: ArrayLike | None = None,
    loss: str = "logistic",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    engine: str = "auto",
    method: str = "auto",
    rows: int | Sequence[float] | Array = 200,
    spacing: str = "log",
    budget: Mapping[str, float] | None = None,
    X_test: ArrayLike | None = None,  # noqa: N803
    y_test: ArrayLike | None = None,
) -> Flow:
    """Integrate the gradient flow of f(x) = sum_j a_j phi(<w_j, x> + b_j) from arrays; nothing is written.

    X (n, d); y (n,) in {-1, +1}, or classes 0, ..., K - 1; W (m, d) at the start; a (m,), or (K, m) for K >= 3 outputs
    with softmax cross-entropy.  activation: relu, leaky_relu (slope in [0, 1)), linear, smooth_leaky_relu (slope in
    (0, 1)) or huberized_relu (bandwidth > 0).  bias (m,): of the neurons, trained with W, whose last column they are.
    output_bias (K,): of several outputs.  directions (m, d), unit rows v_j: the network is sum_j a_j phi(b_j <v_j, x>)
    with W = b (m,), a and b trained, |a_j| = |b_j| (Telgarsky, Theorem 3.3).  loss: logistic or exponential.

    until: `time(20.0)`, `log_time(100.0)`, `log_loss(-10.0)`, `certified()`, or several joined by `|`.  rows: how many,
    spread by spacing (log, loglog or linear in time), or their times t.  rtol, atol, engine, method and budget are
    those of `flow` in a scenario, except for a budget of `disk`.  X_test (k, d) and y_test (k,): samples that are
    predicted in every row and not trained on; then there are the series test_log_loss, test_accuracy and
    train_accuracy.  The flow is that of `simulate` to the last bit.  Raises ScenarioError for whatever does not fit.
    """
    asked, options = "gflow.integrate", NetworkOptions(activation, slope, bandwidth, train_outer)
    words, times = flow_of(asked, until, engine, method, rtol, atol, budget), times_of(asked, rows, spacing)
    arrays = arrays_of(asked, W, a, bias, output_bias, directions)
    test = both_or_none(asked, X_test, y_test)
    scenario = scenario_for(asked, options.model(asked, arrays), loss, words, times, test is not None)
    with _one_thread():  # small matrices, as in a run
        return _followed(scenario, setup_of(asked, scenario, (X, y), arrays, test))


def integrated(scenario: Scenario) -> Flow:
    """The flow of a scenario in memory: that of `simulate` to the last bit, and nothing is written.

    Raises ScenarioError as `simulate` does.
    """
    with _one_thread():
        return _followed(scenario, build_setup(scenario))


def steps(
    problem: Problem,
    start: ArrayLike,
    until: End,
    *,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    engine: str = "auto",
    method: str = "auto",
    rows: int | Sequence[float] | Array = 2,
    spacing: str = "log",
    budget: Mapping[str, float] | None = None,
) -> Iterator[Item]:
    """The gradient flow of a problem while it is integrated, item by item: `gflow.items` tells which, in which order.

    problem, start: as `from_arrays` gives them; start W (m, d), or b (m, 1) of the scalar network, is the first layer
    at t = 0.  The other arguments are those of `integrate`; its rows are in this stream to the last bit, and steps and
    events do not depend on where rows are asked for.  Each step is an `Advance`: its `log1p_time`, `tau`, `margins` and
    `parameters`, at any parts of the way; items are values, and may be kept.  The flow goes on as far as it is asked
    for.  What does not fit raises ScenarioError at once; every foreseen end is a `Finish`.
    """
    asked = "gflow.steps"
    if not isinstance(problem, Problem):
        raise ScenarioError(f"{asked}: problem is {type(problem).__name__}; use the one that gflow.from_arrays gives")
    words, times = flow_of(asked, until, engine, method, rtol, atol, budget), times_of(asked, rows, spacing)
    scenario, setup = scenario_around(asked, problem, start, words, times)
    with _one_thread():
        return _on_one_thread(build_flow(scenario, setup, build_until(scenario), advances=True))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within, the libraries of linear algebra take one thread."""
    with _libraries("torch" in sys.modules).limit(limits=1):
        yield


@cache
def _libraries(_: bool) -> ThreadpoolController:
    """Those that are loaded: to find them takes as long as a small flow, and torch brings some of its own."""
    return ThreadpoolController()


def _on_one_thread(flow: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made on one thread of the linear algebra, as in a run; the caller's code keeps its own."""
    while True:
        with _one_thread():
            item = next(flow, None)
        if item is None:
            return
        yield item


def _followed(scenario: Scenario, setup: Setup) -> Flow:
    """The flow to its end, in memory.  Raises ScenarioError where it starts at or below the loss it is to reach."""
    until, recording = build_until(scenario), Recording(setup)
    rows, events, outcome = list[Row](), EventLog(), dict[str, Fact]()
    for item in build_flow(scenario, setup, until):
        match item:
            case Event():
                events.append(recording.event(item))
            case FlowRow():
                if not rows:
                    check_loss(until, item)
                rows.append(recording.row(item))
            case Measure() | Measures():
                recording.measure(item)
            case Finish():
                outcome = ended(item.outcome.value, item.sentence)
    return Flow(header(scenario, setup), rows, events.events(), outcome)
