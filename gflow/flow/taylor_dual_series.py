"""The series of fixed outer layers, for the loop that both kinds share."""

from __future__ import annotations

from gflow.arrays import Bools
from gflow.field.feature_branch import FeatureBranch
from gflow.field.mode import DualMode
from gflow.flow.engine import Engine, Stretch
from gflow.flow.state import Checkpoint, FlowState
from gflow.flow.taylor_ahead import Ahead
from gflow.flow.taylor_dual import DualAhead
from gflow.flow.taylor_dual_advance import DualStepShown
from gflow.flow.taylor_dual_arrays import Ground
from gflow.flow.taylor_hulls import Hulls, are_clear


class DualSeries:
    """The engine of the run, and what its arrays share."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ground = Ground.of(engine.problem, engine.tolerances, engine.norms_initial)

    def suits(self, state: FlowState) -> bool:
        """Can the compiled loop go on from a state, whose mode is the current one?"""
        engine, mode = self._engine, self._engine.mode
        assert isinstance(mode, DualMode)
        if not mode.live.any():
            return False
        stretch = engine.stretch(state)
        branch = stretch.branch
        if isinstance(branch, FeatureBranch) or branch.at_rest(branch.y0):
            return False
        return are_clear(mode)

    def ahead(self, stretch: Stretch, at: Checkpoint, keeps: bool) -> DualAhead:
        """The compiled loop from a checkpoint on; stretch: that which begins there."""
        engine, mode = self._engine, self._engine.mode
        assert isinstance(mode, DualMode)
        norms, hulls = engine.weight_norms(at.state.U), Hulls.of(mode, engine.problem.network.outer != 0.0)
        return DualAhead(self._ground, at.state, mode, norms, at.steps, at.stalled, hulls)

    def shown(self, ahead: Ahead, inexact: Bools) -> DualStepShown:
        """The step that comes next, for whoever asks for it."""
        assert isinstance(ahead, DualAhead)
        return DualStepShown(self._engine, ahead, inexact)
