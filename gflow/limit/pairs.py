"""The pairs (neuron, surface) that, in the limit of q, cannot keep their side while the rest of the mode stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Bools, Index
from gflow.field.mode import Mode
from gflow.limit.optimal_set import OptimalSet
from gflow.limit.switches import Switches, switches

# Where solutions are not certain, the sign of values up to this part of the largest coefficient is in doubt.
DOUBTFUL = 1e-9


@dataclass(frozen=True, slots=True)
class Group:
    """Switching functions over the classes of live samples.

    dead (k,): the sum of the coefficients of dead samples in each function, off by at most dead_error (k,).
    """

    live: Switches
    dead: Array
    dead_error: Array

    @property
    def mixed(self) -> Bools:
        """The functions (k,) to which dead samples contribute with a sign that is not known."""
        return np.asarray((np.abs(self.dead) <= self.dead_error) & (self.dead_error > 0.0))

    @property
    def lighter(self) -> Bools:
        """The functions (k,) that live samples decide."""
        return np.asarray((self.dead == 0.0) & ~self.mixed)

    def of(self, chosen: Bools) -> Group:
        """The chosen functions, (k,)."""
        return Group(self.live.of(chosen), self.dead[chosen], self.dead_error[chosen])


@dataclass(frozen=True, slots=True)
class Pairs:
    """pending (k, 2): pairs (neuron, surface) that cannot stay; undecided and mixed: how many functions are open.

    undecided: those that are zero to rounding, or differ in sign among the admissible q; mixed: those that dead samples
    leave open.
    """

    pending: Index
    undecided: int
    mixed: int


def groups(mode: Mode, samples: Index, dead: Index, q: Array) -> Iterator[Group]:
    """All switching functions of a mode, over q (k,) of the samples (k,); dead: samples on which no neuron is active.

    Neurons on dependent kinks have no shares of their own, and so no rooms.
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
    """The place of a limit: within shift (k,) of q (k,), entry by entry, and within `distance` more in the 1-norm.

    Each coefficient counts by the error of its own entry, so that samples without mass in the limit do not blur it.
    """

    q: Array
    shift: Array
    distance: float = 0.0

    def allowance(self, block: Switches) -> Array:
        """Bounds (functions,) of the error of F.q."""
        loose = block.error @ (self.q + self.shift) + np.abs(block.F) @ self.shift
        largest = (block.error + np.abs(block.F)).max(axis=1, initial=0.0)
        return np.asarray(loose + 8.0 * EPS * (np.abs(block.F) @ self.q) + self.distance * largest)


def pairs_at(every: Iterable[Group], near: Near) -> Pairs:
    """The pairs at a limit whose place is known."""
    return _counted(every, lambda block: _values(block, near))


def pairs_for_all(every: Iterable[Group], ties: OptimalSet, distance: float) -> Pairs:
    """The pairs for all admissible limits: pending are those whose function is negative for each of them.

    A room counts only where the jump of its kink has the same sign for all of them.

    Rates are the same for all of them, as they are linear in the velocity kappa W*; rooms are not.
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
    """As `_values`, over all of Q for the rooms of shares, whose ends (k,), (k,) come in two halves."""
    negative, doubtful = _values(block, near)
    doubt = block.error.max(axis=1, initial=0.0) + near.distance * np.abs(block.F).max(axis=1, initial=0.0)
    ends = np.flatnonzero(block.slides).reshape(2, -1)
    rooms = ends.ravel()
    oriented = np.tile(ties.least(block.F[ends].sum(axis=0)) > doubt[ends].sum(axis=0), 2)
    positive = ties.least(block.F[rooms]) > doubt[rooms]
    below = negative[rooms] & oriented
    below[below] = ties.least(-block.F[rooms[below]]) > doubt[rooms[below]]
    moving = (block.F[rooms] != 0.0).any(axis=1)
    negative[rooms] = np.where(moving, below, negative[rooms])
    doubtful[rooms] = np.where(moving, ~below & ~(positive & oriented), doubtful[rooms])
    return negative, doubtful
