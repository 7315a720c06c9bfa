"""Recording: what is handed over in arrays is kept as if it had come one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gflow.assembly import Setup, build_flow, build_setup, build_until
from gflow.field.branch import Measure, Measures
from gflow.flow.items import Item
from gflow.flow.state import Event, FlowRow
from gflow.pipeline.recording import Recording
from gflow.scenario import Scenario, parse_scenario
from gflow.trajectory import EventLog, Events, Row

# Repeated and opposite samples: surfaces are not samples.
SCENARIO = """
gflow: 1
name: small
data: {kind: parity, n: 16, d: 3}
model: {kind: two_layer, width: 12, activation: {kind: relu}}
init: {kind: gaussian, std: 0.5}
loss: logistic
flow: {until: {time: 30.0}}
record: {times: {spacing: log, count: 7}}
"""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return parse_scenario(SCENARIO)


@pytest.fixture(scope="module")
def setup(scenario: Scenario) -> Setup:
    return build_setup(scenario)


@pytest.fixture(scope="module")
def items(scenario: Scenario, setup: Setup) -> list[Item]:
    return list(build_flow(scenario, setup, build_until(scenario), advances=True))


def as_told(setup: Setup, items: list[Item]) -> tuple[list[Row], Events]:
    recording, rows, log = Recording(setup), list[Row](), EventLog()
    for item in items:
        if isinstance(item, Measure | Measures):
            recording.measure(item)
        elif isinstance(item, Event):
            log.append(recording.event(item))
        elif isinstance(item, FlowRow):
            rows.append(recording.row(item))
    return rows, log.events()


def in_arrays(setup: Setup, items: list[Item]) -> tuple[list[Row], Events]:
    recording, rows, log = Recording(setup), list[Row](), EventLog()
    for row, before in parts(items):
        if measures := [item for item in before if isinstance(item, Measure)]:
            recording.measure(Measures.of(measures))
        told = np.array([(each.v, each.neuron, each.surface, each.kind) for each in before if isinstance(each, Event)])
        v, neuron, surface, kind = told.reshape(-1, 4).T
        log.extend(recording.event_block(v, *(each.astype(np.int64) for each in (neuron, surface, kind))))
        rows.append(recording.row(row))
    return rows, log.events()


def parts(items: list[Item]) -> Iterator[tuple[FlowRow, list[Item]]]:
    """Each row, with what came before it."""
    first = 0
    for k, item in enumerate(items):
        if isinstance(item, FlowRow):
            yield item, items[first:k]
            first = k + 1


def in_batches(setup: Setup, scenario: Scenario) -> tuple[list[Row], Events]:
    batches = list(build_flow(scenario, setup, build_until(scenario)))
    assert any(isinstance(item, Measures) and len(item) > 5 for item in batches)
    return as_told(setup, batches)


@pytest.mark.parametrize("how", ["in arrays", "in batches"])
def test_arrays_are_kept_as_single_ones_are(setup: Setup, scenario: Scenario, items: list[Item], how: str) -> None:
    assert setup.problem.surfaces.count < setup.problem.samples
    rows, events = as_told(setup, items)
    again, blocks = in_arrays(setup, items) if how == "in arrays" else in_batches(setup, scenario)
    assert len(rows) == len(again) > 5 and len(events) > 5
    for row, other in zip(rows, again, strict=True):
        assert row.series == other.series
        np.testing.assert_array_equal(row.inner, other.inner)
    for name in ("log1p_time", "neuron", "sample", "kind"):
        one, other = getattr(events, name), getattr(blocks, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
