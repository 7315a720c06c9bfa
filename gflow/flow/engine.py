"""From mode to mode: an engine holds the one mode of a run and asks its coordinates for the field on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from gflow.arrays import Array, Bools, Index, Sides
from gflow.field.branch import Branch, Tolerances
from gflow.field.clarke import ROUNDING
from gflow.field.clock import dual_variables, log_clock_rate
from gflow.field.guards import Guards
from gflow.field.mode import Mode
from gflow.field.transition import Turn, starting_turns, turns_at
from gflow.flow.state import Event, FlowState, Notes
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# A clock that passes e^30 of (1 + t) while margins move by 1 is ahead of the weights.
LEAP = 30.0


@dataclass(frozen=True, slots=True)
class BranchStart:
    """What a branch is made for: a state on a mode, tau in `unit`, and v' = e^log_rate there."""

    state: FlowState
    mode: Mode
    unit: float
    log_rate: float
    norms: Array  # (m,) |w_j| with all inputs
    tolerances: Tolerances


class FlowCoordinates(Protocol):
    """In which variables the flow is integrated."""

    def mode(self, problem: Problem, side: Sides) -> Mode:
        """The mode with whatever these coordinates keep per mode."""

    def fastest(self, state: FlowState, mode: Mode) -> float:
        """How far a margin can move per unit of tau, roughly."""

    def branch(self, problem: Problem, start: BranchStart) -> Branch:
        """The smooth field that starts at the state."""

    def parameters(self, branch: Branch, y: Array) -> Parameters:
        """The parameters at one or several states of the integrator, (..., p); those that are fixed once for all."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of flow on one mode, from `state`."""

    state: FlowState
    branch: Branch
    guards: Guards
    coordinates: FlowCoordinates

    def clock(self, y: Array) -> float:
        """v = log(1 + t) at a state of the integrator."""
        return float(y[-1])

    def parameters(self, y: Array) -> Parameters:
        """As `FlowCoordinates.parameters`."""
        return self.coordinates.parameters(self.branch, y)

    def restored(self) -> Segment:
        """The stretch on the mode that it had: the engine turns its one mode at the events that end a stretch."""
        branch, side = self.branch, self.state.side
        if np.array_equal(branch.mode.side, side):
            return self
        return replace(self, branch=replace(branch, mode=self.coordinates.mode(branch.problem, side)))


