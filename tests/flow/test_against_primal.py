"""The engine against a plain W-space integration that shares no line with it: weights, events, times, energy."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gflow.field.transition import EventKind
from tests.flow.driver import Result, flow, problem_of, relative_gap, until_time
from tests.reference.plain_primal import PlainEvent, PlainPrimal, PlainRecord, plain_flow
from tests.reference.setting import Setting, drawn

TIMES = (0.5, 2.0, 6.0, 12.0)
ALL_KINDS = {"cross", "slide", "leave"}
NAMES = {
    EventKind.CROSS_UP: ("cross", 1),
    EventKind.CROSS_DOWN: ("cross", -1),
    EventKind.SLIDE: ("slide", 0),
    EventKind.LEAVE_UP: ("leave", 1),
    EventKind.LEAVE_DOWN: ("leave", -1),
}

# kind of data, slope, loss, seed; each of them crosses, slides and leaves.
CASES = [
    ("generic", 0.0, "logistic", 3),
    ("generic", 0.2, "exponential", 5),
    ("wide", 0.0, "logistic", 3),
    ("wide", 0.0, "exponential", 2),  # 30 events
    ("wide", 0.2, "logistic", 2),
    ("degenerate", 0.0, "logistic", 7),  # three coplanar kinks on one neuron
    ("degenerate", 0.2, "exponential", 5),  # likewise
    ("degenerate", 0.2, "exponential", 1),
    ("plane", 0.0, "exponential", 1),  # a neuron comes to rest at w = 0, on all seven kinks
    ("plane", 0.2, "exponential", 7),  # likewise
]


@cache
def both(kind: str, slope: float, loss: str, seed: int) -> tuple[Setting, list[PlainRecord], list[PlainEvent], Result]:
    setting, W = drawn(kind, slope, loss, seed)
    records, events = plain_flow(setting, W, TIMES)
    rows = [float(np.log1p(t)) for t in TIMES]
    return setting, records, events, flow(problem_of(setting), W, until_time(TIMES[-1]), rtol=1e-11, rows=rows)


@pytest.mark.sample("case0", "case1", "case2", "case4", "case6", "case7")
@pytest.mark.parametrize("case", CASES)
def test_the_weights_agree_at_every_record_time(case: tuple[str, float, str, int]) -> None:
    _, records, _, result = both(*case)
    _, W = drawn(*case)
    assert len(result.rows) == 1 + len(TIMES)
    gaps = [relative_gap(result.weights(W, k + 1), record.W) for k, record in enumerate(records)]
    assert max(gaps) < 1e-10


@pytest.mark.parametrize("case", CASES)
def test_the_events_are_the_same_ones_at_the_same_times(case: tuple[str, float, str, int]) -> None:
    _, _, events, result = both(*case)
    assert {e.kind for e in events} == ALL_KINDS
    ours = [(e.neuron, e.surface, *NAMES[e.kind]) for e in result.events]
    assert ours == [(e.neuron, e.surface, e.kind, e.side) for e in events]
    np.testing.assert_allclose(np.expm1([e.v for e in result.events]), [e.t for e in events], rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_the_loss_falls_by_the_integral_of_the_squared_gradient(case: tuple[str, float, str, int]) -> None:
    setting, records, _, result = both(*case)
    start = np.exp(result.rows[0].state.log_loss)
    for row, record in zip(result.rows[1:], records, strict=True):
        assert start - np.exp(row.state.log_loss) == pytest.approx(record.descent, rel=1e-9)
        assert row.state.log_loss == pytest.approx(np.log(setting.mean_loss(record.W)), abs=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] in ("generic", "wide")])
def test_sliding_is_the_minimum_norm_element_of_the_clarke_set(case: tuple[str, float, str, int]) -> None:
    setting, records, _, result = both(*case)
    primal = PlainPrimal(setting)
    for row, record in zip(result.rows[1:], records, strict=True):
        np.testing.assert_array_equal(row.state.side, record.side)
        projected, least = primal.velocity(record.W, record.side), primal.least_norm_velocity(record.W, record.side)
        np.testing.assert_allclose(projected, least, rtol=0.0, atol=1e-12)


def test_samples_on_one_line_through_the_origin() -> None:
    setting, W = drawn("line", 0.2, "logistic", seed=1)
    records, events = plain_flow(setting, W, TIMES)
    result = flow(problem_of(setting), W, until_time(TIMES[-1]), rtol=1e-11)
    assert problem_of(setting).surfaces.count == 1
    assert len(result.events) == len(events) > 0
    assert relative_gap(result.weights(W), records[-1].W) < 1e-10
