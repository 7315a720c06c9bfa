"""Stop as soon as the mode is proved to stay for ever: looks at the flow now and then, at a bounded price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.field.mode import DualMode
from gflow.flow.engine import Segment
from gflow.limit.certificate import Finding, ModeLimit, Standing
from gflow.limit.point import LimitPoint, limit_point
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

Array = NDArray[np.float64]

EPS = float(np.finfo(float).eps)

# Explicit steps between two looks at a new mode, which may not last: early, events come nearly every step.
EVERY = 5


class Watch:
    """Judges the states of one dual run; what it knows of a mode is kept until the mode changes."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._limit: ModeLimit | None = None
        self._side: bytes = b""

    def forget(self) -> None:
        """At a row: what follows must depend on the state alone."""
        self._limit = None

    def proved(self, segment: Segment, y: Array, steps: int, stiff: bool) -> bool:
        """Is the mode of the segment proved to stay, from the state y on?"""
        branch = segment.branch
        assert isinstance(branch.mode, DualMode), "only modes with a kernel have a certificate"
        side = branch.mode.side
        if self._limit is None or side.tobytes() != self._side:
            if not stiff and steps % EVERY:
                return False
            # A kernel from scratch: that of the branch has the rounding of all its turns.
            self._limit, self._side = ModeLimit(self._problem, DualMode(self._problem, side)), side.tobytes()
        if self._limit.hard is None or len(self._limit.pending):
            return False
        return judged(self._limit, branch.weights(y)).proved


def judged(limit: ModeLimit, U: Array) -> Finding:
    """The finding at inner parameters U (m, r) on a mode."""
    return limit.finding(standing(limit.problem, limit.mode.side, U))


def standing(problem: Problem, side: NDArray[np.int8], U: Array) -> Standing:
    """Margins and switching functions of U on a mode, with bounds of their rounding."""
    pattern = problem.sample_sides(side)
    z, a = problem.preactivations(U), np.abs(problem.network.outer)
    size, terms = row_norms(U)[:, None], problem.span.rank + 8
    added = (a @ (np.abs(problem.network.hidden(z, pattern)) + size * row_norms(problem.span.C))).max()
    p_error = 2.0 * EPS * (terms + a.size) * float(added)
    room = side * (U @ problem.surfaces.normals.T)
    return Standing(problem.margins(U, pattern), p_error, room, 8.0 * EPS * terms * size)


def foreseen(problem: Problem, side: NDArray[np.int8], U: Array) -> tuple[Finding, LimitPoint | None]:
    """The finding at a state given by its sides (m, H), and the limit of its mode; None where it has none."""
    mode = DualMode(problem, side)
    limit = ModeLimit(problem, mode)
    multipliers, hard = limit.multipliers, limit.hard
    point = None if multipliers is None or hard is None else limit_point(problem, mode, multipliers, hard.unique)
    return judged(limit, U), point
