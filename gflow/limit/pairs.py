"""Which pairs (neuron, surface) cannot keep their side while the rest of the mode stays, from the limit of q."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Bools, Index
from gflow.field.mode import Mode
from gflow.limit.optimal_set import OptimalSet
from gflow.limit.switches import Switches, switches

# Where solutions are not certain, values up to this part of the largest coefficient are in doubt.
DOUBTFUL = 1e-9


@dataclass(frozen=True, slots=True)
class Group:
    """Some switching functions over the classes of live samples; dead (k,): the sum of their coefficients of dead
    samples, with its rounding dead_error."""

    live: Switches
    dead: Array
    dead_error: Array

    @property
    def mixed(self) -> Bools:
        """(k,): dead samples act on it, and nobody knows to which side."""
        return np.asarray((np.abs(self.dead) <= self.dead_error) & (self.dead_error > 0.0))

    @property
    def lighter(self) -> Bools:
        """(k,): the live samples decide."""
        return np.asarray((self.dead == 0.0) & ~self.mixed)


@dataclass(frozen=True, slots=True)
class Pairs:
    """pending (k, 2): pairs (neuron, surface) that cannot stay; undecided: how many functions are zero to rounding, or
    differ in sign among the admissible q; mixed: those that dead samples leave open."""

    pending: Index
    undecided: int
    mixed: int


def groups(mode: Mode, samples: Index, dead: Index, q: Array) -> Iterator[Group]:
    """All switching functions of a mode, over q (k,) of the samples.

    Neurons on dependent kinks have no shares of their own, and no rooms.
    """
    whole = np.zeros(mode.problem.samples)
    whole[samples] = q
    resting = list(mode.dependent)
    for block in switches(mode, mode.problem.network.outer, whole, dead):
        judged = block.of(~(block.slides & np.isin(block.neuron, resting)))
        of_dead = judged.F[:, dead]
        yield Group(judged.on(samples), of_dead.sum(axis=1), 8.0 * EPS * np.abs(of_dead).sum(axis=1))


@dataclass(frozen=True, slots=True)
class Near:
    """Where a limit is: within shift (k,) of q (k,), entry by entry, and `distance` (sum of absolute values) more.

    A coefficient counts by what its own entry may be off: samples that have no mass in the limit do not blur it.
    """

    q: Array
    shift: Array
    distance: float = 0.0

    def allowance(self, block: Switches) -> Array:
        """Bounds (functions,) of what F.q is off."""
        loose = block.error @ (self.q + self.shift) + np.abs(block.F) @ self.shift
        largest = (block.error + np.abs(block.F)).max(axis=1, initial=0.0)
        return np.asarray(loose + 8.0 * EPS * (np.abs(block.F) @ self.q) + self.distance * largest)


def pairs_at(every: Iterable[Group], near: Near) -> Pairs:
    """At a limit that is known to be near."""
    return _counted(every, lambda block: _values(block, near))


def pairs_for_all(every: Iterable[Group], ties: OptimalSet, distance: float) -> Pairs:
    """For every admissible limit: pending is what switches for each of them, and leaves the orientation of its kink.

    Rates are the same for all of them, for they are linear in the velocity kappa W*; rooms are not.
    """
    near = Near(ties.member, np.zeros(ties.member.size), distance)
    return _counted(every, lambda block: _ranges(block, ties, near))


def _counted(every: Iterable[Group], judge: Callable[[Switches], tuple[Bools, Bools]]) -> Pairs:
    """judge: whether each function is negative, and whether it is in doubt."""
    pending, undecided, mixed = [np.zeros((0, 2), dtype=np.intp)], 0, 0
    for group in every:
        block = group.live
        negative, doubtful = judge(block)
        wrong = (group.dead < -group.dead_error) | (group.lighter & negative)
        pending.append(np.column_stack([block.neuron[wrong], block.surface[wrong]]))
        mixed += int(group.mixed.sum())
        undecided += int((group.mixed | (group.lighter & doubtful & ~block.safe)).sum())
    return Pairs(np.unique(np.concatenate(pending), axis=0), undecided, mixed)


def _values(block: Switches, near: Near) -> tuple[Bools, Bools]:
    value, doubt = block.F @ near.q, near.allowance(block)
    return np.asarray(value < -doubt), np.asarray(np.abs(value) <= doubt)


def _ranges(block: Switches, ties: OptimalSet, near: Near) -> tuple[Bools, Bools]:
    negative, doubtful = _values(block, near)
    doubt = block.error.max(axis=1, initial=0.0) + near.distance * np.abs(block.F).max(axis=1, initial=0.0)
    half = int(block.slides.sum()) // 2
    ends = np.flatnonzero(block.slides).reshape(2, half) if half else np.zeros((2, 0), dtype=np.intp)
    for pair in ends.T:
        jump = block.F[pair].sum(axis=0)
        oriented = ties.least(jump) > doubt[pair].sum()
        for k in pair[(block.F[pair] != 0.0).any(axis=1)]:
            positive = ties.least(block.F[k]) > doubt[k]
            negative[k] = negative[k] and oriented and -ties.least(-block.F[k]) < -doubt[k]
            doubtful[k] = not negative[k] and not (positive and oriented)
    return negative, doubtful
