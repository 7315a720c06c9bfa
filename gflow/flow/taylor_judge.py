"""Neurons on dependent kinks as Python judges them: how far the compiled loop goes until it asks again."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.field.clock import dual_variables
from gflow.field.guards import SHARE_DEGREE
from gflow.flow.state import FlowState
from gflow.flow.taylor_hulls import Hulls
from gflow.ode.bernstein import nodes
from gflow.problem.loss import Loss
from gflow.taylor.model import DEGREE, END, MOVES, MOVES_RELATIVE, PATH, RELATIVE, STEPS, AnyModel

# Beyond all steps.
NO_END = 2**62
# How often hulls are judged for one step: a stride may be tried again, at another length.
MOST_ASKED = 8


class HullJudge:
    """What the hulls of a mode grant the compiled loop, from a state on."""

    def __init__(self, hulls: Hulls, loss: Loss, model: AnyModel, state: FlowState) -> None:
        self._hulls, self._loss, self._granted, self._asked = hulls, loss, NO_END, (-1, 0)
        model.hull[:] = -np.inf if hulls.groups else np.inf
        missed = hulls.gaps(self._duals(model, state.p))
        self._missed = np.where(missed <= model.data.loose, missed, 0.0)

    def _duals(self, model: AnyModel, p: Array) -> Array:
        return dual_variables(self._loss, p, model.mode.live > 0)[0]

    def leaves(self, model: AnyModel) -> int:
        """The step behind which the loop has to come back, as hulls were judged for that step alone."""
        if model.counts[STEPS] >= self._granted:
            model.hull[:], self._granted = -np.inf, NO_END
        return self._granted

    def grants(self, model: AnyModel) -> bool:
        """Give the neurons on dependent kinks the room that they have now, or that of the step that was tried; False
        where they may not stay in it.
        """
        step, steps = model.step, int(model.counts[STEPS])
        self._asked = (steps, self._asked[1] + 1 if self._asked[0] == steps else 1)
        if self._asked[1] > MOST_ASKED:
            return False
        room = self._hulls.room(self._duals(model, model.p))
        if room.path >= step[MOVES] or room.relative >= step[MOVES_RELATIVE]:
            model.hull[:] = model.now[PATH] + room.path, model.now[RELATIVE] + room.relative
            return True
        u = step[END] * nodes(SHARE_DEGREE)
        q = u[:, None] ** np.arange(model.tried[DEGREE]) @ model.terms.q[: model.tried[DEGREE]]
        held = self._hulls.hold(q, self._missed)
        if held:
            model.hull[:] = model.now[PATH] + step[MOVES], -np.inf
            self._granted = steps + 1
        return held
