"""The pieces: clock, gaps, orders, patterns, events, sentences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gflow.comparison.events import MOST_PAIRS, settled_at, settled_pairs
from gflow.comparison.gaps import Frame, angle, gap
from gflow.comparison.order import fitted_order
from gflow.comparison.paired_run import PairedRun, StateSeries
from gflow.comparison.patterns import EventColumns, genuine, opposed_pairs
from gflow.comparison.sharpness import stability_threshold
from gflow.comparison.timetable import first_tenth, timetable
from gflow.comparison.verdict import Evidence, summary, verdict
from gflow.descent_plan.record import checked_etas, cut_short, horizon, record_steps
from gflow.errors import GflowError
from gflow.field.transition import EventKind
from gflow.flow.state import Event
from gflow.scenario.schema.descent import MOST_STEPS
from tests.flow.driver import flow, problem_of, until_time
from tests.reference.setting import drawn


def test_the_flow_beside_itself_has_no_gap() -> None:
    """Zero gap, zero angle, full agreement of what does not slide, and no order."""
    setting, W = drawn("generic", 0.0, "logistic", 0)
    problem = problem_of(setting)
    found = flow(problem, W, until_time(20.0), rows=30)
    states = [row.state for row in found.rows]
    assert any((state.side == 0).any() for state in states), "something slides"
    frame = Frame(problem, states[0].U, 1.0, states[-1].U)
    course = PairedRun(frame, 0.1)
    for state in states:
        course.row(state, state, (StateSeries(1.0, 0.0, None, None), StateSeries(1.0, 0.0, None, None)), 0.0)
    series = course.series()
    assert series.relative_gap == (None, *[0.0] * (len(states) - 1))
    assert set(series.margin_gap) == {0.0} and set(series.direction_angle) == {0.0}
    assert set(series.pattern_agreement) == set(series.pattern_agreement_all) == {1.0}
    assert series.angle_to_limit is not None and series.angle_to_limit[-1] == pytest.approx(
        np.arctan2(1.0, np.linalg.norm(states[-1].U)), abs=1e-12
    )
    assert course.disagreement(EventColumns.of(found.events)) is None
    top = course.largest_gap(first_tenth(20.0))
    assert top is not None and top[0] == 0.0
    order = fitted_order([0.1, 0.05, 0.025], [top[0]] * 3, 1e-8)
    assert order.slope is None and order.interval is None and order.points == 0


def test_a_gap_of_known_size() -> None:
    setting, W = drawn("generic", 0.3, "logistic", 1)
    problem = problem_of(setting)
    start, end = (row.state for row in flow(problem, W, until_time(2.0), rows=2).rows)
    moved = end.U - start.U
    descent = replace(end, parameters=replace(end.parameters, U=end.U + 0.25 * moved), p=end.p + 0.5)
    seen = gap(Frame(problem, start.U, 3.0), end, descent)
    assert seen.relative == pytest.approx(0.25) and seen.margin == pytest.approx(0.5)
    A, B = np.append(end.U, 3.0), np.append(descent.U, 3.0)
    assert seen.angle == pytest.approx(np.arccos(A @ B / np.linalg.norm(A) / np.linalg.norm(B)), abs=1e-9)
    assert seen.angle_to_limit is None and seen.agreement == 1.0


def test_small_angles_are_exact() -> None:
    """Where the cosine is 1 to all digits."""
    U = np.array([[1.0, 0.0]])
    assert angle(U, np.array([[1.0, 1e-12]]), 0.0, 0.0) == pytest.approx(1e-12, rel=1e-9)
    assert angle(U, -U, 0.0, 0.0) == pytest.approx(np.pi)
    assert angle(U, U, 1.0, 0.0) == pytest.approx(np.pi / 4)
    assert angle(U, 0.0 * U, 0.0, 0.0) == 0.0


@pytest.mark.parametrize("order", [0.5, 1.0, 2.0])
def test_an_exact_power_has_its_order(order: float) -> None:
    etas = [0.1, 0.05, 0.02, 0.01]
    found = fitted_order(etas, [0.3 * eta**order for eta in etas], 1e-12)
    assert found.slope == pytest.approx(order) and found.points == 4
    assert found.interval == pytest.approx((order, order), abs=1e-9)


def test_the_interval_is_that_of_the_regression() -> None:
    """scipy's own regression is the judge; gaps that say nothing are left out."""
    from scipy.stats import linregress, t

    etas, gaps = [0.4, 0.2, 0.1, 0.05, 0.025], [0.9, 0.11, 0.06, 0.02, 1e-12]
    found = fitted_order(etas, gaps, 1e-9)
    judge = linregress(np.log(etas[1:4]), np.log(gaps[1:4]))
    half = t.ppf(0.975, 1) * judge.stderr
    assert found.points == 3 and found.slope == pytest.approx(judge.slope)
    assert found.interval == pytest.approx((judge.slope - half, judge.slope + half))
    assert fitted_order([0.1, 0.05], [0.01, 0.005], 1e-9).interval is None
    assert fitted_order([0.1], [0.01], 1e-9).slope is None


