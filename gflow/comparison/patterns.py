"""Activation patterns of descent and flow: which pairs differ, which differences are genuine, and what descent does
where the flow slides.

Where the flow slides along a kink, descent jumps to and fro across it; such pairs are counted separately.  A pair that
the flow switches within one step size of the compared time does not count as different, since descent cannot resolve
times below its step size.  In networks without kinks the pattern holds the signs of the pre-activations, whose
differences mean little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Index, Sides
from gflow.flow.state import Event, FlowState
from gflow.problem.problem import Problem


def pattern_of(problem: Problem, state: FlowState) -> Sides:
    """(m, n): sides where kinks are followed, 0 on them, else signs of the pre-activations."""
    if problem.network.kinked:
        return problem.sample_sides(state.side)
    return np.where(problem.preactivations(state.U) < 0.0, -1, 1).astype(np.int8)


@dataclass(frozen=True, slots=True)
class EventColumns:
    """The events of the flow in order: v, neuron, surface and kind, (E,) each."""

    v: Array
    neuron: Index
    surface: Index
    kind: Index

    @classmethod
    def of(cls, events: Sequence[Event]) -> EventColumns:
        """Columns of a list."""
        places = np.array([(event.neuron, event.surface, int(event.kind)) for event in events], dtype=np.intp)
        neuron, surface, kind = places.reshape(-1, 3).T
        return cls(np.array([event.v for event in events]), neuron, surface, kind)


def opposed_pairs(problem: Problem, flow: FlowState, descent: FlowState) -> Index:
    """(k, 3): neuron, surface and side of the flow of pairs on opposite sides, those farthest from their kink first.

    None in a network without kinks.
    """
    if not problem.network.kinked:
        return np.empty((0, 3), dtype=np.intp)
    neurons, surfaces = np.nonzero(flow.side * descent.side < 0)
    distance = np.abs(np.sum(flow.U[neurons] * problem.surfaces.normals[surfaces], axis=1))
    order = np.argsort(-distance, kind="stable")
    neurons, surfaces = neurons[order], surfaces[order]
    return np.stack([neurons, surfaces, flow.side[neurons, surfaces]], axis=1).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A neuron and a sample on opposite sides in flow and descent, at log(1 + t) = v."""

    v: float
    neuron: int
    sample: int
    flow: int
    descent: int


def genuine(pairs: Index, v: float, eta: float, events: EventColumns, surfaces: int) -> Index:
    """The pairs (j, 3) among pairs (k, 3) of `opposed_pairs` that the flow does not switch in [t - eta, t + eta]."""
    t = np.expm1(v)
    low = np.searchsorted(events.v, np.log1p(max(t - eta, 0.0)), side="left")
    high = np.searchsorted(events.v, np.log1p(t + eta), side="right")
    switching = events.neuron[low:high] * surfaces + events.surface[low:high]
    return np.asarray(pairs[~np.isin(pairs[:, 0] * surfaces + pairs[:, 1], switching)])


@dataclass(frozen=True, slots=True)
class SlidingShares:
    """On which sides descent has, over its rows, the pairs that slide in the flow; all shares in [0, 1].

    rows: the number of such (row, pair); plus, minus: the shares of them on either side; both_sides: of the pairs that
    slide in two or more of the rows, the share that descent has on both sides.  None where nothing slides.
    """

    rows: int
    plus: float | None
    minus: float | None
    both_sides: float | None


class SlidingTally:
    """Counts for `SlidingShares`, row by row."""

    def __init__(self, problem: Problem) -> None:
        shape = (problem.network.width, problem.surfaces.count)
        self._plus, self._minus = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        self._slid = np.zeros(shape, dtype=np.int64)

    def row(self, flow: FlowState, descent: FlowState) -> None:
        """Count one row."""
        sliding = flow.side == 0
        self._slid += sliding
        self._plus += sliding & (descent.side > 0)
        self._minus += sliding & (descent.side < 0)

    def shares(self) -> SlidingShares:
        """The counts so far as shares."""
        rows, often = int(self._slid.sum()), self._slid >= 2
        if rows == 0:
            return SlidingShares(0, None, None, None)
        both = (self._plus > 0) & (self._minus > 0)
        return SlidingShares(
            rows,
            float(self._plus.sum() / rows),
            float(self._minus.sum() / rows),
            float(both[often].mean()) if often.any() else None,
        )
