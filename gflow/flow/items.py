"""What a flow hands over, and in which order.

`flow.simulate.flow_items` yields, for a flow from the start:

1. the `Measure` of the start, then `FlowRow` 0;
2. for each stretch of flow on one mode: its `Measure` at the start; then, step by step, an `Advance` up to each record
   time, followed by the `Measure` and the `FlowRow` there; an `Advance` to the end of the step, its `Measure` and a
   `FlowProgress`; where the stretch ends inside a step, the `Advance` up to there and its `Measure`, the `Event`s of
   that instant, by neuron, then surface, and a `FlowProgress`.  What an `Advance` shows of its mode holds until the
   next item is asked for: events change it;
3. at the end the last `FlowRow`, after the events of its instant, and a `Finish`.

The `Advance`s of a stretch join without gaps, so whoever integrates something along the flow needs nothing else.  A
leap of the clock before the first step shows in the checkpoint of row 0; rows that it passes over, and rows at rest,
have no `Advance`, since nothing but the clock moves.  No item shows an earlier v than one before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from gflow.arrays import Array, Index
from gflow.field.branch import Measure
from gflow.flow.engine import Segment
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow
from gflow.ode.step import DenseStep


@dataclass(frozen=True, slots=True)
class Advance:
    """The flow over a part of one accepted step: from `low` to `high` in units of the branch, since the stretch began.

    y: the state of the integrator at `high`; near: neurons among which a guard is zero there, None where none is.
    """

    segment: Segment
    step: DenseStep
    low: float
    high: float
    y: Array
    near: Index | None = None


Item = Advance | Event | Measure | FlowProgress | FlowRow | Finish
"""What a flow hands over."""
