"""The stream of a flow from arrays: the rows of `integrate` to the last bit, and closed forms inside the steps."""

from __future__ import annotations

from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

import gflow
from gflow.errors import GflowError, ScenarioError
from gflow.field.transition import EventKind
from gflow.flow.choice import SWITCHING, TAYLOR
from gflow.flow.items import Advance, Event, Finish, FlowProgress, FlowRow, Item
from gflow.problem.problem import Problem
from tests.test_integrate import NETWORKS, A, M, N, Told, W, X, Y, by_arrays

Array = NDArray[np.float64]
Kind = TypeVar("Kind")
PARTS = np.linspace(0.0, 1.0, 9)


def posed(name: str) -> tuple[Problem, Array]:
    given: Told = {"y": Y, "W": W, "a": A} | NETWORKS[name][0]
    return gflow.from_arrays(X, **given)


def stream(name: str, **more: Any) -> list[Item]:  # Any: keywords of steps
    given: Told = {"until": gflow.log_time(4.0), "rows": 8, "spacing": "loglog"}
    return list(gflow.steps(*posed(name), **(given | more)))


def of(kind: type[Kind], items: list[Item]) -> list[Kind]:
    return [item for item in items if isinstance(item, kind)]


@pytest.mark.parametrize("name", NETWORKS)
def test_it_has_the_rows_and_events_of_integrate_to_the_last_bit(name: str) -> None:
    (problem, start), flow, items = posed(name), by_arrays(name), stream(name)
    rows, events = of(FlowRow, items), of(Event, items)
    states = [row.state for row in rows]
    np.testing.assert_array_equal([state.v for state in states], flow.log1p_time)
    np.testing.assert_array_equal([state.p for state in states], flow.margins)
    np.testing.assert_array_equal([state.U for state in states], flow.read("inner"))
    np.testing.assert_array_equal([problem.weights(s.U, start) for s in states], [flow.weights(k) for k in range(8)])
    np.testing.assert_array_equal([event.v for event in events], flow.events.log1p_time)
    np.testing.assert_array_equal([event.neuron for event in events], flow.events.neuron)
    assert isinstance(items[-1], Finish) and items[-1].outcome.value == flow.outcome


@pytest.mark.parametrize("name", ["leaky", "both layers", "classes", "scalar"])
def test_the_states_inside_steps_are_those_of_rows(name: str) -> None:
    """Rows in the middle of every step: the method's own states there, against the dense output."""
    problem, _ = posed(name)
    whole = of(Advance, stream(name, rows=2))
    middle = [float(np.expm1(step.log1p_time(0.5)[0])) for step in whole]
    rows = [row.state for row in of(FlowRow, stream(name, rows=[t for t in middle if t > 0.0]))][1:-1]
    assert len(rows) == len(whole) > 10
    for step, state in zip(whole, rows, strict=True):
        inside = step.parameters(0.5)
        assert inside.U.shape == (1, *state.U.shape)
        np.testing.assert_allclose(inside.U[0], state.U, rtol=0.0, atol=1e-6)
        np.testing.assert_allclose(step.margins(0.5)[0], state.p, rtol=0.0, atol=1e-6)
        outer = inside.outer[0] if problem.network.trains_outer else inside.outer
        np.testing.assert_allclose(outer, state.parameters.outer, rtol=0.0, atol=1e-6)
        assert step.tau(0.5)[0] == pytest.approx(state.tau, rel=1e-6)


@pytest.mark.parametrize("engine", ["dual", "primal"])
def test_a_flow_in_closed_form_inside_its_steps(engine: str) -> None:
    """One leaky neuron, one sample, exponential loss: e^(s w) = e^(s w_0) + s^2 t up to w = 0, then e^w = 1 + t - t_0.

    From w_0 = -1 with s = 1/2, t_0 = 4 (1 - e^(-1/2)).
    """
    problem, start = gflow.from_arrays(
        [[1.0]], [1.0], [[-1.0]], [1.0], activation="leaky_relu", slope=0.5, loss="exponential"
    )
    crossed, seen = 4.0 * (1.0 - np.exp(-0.5)), 0
    for item in gflow.steps(problem, start, gflow.time(20.0), engine=engine, rtol=1e-10, atol=1e-12):
        if isinstance(item, Event):
            assert item.kind is EventKind.CROSS_UP and np.expm1(item.v) == pytest.approx(crossed, rel=1e-9)
        if isinstance(item, Advance):
            t = np.expm1(item.log1p_time(PARTS))
            before, after = np.exp(-0.5) + 0.25 * t, 1.0 + t - crossed
            w = 2.0 * np.log(before) if item.side[0, 0] < 0 else np.log(after)
            p = np.log(before) if item.side[0, 0] < 0 else w
            inside = problem.weights(item.parameters(PARTS).U, start)
            assert inside[:, 0, 0] == pytest.approx(w, abs=1e-8)
            assert item.margins(PARTS)[:, 0] == pytest.approx(p, abs=1e-8)
            seen |= 1 if item.side[0, 0] < 0 else 2
    assert seen == 3, "both sides were seen"


