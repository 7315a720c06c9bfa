"""A watch that ends a run when its mode is proved to stay for ever; it looks at the flow rarely enough to be cheap."""

from __future__ import annotations

import numpy as np

from gflow.arrays import EPS, Array, Sides
from gflow.field.mode import DualMode
from gflow.flow.engine import Stretch
from gflow.limit.certificate import Finding, ModeLimit, StateBounds
from gflow.limit.foresight import too_early, turns
from gflow.limit.limit_point import LimitPoint
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# Looks per doubling of tau.  A proof needs the divergence to fall, and it falls with tau.  Between two marks this close
# further looks would find nothing, however many steps the integrator takes from one to the next.
LOOKS_PER_DOUBLING = 8
# Above this part of all neurons it is cheaper to make a mode anew than to turn those whose sides changed.
MANY = 0.125


class Watch:
    """The judge of one dual run: it looks for a proof whenever tau passes a mark, 2^(k / `LOOKS_PER_DOUBLING`).

    Before the tau at which a proof is expected marks are the powers of two alone.

    The times of its looks, and what they find, depend on the state alone, and their number on how far the run goes, not
    on its steps.  A state that clearly has no proof is told from its kernel (`foresight`); what is computed for a proof
    is kept until the mode changes.
    """

    def __init__(self, problem: Problem, expected: float = 0.0) -> None:
        """expected: the tau before which no proof is expected."""
        self._problem, self._expected = problem, expected
        self._mode: DualMode | None = None  # turned from look to look; its kernel only tells where no proof can be
        self._limit: ModeLimit | None = None
        self._side: bytes = b""
        self._turning: bytes = b""  # the sides of the last mode that was found to have a pair that cannot stay

    def due(self, since: float, tau: float) -> bool:
        """Was a mark passed on the way from tau = since?  Where not, `proved` finds nothing."""
        return _mark(since, self._expected) != _mark(tau, self._expected)

    def next_look(self, tau: float) -> float:
        """A tau before which no mark is passed; the next mark, to rounding, or 0 where tau is 0."""
        if tau <= 0.0:
            return 0.0
        apart = LOOKS_PER_DOUBLING if tau < self._expected else 1
        mark = float(2.0 ** ((_mark(tau, self._expected) + apart) / LOOKS_PER_DOUBLING))
        return (mark if tau >= self._expected else min(mark, self._expected)) * (1.0 - 64.0 * EPS)

    def proved(self, stretch: Stretch, y: Array, since: float, elapsed: float) -> bool:
        """Whether the mode of the stretch is proved to stay from the state y (p,) on; False also where no mark was
        passed.

        since, elapsed: where the step to y began and ended, in the units of the branch.
        """
        branch = stretch.branch
        before, now = (stretch.state.tau + branch.unit * each for each in (since, elapsed))
        return self.due(before, now) and self.proved_at(branch.mode.side, branch.weights(y))

    def clearly_open(self, side: Sides, p: Array) -> bool:
        """Is it clear without the weights, at margins p (n,), that no proof closes on the mode with sides (m, H)?"""
        if not self._problem.network.kinked or (self._limit is not None and side.tobytes() == self._side):
            return False
        return side.tobytes() == self._turning or too_early(self._problem, side, p)

    def proved_at(self, side: Sides, U: Array) -> bool:
        """Whether the mode with sides (m, H) is proved to stay from the inner parameters U (m, r) on."""
        at, key = standing(self._problem, side, U), side.tobytes()
        if self._limit is None or key != self._side:
            if self._problem.network.kinked and (key == self._turning or self._hopeless(side, at)):
                return False
            self._limit, self._side = ModeLimit(self._problem, DualMode(self._problem, side)), key
        if self._limit.hard is None or len(self._limit.pending):
            return False
        return self._limit.stays(at)

    def _hopeless(self, side: Sides, at: StateBounds) -> bool:
        """Are there clear signs that no proof can close?"""
        if too_early(self._problem, side, at.p):
            return True
        if turns(self._turned(side)):
            self._turning = side.tobytes()
            return True
        return False

    def _turned(self, side: Sides) -> DualMode:
        """The mode with sides (m, H), with the rounding of all turns since the first look."""
        known = self._mode
        changed = np.arange(len(side)) if known is None else np.flatnonzero((known.side != side).any(axis=1))
        if known is None or changed.size > MANY * len(side):
            self._mode = known = DualMode(self._problem, side)
        else:
            for j in changed:
                known.turn(int(j), side[j])
        return known


def _mark(tau: float, expected: float = 0.0) -> float:
    """The number of the last mark before tau; expected: as in `Watch`."""
    if tau <= 0.0:
        return -np.inf
    number = float(np.floor(LOOKS_PER_DOUBLING * np.log2(tau)))
    return number if tau >= expected else LOOKS_PER_DOUBLING * float(np.floor(number / LOOKS_PER_DOUBLING))


def finding_at(limit: ModeLimit, U: Array) -> Finding:
    """The finding at inner parameters U (m, r) on a mode."""
    return limit.finding(standing(limit.problem, limit.mode.side, U))


def standing(problem: Problem, side: Sides, U: Array) -> StateBounds:
    """Margins and switching functions at inner parameters U (m, r) on a mode with sides (m, H), with bounds of
    rounding.
    """
    pattern = problem.sample_sides(side)
    z, a = problem.preactivations(U), np.abs(problem.network.outer)
    size, terms = row_norms(U)[:, None], problem.X.shape[1] + 8
    added = (a @ (np.abs(problem.network.hidden(z, pattern)) + size * row_norms(problem.span.C))).max()
    p_error = 2.0 * EPS * (terms + a.size) * float(added)
    room = side * (U @ problem.surfaces.normals.T)
    return StateBounds(problem.margins(U, pattern), p_error, room, 8.0 * EPS * terms * size)


def limit_of(problem: Problem, side: Sides) -> LimitPoint | None:
    """The limit of the mode with sides (m, H), without a state: where multipliers are not unique, they are any."""
    limit = ModeLimit(problem, DualMode(problem, side))
    return None if limit.hard is None else limit.point(limit.hard)


def foreseen(problem: Problem, side: Sides, U: Array) -> tuple[Finding, LimitPoint | None]:
    """The finding at inner parameters U (m, r) on the mode with sides (m, H), and the limit of the mode.

    The limit is None where none is known.
    """
    limit = ModeLimit(problem, DualMode(problem, side))
    finding = finding_at(limit, U)
    return finding, None if finding.hard is None else limit.point(finding.hard)