@pytest.mark.parametrize("etas", [[], [0.0], [-0.1], [float("nan")], [float("inf")], [0.1, 0.2, 0.1], [0.1] * 65])
def test_step_sizes_that_cannot_be(etas: list[float]) -> None:
    with pytest.raises(GflowError, match="--eta"):
        checked_etas(etas)


def test_an_end_that_nobody_asked_for_is_told() -> None:
    etas = [0.1, 0.01]
    said = cut_short(horizon(None, 1e300, etas), 1e300, etas)
    assert said is not None and "t = 10000, after 100,000 of its largest steps" in said and "--until-time" in said
    assert cut_short(horizon(None, 20.0, etas), 20.0, etas) is None
    assert cut_short(horizon(7.0, 1e300, etas), 1e300, etas) is None


def test_the_horizon() -> None:
    assert horizon(None, 20.0, [0.1]) == 20.0
    assert horizon(None, 1e300, [0.1, 0.01]) == pytest.approx(1e4)
    assert horizon(7.0, 20.0, [0.1]) == 7.0
    with pytest.raises(GflowError, match="one step goes beyond"):
        horizon(0.05, 20.0, [0.1])
    with pytest.raises(GflowError, match=rf"over the bound of 1e\+08; .*--until-time {1e-6 * MOST_STEPS:g} at most"):
        horizon(1e3, 20.0, [1e-6])
    with pytest.raises(GflowError, match="--until-time"):
        horizon(float("nan"), 20.0, [0.1])


def test_halved_steps_share_their_times() -> None:
    """So that the flow is asked for few rows; other step sizes have times of their own, each run ends at its last."""
    etas = [0.02, 0.01, 0.005]
    steps = record_steps(etas, 20.0)
    table = timetable(etas, steps)
    assert table.v.size == len(steps[0]) <= 201 and (np.diff(table.v) > 0).all() and table.v[0] == 0.0
    for eta, each, places in zip(etas, steps, table.places, strict=True):
        assert each[0] == 0 and each[-1] == round(20.0 / eta) and (np.diff(each) > 0).all()
        assert np.expm1(table.v[places]) == pytest.approx(eta * each, rel=1e-11)
    odd = [0.03, 0.007]
    steps = record_steps(odd, 1.0)
    table = timetable(odd, steps)
    assert [int(each[-1]) for each in steps] == [33, 143]
    for eta, each, places in zip(odd, steps, table.places, strict=True):
        assert np.expm1(table.v[places]) == pytest.approx(eta * each, rel=1e-11)


def test_a_pair_that_the_flow_is_switching_does_not_differ() -> None:
    events = EventColumns.of(
        [Event(np.log1p(1.0), 2, 3, EventKind.CROSS_UP), Event(np.log1p(2.0), 0, 1, EventKind.SLIDE)]
    )
    pairs = np.array([[2, 3, 1], [0, 1, -1], [5, 5, 1]])
    late, early, far = (genuine(pairs, np.log1p(t), 0.1, events, 10) for t in (1.09, 0.91, 1.2))
    assert late.tolist() == early.tolist() == [[0, 1, -1], [5, 5, 1]]
    assert far.tolist() == pairs.tolist()
    assert genuine(pairs, 0.5, 0.1, EventColumns.of([]), 10).tolist() == pairs.tolist()


def test_opposite_sides_are_found_farthest_first() -> None:
    setting, W = drawn("generic", 0.3, "logistic", 2)
    problem = problem_of(setting)
    state = flow(problem, W, until_time(1.0)).state
    side = state.side.copy()
    side[1, 2], side[4, 0] = -side[1, 2], -side[4, 0]
    found = opposed_pairs(problem, state, replace(state, side=side))
    z = np.abs(state.U @ problem.surfaces.normals.T)
    expected = sorted([(1, 2), (4, 0)], key=lambda pair: -z[pair])
    assert [tuple(pair) for pair in found[:, :2].tolist()] == expected
    assert found[:, 2].tolist() == [int(state.side[pair]) for pair in expected]


