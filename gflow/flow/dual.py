"""The dual engine: fixed outer layers, every mode an n-dimensional flow (design 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gflow.field.clarke import ROUNDING
from gflow.field.clock import dual_variables, log_clock_rate
from gflow.field.dual import DualBranch, Tolerances, error_floor, unit_of
from gflow.field.guards import Guards
from gflow.field.mode import Mode
from gflow.field.transition import Turn, starting_turns, turns_at
from gflow.flow.state import Event, FlowState, Notes
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

Array = NDArray[np.float64]


# A clock that passes e^30 of (1 + t) while margins move by 1 is ahead of the weights.
LEAP = 30.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of flow on one mode, from `state`."""

    state: FlowState
    branch: DualBranch
    guards: Guards


class DualEngine:
    """Follows U from mode to mode.  It owns the one Mode of the run, which is a cache of `FlowState.side`."""

    def __init__(self, problem: Problem, W_initial: Array, tolerances: Tolerances) -> None:
        self.problem, self._tolerances = problem, tolerances
        self.U_initial = W_initial @ problem.span.B.T
        self._norms_initial = row_norms(W_initial)
        self._norms_outside = row_norms(W_initial - self.U_initial @ problem.span.B)
        self._largest_sample = float(row_norms(problem.span.C).max())
        self._mode: Mode

    def start(self) -> tuple[FlowState, Notes]:
        """The state at t = 0 with the pairs that start on their kink decided, and what is to say of that."""
        zeta = self.U_initial @ self.problem.surfaces.normals.T
        curved = self.problem.network.slope != 1.0
        on_kink = (np.abs(zeta) <= ROUNDING * self._norms_initial[:, None]) & curved
        side = np.where(on_kink, 0, np.where(zeta < 0.0, -1, 1)).astype(np.int8)
        self._mode = Mode(self.problem, side)
        everyone = np.arange(self.problem.network.width)
        state, notes = self._state(0.0, 0.0, self._mode.project(self.U_initial, everyone), h=0.0), Notes()
        if on_kink.any():
            segment = self.segment(state)
            turns = starting_turns(segment.guards, segment.branch.y0, on_kink)
            for turn in turns:
                self._mode.turn(turn.neuron, turn.after)
            self._mode.refresh()
            state = self._state(0.0, 0.0, state.U, h=0.0)
            notes = _notes(turns)
        return self._leapt(state), notes

    def _state(self, tau: float, v: float, U: Array, h: float) -> FlowState:
        p = self.problem.margins(U, self.problem.sample_sides(self._mode.side))
        log_loss = log_mean(self.problem.loss.log_value(p))
        return FlowState(tau, v, U, self._mode.side.copy(), p, log_loss, h)

    def _log_rate(self, state: FlowState) -> float:
        _, log_total = dual_variables(self.problem.loss, state.p)
        return log_clock_rate(float(log_total), state.p.size, state.v)

    def _leapt(self, state: FlowState) -> FlowState:
        """Where the clock runs ahead of the weights (large margins at the start): past the time in which, to float64,
        nothing but the clock moves.  There q is constant, and v = log(1 + t) is known in closed form."""
        unit = unit_of(self._mode)
        log_rate = self._log_rate(state)
        if log_rate + np.log(unit) < LEAP:
            return replace(state, h=1e-3 * unit)
        rest = 0.01 * np.finfo(float).eps * unit
        v = float(np.logaddexp(state.v, log_rate + state.v + np.log(rest)))
        return replace(state, tau=state.tau + rest, v=v, h=rest)

    def weight_norms(self, U: Array) -> Array:
        """|w_j| (m,) of the full weights at span coordinates U (m, r)."""
        return np.hypot(self._norms_outside, row_norms(U))

    def segment(self, state: FlowState) -> Segment:
        """The smooth problem that starts at `state` (whose mode must be the current one)."""
        unit, norms = unit_of(self._mode), self.weight_norms(state.U)
        floor = error_floor(self.problem, self._mode, norms, state.p, self._log_rate(state), unit, self._tolerances)
        branch = DualBranch(self.problem, self._mode, state.U, state.p, state.v, unit, floor, self._tolerances.rtol)
        moved = np.abs(self.problem.network.outer) * self._largest_sample * state.h
        scale = self._norms_initial + norms + moved
        return Segment(state, branch, Guards(branch, scale))

    def moved(self, segment: Segment, elapsed: float, y: Array, h: float) -> FlowState:
        """The state after `elapsed` (in the units of the branch, like h) on the segment's mode."""
        unit = segment.branch.unit
        return self._state(segment.state.tau + unit * elapsed, float(y[-1]), segment.branch.weights(y), unit * h)

    def refresh(self) -> None:
        """Recompute the kernel from the sides alone, so that a state determines all that follows it."""
        self._mode.refresh()

    def turned(
        self, segment: Segment, elapsed: float, y: Array, near: NDArray[np.intp], h: float
    ) -> tuple[FlowState, list[Event], Notes]:
        """Classify the kinks at y and take the new mode; the events in the order of neuron, then surface."""
        turns = turns_at(segment.guards, y, near)
        U = segment.branch.weights(y)
        for turn in turns:
            self._mode.turn(turn.neuron, turn.after)
            U[turn.neuron] = self._on_surfaces(U[turn.neuron], turn)
        unit = segment.branch.unit
        state = self._state(segment.state.tau + unit * elapsed, float(y[-1]), U, unit * h)
        return state, _events(turns, state.v), _notes(turns)

    def _on_surfaces(self, u: Array, turn: Turn) -> Array:
        """u (r,) with the switching functions of the surfaces it lies on set to exactly zero (they are at rounding)."""
        normals = self.problem.surfaces.normals[turn.zero]
        return np.asarray(u - np.linalg.pinv(normals) @ (normals @ u))


def _events(turns: Sequence[Turn], v: float) -> list[Event]:
    return [Event(v, turn.neuron, surface, kind) for turn in turns for surface, kind in turn.events()]


def _notes(turns: Sequence[Turn]) -> Notes:
    return Notes(sum(turn.unsettled for turn in turns), sum(not turn.exact for turn in turns))
