"""The items that a flow hands over, and their order.

`flow.simulate.flow_items` yields for a flow from the start:

1. the `Measure` of the start, then `FlowRow` 0;
2. for each stretch of flow on one mode: its `Measure` at the start; then, step by step, an `Advance` up to each record
   time, followed by the `Measure` and the `FlowRow` there; an `Advance` to the end of the step, its `Measure` and a
   `FlowProgress`; at the end of the stretch its `Measure`, after the `Advance` up to there where it lies inside a step,
   the `Event`s of that instant, by neuron, then surface, and a `FlowProgress`;
3. where nothing but the clock moves any more, the `Measure` and the `FlowRow` of each row that is left;
4. at the end the last `FlowRow`, after the events of its instant, and a `Finish`.  Where float64 does not resolve the
   margins at the start, the `Finish` follows row 0.

The `Advance`s of a stretch join without gaps, so that they suffice to integrate a quantity along the flow.  Items may
be kept: the values of an item do not change, although the engine continues with the one mode to which its
`stretch.branch` points (`Stretch.restored`).  Readers need only arrays, a polynomial for each step and the sides of its
stretch, so that an engine that works in batches can hand over the items of a batch one after the other.  Such an engine
(that of `taylor`) hands over its `Advance`s, and all else step by step, only where they are asked for, as `gflow.steps`
does.  Elsewhere a batch has one `Measures`, before its `Event`s, and a `FlowProgress` at its end.

A leap of the clock before the first step is visible in the checkpoint of row 0.  Rows that it passes over, and rows at
rest, have no `Advance`, since nothing but the clock moves.  No item but an `Event` of a batch has an earlier v than an
item before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from gflow.arrays import Array, Index, Sides
from gflow.errors import GflowError
from gflow.field.branch import Measure, Measures
from gflow.flow.engine import Stretch
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow
from gflow.ode.step import DenseStep
from gflow.problem.parameters import Parameters

__all__ = ["Advance", "Event", "Finish", "FlowProgress", "FlowRow", "Item", "Measure", "Measures", "Parameters"]


@dataclass(frozen=True, slots=True)
class Advance:
    """The flow over a part of one accepted step, from `low` to `high`, in units of the branch since the stretch began.

    y (p,): the state of the integrator at `high`; near (k,): neurons with a guard that is zero there, None where none
    is.

    The methods read the dense output of the step, whose error the tolerances bound.  `at` are parts of the way from
    `low` (0) to `high` (1): (k,), or a number, which counts as (1,).  Values outside [0, 1] raise GflowError.
    """

    stretch: Stretch
    step: DenseStep
    low: float
    high: float
    y: Array
    near: Index | None = None

    @property
    def side(self) -> Sides:
        """The sides (m, H) of neurons and surfaces in the mode: +1, -1, or 0 where a neuron slides."""
        return self.stretch.state.side

    def states(self, at: ArrayLike) -> Array:
        """States (k, p) of the integrator."""
        step = self.step
        return step.at((self._elapsed(at) - step.start) / (step.end - step.start))

    def _elapsed(self, at: ArrayLike) -> Array:
        """The time since the stretch began, in units of the branch, (k,).  Raises GflowError for what is no part."""
        try:
            parts = np.atleast_1d(np.asarray(at, dtype=float))
        except (TypeError, ValueError, RuntimeError, OverflowError):  # RuntimeError: of tensors that need a gradient
            raise GflowError(f"Advance: at = {at!r}; it must be numbers from 0 to 1") from None
        if parts.ndim != 1 or not ((parts >= 0.0) & (parts <= 1.0)).all():
            raise GflowError(f"Advance: at = {at!r}; parts of the way lie from 0 to 1")
        return np.asarray(self.low + (self.high - self.low) * parts)

    def log1p_time(self, at: ArrayLike) -> Array:
        """v = log(1 + t), (k,)."""
        return self.states(at)[:, -1]

    def tau(self, at: ArrayLike) -> Array:
        """Rescaled time since the start of the flow, (k,)."""
        return np.asarray(self.stretch.state.tau + self.stretch.branch.unit * self._elapsed(at))

    def parameters(self, at: ArrayLike) -> Parameters:
        """The parameters, k of each that moves; those that are fixed have no axis of `at`.

        U (k, m, r) in span coordinates, from which `Problem.weights` makes W; outer (k, m) or (k, K, m); output bias
        (k, K).
        """
        found, network = self.stretch.restored().parameters(self.states(at)), self.stretch.branch.problem.network
        one_output = network.trains_outer and network.outputs == 1
        return replace(found, outer=found.outer[:, 0]) if one_output else found

    def margins(self, at: ArrayLike) -> Array:
        """p (k, n)."""
        branch, states = self.stretch.restored().branch, self.states(at)
        rows = [branch.measure(y).p for y in states]
        return np.array(rows).reshape(len(states), branch.problem.samples)


Item = Advance | Event | Measure | Measures | FlowProgress | FlowRow | Finish
"""Any of the items that a flow hands over."""
