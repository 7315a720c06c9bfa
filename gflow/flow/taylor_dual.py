"""The compiled loop of fixed outer layers as Python sees it."""

from __future__ import annotations

from copy import copy

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Measure
from gflow.field.clock import dual_variables
from gflow.field.mode import DualMode
from gflow.flow.state import FlowState
from gflow.flow.taylor_ahead import Ahead, Ends, Leave
from gflow.flow.taylor_dual_arrays import Ground, copied, model_of, with_slots
from gflow.flow.taylor_hulls import Hulls
from gflow.flow.taylor_judge import HullJudge
from gflow.problem.loss import log_mean
from gflow.problem.parameters import Parameters
from gflow.taylor.advance import advance
from gflow.taylor.loop import CLOCK_PASSED, GUARDS_FULL, HULL, LOG_FULL, SLOTS_FULL, STIFF
from gflow.taylor.model import (
    CLOCK,
    EVENTS,
    GAP,
    INSTANTS,
    SIZE,
    SQUARED,
    STALLED,
    STEPS,
    TAU,
    Model,
    found_of,
)
from gflow.taylor.stride import NEAR, stride


class DualAhead(Ahead):
    """The compiled loop of fixed outer layers, with strides where it turns stiff, and hulls that have to be judged."""

    def __init__(
        self, ground: Ground, state: FlowState, mode: DualMode, norms: Array, steps: int, stalled: int, hulls: Hulls
    ) -> None:
        """mode: that of the state, with the hulls of its neurons on dependent kinks; norms (m,): |w_j| there; steps,
        stalled: so far in the run.
        """
        super().__init__(ground.problem)
        self._U, self._strides = state.U, False
        self._before: Model | None = None
        # Was the loop called for strides last?
        self.was_stride = False
        self._model = model_of(ground, state, mode, norms)
        self._model.counts[STEPS], self._model.counts[STALLED] = steps, stalled
        self._judge = HullJudge(hulls, self._problem.loss, self._model, state)

    @property
    def model(self) -> Model:
        """The arrays as they are now."""
        return self._model

    @property
    def strides(self) -> bool:
        """Is a stride next, not a step of the series?"""
        return self._strides

    @property
    def strode(self) -> bool:
        """Did the loop just make strides, which may have passed rows?"""
        return self._before is not None

    def go(self, row: float, ends: Ends, leave: Leave) -> int:
        """Why the loop came back, with arrays that are full made larger, and hulls judged.

        row: log(1 + t) of the next one.  The series waits there; strides pass it, and leave behind what is needed to
        tell it.
        """
        leave = leave._replace(step=min(leave.step, self._judge.leaves(self.model)))
        self._before, self.was_stride = copied(self.model) if self._strides and row < ends.v else None, self._strides
        if self._strides:
            status = int(stride(self.model, *ends, leave.step, leave.tau))
            self._strides = status not in (NEAR, HULL)
        else:
            status = int(advance(self.model, min(row, ends.v), ends.log_loss, *leave))
            self._strides = status == STIFF
        if status == SLOTS_FULL:
            self._model = with_slots(self.model, 2 * self.model.mode.slots.shape[1])
        elif status == GUARDS_FULL:
            self._model = self.model._replace(found=found_of(2 * self.model.found.which.shape[0]))
        granted = status == HULL and self._judge.grants(self.model)
        goes_on = granted or status in (SLOTS_FULL, GUARDS_FULL, STIFF, NEAR)
        self._strides |= goes_on and status == HULL and self.was_stride
        return LOG_FULL if goes_on else status

    def passed(self, v: float) -> tuple[FlowState, Measure]:
        """The flow at log(1 + t) = v, which strides have just passed: by others from where they began, so that those
        of the run do not hang on its rows."""
        there = copy(self)
        assert self._before is not None
        there._model, there._judge, there._strides = copied(self._before), copy(self._judge), True
        status = LOG_FULL
        while status == LOG_FULL:
            there.model.counts[INSTANTS] = there.model.counts[EVENTS] = 0
            status = there.go(v, Ends(v, -np.inf), Leave(2**62, 2**62))
        # At rest, or out of digits, nothing moves on the way that is left.
        u = there.at_clock(v) if status == CLOCK_PASSED else 0.0
        return there.state(u, v), there.measure(u, v)

    def measure(self, u: float, v: float) -> Measure:
        """The flow at u of the step that waits, or now with u = 0, where log(1 + t) = v."""
        model, p = self.model, self.margins_at(u)
        live = model.mode.live > 0
        q, log_total = dual_variables(self._problem.loss, p, live)
        q = live * q
        passed = self._series(model.terms.c, u) if u > 0.0 else np.zeros_like(p)
        squared = float(model.now[SQUARED] + (model.p + p) @ passed)
        rates, log_loss = model.kernel.K @ q, log_mean(self._problem.loss.log_value(p))
        norm, speed = float(np.sqrt(max(squared, 0.0))), float(np.sqrt(max(float(q @ rates), 0.0)))
        return Measure(v, p, log_loss, norm, speed, rates, float(log_total) - float(np.log(p.size)))

    def state(self, u: float = 0.0, v: float | None = None) -> FlowState:
        """The state now or, with u > 0, at u of the step that waits, where log(1 + t) = v."""
        model, mode, lazy, data = self.model, self.model.mode, self.model.lazy, self.model.data
        c = model.c + self._series(model.terms.c, u) if u > 0.0 else model.c
        pushed = data.outer[:, None] * data.push * mode.slopes * (c - lazy.base)
        on = np.zeros((data.surface.size, data.gram.shape[0]))
        on[np.arange(data.surface.size), data.surface] = 1.0
        moved = pushed @ on
        rho = lazy.rho + moved
        for s in range(int(mode.held.max(initial=0))):
            own = np.flatnonzero(mode.held > s)
            rho[own, mode.slots[own, s]] -= np.einsum("jh,jh->j", mode.force[own, s], moved[own])
        U = self._U + rho @ self._problem.surfaces.normals
        U[mode.held == self._problem.span.rank] = 0.0  # no direction is free: not the rounding of a projection
        tau = float(model.now[TAU] + u * model.step[SIZE])
        clock = float(model.now[CLOCK]) if v is None else v
        parameters = Parameters(U, self._problem.network.outer)
        return FlowState.of(self._problem, tau, clock, parameters, mode.side.copy(), 10.0 * float(model.now[GAP]))
