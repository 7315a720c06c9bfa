"""The step from a located instant to the next mode: which neurons are at a kink, and on which sides they continue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gflow.arrays import Array, Bools, Index, Sides
from gflow.field.faces import sides_after
from gflow.field.guards import Guards, Push
from gflow.field.hull import independent
from gflow.field.kink import Kink


class EventKind(IntEnum):
    """What a pair (neuron, surface) does; the codes are those of the trajectory file."""

    CROSS_UP = 1
    CROSS_DOWN = 2
    SLIDE = 3
    LEAVE_UP = 4
    LEAVE_DOWN = 5


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of the sides of `neuron` at one instant, at which it lies on the surfaces `zero` (k,).

    before (H,), after (H,): sides, 0 for sliding.  exact: false where the neuron was held because dependent kinks had
    too many cells, or no face on which the field is consistent.  unsettled: the number of surfaces on which solutions
    are not unique, so that the policy decided: at a start on a pushing kink, and at an arrival at dependent kinks that
    can be left in several ways.
    """

    neuron: int
    zero: Index
    before: Sides
    after: Sides
    exact: bool
    unsettled: int = 0

    def events(self) -> list[tuple[int, EventKind]]:
        """(surface, kind) of every side that changed, ordered by surface."""
        return [
            (int(h), _kind(int(self.before[h]), int(self.after[h]))) for h in np.flatnonzero(self.before != self.after)
        ]


def _kind(before: int, after: int) -> EventKind:
    if after == 0:
        return EventKind.SLIDE
    if before == 0:
        return EventKind.LEAVE_UP if after > 0 else EventKind.LEAVE_DOWN
    return EventKind.CROSS_UP if after > 0 else EventKind.CROSS_DOWN


def turns_at(guards: Guards, y: Array, near: Index) -> list[Turn]:
    """The turns of all neurons of `near` (k,) with a guard at zero at the state y (p,), ordered by neuron.

    Given q, neurons are independent, so that simultaneous events of several neurons need no order; all surfaces of one
    neuron are decided together.  All guards that are zero to rounding belong to this instant.  `Turn` lists by surface,
    so the events of an instant are ordered by (neuron, surface), whatever their kinds.
    """
    branch = guards.branch
    now = guards.values(y, near)
    level = now.level
    fired = now.share <= level
    at_zero = (now.off <= level).any(axis=1) | fired.any(axis=(1, 2)) | np.isin(near, list(branch.mode.dependent))
    at_kink = np.flatnonzero(at_zero)
    turns = []
    for k, push, rate, terms in zip(
        at_kink, *branch.push_and_rate(y, near[at_kink]), strict=True
    ):  # an event has only a few of them
        j = int(near[k])
        off = now.off[k] - guards.off_shift[j] / guards.off_band[j]
        share = now.share[k] * guards.share_band[j] - guards.share_shift[j]
        slop = float(np.abs(share[fired[k]]).max(initial=0.0))
        zero = np.flatnonzero((off <= 2.0) | (branch.mode.side[j] == 0))
        turns.append(_turn(guards, j, zero, Push(push, rate, terms), slop))
    return [t for t in turns if (t.before != t.after).any() or not t.exact]


def _turn(guards: Guards, j: int, zero: Index, push: Push, slop: float) -> Turn:
    mode = guards.branch.mode
    side = mode.side[j, zero]
    own = np.array([j])
    velocity = mode.project(mode.drift(push.now[None], own), own)[0]
    rate = guards.branch.problem.surfaces.normals[zero] @ velocity
    onward = np.where(side * rate <= 0.0, -side, side).astype(np.int8)
    kink = guards.kink(j, zero, push, onward, slop)
    sides, exact, chosen = sides_after(kink, _patterns(guards, zero, kink))
    after = mode.side[j].copy()
    after[zero] = sides
    return Turn(j, zero, mode.side[j].copy(), after, exact, zero.size if chosen else 0)


def _patterns(guards: Guards, zero: Index, kink: Kink) -> Sides | None:
    return None if independent(kink.normals) else guards.branch.mode.cells_around(zero)


def starting_turns(guards: Guards, y: Array, on_kink: Bools) -> list[Turn]:
    """The turns of neurons with pairs on_kink (m, H) at the start, at the state y (p,).

    There is no motion before the start, so the minimum-norm element decides.
    """
    starting = np.flatnonzero(on_kink.any(axis=1))
    turns = []
    for j, push, rate, terms in zip(starting, *guards.branch.push_and_rate(y, starting), strict=True):
        zero = np.flatnonzero(on_kink[j])
        kink = guards.kink(int(j), zero, Push(push, rate, terms))
        sides, exact, _ = sides_after(kink, _patterns(guards, zero, kink))
        after = guards.branch.mode.side[j].copy()
        after[zero] = sides
        before, unsettled = guards.branch.mode.side[j].copy(), int((kink.jump > kink.tolerance).sum())
        turns.append(Turn(int(j), zero, before, after, exact, unsettled))
    return turns
