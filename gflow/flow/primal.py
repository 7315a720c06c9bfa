"""The primal engine, with the parameters as its state: for trained outer layers, smooth activations, several
outputs.
"""

from __future__ import annotations

import numpy as np
import torch

from gflow.arrays import Array, Index, Sides
from gflow.field.branch import Branch, Tolerances
from gflow.field.mode import Mode
from gflow.field.primal import PrimalBranch
from gflow.field.tensors import PrimalField
from gflow.flow.engine import BranchStart, Engine, started
from gflow.flow.state import FlowState
from gflow.problem.parameters import Layout, Parameters
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# phi'' of the Huberized ReLU jumps at 0 and h.  Such jumps are not located, and a step may miss one, since no error
# estimate sees a jump between its stages.  So the integrator gets this part of rtol.  The error that results is
# measured, not bounded.  Compared with the flow integrated piece by piece (16 random networks with 14 to 32 jumps, rtol
# 1e-8, DOP853) it is 0.02 to 2.5 rtol on 15 networks, and 191 rtol on one, where a step leaps over a jump (on which
# network depends on the processor's rounding); at rtol 1e-10 it is up to 5 rtol; with RK45 up to 3 rtol.  With rtol
# itself it would be 2 to 73 rtol.
CAUTION = 1e-2


class PrimalCoordinates:
    """The parameters themselves, on a CPU or a CUDA device."""

    def __init__(self, problem: Problem, U_initial: Array, device: str) -> None:
        network = problem.network
        self._problem, self._device, self._layout = problem, torch.device(device), Layout.of(problem)
        self._slopes: Array | None = None  # where they follow from the start and never change
        if network.directions is not None:
            self._slopes = np.where(problem.preactivations(U_initial) > 0.0, 1.0, network.slope)
        self._twins = None if network.kinked or network.directions is not None else _twins(U_initial, network.outer)

    def mode(self, problem: Problem, side: Sides) -> Mode:
        """The mode with sides (m, H); primal coordinates need no kernel."""
        return Mode(problem, side)

    def _tensor_field(self, mode: Mode, unit: float) -> PrimalField:
        network = self._problem.network
        slopes = mode.slopes if self._slopes is None else self._slopes
        slopes_of = None if network.smoothing else slopes.copy()
        return PrimalField(self._problem, slopes_of, mode, unit, self._device, self._twins)

    def _state_of(self, parameters: Parameters, v: float) -> Array:
        """The state (p,) of the integrator, laid out as in `field.tensors`."""
        return np.append(self._layout.flat(parameters), v)

    def fastest(self, state: FlowState, mode: Mode) -> float:
        """n times the largest |grad p_i|^2, which bounds the largest row sum of the tangent kernel."""
        y = torch.as_tensor(self._state_of(state.parameters, state.v), device=self._device)
        return self._problem.samples * self._tensor_field(mode, 1.0).fastest(y)

    def branch(self, problem: Problem, start: BranchStart) -> PrimalBranch:
        """-grad L on the branches of the mode, projected where neurons slide."""
        return PrimalBranch(
            problem,
            start.mode,
            self._tensor_field(start.mode, start.unit),
            self._state_of(start.state.parameters, start.state.v),
            start.unit,
            self._asked(start.tolerances),
            np.sqrt(np.maximum(start.norms**2 - row_norms(start.state.parameters.U) ** 2, 0.0)),
            float(np.exp(np.clip(start.log_rate + np.log(start.unit), -500.0, 0.0))),
        )

    def _asked(self, tolerances: Tolerances) -> Tolerances:
        """The tolerances for the integrator with which the flow has those given."""
        smoothing = self._problem.network.smoothing
        if smoothing is None or not smoothing.bends:
            return tolerances
        return Tolerances(max(CAUTION * tolerances.rtol, 1e-14), CAUTION * tolerances.atol)

    def parameters(self, branch: Branch, y: Array) -> Parameters:
        """The parameters in states y (..., p)."""
        return self._layout.parameters(y, self._problem.network.outer)


def _twins(U: Array, outer: Array) -> Index | None:
    """The first of the neurons that start with the same weights, for each (m,); None where there are no two.

    They have the same weights for ever.  Products of matrices round rows differently by their place, and near a saddle
    the difference would grow until rounding decides where the flow goes.  Neurons of kinked networks are not tied: what
    happens at a kink is decided for each of them.
    """
    rows = np.column_stack([U, np.atleast_2d(outer).T])
    _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return None if first.size == len(U) else np.asarray(first[which.ravel()], dtype=np.intp)


def has_device(device: str) -> bool:
    """Whether torch has this device, `cpu` or `cuda`."""
    return device == "cpu" or torch.cuda.is_available()


def use_one_thread() -> None:
    """Set torch to one thread: its tensors are small here, and threads that wait for each other take 10 times as
    long.
    """
    torch.set_num_threads(1)


def primal_engine(problem: Problem, inner: Array, tolerances: Tolerances, device: str = "cpu") -> Engine:
    """The engine for any network, from the start `inner`: W (m, d), or b (m, 1) of the scalar network."""
    start, outside = started(problem, inner)
    return Engine(problem, start, outside, tolerances, PrimalCoordinates(problem, start.U, device))
