"""The engine of a flow: it holds the one mode of a run, and gets the field on it from its coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from gflow.arrays import EPS, Array, Bools, Index, Sides
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

# Where 1 + t grows by a factor above e^30 while margins move by 1, the clock is ahead of the weights.
LEAP = 30.0


@dataclass(frozen=True, slots=True)
class BranchStart:
    """The start of a branch: a state on a mode, tau counted in `unit`, and dv/dtau = e^log_rate there.

    norms (m,): |w_j| with all inputs.
    """

    state: FlowState
    mode: Mode
    unit: float
    log_rate: float
    norms: Array
    tolerances: Tolerances


class FlowCoordinates(Protocol):
    """The variables in which a flow is integrated."""

    def mode(self, problem: Problem, side: Sides) -> Mode:
        """The mode with sides (m, H), with what these coordinates keep for a mode."""

    def fastest(self, state: FlowState, mode: Mode) -> float:
        """How far a margin can move per unit of tau, roughly."""

    def branch(self, problem: Problem, start: BranchStart) -> Branch:
        """The smooth field that starts at the state."""

    def parameters(self, branch: Branch, y: Array) -> Parameters:
        """The parameters at states y (..., p) of the integrator; those that are fixed have no leading axes."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of the flow on one mode, which starts at `state`.

    norms (m,): |w_j| at the start of the flow and of the stretch, added up.
    """

    state: FlowState
    branch: Branch
    coordinates: FlowCoordinates
    norms: Array
    tolerances: Tolerances

    @cached_property
    def guards(self) -> Guards:
        """The guards, made when they are first needed, which is before the engine changes its one mode."""
        branch, scale = self.branch, self.norms
        if branch.problem.network.kinked:
            scale = scale + branch.reach(self.state.h)
        return Guards(branch, scale, self.tolerances.rtol)

    def clock(self, y: Array) -> float:
        """v = log(1 + t) at a state y (p,) of the integrator."""
        return float(y[-1])

    def parameters(self, y: Array) -> Parameters:
        """The parameters at states y (..., p), as in `FlowCoordinates.parameters`."""
        return self.coordinates.parameters(self.branch, y)

    def restored(self) -> Stretch:
        """The stretch with its own mode, as the engine changes its one mode at the events that end a stretch."""
        branch, side = self.branch, self.state.side
        if np.array_equal(branch.mode.side, side):
            return self
        return replace(self, branch=replace(branch, mode=self.coordinates.mode(branch.problem, side)))


class Engine:
    """The parameters followed from mode to mode; the mode of the engine is a cache of `FlowState.side`."""

    def __init__(
        self, problem: Problem, start: Parameters, outside: Array, tolerances: Tolerances, coordinates: FlowCoordinates
    ) -> None:
        """outside (m,): |w_j| outside the span of the samples, which never changes."""
        self.problem, self.start_parameters = problem, start
        self._outside, self._tolerances, self._coordinates = outside, tolerances, coordinates
        self._norms_initial = self.weight_norms(start.U)
        self._mode: Mode

    def start(self) -> tuple[FlowState, Notes]:
        """The state at t = 0 with all pairs on a kink decided, and notes on these decisions."""
        on_kink, side = self._sides_at_start()
        self._mode = self._coordinates.mode(self.problem, side)
        parameters = self.start_parameters
        if not on_kink.any():
            return self._leapt(self._state(0.0, 0.0, parameters, h=0.0)), Notes()
        everyone = np.arange(self.problem.network.width)
        parameters = replace(parameters, U=self._mode.project(parameters.U, everyone))
        stretch = self.stretch(self._state(0.0, 0.0, parameters, h=0.0))
        turns = starting_turns(stretch.guards, stretch.branch.y0, on_kink)
        for turn in turns:
            self._mode.turn(turn.neuron, turn.after, hold=not turn.exact)
        self._mode.refresh()
        return self._leapt(self._state(0.0, 0.0, parameters, h=0.0)), _notes(turns)

    def resume(self, state: FlowState, inexact: Bools | None = None) -> FlowState:
        """The state from which to continue; a step of 0 is not known and is replaced by a guess.

        inexact (m,): as in `Checkpoint`.
        """
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
        """The state after the time in which, to float64, nothing but the clock moves; the same state elsewhere.

        The clock runs ahead of the weights where margins at the start are large.  There q is constant, and v = log(1 +
        t) is known in closed form.
        """
        unit, log_rate = self._unit(state), self._log_rate(state)
        turning = self._turning(state)
        rest = 0.01 * EPS * min(unit, turning)
        if log_rate + np.log(unit) < LEAP or rest == 0.0:
            return replace(state, h=min(1e-3 * unit, turning) or 1e-3 * unit)
        v = float(np.logaddexp(state.v, log_rate + state.v + np.log(rest)))
        return replace(state, tau=state.tau + rest, v=v, h=rest)

    def _turning(self, state: FlowState) -> float:
        """The least tau in which a neuron can move by its own size, and so cross kinks, whether or not margins see it.

        |dw_j / dtau| <= |a_j| max |x_i| and |da_j / dtau| <= |w_j| max |x_i|.  A neuron at 0 meets no kink on its way,
        and is measured by the largest one.
        """
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
        """The rounding of the margins, which may be small sums of large terms.

        A pre-activation is such a sum itself: near a kink it is far smaller than |w_j| |x_i|, and known only to the
        rounding of that.
        """
        terms = np.abs(self.problem.network.hidden(self.problem.terms(state.U), self.problem.sample_sides(state.side)))
        sums = np.abs(state.parameters.outer) @ terms
        return float(EPS * sums.max())

    def stretch(self, state: FlowState) -> Stretch:
        """The smooth problem that starts at `state`, whose mode must be the present one."""
        norms = self.weight_norms(state.parameters.U)
        start = BranchStart(state, self._mode, self._unit(state), self._log_rate(state), norms, self._tolerances)
        branch = self._coordinates.branch(self.problem, start)
        return Stretch(state, branch, self._coordinates, self._norms_initial + norms, self._tolerances)

    def moved(self, stretch: Stretch, elapsed: float, y: Array, h: float) -> FlowState:
        """The state after `elapsed`, in units of the branch like h, on the stretch's mode; y (p,): that of the
        integrator there.
        """
        unit = stretch.branch.unit
        return self._state(stretch.state.tau + unit * elapsed, stretch.clock(y), stretch.parameters(y), unit * h)

    @property
    def mode(self) -> Mode:
        """The mode of the state that the engine was given or returned last."""
        return self._mode

    @property
    def tolerances(self) -> Tolerances:
        """The tolerances of the run."""
        return self._tolerances

    @property
    def norms_initial(self) -> Array:
        """|w_j| (m,) at the start."""
        return self._norms_initial

    @property
    def outside(self) -> Array:
        """|w_j| outside the span of the samples (m,), which never changes."""
        return self._outside

    @property
    def inexact(self) -> Bools:
        """The neurons (m,) held at kinks by decision; with the state they determine all that follows after a
        `refresh`.
        """
        return self._mode.inexact

    @property
    def dead(self) -> bool:
        """Whether no sample moves anything.  Then nothing moves, exactly; in other cases rest is known to float64
        only.
        """
        return not self._mode.live.any()

    def refresh(self) -> None:
        """Recompute from the sides alone what is kept of the mode.

        A state, with `inexact`, then determines all that follows.
        """
        self._mode.refresh()

    def turned(
        self, stretch: Stretch, elapsed: float, y: Array, near: Index, h: float
    ) -> tuple[FlowState, list[Event], Notes]:
        """The state on the new mode after the kinks at y (p,) are decided; the events; and notes on the decisions.

        near (k,): the neurons with guards that may be zero.  The events have the same v and are ordered by neuron, then
        surface.
        """
        turns = turns_at(stretch.guards, y, near)
        parameters = stretch.parameters(y)
        U = parameters.U.copy()
        for turn in turns:
            self._mode.turn(turn.neuron, turn.after, hold=not turn.exact)
            U[turn.neuron] = self._on_surfaces(U[turn.neuron], turn, stretch.norms[turn.neuron])
        unit = stretch.branch.unit
        state = self._state(stretch.state.tau + unit * elapsed, stretch.clock(y), replace(parameters, U=U), unit * h)
        return state, _events(turns, state.v), _notes(turns)

    def _on_surfaces(self, u: Array, turn: Turn, size: float) -> Array:
        """u (r,) with the switching functions of the surfaces on which it lies, zero to rounding, set to exactly zero.

        size: of the neuron, by which its tolerance is measured.  Where normals are almost parallel the rounding of
        switching functions leaves u open along their difference: there u stays as it is if more than the tolerance
        would be taken from it, but for surfaces on which the neuron slides from now on.  Those have to hold it.
        """
        allowed = self._tolerances.atol + self._tolerances.rtol * size
        normals = self.problem.surfaces.normals
        u = _taken_off(u, normals[turn.zero], allowed)
        return _taken_off(u, normals[turn.zero[turn.after[turn.zero] == 0]], np.inf)


def _taken_off(u: Array, normals: Array, allowed: float) -> Array:
    """u (r,) without its parts along directions in which normals (k, r) lie, where these parts are at most `allowed`.

    Normals that leave no direction free meet at 0 only: there u is 0, not the rounding of a projection.
    """
    left, lengths, directions = np.linalg.svd(normals, full_matrices=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = left.T @ (normals @ u) / lengths
    taken = (lengths > EPS * max(normals.shape) * lengths.max(initial=0.0)) & (np.abs(off) <= allowed)
    return np.zeros_like(u) if taken.sum() == u.size else np.asarray(u - off[taken] @ directions[taken])


def started(problem: Problem, inner: Array) -> tuple[Parameters, Array]:
    """The parameters at the start, and |w_j| (m,) outside the span of the samples.

    inner: W (m, d), or b (m, 1) of the scalar network.
    """
    network, scalar = problem.network, problem.network.directions is not None
    outside = np.zeros(network.width) if scalar else row_norms(problem.span.outside(inner))
    return Parameters.of(problem, inner), outside


def _or_largest(sizes: Array) -> Array:
    return np.where(sizes > 0.0, sizes, sizes.max())


def _events(turns: Sequence[Turn], v: float) -> list[Event]:
    return [Event(v, turn.neuron, surface, kind) for turn in turns for surface, kind in turn.events()]


def _notes(turns: Sequence[Turn]) -> Notes:
    return Notes(sum(turn.unsettled for turn in turns), sum(not turn.exact for turn in turns))
