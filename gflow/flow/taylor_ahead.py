"""The compiled loop as Python sees it: it goes on until it is needed; its arrays are read as states and measures."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Measure, Measures
from gflow.field.clock import dual_variables
from gflow.field.mode import DualMode
from gflow.field.transition import EventKind
from gflow.flow.state import Event, FlowState
from gflow.flow.taylor_arrays import Ground, copied, model_of, with_slots
from gflow.flow.taylor_hulls import Hulls
from gflow.problem.loss import log_mean, log_means
from gflow.problem.parameters import Parameters
from gflow.taylor.advance import advance
from gflow.taylor.loop import CLOCK_PASSED, GUARDS_FULL, HULL, LOG_FULL, SLOTS_FULL, STIFF
from gflow.taylor.model import (
    CLOCK,
    DEGREE,
    END,
    EVENTS,
    GAP,
    INSTANTS,
    PATH,
    RELATIVE,
    SIZE,
    SQUARED,
    STALLED,
    STEPS,
    TAU,
    UNIT,
    Model,
    found_of,
)
from gflow.taylor.series import clock_after, when_clock
from gflow.taylor.stride import NEAR, stride


class Ends(NamedTuple):
    """Where the run ends, on the clock log(1 + t) and on log L."""

    v: float
    log_loss: float


class Leave(NamedTuple):
    """When the compiled loop comes back at the latest: behind the step of this number of the run, after so many guards
    in a row without progress, after the instant with the last of so many events, and behind the step that reaches tau.
    """

    step: int
    stalled: int
    events: int = 2**62
    tau: float = np.inf


class Ahead:
    """The compiled loop from a state on: goes on until Python is needed, and tells what happened."""

    def __init__(
        self, ground: Ground, state: FlowState, mode: DualMode, norms: Array, steps: int, stalled: int, hulls: Hulls
    ) -> None:
        """mode: that of the state, with the hulls of its neurons on dependent kinks; norms (m,): |w_j| there; steps,
        stalled: so far in the run.
        """
        self._problem, self._U, self._strides = ground.problem, state.U, False
        self._before: Model | None = None
        # Was the loop called for strides last?
        self.was_stride = False
        self.model = model_of(ground, state, mode, norms)
        self.model.counts[STEPS], self.model.counts[STALLED] = steps, stalled
        self._hulls, self._judged = hulls, steps - 1
        self._judge()

    @property
    def steps(self) -> int:
        """Accepted so far."""
        return int(self.model.counts[STEPS])

    @property
    def tau(self) -> float:
        """Reached so far."""
        return float(self.model.now[TAU])

    @property
    def v(self) -> float:
        """log(1 + t) reached so far."""
        return float(self.model.now[CLOCK])

    def _judge(self) -> bool:
        """Give the neurons on dependent kinks the room that they have now; False where some have none, or too little
        for one step.
        """
        model = self.model
        if self.steps == self._judged:
            return False
        self._judged = self.steps
        q, _ = dual_variables(self._problem.loss, model.p, model.mode.live > 0)
        room = self._hulls.room(q)
        if room is None:
            return False
        model.hull[:] = model.now[PATH] + room.path, model.now[RELATIVE] + room.relative
        return True

    @property
    def next_clock(self) -> float:
        """log(1 + t) of which the series waits in its very next step."""
        return float(np.nextafter(self.model.now[CLOCK], np.inf))

    @property
    def strides(self) -> bool:
        """Is a stride next, not a step of the series?"""
        return self._strides

    @property
    def strode(self) -> bool:
        """Did the loop just make strides, which may have passed rows?"""
        return self._before is not None

    @property
    def stalled(self) -> int:
        """Guards in a row that fired without progress."""
        return int(self.model.counts[STALLED])

    def go(self, row: float, ends: Ends, leave: Leave) -> int:
        """Why the loop came back, with arrays that are full made larger, and hulls judged.

        row: log(1 + t) of the next one.  The series waits there; strides pass it, and leave behind what is needed to
        tell it.
        """
        self._before, self.was_stride = copied(self.model) if self._strides and row < ends.v else None, self._strides
        if self._strides:
            status = int(stride(self.model, *ends, leave.step, leave.tau))
            self._strides = status not in (NEAR, HULL)
        else:
            status = int(advance(self.model, min(row, ends.v), ends.log_loss, *leave))
            self._strides = status == STIFF
        if status == SLOTS_FULL:
            self.model = with_slots(self.model, 2 * self.model.mode.slots.shape[1])
        elif status == GUARDS_FULL:
            self.model = self.model._replace(found=found_of(2 * self.model.found.which.shape[0]))
        goes_on = status in (SLOTS_FULL, GUARDS_FULL, STIFF, NEAR) or (status == HULL and self._judge())
        return LOG_FULL if goes_on else status

    def passed(self, v: float) -> tuple[FlowState, Measure]:
        """The flow at log(1 + t) = v, which strides have just passed: by others from where they began, so that those
        of the run do not hang on its rows."""
        there = copy(self)
        assert self._before is not None
        there.model, there._strides = copied(self._before), True
        status = LOG_FULL
        while status == LOG_FULL:
            there.model.counts[INSTANTS] = there.model.counts[EVENTS] = 0
            status = there.go(v, Ends(v, -np.inf), Leave(2**62, 2**62))
        # At rest, or out of digits, nothing moves on the way that is left.
        u = there.at_clock(v) if status == CLOCK_PASSED else 0.0
        return there.state(u, v), there.measure(u, v)

    def told(self) -> tuple[Measures, list[Event]]:
        """What is in the logs, each in the order of time; they are empty afterwards."""
        log, count = self.model.log, self.model.counts
        instants, events = int(count[INSTANTS]), int(count[EVENTS])
        count[INSTANTS] = count[EVENTS] = 0
        v, log_total, squared, speed = log.measured[:instants].T.copy()
        p, rates = log.margins[:instants].copy(), log.rates[:instants].copy()
        log_loss, log_n = log_means(self._problem.loss.log_value(p)), float(np.log(self._problem.samples))
        norm, rate = (np.sqrt(np.maximum(each, 0.0)) for each in (squared, speed))
        happened = zip(log.when[:events].tolist(), log.what[:events, :3].tolist(), strict=True)
        return (
            Measures(v, p, log_loss, norm, rate, rates, log_total - log_n, np.zeros(instants)),
            [Event(when, j, h, EventKind(kind)) for when, (j, h, kind) in happened],
        )

    def at_clock(self, v: float) -> float:
        """The u of the step that waits at which log(1 + t) = v."""
        model, step = self.model, self.model.step
        return when_clock(
            float(model.now[CLOCK]), float(step[UNIT]), model.terms, int(model.tried[DEGREE]), float(step[END]), v
        )

    def clock_at(self, u: float) -> float:
        """log(1 + t) at u of the step that waits."""
        model, step = self.model, self.model.step
        return clock_after(float(model.now[CLOCK]), float(step[UNIT]), model.terms, int(model.tried[DEGREE]), u)

    def log_loss_at(self, v: float) -> float:
        """log L in the step that waits where log(1 + t) = v."""
        return log_mean(self._problem.loss.log_value(self.margins_at(self.at_clock(v))))

    def margins_at(self, u: float) -> Array:
        """p (n,) at u of the step that waits; now, with u = 0."""
        return self._series(self.model.terms.p, u) if u > 0.0 else self.model.p.copy()

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

    def _series(self, rows: Array, u: float) -> Array:
        N = int(self.model.tried[DEGREE])
        return np.asarray(u ** np.arange(N + 1.0) @ rows[: N + 1])

    def state(self, u: float = 0.0, v: float | None = None) -> FlowState:
        """The state now or, with u > 0, at u of the step that waits, where log(1 + t) = v."""
        model, mode, lazy, data = self.model, self.model.mode, self.model.lazy, self.model.data
        c = model.c + self._series(model.terms.c, u) if u > 0.0 else model.c
        pushed = data.outer[:, None] * data.push * mode.slopes * (c - lazy.base)
        on = np.zeros((data.surface.size, data.gram.shape[0]))
        on[np.arange(data.surface.size), data.surface] = 1.0
        moved = pushed @ on
        rho = lazy.rho + moved
        for j in np.flatnonzero(mode.held):
            k = int(mode.held[j])
            rho[j, mode.slots[j, :k]] -= mode.force[j, :k] @ moved[j]
        U = self._U + rho @ self._problem.surfaces.normals
        U[mode.held == self._problem.span.rank] = 0.0  # no direction is free: not the rounding of a projection
        tau = float(model.now[TAU] + u * model.step[SIZE])
        clock = float(model.now[CLOCK]) if v is None else v
        parameters = Parameters(U, self._problem.network.outer)
        return FlowState.of(self._problem, tau, clock, parameters, mode.side.copy(), 10.0 * float(model.now[GAP]))