def test_when_pairs_settle() -> None:
    v = np.array([0.0, 1.0, 2.0, 3.0])
    sides = np.array([[1, 1, -1, 1], [-1, 1, -1, 1], [1, 1, -1, 1], [1, -1, -1, 1]], dtype=np.int8)[:, :, None]
    assert settled_at(v, sides)[:, 0].tolist() == [2.0, 3.0, np.inf, np.inf]
    events = EventColumns.of(
        [
            Event(0.5, 0, 0, EventKind.CROSS_DOWN),
            Event(1.9, 0, 0, EventKind.CROSS_UP),
            Event(2.5, 3, 0, EventKind.SLIDE),
            Event(9.0, 2, 0, EventKind.CROSS_UP),
        ]
    )
    sliding = np.array([False, False, False, True])[:, None]
    found = settled_pairs(events, 3.0, sliding, [settled_at(v, sides)], np.array([4]))
    assert [(pair.neuron, pair.sample, pair.flow_log1p_time, pair.descent_log1p_time) for pair in found] == [
        (0, 4, 1.9, (2.0,)),
        (1, 4, None, (3.0,)),
    ]


def test_the_last_pairs_to_settle_are_listed() -> None:
    count = MOST_PAIRS + 50
    events = EventColumns.of([Event(float(k + 1), k, 0, EventKind.CROSS_UP) for k in range(count)])
    never = np.full((count, 1), np.inf)
    found = settled_pairs(events, 1e9, np.zeros((count, 1), dtype=bool), [never], np.array([0]))
    assert [pair.neuron for pair in found] == list(range(50, count))


def test_the_stability_threshold_is_that_of_the_kernel() -> None:
    J = np.random.default_rng(0).normal(size=(5, 3))
    K = J @ J.T
    assert stability_threshold(K) == pytest.approx(8.0 * 5 / np.linalg.eigvalsh(K)[-1])
    assert stability_threshold(0.0 * K) is None


EVIDENCE = Evidence(
    eta=0.1,
    times=(0.0, 0.5, 1.0, 5.0, 10.0),
    gaps=(None, 0.001, 0.002, 0.004, 0.003),
    edges=(0.1, 0.1, 0.1, 0.1, 0.1),
    first=1.0,
    diverged=None,
    threshold=3.0,
    loss_rises=0,
    differs=None,
    agreement=1.0,
)


@pytest.mark.parametrize(
    "evidence, said",
    [
        (EVIDENCE, "follows the flow within 1 % until the end, t = 10; the gap is at most 0.4 %, at t = 5"),
        (
            replace(EVIDENCE, gaps=(None, 0.02, 0.002, 0.004, 0.003)),
            "follows the flow within 1 % from t = 1 to the end, t = 10 (gap at most 0.4 %), after a gap of 2 % at "
            "t = 0.5",
        ),
        (
            replace(EVIDENCE, gaps=(None, 0.001, 0.002, 0.3, 0.2), differs=(5.0, 3, 7), agreement=0.98, loss_rises=1),
            "follows the flow within 1 % until t = 1; then the gap reaches 30 % at t = 5; the pattern differs first at "
            "t = 5 (neuron 3, sample 7), and agrees on 98 % at the end; the loss rises once",
        ),
        (
            replace(EVIDENCE, gaps=(None, 0.1, 0.2, 30.0, 0.2), edges=(0.1, 2.5, 4.0, 0.1, 0.1), threshold=0.05),
            "does not follow the flow: the gap reaches 30 times the way gone at t = 5; eta times the sharpness exceeds "
            "2, the edge of stability, from t = 0.5 (up to 4); the step is above the stability threshold "
            "8 n / lambda_max(K) = 0.05",
        ),
        (
            replace(EVIDENCE, times=(0.0, 0.5, 1.0), gaps=(None, 0.001, 0.2), edges=(0.1, None, 0.1), diverged=12),
            "follows the flow within 1 % until t = 0.5; then diverges, at step 12 (t = 1.2) at the latest",
        ),
        (replace(EVIDENCE, gaps=(None,) * 5), "the flow does not move: there is nothing to follow"),
    ],
)
def test_verdicts(evidence: Evidence, said: str) -> None:
    assert verdict(evidence) == said


def test_the_summary() -> None:
    order = fitted_order([0.4, 0.2, 0.1], [0.04, 0.02, 0.01], 1e-9)
    start = "descent stays within 1 % of the flow from the first tenth of the horizon on at "
    assert summary([0.2, 0.1], [True, True], order, "").startswith(
        start + "every step size; the gap falls like eta^1.00"
    )
    assert summary([0.2, 0.1], [False, True], order, "").startswith(start + "1 of 2 step sizes (eta <= 0.1)")
    assert summary([0.2, 0.1], [False, False], order, "stuck").endswith("; the flow was stopped early: stuck")
