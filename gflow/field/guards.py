"""Guards of a stretch: functions of the state that are positive as long as the mode is right.

A pair off its kink has the guard side * zeta, a sliding pair has two, the distances of its share from 0 and 1.  Each is
a linear function of the masses or of q, so that it is judged on whole steps by its Bernstein coefficients.  Only
neurons whose guards could reach zero in the step are evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Index, Sides
from gflow.field.branch import Branch
from gflow.field.clarke import ROUNDING
from gflow.field.held import Alike, alike
from gflow.field.kink import Kink
from gflow.ode.bernstein import first_descents, from_nodes, nodes
from gflow.ode.step import DenseStep
from gflow.problem.span import row_norms

SHARE_DEGREE = 7
# Errors of the integrator add up over steps, to at most this many times the tolerance of one step.
ADDED_UP = 100.0


@dataclass(frozen=True, slots=True)
class Values:
    """Guards of neurons (k,) in units of their rounding: off (k, H) for each surface, share (k, slots, 2) for each
    slide.

    inf stands for no guard.
    """

    neurons: Index
    off: Array
    share: Array

    def lowest(self) -> float:
        """The smallest guard."""
        return min(float(self.off.min(initial=np.inf)), float(self.share.min(initial=np.inf)))

    @property
    def level(self) -> float:
        """The value up to which guards count as zero where one fired.

        One that starts at zero was lifted to one unit of rounding, which is more.  Infinite where only hulls judge.
        """
        lowest = self.lowest()
        return (lowest if 0.0 < lowest < np.inf else 0.0) + 0.5  # infinite where only hulls judge


@dataclass(frozen=True, slots=True)
class Push:
    """The push of one neuron: now (n,), its rate (n,) along the flow, and terms (n,), the sum of sizes of terms in the
    rate.
    """

    now: Array
    rate: Array
    terms: Array


class Guards:
    """The guards of one branch.

    `shift` lifts guards that start within rounding of zero, so that time must pass before they can fire: an event
    cannot repeat at the instant that was just decided.

    A guard that starts below zero has fired, and the neuron stayed in its mode: the flow points back inside, and the
    error of the integrator, far larger than rounding, had carried the state out.  The guard may go as far below zero
    again, so that it fires a few times, and not at every step, until it is clear of that error.  Once it starts above
    zero this is forgotten.

    A neuron on dependent kinks is judged by the hull of its velocities.  Where the hull misses 0 at the start, the
    neuron was still held by a decision within rounding.  It is released when the hull misses 0 by twice as much, and at
    once where it misses 0 by more than the error of the integrator.
    """

    def __init__(self, branch: Branch, weight_scale: Array, rtol: float) -> None:
        """weight_scale (m,): the size of the terms that cancel in zeta, which sets its rounding; rtol: that of the
        flow.
        """
        self.branch, self._loose = branch, ADDED_UP * rtol
        problem, mode = branch.problem, branch.mode
        if not problem.network.kinked:
            return  # no kinks, no guards
        self._sizes = row_norms(problem.span.C)
        self._largest = float(self._sizes.max())
        self._everyone = np.arange(problem.network.width)
        self._sliders = np.flatnonzero((mode.side == 0).any(axis=1))
        bare, push = branch.bare_push(branch.y0, self._everyone), branch.push(branch.y0, self._everyone)
        self._bare_size = np.abs(bare[:, branch.live]).sum(axis=1)
        # A neuron with w_j = 0 and a_j = 0 stays, though its outer layer is trained.
        trained = problem.network.trains_outer & (row_norms(branch.weights(branch.y0)) > 0.0)
        self._moves = trained | (np.abs(push).sum(axis=1) > 0.0)
        tiny = np.finfo(float).tiny
        self.off_band = np.maximum(ROUNDING * weight_scale, tiny)[:, None]
        # Largest force that a bare push of 1-norm 1 can ask of each slot, (m, slots).
        self._lever = self._largest * np.maximum(np.linalg.norm(mode.force_map, axis=2), 1.0)
        self.share_band = np.maximum(ROUNDING * self._bare_size[:, None] * self._lever, tiny)[..., None]
        self._orientation = np.where(mode.jumps(bare, mode.slots) > 0.0, 1.0, -1.0)
        off, share = self._off(branch.y0, self._everyone), self._share(branch.y0, self._everyone)
        self.off_shift, self.share_shift = (
            _lift(values, band, rtol) for values, band in ((off, self.off_band), (share, self.share_band))
        )
        self._off_room = off + self.off_shift
        self._share_room = self._rooms(share + self.share_shift, self._everyone)
        fixed = not problem.network.trains_outer
        self._held = alike(mode, self._moves, common=fixed and problem.network.outer.ndim == 1)
        missed = [self._hull_gap(group, branch.y0) for group in self._held]
        self._hull_missed = [gap if gap <= self._loose else 0.0 for gap in missed]

    def _rooms(self, share: Array, neurons: Index) -> Array:
        """Change of the bare push (1-norm) before a share guard of these neurons can fire, (k,)."""
        return np.asarray((share / (2.0 * self._lever[neurons][..., None])).min(axis=(1, 2), initial=np.inf))

    def values(self, y: Array, neurons: Index) -> Values:
        """The guards of these neurons (k,) at a state y (p,)."""
        off = self._off(y, neurons) + self.off_shift[neurons]
        share = self._share(y, neurons) + self.share_shift[neurons]
        return Values(neurons, off / self.off_band[neurons], share / self.share_band[neurons])

    def lowest(self, y: Array, neurons: Index) -> float:
        """The smallest guard of these neurons (k,) at a state y (p,), in units of rounding.

        -1 where a neuron on dependent kinks is released.
        """
        return self.values(y, neurons).lowest() if self._hulls_hold(y, neurons) else -1.0

    def at_zero(self, y: Array, neurons: Index) -> list[tuple[int, int]]:
        """The (neuron, surface) pairs of these neurons (k,) whose guards are at zero at a state y (p,)."""
        now, slots = self.values(y, neurons), self.branch.mode.slots[neurons]
        on = [(int(neurons[k]), int(h)) for k, h in np.argwhere(now.off <= now.level)]
        ends = (now.share <= now.level).any(axis=-1)
        return on + [(int(neurons[k]), int(slots[k, slot])) for k, slot in np.argwhere(ends)]

    def _off(self, y: Array, neurons: Index) -> Array:
        """side * zeta (..., k, H) of pairs off their kink, inf for the others."""
        side = self.branch.mode.side[neurons]
        zeta = self.branch.weights(y, neurons) @ self.branch.problem.surfaces.normals.T
        return np.where(side != 0, side * zeta, np.inf)

    def _share(self, y: Array, neurons: Index) -> Array:
        """Room of each share to its two ends, as forces: t sigma and t (w - sigma) with t = sign w; (..., k, s, 2)."""
        mode, bare = self.branch.mode, self.branch.bare_push(y, neurons)
        slots, orientation = mode.slots[neurons], self._orientation[neurons]
        force = mode.held(mode.drift(bare, neurons), neurons)
        above, below = mode.tops(bare, neurons, slots) - force, force - mode.bases(bare, neurons, slots)
        room = np.stack([orientation * below, orientation * above], axis=-1)
        judged_by_hull = np.isin(neurons, list(mode.dependent))
        guarded = (slots < self.branch.problem.surfaces.count) & ~judged_by_hull[:, None]
        return np.where((guarded & self._moves[neurons, None])[..., None], room, np.inf)

    def brackets(self, step: DenseStep) -> tuple[Index, float, float] | None:
        """Neurons (k,) whose guards may fall to zero in this step, and a bracket of the first that does.

        The bracket consists of two parts theta of the step, in [0, 1].  None where no guard does.
        """
        if not self.branch.problem.network.kinked:
            return None
        states = step.at(nodes(SHARE_DEGREE))
        near_off, near_share = self._near(step, states)
        found = _Falling()
        if near_off.size:
            off = self._off(step.coefficients, near_off) + self.off_shift[near_off]
            self._off_room[near_off] = off[-1]
            found.look(off, near_off)
        if near_share.size:
            share = self._share(states, near_share) + self.share_shift[near_share]
            self._share_room[near_share] = self._rooms(share[-1], near_share)
            finite = np.where(np.isfinite(share), share, 1.0)
            found.look(np.tensordot(from_nodes(SHARE_DEGREE), finite, 1), near_share)
        bound = self._hull_bracket(states)
        if bound is not None and bound[0] < found.low:
            found.low, found.high = bound
            found.neurons.append(np.array(list(self.branch.mode.dependent), dtype=np.intp))
        return (np.unique(np.concatenate(found.neurons)), found.low, found.high) if np.isfinite(found.low) else None

    def _near(self, step: DenseStep, states: Array) -> tuple[Index, Index]:
        """Neurons whose pairs off kinks, and neurons whose shares, may come to zero in the step; no others are
        evaluated.
        """
        moved = self.branch.moved_at_most(step, states)
        if moved is None:
            return self._everyone, self._sliders
        self._off_room -= moved[0]
        self._share_room -= moved[1]
        return (
            np.flatnonzero((self._off_room <= 0.0).any(axis=1)),
            self._sliders[self._share_room[self._sliders] <= 0.0],
        )

    def _hull_bracket(self, states: Array) -> tuple[float, float] | None:
        """Two nodes of the step between which a neuron held on dependent kinks is released; None where none is."""
        grid = nodes(SHARE_DEGREE)
        for k in range(1, grid.size):
            if not self._hulls_hold(states[k], self._everyone):
                return float(grid[k - 1]), float(grid[k])
        return None

    def _hulls_hold(self, y: Array, neurons: Index) -> bool:
        """Whether those of the neurons (k,) that are held on dependent kinks stay there at a state y (p,)."""
        return all(
            self._hull_gap(group, y) <= 2.0 * missed
            for group, missed in zip(self._held, self._hull_missed, strict=True)
            if neurons is self._everyone or np.isin(group.neurons, neurons).any()
        )

    def _hull_gap(self, group: Alike, y: Array) -> float:
        return group.gap(self.branch.push(y, group.neurons[:1])[0])

    def kink(self, j: int, surfaces: Index, push: Push, onward: Sides | None = None, slop: float = 0.0) -> Kink:
        """The local problem of neuron j on these surfaces (k,), with the - branch of each in the drift; onward (k,).

        slop: how far a share guard that fired is from zero.  It widens the tolerance of the decision, but by no more
        than the error of the integrator: a larger distance is a real motion of the share.
        """
        own, mode = np.array([j]), self.branch.mode
        normals = self.branch.problem.surfaces.normals[surfaces]
        on_plus = np.where(mode.side[j, surfaces] > 0, 1.0, 0.0)

        def local(pushes: Array) -> tuple[Array, Array]:
            jump = mode.jumps(pushes[None], surfaces[None])[0]
            to_minus = mode.bases(pushes[None], own, surfaces[None])[0] - on_plus * jump
            return mode.drift(pushes[None], own)[0] + to_minus @ normals, jump

        (drift, jump), (drift_rate, jump_rate) = local(push.now), local(push.rate)
        # Each sample counts by its own size: one that is far larger, but hardly pushes, must not blur the others.
        adds = (mode.slopes[j] != 0.0) | np.isin(self.branch.problem.surfaces.of_sample, surfaces)
        reach = np.where(adds, self._sizes, 0.0)
        size, size_rate = (ROUNDING * float(reach @ terms) for terms in (np.abs(push.now), push.terms))
        past = np.zeros(surfaces.size, dtype=np.int8) if onward is None else onward
        slop *= float(np.abs(push.now[self.branch.live]).sum()) / max(self._bare_size[j], np.finfo(float).tiny)
        if slop > size:
            slop = min(slop, self._loose * _largest_sum(normals, self.branch.problem.span.C, adds * np.abs(push.now)))
        # A state that is off its kink by the slop has rates that are no more exact than its forces.
        return Kink(normals, drift, drift_rate, jump, jump_rate, past, size + slop, size_rate + slop)


def _largest_sum(normals: Array, C: Array, weight: Array) -> float:
    """The largest sum of sizes of terms in the rate of a surface, or in the force on it; weight (n,) of the samples."""
    forces = np.linalg.pinv(normals).T
    return float(max((np.abs(each @ C.T) @ weight).max() for each in (normals, forces)))


def _lift(values: Array, band: Array, rtol: float) -> Array:
    """The lift of guards that start at these values: to one band above zero, or to as far above as they start below.

    rtol: the error of the integrator, relative to the sizes whose rounding the bands are.  Guards further below zero
    than that are lifted to one band only.
    """
    missed = np.maximum(-values, 0.0)
    return np.asarray(
        np.maximum(band - values, 0.0) + np.where(missed <= band * (ADDED_UP * rtol / ROUNDING), missed, 0.0)
    )


class _Falling:
    """Neurons whose guards have a negative Bernstein coefficient, and the earliest bracket of a descent among them."""

    def __init__(self) -> None:
        self.neurons: list[Index] = []
        self.low = self.high = np.inf

    def look(self, coefficients: Array, neurons: Index) -> None:
        """Add the guards of these neurons (k,), polynomials with coefficients (degree + 1, k, ...)."""
        polynomials = np.moveaxis(coefficients, 0, -1)
        falling = (polynomials < 0.0).any(axis=-1)
        if not falling.any():
            return
        self.neurons.append(neurons[falling.reshape(neurons.size, -1).any(axis=1)])
        lows, highs = first_descents(polynomials[falling])
        first = int(np.argmin(lows))
        if lows[first] < self.low:
            self.low, self.high = float(lows[first]), float(highs[first])