class Engine:
    """Follows the parameters from mode to mode; its mode is a cache of `FlowState.side`."""

    def __init__(
        self, problem: Problem, start: Parameters, outside: Array, tolerances: Tolerances, coordinates: FlowCoordinates
    ) -> None:
        """outside (m,): |w_j| outside the span of the samples, which never changes."""
        self.problem, self.start_parameters = problem, start
        self._outside, self._tolerances, self._coordinates = outside, tolerances, coordinates
        self._norms_initial = self.weight_norms(start.U)
        self._mode: Mode

    def start(self) -> tuple[FlowState, Notes]:
        """The state at t = 0 with the pairs that start on their kink decided, and what is to say of that."""
        on_kink, side = self._sides_at_start()
        self._mode = self._coordinates.mode(self.problem, side)
        parameters = self.start_parameters
        if not on_kink.any():
            return self._leapt(self._state(0.0, 0.0, parameters, h=0.0)), Notes()
        everyone = np.arange(self.problem.network.width)
        parameters = replace(parameters, U=self._mode.project(parameters.U, everyone))
        segment = self.segment(self._state(0.0, 0.0, parameters, h=0.0))
        turns = starting_turns(segment.guards, segment.branch.y0, on_kink)
        for turn in turns:
            self._mode.turn(turn.neuron, turn.after, hold=not turn.exact)
        self._mode.refresh()
        return self._leapt(self._state(0.0, 0.0, parameters, h=0.0)), _notes(turns)

    def resume(self, state: FlowState, inexact: Bools | None = None) -> FlowState:
        """Go on from a state, its step guessed where it is not known (0); inexact (m,): as in `Checkpoint`."""
        self._mode = self._coordinates.mode(self.problem, state.side)
        for j in np.flatnonzero([] if inexact is None else inexact):
            self._mode.hold(int(j))
        return state if state.h > 0.0 else replace(state, h=1e-3 * self._unit(state))

    def _sides_at_start(self) -> tuple[Bools, Sides]:
        """Pairs (m, H) on their kink at the start, and all sides, 0 there; + throughout where no kink is crossed."""
        shape = (self.problem.network.width, self.problem.surfaces.count)
        if not self.problem.network.kinked:
            return np.zeros(shape, dtype=bool), np.ones(shape, dtype=np.int8)
        zeta = self.start_parameters.U @ self.problem.surfaces.normals.T
        on_kink = np.abs(zeta) <= ROUNDING * self._norms_initial[:, None]
        return on_kink, np.where(on_kink, 0, np.where(zeta < 0.0, -1, 1)).astype(np.int8)

    def _state(self, tau: float, v: float, parameters: Parameters, h: float) -> FlowState:
        return FlowState.of(self.problem, tau, v, parameters, self._mode.side.copy(), h)

    def _unit(self, state: FlowState) -> float:
        """The power of two nearest to the tau in which margins move by about 1; 1 where nothing moves."""
        fastest = self._coordinates.fastest(state, self._mode)
        return float(2.0 ** -np.round(np.log2(fastest))) if fastest > 0.0 else 1.0

    def _log_rate(self, state: FlowState) -> float:
        _, log_total = dual_variables(self.problem.loss, state.p, self._mode.live)
        return log_clock_rate(float(log_total), state.p.size, state.v)

    def _leapt(self, state: FlowState) -> FlowState:
        """Where the clock runs ahead of the weights (large margins at the start): past the time in which, to float64,
        nothing but the clock moves.  There q is constant, and v = log(1 + t) is known in closed form."""
        unit, log_rate = self._unit(state), self._log_rate(state)
        rest = 0.01 * np.finfo(float).eps * min(unit, self._turning(state))
        if log_rate + np.log(unit) < LEAP or rest == 0.0:
            return replace(state, h=1e-3 * unit)
        v = float(np.logaddexp(state.v, log_rate + state.v + np.log(rest)))
        return replace(state, tau=state.tau + rest, v=v, h=rest)

    def _turning(self, state: FlowState) -> float:
        """The least tau in which a neuron may move by its own size, and cross kinks, whether or not margins see it:
        |dw_j / dtau| <= |a_j| max |x_i|, |da_j / dtau| <= |w_j| max |x_i|.  One at 0 meets no kink on its way, and is
        measured by the largest of them."""
        inner, outer = self.weight_norms(state.U), np.abs(np.atleast_2d(state.parameters.outer)).sum(axis=0)
        longest = float(row_norms(self.problem.X).max())
        pairs = [(inner, outer), (outer, inner)] if self.problem.network.trains_outer else [(inner, outer)]
        with np.errstate(divide="ignore"):
            times = [_or_largest(own)[other > 0.0] / other[other > 0.0] for own, other in pairs]
        return min(float(each.min(initial=np.inf)) for each in times) / longest

    def weight_norms(self, U: Array) -> Array:
        """|w_j| (m,) of the full weights at inner parameters U (m, r)."""
        return np.hypot(self._outside, row_norms(U))

    def margin_rounding(self, state: FlowState) -> float:
        """What float64 cannot resolve of the margins, which may be small sums of large terms.

        A pre-activation is such a sum itself: near a kink it is far smaller than |w_j| |x_i|, and known to the rounding
        of that only.
        """
        terms = np.abs(self.problem.network.hidden(self.problem.terms(state.U), self.problem.sample_sides(state.side)))
        sums = np.abs(state.parameters.outer) @ terms
        return float(np.finfo(float).eps * sums.max())

    def segment(self, state: FlowState) -> Segment:
        """The smooth problem that starts at `state` (whose mode must be the current one)."""
        norms = self.weight_norms(state.parameters.U)
        start = BranchStart(state, self._mode, self._unit(state), self._log_rate(state), norms, self._tolerances)
        branch = self._coordinates.branch(self.problem, start)
        scale = self._norms_initial + norms
        if self.problem.network.kinked:
            scale = scale + branch.reach(state.h)
        return Segment(state, branch, Guards(branch, scale, self._tolerances.rtol), self._coordinates)

    def moved(self, segment: Segment, elapsed: float, y: Array, h: float) -> FlowState:
        """The state after `elapsed` (in the units of the branch, like h) on the segment's mode."""
        unit = segment.branch.unit
        return self._state(segment.state.tau + unit * elapsed, segment.clock(y), segment.parameters(y), unit * h)

    @property
    def inexact(self) -> Bools:
        """(m,): neurons held at kinks by decision; with the state, they determine all that follows a `refresh`."""
        return self._mode.inexact

    @property
    def dead(self) -> bool:
        """Does no sample move anything?  Nothing moves then, exactly; elsewhere rest is known to float64 only."""
        return not self._mode.live.any()

    def refresh(self) -> None:
        """Recompute what is kept of the mode from the sides alone, so that a state (with `inexact`)
        determines all that follows it."""
        self._mode.refresh()

    def turned(
        self, segment: Segment, elapsed: float, y: Array, near: Index, h: float
    ) -> tuple[FlowState, list[Event], Notes]:
        """Classify the kinks at y and take the new mode; the events, all at the same v, by neuron, then surface."""
        turns = turns_at(segment.guards, y, near)
        parameters = segment.parameters(y)
        U = parameters.U.copy()
        for turn in turns:
            self._mode.turn(turn.neuron, turn.after, hold=not turn.exact)
            U[turn.neuron] = self._on_surfaces(U[turn.neuron], turn)
        unit = segment.branch.unit
        state = self._state(segment.state.tau + unit * elapsed, segment.clock(y), replace(parameters, U=U), unit * h)
        return state, _events(turns, state.v), _notes(turns)

    def _on_surfaces(self, u: Array, turn: Turn) -> Array:
        """u (r,) with the switching functions of the surfaces it lies on set to exactly zero (they are at rounding).

        Surfaces that leave no direction free meet at w_j = 0 alone: then it is 0, not the rounding of a projection.
        """
        normals = self.problem.surfaces.normals[turn.zero]
        if np.linalg.matrix_rank(normals) == u.size:
            return np.zeros_like(u)
        return np.asarray(u - np.linalg.pinv(normals) @ (normals @ u))


def started(problem: Problem, inner: Array) -> tuple[Parameters, Array]:
    """The parameters at the start, and |w_j| (m,) outside the span of the samples; inner: W (m, d), or b (m, 1) of the
    scalar network."""
    network, scalar = problem.network, problem.network.directions is not None
    outside = np.zeros(network.width) if scalar else row_norms(problem.span.outside(inner))
    return Parameters.of(problem, inner), outside


def _or_largest(sizes: Array) -> Array:
    return np.where(sizes > 0.0, sizes, sizes.max())


def _events(turns: Sequence[Turn], v: float) -> list[Event]:
    return [Event(v, turn.neuron, surface, kind) for turn in turns for surface, kind in turn.events()]


def _notes(turns: Sequence[Turn]) -> Notes:
    return Notes(sum(turn.unsettled for turn in turns), sum(not turn.exact for turn in turns))
