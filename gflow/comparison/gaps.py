"""Gaps between descent and flow at one time: in the weights, their direction, the margins and the pattern."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.comparison.patterns import pattern_of
from gflow.flow.state import FlowState
from gflow.problem.problem import Problem


@dataclass(frozen=True, slots=True)
class Frame:
    """What descent and flow are both measured from.

    start (m, r): U at the start; outside: |W| outside the span, which never moves; limit (m, r): U of the limit.
    """

    problem: Problem
    start: Array
    outside: float
    limit: Array | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Descent and flow at one t.

    relative: |W_GD - W_GF| / |W_GF - W(0)|, None where the flow has not moved.  margin: max_i |p_GD - p_GF|.
    angle: between W_GD and W_GF; angle_to_limit: of W_GD; radians.  agreement: the share of the pairs that do not
    slide in the flow whose signs agree, 1 where all slide; agreement_all: of all pairs, where a sliding one never does
    unless descent is exactly on the kink.
    """

    relative: float | None
    margin: float
    angle: float
    angle_to_limit: float | None
    agreement: float
    agreement_all: float


def gap(frame: Frame, flow: FlowState, descent: FlowState) -> Gap:
    """Compare two states of one time."""
    moved = float(np.linalg.norm(flow.U - frame.start))
    here, there = pattern_of(frame.problem, descent), pattern_of(frame.problem, flow)
    agree, steady = here == there, there != 0
    return Gap(
        relative=float(np.linalg.norm(descent.U - flow.U)) / moved if moved > 0.0 else None,
        margin=float(np.abs(descent.p - flow.p).max()),
        angle=angle(descent.U, flow.U, frame.outside, frame.outside),
        angle_to_limit=None if frame.limit is None else angle(descent.U, frame.limit, frame.outside, 0.0),
        agreement=float(agree[steady].mean()) if steady.any() else 1.0,
        agreement_all=float(agree.mean()),
    )


def angle(first: Array, second: Array, first_outside: float, second_outside: float) -> float:
    """Angle (radians) of two weights whose parts outside the span are parallel, exact also where it is small.

    first, second (m, r): the parts inside the span; first_outside, second_outside: the norms of those outside it.
    Kahan's formula: 2 atan2(|a - b|, |a + b|) of unit vectors.
    0 where one of them is 0.
    """
    sizes = np.hypot(np.linalg.norm(first), first_outside), np.hypot(np.linalg.norm(second), second_outside)
    if min(sizes) == 0.0:
        return 0.0
    a, b = first / sizes[0], second / sizes[1]
    a_outside, b_outside = first_outside / sizes[0], second_outside / sizes[1]
    apart = np.hypot(np.linalg.norm(a - b), a_outside - b_outside)
    along = np.hypot(np.linalg.norm(a + b), a_outside + b_outside)
    return float(2.0 * np.arctan2(apart, along))
