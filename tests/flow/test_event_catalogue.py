"""The catalogue of events: every way in which events fall, each with its answer by hand, on both engines.

`CASES` is the table in tests/flow/event_cases.py.

| case | where |
|---|---|
| on a kink at t0: crosses, slides, leaves, rests | `CASES`, `test_a_start_on_the_kink_of_one_sample`, test_kinks |
| just off a kink at t0 | `test_an_event_right_after_the_start` |
| at a record time, at the end, one number before or after | `test_a_row_at_an_event`, `test_the_end_at_an_event` |
| at the loss that ends the run | `test_the_loss_of_an_event_ends_the_run` |
| going on from a row at an event | `test_going_on_from_a_row_at_an_event`; files and kills: tests/test_resume.py |
| two and many neurons at one instant | `CASES`; duplicated neurons: test_kinks |
| one neuron on two and three surfaces at one instant | `CASES`; dependent surfaces, w = 0: test_kinks, test_origin |
| repeated samples (one surface), antipodal samples | `CASES`; repeated with the other label: test_kinks |
| double crossing inside one step | `test_two_crossings_inside_one_step`; polynomials: tests/ode/test_bernstein.py |
| touch, and near-touch from both sides | `test_a_touch`, `test_a_near_touch` and its two sisters |
| crossing back right after an event | `CASES` |
| leaving and arriving at one instant | `CASES`: one neuron; `test_one_leaves_as_the_other_arrives`: two |
| a neuron dies at 0 (ReLU) | `CASES`; on dependent kinks: test_kinks; both layers: tests/primal/test_corners.py |
| events that accumulate | no flow that does was found; the outcome is in tests/comparison/test_command.py |

Order of events.  They come in the order of time; those of one instant by neuron, then surface (one surface a group of
parallel samples, numbered by first samples).  Instants are the same when they are the same to rounding: what one
function of the state brings about.  Events that coincide in the exact flow for unrelated reasons are located to
the tolerance each, and come in the order of the times located.

Rows.  A row at the instant of an event shows the pattern before it and does not count it: the event follows the row,
within rounding of its time.  So an event at the very end is no part of the run, and is the first thing that comes when
the run goes on.  FlowRow 0 is the exception: it shows what was decided on the kinks of the start, for which there are
no events.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import exp, expm1, log1p, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq

from gflow.field.branch import Tolerances
from gflow.field.transition import EventKind
from gflow.flow.engine import Engine
from gflow.flow.state import Event, FlowProgress, FlowRow, Outcome
from gflow.flow.steps import Manner, engine_of, steps
from gflow.flow.stopping import Until
from gflow.problem.problem import Problem
from tests.flow.driver import Result, followed, until_time
from tests.flow.event_cases import CASES, DOWN, LEAVE_DOWN, LEAVE_UP, SLIDE, UP, problem, returning
from tests.flow.tracers import FAR, PUSHING, SIZE, SPECTATOR, TRAPPING, Drive

Array = NDArray[np.float64]
WAYS = [
    ("dual", "taylor"),
    ("primal", "taylor"),
    ("dual", "DOP853"),
    ("dual", "Radau"),
    ("primal", "DOP853"),
    ("primal", "Radau"),
]
RTOL = {"taylor": 1e-10, "DOP853": 1e-10, "Radau": 1e-8}
on_both_engines = pytest.mark.parametrize("engine, method", WAYS)
three_ways = pytest.mark.parametrize("engine, method", WAYS[:4])
"""Without the slowest: many parameters by an implicit method."""


def start(P: Problem, W: Array, engine: str, rtol: float) -> Engine:
    return engine_of(P, W, Manner(engine, tolerances=Tolerances(rtol, rtol / 100.0)))


def run(
    P: Problem,
    W: Array,
    until: Until,
    engine: str,
    method: str,
    rows: Sequence[float] = (),
    rtol: float | None = None,
    origin: FlowRow | None = None,
) -> Result:
    """A run with rows at both ends and at the times v = log(1 + t); its events are checked against its rows."""
    checkpoint, side = (None, None) if origin is None else (origin.checkpoint, origin.state.side)
    result = followed(start(P, W, engine, rtol or RTOL[method]), until, method, rows, checkpoint)
    assert_replayed(result, side)
    return result


def assert_replayed(result: Result, side: NDArray[np.int8] | None) -> None:
    """Each event leaves the side that the pair was on, and the events before a row give its pattern; time never falls.

    side: before the first item, where that is not a row.
    """
    times = [e.v for e in result.events]
    assert times == sorted(times)
    now, done = (result.rows[0].state.side if side is None else side).copy(), 0
    for row, counted in zip(result.rows, result.counted, strict=True):
        for event in result.events[done:counted]:
            before = int(now[event.neuron, event.surface])
            assert before in {UP: (-1,), DOWN: (1,), SLIDE: (-1, 1)}.get(event.kind, (0,))
            after = {UP: 1, LEAVE_UP: 1, DOWN: -1, LEAVE_DOWN: -1, SLIDE: 0}[event.kind]
            now[event.neuron, event.surface] = after
        np.testing.assert_array_equal(row.state.side, now)
        assert all(e.v <= row.state.v for e in result.events[:counted])
        assert all(e.v >= row.state.v for e in result.events[counted:])
        done = counted
    assert done == len(result.events)


def told(events: Sequence[Event]) -> list[tuple[int, int, EventKind]]:
    return [(e.neuron, e.surface, e.kind) for e in events]


def preactivations(result: Result, row: int = -1) -> Array:
    """z (m, n) at a row; all of these samples span the space of the weights."""
    return np.asarray(result.engine.problem.preactivations(result.rows[row].state.U))


@cache
def solved(name: str, engine: str, method: str) -> Result:
    return run(*CASES[name].setting, until_time(CASES[name].end), engine, method)


@pytest.mark.sample("*-taylor", "*-DOP853", "*-dual-Radau")
@on_both_engines
@pytest.mark.parametrize("name", list(CASES))
def test_all_events_on_time_and_in_order(name: str, engine: str, method: str) -> None:
    case, result = CASES[name], solved(name, engine, method)
    assert told(result.events) == [event[1:] for event in case.events]
    assert [expm1(e.v) for e in result.events] == pytest.approx([event[0] for event in case.events], abs=case.within)
    assert len(result.rows) == 2
    z = preactivations(result) / case.unit
    assert [z[pair] for pair in case.z] == pytest.approx(list(case.z.values()), abs=1e-7)
    assert {pair: int(result.rows[0].state.side[pair]) for pair in case.sides} == case.sides


@pytest.mark.sample("*-taylor", "*-DOP853", "*-dual-Radau")
@on_both_engines
@pytest.mark.parametrize("name", list(CASES))
def test_events_of_one_instant_have_one_time(name: str, engine: str, method: str) -> None:
    """To the last bit, and in the order of neuron, then surface."""
    case, result = CASES[name], solved(name, engine, method)
    for t in {event[0] for event in case.events}:
        together = [e for e, event in zip(result.events, case.events, strict=True) if event[0] == t]
        assert len({e.v for e in together}) == 1
        assert [(e.neuron, e.surface) for e in together] == sorted((e.neuron, e.surface) for e in together)


@on_both_engines
@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_antipodal_samples_have_opposite_sides(slope: float, engine: str, method: str) -> None:
    """One surface, and a pattern in which the samples differ."""
    name = "antipodal samples, leaky" if slope else "antipodal samples"
    result = solved(name, engine, method)
    patterns = [result.engine.problem.sample_sides(row.state.side).tolist() for row in result.rows]
    assert patterns == [[[-1, 1], [1, -1]], [[1, -1], [-1, 1]]]


@on_both_engines
@pytest.mark.parametrize("slope, outer, side", [
    (0.0, -1.0, 0), (0.3, -1.0, -1),  # trapping: ReLU is held, leaky crosses down
    (0.0, 1.0, 0), (0.3, 1.0, 1),  # pushing: the least element of [0, 1] rests, that of [lk, 1] goes up
])  # fmt: skip
def test_a_start_on_the_kink_of_one_sample(slope: float, outer: float, side: int, engine: str, method: str) -> None:
    """p = log(1 + k t) with k = 1 above, slope^2 below and 0 at rest; row 0 shows the side, and no event does."""
    P = problem([[1.0, 0.0]], [1.0], [outer], slope)
    result = run(P, np.array([[0.0, 1.0]]), until_time(5.0), engine, method)
    assert [row.state.side.tolist() for row in result.rows] == [[[side]], [[side]]]
    assert result.events == []
    assert result.state.p[0] == pytest.approx(log1p({0: 0.0, 1: 1.0, -1: slope**2}[side] * 5.0), abs=1e-7)


@on_both_engines
@pytest.mark.parametrize("zeta", [1e-6, 1e-9])
def test_an_event_right_after_the_start(zeta: float, engine: str, method: str) -> None:
    """z_3 = zeta - t / 14 + O(t^2): off the kink, so it is met, at a time known relative to itself."""
    result = run(*SPECTATOR.problem([FAR, FAR, zeta]), until_time(1.0), engine, method)
    assert told(result.events) == [(0, 2, DOWN)]
    exact = brentq(lambda t: zeta + SPECTATOR.above(t), 0.0, 1.0, xtol=1e-18, rtol=1e-14)
    assert expm1(result.events[0].v) == pytest.approx(exact, rel=1e-5)


# A crossing, a slide, a departure, two events of one neuron, 32 neurons: by case and number of the event.
INSTANTS = [
    ("down and up", 0),
    ("slide and leave", 0),
    ("slide and leave", 1),
    ("slides from t0, leaves as it crosses", 0),
    ("32 at one instant, leaky", 0),
]
at_instants = pytest.mark.parametrize("name, number", INSTANTS)


def instant(name: str, number: int, engine: str, method: str) -> tuple[float, int]:
    """v of this event, and how many events there are until and with those of its instant."""
    result = solved(name, engine, method)
    v = result.events[number].v
    return v, sum(e.v <= v for e in result.events)


def ulps(v: float, count: int) -> float:
    """The number that lies `count` representable numbers after v."""
    return v + count * float(np.spacing(v))


@three_ways
@at_instants
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_row_at_an_event(name: str, number: int, offset: int, engine: str, method: str) -> None:
    """At the very time, and one number before: the pattern before it; one number after: the pattern after it."""
    (v, until_then), case, whole = instant(name, number, engine, method), CASES[name], solved(name, engine, method)
    result = run(*case.setting, until_time(case.end), engine, method, rows=[ulps(v, offset)])
    assert [row.state.v for row in result.rows[:2]] == [0.0, ulps(v, offset)]
    assert len(result.rows) == 3
    assert result.counted == [0, until_then if offset > 0 else number, len(case.events)]
    assert told(result.events) == told(whole.events)
    assert [e.v for e in result.events] == pytest.approx([e.v for e in whole.events], abs=case.within)
    z = preactivations(result) / case.unit
    assert [z[pair] for pair in case.z] == pytest.approx(list(case.z.values()), abs=1e-7)


@three_ways
@at_instants
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_the_end_at_an_event(name: str, number: int, offset: int, engine: str, method: str) -> None:
    """An event at the end is no part of the run: the last row shows the pattern before it, once."""
    (v, until_then), case = instant(name, number, engine, method), CASES[name]
    result = run(*case.setting, Until(ulps(v, offset), Outcome.TIME, None), engine, method)
    assert result.finish.outcome is Outcome.TIME
    assert [row.state.v for row in result.rows] == [0.0, ulps(v, offset)]
    assert told(result.events) == [event[1:] for event in case.events[: until_then if offset > 0 else number]]


@three_ways
@at_instants
def test_going_on_from_a_row_at_an_event(name: str, number: int, engine: str, method: str) -> None:
    """After a row, or after the end, at an event: it comes first, once, and all bits are those of the run not cut."""
    (v, _), case = instant(name, number, engine, method), CASES[name]
    whole = run(*case.setting, until_time(case.end), engine, method, rows=[v])
    ended = run(*case.setting, Until(v, Outcome.TIME, None), engine, method)
    for row in (whole.rows[1], ended.rows[-1]):
        rest = run(*case.setting, until_time(case.end), engine, method, origin=row)
        assert rest.events == whole.events[number:]
        assert (rest.state.U == whole.state.U).all()
        assert len(rest.rows) == 1


@on_both_engines
def test_the_loss_of_an_event_ends_the_run(engine: str, method: str) -> None:
    """log L = -p = -3/2 when both neurons are at 0, known to its rounding: ended there once, before or after them."""
    name = "two of different speed at one instant, leaky"
    v, _ = instant(name, 0, engine, method)
    ended = run(*CASES[name].setting, Until(v, Outcome.TIME, None), engine, method)
    level = ended.state.log_loss
    assert level == pytest.approx(-1.5, abs=1e-8)
    result = run(*CASES[name].setting, Until(None, Outcome.LOG_LOSS, level), engine, method)
    assert result.finish.outcome is Outcome.LOG_LOSS
    assert result.state.v == pytest.approx(v, abs=1e-13)
    assert told(result.events) in ([], [(0, 0, DOWN), (1, 0, DOWN)])
    assert len(result.rows) == 2


def step_ends(P: Problem, W: Array, end: float, engine: str, rtol: float) -> list[float]:
    """t at the end of each accepted step."""
    said = steps(P, W, until_time(end), Manner(engine, "DOP853", Tolerances(rtol, rtol / 100.0)))
    return [expm1(each.v) for each in said if isinstance(each, FlowProgress)]


@pytest.mark.parametrize("engine, rtol", [("dual", 1e-3), ("primal", 1e-2)])
def test_two_crossings_inside_one_step(engine: str, rtol: float) -> None:
    """(21 + t)^2 = 60.5 (6 + t) at t = 6.5 and t = 12.

    A spectator moves nothing, so the steps of a run whose tracer stays away show what one step covers.
    """
    away = step_ends(*SPECTATOR.problem([FAR, FAR, 1.0]), 60.0, engine, rtol)
    assert not [t for t in away if 6.5 <= t <= 12.0]
    zeta = -SPECTATOR.above(6.5)
    result = run(*SPECTATOR.problem([FAR, FAR, zeta]), until_time(60.0), engine, "DOP853", rtol=rtol)
    assert told(result.events) == [(0, 2, DOWN), (0, 2, UP)]
    assert [expm1(e.v) for e in result.events] == pytest.approx([6.5, 12.0], abs=10.0 * rtol)
    assert preactivations(result)[0, 2] / SIZE == pytest.approx(zeta + SPECTATOR.above(60.0), abs=rtol)


def met(drive: Drive, zeta: float, least: float) -> float:
    """When a tracer that has its least value, below 0, at t = least comes down to 0."""
    return float(brentq(lambda t: zeta + drive.above(t), least - 1.0, least, xtol=1e-15))


@three_ways
@pytest.mark.parametrize("delta", [1e-3, 1e-6, 1e-9, -1e-9, -1e-6, -1e-3])
def test_a_near_touch(delta: float, engine: str, method: str) -> None:
    """Nothing, or down and up, at the roots of (21 + t)^2 = q (6 + t) with q = 60 e^{-delta}."""
    zeta = delta - SPECTATOR.above(9.0)
    result = run(*SPECTATOR.problem([FAR, FAR, zeta]), until_time(20.0), engine, method, rtol=0.01 * RTOL[method])
    assert told(result.events) == ([] if delta > 0.0 else [(0, 2, DOWN), (0, 2, UP)])
    if delta < 0.0:
        q = 60.0 * exp(-delta)
        half = 0.5 * sqrt(-q * 60.0 * expm1(delta) * exp(-delta))
        middle = 0.5 * (q - 42.0)
        assert [expm1(e.v) for e in result.events] == pytest.approx([middle - half, middle + half], abs=0.1 * half)
    assert preactivations(result)[0, 2] / SIZE == pytest.approx(zeta + SPECTATOR.above(20.0), abs=1e-8)


@three_ways
@pytest.mark.parametrize("delta", [1e-12, 0.0, -1e-12])
def test_a_touch(delta: float, engine: str, method: str) -> None:
    """Closer than the tolerance resolves: no event, or down and up as far apart as the error makes them.

    The state after it is the same to the tolerance, and the tracer is on the side that it came from.
    """
    zeta = delta - SPECTATOR.above(9.0)
    result = run(*SPECTATOR.problem([FAR, FAR, zeta]), until_time(20.0), engine, method)
    assert told(result.events) in ([], [(0, 2, DOWN), (0, 2, UP)])
    assert [expm1(e.v) for e in result.events] == pytest.approx([9.0] * len(result.events), abs=1e-2)
    assert result.state.side[0].tolist() == [1, 1, 1]
    assert preactivations(result)[0, 2] / SIZE == pytest.approx(zeta + SPECTATOR.above(20.0), abs=1e-7)


@three_ways
@pytest.mark.parametrize("delta", [1e-6, 1e-9, -1e-9, -1e-6])
def test_a_near_touch_of_a_pushing_surface_decides_what_follows(delta: float, engine: str, method: str) -> None:
    """Past it the pull of x_3 is gone, so that the tracer is back only at t = 10.07, not at once."""
    zeta = delta - PUSHING.above(8.0)
    result = run(*PUSHING.problem([FAR, FAR, zeta]), until_time(20.0), engine, method, rtol=0.01 * RTOL[method])
    final = zeta + PUSHING.above(20.0)
    assert told(result.events) == ([] if delta > 0.0 else [(0, 2, DOWN), (0, 2, UP)])
    if delta < 0.0:
        first = met(PUSHING, zeta, 8.0)
        back = returning(PUSHING, first)
        assert [expm1(e.v) for e in result.events] == pytest.approx([first, back], abs=0.1 * (8.0 - first))
        final = PUSHING.above(20.0) - PUSHING.above(back)
    assert preactivations(result)[0, 2] / SIZE == pytest.approx(final, abs=1e-7)


@three_ways
@pytest.mark.parametrize("delta", [1e-6, 1e-9, -1e-9, -1e-6])
def test_a_near_touch_of_a_trapping_surface(delta: float, engine: str, method: str) -> None:
    """Held from where it meets the surface until t = 3, where the + rate turns up."""
    zeta = delta - TRAPPING.above(3.0)
    result = run(*TRAPPING.problem([FAR, FAR, zeta]), until_time(10.0), engine, method, rtol=0.01 * RTOL[method])
    assert told(result.events) == ([] if delta > 0.0 else [(0, 2, SLIDE), (0, 2, LEAVE_UP)])
    if delta < 0.0:
        first = met(TRAPPING, zeta, 3.0)
        assert [expm1(e.v) for e in result.events] == pytest.approx([first, 3.0], abs=0.1 * (3.0 - first))
    final = max(delta, 0.0) + TRAPPING.above(10.0) - TRAPPING.above(3.0)
    assert preactivations(result)[0, 2] / SIZE == pytest.approx(final, abs=1e-8)


@on_both_engines
def test_one_leaves_as_the_other_arrives(engine: str, method: str) -> None:
    """Tracer 0 slides from t = 2 and leaves at t = 3, where z_2 = Phi_3(t) - Phi_3(3) of tracer 1 is 0.

    Two instants that agree to the tolerance only: whichever is located first comes first.
    """
    setting = TRAPPING.problem([[FAR, FAR, -TRAPPING.above(2.0)], [FAR, -float(TRAPPING.phi(3.0)[2]), 2.0 * FAR]])
    result = run(*setting, until_time(10.0), engine, method)
    assert told(result.events)[0] == (0, 2, SLIDE)
    assert sorted(told(result.events)[1:]) == [(0, 2, LEAVE_UP), (1, 1, UP)]
    assert [expm1(e.v) for e in result.events] == pytest.approx([2.0, 3.0, 3.0], abs=1e-6)
    z = preactivations(result) / SIZE
    assert z[0, 2] == pytest.approx(TRAPPING.above(10.0) - TRAPPING.above(3.0), abs=1e-7)
    gained = TRAPPING.phi(10.0) - TRAPPING.phi(3.0)
    assert z[1, 1] == pytest.approx(float(gained[1] + gained[2]), abs=1e-7)