@pytest.mark.parametrize("name", ["leaky", "relu"])
@pytest.mark.parametrize("engine, method", [("dual", TAYLOR), ("dual", SWITCHING), ("primal", SWITCHING)])
def test_items_may_be_kept(name: str, engine: str, method: str) -> None:
    """Asked afterwards they say what they said at once, though events have turned the mode since."""
    at_once = [
        (item.margins(PARTS), item.parameters(PARTS).U, item.tau(PARTS))
        for item in gflow.steps(*posed(name), gflow.log_time(4.0), engine=engine, method=method)
        if isinstance(item, Advance)
    ]
    kept, moved = of(Advance, stream(name, engine=engine, method=method, rows=2)), 0.0
    assert len(kept) == len(at_once)
    for item, (p, U, tau) in zip(kept, at_once, strict=True):
        np.testing.assert_allclose(item.margins(PARTS), p, rtol=0.0, atol=1e-12)
        np.testing.assert_allclose(item.parameters(PARTS).U, U, rtol=0.0, atol=1e-12)
        np.testing.assert_array_equal(item.tau(PARTS), tau)
        moved = max(moved, float(np.abs(item.stretch.parameters(item.states(PARTS)).U - U).max()))
    # Control: by the mode that the engine has now, weights of dual coordinates are others, where one mode is turned.
    assert moved > 1e-3 if (engine, method) == ("dual", SWITCHING) else moved == 0.0


def test_steps_and_events_do_not_depend_on_rows() -> None:
    few, many = stream("leaky", rows=2), stream("leaky", rows=50)
    assert of(FlowProgress, few) == of(FlowProgress, many) and of(Event, few) == of(Event, many)
    assert len(of(FlowRow, many)) == 50 and len(of(FlowProgress, few)) > 10


def test_the_flow_goes_no_further_than_it_is_asked_for() -> None:
    """No budget, and an end that no run reaches in a lifetime of steps."""
    far = gflow.steps(*posed("leaky"), gflow.log_loss(-1e12))
    assert len(list(islice(far, 20))) == 20


def test_the_caller_keeps_the_threads_of_the_linear_algebra() -> None:
    def threads() -> list[int]:
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        for _ in gflow.steps(*posed("leaky"), gflow.log_time(1.0)):
            assert threads() == before


def test_the_start_is_copied() -> None:
    problem, start = posed("leaky")
    flow = gflow.steps(problem, start, gflow.log_time(4.0))
    next(flow)
    start[...] = 0.0
    last = of(FlowRow, list(flow))[-1]
    np.testing.assert_array_equal(last.state.p, by_arrays("leaky").margins[-1])


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"start": W.T}, r"start has shape \(8, 6\); it must be \(width, inputs\) = \(6, 8\)"),
        ({"start": np.full_like(W, np.nan)}, r"start\[0, 0\] is nan"),
        ({"start": [[1.0], [1.0, 2.0]]}, "start is no array"),
        ({"start": 1e200 * W}, r"start\[0, 0\] is .*e\+19.*; every entry must be finite"),
        ({"until": 20.0}, r"until is 20.0; use gflow.time\(t\)"),
        ({"until": gflow.time(-1.0)}, "flow.until.time = -1"),
        ({"rtol": 1e-17}, "flow.rtol = 1e-17: must be at least 1e-13"),
        ({"rows": [2.0, 1.0]}, r"record.times.at\[1\] = 1"),
        ({"rows": [1.0, "late"]}, "rows = 'late': must be a number"),
        ({"method": "Euler"}, "flow.method = Euler"),
        ({"budget": {"disk": 1e6}}, "budget names disk, and nothing is written"),
    ],
)
def test_what_does_not_fit_is_told_at_once(wrong: Told, words: str) -> None:
    problem, start = posed("leaky")
    given: Told = {"start": start, "until": gflow.log_time(4.0)}
    with pytest.raises(ScenarioError, match=words):
        gflow.steps(problem, **(given | wrong))


@pytest.mark.parametrize("name", ["both layers", "classes", "smooth", "huberized", "scalar"])
def test_the_dual_engine_is_refused_where_it_does_not_apply(name: str) -> None:
    with pytest.raises(ScenarioError, match="gflow.steps: flow.engine = dual: does not apply"):
        gflow.steps(*posed(name), gflow.log_time(4.0), engine="dual")
    with pytest.raises(ScenarioError, match="gflow.steps: flow.until.certified"):
        gflow.steps(*posed(name), gflow.certified())


def test_arrays_that_do_not_fit_are_told_in_words() -> None:
    with pytest.raises(ScenarioError, match="gflow.from_arrays: X has 6 samples and y has 5 labels"):
        gflow.from_arrays(X, Y[:-1], W, A)


@pytest.mark.parametrize("at", [-0.1, "x", None, [[0.5]], [0.5, 2.0], float("nan"), 10**400])
@pytest.mark.parametrize("asked", ["states", "tau", "log1p_time", "margins", "parameters"])
def test_what_is_no_part_of_a_step_is_refused_by_all_that_it_shows(asked: str, at: object) -> None:
    problem, start = gflow.from_arrays(np.eye(2), [1.0, -1.0], np.eye(2), [1.0, -1.0])
    step = next(item for item in gflow.steps(problem, start, gflow.time(1.0)) if isinstance(item, gflow.items.Advance))
    with pytest.raises(GflowError, match="from 0 to 1"):
        getattr(step, asked)(at)


def test_no_parts_of_a_step_have_no_states() -> None:
    step = of(Advance, stream("both layers"))[0]
    assert step.margins([]).shape == (0, N) and step.log1p_time([]).shape == (0,)
    assert step.parameters([]).U.shape == (0, M, N) and step.parameters([]).outer.shape == (0, M)


def test_a_problem_of_another_kind_is_refused_in_words() -> None:
    with pytest.raises(ScenarioError, match="problem is str; use the one that gflow.from_arrays gives"):
        gflow.steps("problem", np.eye(2), gflow.time(1.0))  # type: ignore[arg-type]
