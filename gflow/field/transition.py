"""From a located instant to the mode after it: which neurons are at a kink, and what each of them does."""

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
    """What a pair (neuron, surface) did; the codes are those of the trajectory file."""

    CROSS_UP = 1
    CROSS_DOWN = 2
    SLIDE = 3
    LEAVE_UP = 4
    LEAVE_DOWN = 5


@dataclass(frozen=True, slots=True)
class Turn:
    """Neuron `neuron` has sides (H,) from now on; `zero` are the surfaces it lies on at this instant.

    exact: not so where dependent kinks had too many cells, or none agreed with itself, and it was held instead.
    unsettled: surfaces on which solutions are not unique (a start on a pushing kink; an arrival at dependent kinks that
    can be left in several ways), so that the policy decided.
    """

    neuron: int
    zero: Index
    before: Sides
    after: Sides
    exact: bool
    unsettled: int = 0

    def events(self) -> list[tuple[int, EventKind]]:
        """(surface, kind) of every side that changed, by surface."""
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
    """Classify every neuron of `near` with a guard at zero at the state y, in the order of their numbers.

    Neurons are independent given q, so simultaneous events of several neurons need no order to be decided; all surfaces
    one neuron lies on are decided together.  What is at zero to its rounding is at zero: that is one instant.  `Turn`
    lists by surface, so the order of the events of an instant is that of (neuron, surface), whatever their kinds.
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
    ):  # a handful an event
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
    """Classify the pairs (m, H) that start on their kink; they have no past, so the minimum-norm element decides."""
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
