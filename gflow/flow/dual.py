"""The dual engine: fixed outer layers, every mode an n-dimensional flow (MATHEMATICS 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.field.branch import Branch, Tolerances
from gflow.field.dual import DualBranch, error_floor, weight_floor
from gflow.field.feature_branch import FeatureBranch, feature_floor
from gflow.field.features import factored
from gflow.field.mode import DualMode, Mode
from gflow.flow.engine import Engine, Stretch, started
from gflow.flow.state import FlowState, Parameters
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms


class DualCoordinates:
    """Cumulative dual masses since the start of the stretch."""

    def mode(self, problem: Problem, side: NDArray[np.int8]) -> DualMode:
        """The mode with its kernel K."""
        return DualMode(problem, side)

    def fastest(self, state: FlowState, mode: Mode) -> float:
        """Largest row sum of |K|: dp/dtau = K q."""
        assert isinstance(mode, DualMode)
        return float(np.abs(mode.K).sum(axis=0).max())

    def branch(self, problem: Problem, stretch: Stretch) -> DualBranch | FeatureBranch:
        """dc/dtau = q(p_0 + K c), or the same in the basis of the features where a step of it would cancel."""
        state, mode, tolerances = stretch.state, stretch.mode, stretch.tolerances
        assert isinstance(mode, DualMode)
        floor = error_floor(problem, mode, stretch.norms, state.p, stretch.log_rate, stretch.unit, tolerances)
        dual = DualBranch(
            problem,
            mode,
            state.parameters.U,
            state.p,
            state.v,
            stretch.unit,
            mode.live,
            floor,
            tolerances.rtol,
            float(np.linalg.norm(stretch.norms)),
            weight_floor(problem, stretch.norms, tolerances),
        )
        return _in_features(dual, stretch) if dual.cancels(dual.y0, state.h / stretch.unit) else dual

    def parameters(self, branch: Branch, y: Array) -> Parameters:
        """U at the masses y; the outer layer is fixed."""
        return Parameters(branch.weights(y), branch.problem.network.outer)


def _in_features(dual: DualBranch, stretch: Stretch) -> FeatureBranch:
    """The same field in the basis of the features."""
    found, norms, U = factored(dual.mode), stretch.norms, dual.U
    return FeatureBranch(
        dual.problem,
        dual.mode,
        U,
        dual.p,
        dual.v,
        dual.unit,
        dual.live,
        feature_floor(found, norms, dual.p, stretch.log_rate, dual.unit, stretch.tolerances),
        dual.rtol,
        float(np.sqrt(np.maximum(norms**2 - row_norms(U) ** 2, 0.0).sum())),
        found,
        stretch.tolerances.atol + stretch.tolerances.rtol * norms,
    )


def has_dual(network: Network) -> bool:
    """Has the flow of this network dual coordinates: is its outer layer fixed, and its activation piecewise linear?"""
    plain = network.smoothing is None and network.directions is None
    return plain and network.outputs == 1 and not network.trains_outer


def dual_engine(problem: Problem, W_initial: Array, tolerances: Tolerances) -> Engine:
    """The engine for W (m, d) at the start, where the network has dual coordinates."""
    return Engine(problem, *started(problem, W_initial), tolerances, DualCoordinates())
