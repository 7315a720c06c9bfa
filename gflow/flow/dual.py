"""The dual engine, for fixed outer layers, where the flow on every mode has n dimensions (MATHEMATICS 5)."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Sides
from gflow.field.branch import Branch, Tolerances
from gflow.field.dual import DualBranch, error_floor, weight_floor
from gflow.field.feature_basis import factored
from gflow.field.feature_branch import FeatureBranch, feature_floor
from gflow.field.mode import DualMode, Mode
from gflow.flow.engine import BranchStart, Engine, started
from gflow.flow.state import FlowState
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms


class DualCoordinates:
    """Dual masses accumulated since the start of the stretch."""

    def mode(self, problem: Problem, side: Sides) -> DualMode:
        """The mode with sides (m, H) and its kernel K."""
        return DualMode(problem, side)

    def fastest(self, state: FlowState, mode: Mode) -> float:
        """The largest row sum of |K|, as dp/dtau = K q."""
        assert isinstance(mode, DualMode)
        return float(np.abs(mode.K).sum(axis=0).max())

    def branch(self, problem: Problem, start: BranchStart) -> DualBranch | FeatureBranch:
        """The branch dc/dtau = q(p_0 + K c), or the same in the basis of the features where a step of it would
        cancel.
        """
        state, mode, tolerances = start.state, start.mode, start.tolerances
        assert isinstance(mode, DualMode)
        floor = error_floor(problem, mode, start.norms, state.p, start.log_rate, start.unit, tolerances)
        dual = DualBranch(
            problem,
            mode,
            state.parameters.U,
            state.p,
            state.v,
            start.unit,
            mode.live,
            floor,
            tolerances.rtol,
            float(np.linalg.norm(start.norms)),
            weight_floor(problem, start.norms, tolerances),
        )
        return _in_features(dual, start) if dual.cancels(dual.y0, state.h / start.unit) else dual

    def parameters(self, branch: Branch, y: Array) -> Parameters:
        """U (..., m, r) at states y (..., n + 1), or y (..., k + 1) of features; the outer layer is fixed."""
        return Parameters(branch.weights(y), branch.problem.network.outer)


def _in_features(dual: DualBranch, start: BranchStart) -> FeatureBranch:
    """The same field in the basis of the features."""
    found, norms, U = factored(dual.mode), start.norms, dual.U
    return FeatureBranch(
        dual.problem,
        dual.mode,
        U,
        dual.p,
        dual.v,
        dual.unit,
        dual.live,
        feature_floor(found, norms, dual.p, start.log_rate, dual.unit, start.tolerances),
        dual.rtol,
        float(np.sqrt(np.maximum(norms**2 - row_norms(U) ** 2, 0.0).sum())),
        found,
        start.tolerances.atol + start.tolerances.rtol * norms,
    )


def has_dual(network: Network) -> bool:
    """Whether the network has dual coordinates: its outer layer is fixed and its activation piecewise linear."""
    plain = network.smoothing is None and network.directions is None
    return plain and network.outputs == 1 and not network.trains_outer


def dual_engine(problem: Problem, W_initial: Array, tolerances: Tolerances) -> Engine:
    """The engine that starts at W_initial (m, d), for a network with dual coordinates."""
    return Engine(problem, *started(problem, W_initial), tolerances, DualCoordinates())
