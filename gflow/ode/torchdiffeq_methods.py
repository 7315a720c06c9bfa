"""torchdiffeq's adaptive Runge-Kutta methods, advanced step by step; only this file touches their private parts.

The version is pinned to 0.2.5 (the wheel, which differs from the repository under the same version).  Not used are: its
events, which are wrong at the start and located only to a tolerance on the state; `min_step`, which accepts failed
steps; its asserts, which vanish under `python -O`; and its quartic interpolant wherever a state is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchdiffeq._impl.adaptive_heun import AdaptiveHeunSolver
from torchdiffeq._impl.bosh3 import Bosh3Solver
from torchdiffeq._impl.dopri5 import Dopri5Solver
from torchdiffeq._impl.dopri8 import Dopri8Solver
from torchdiffeq._impl.fehlberg2 import Fehlberg2
from torchdiffeq._impl.misc import _PerturbFunc

from gflow.arrays import Array, Index
from gflow.ode.step import MOST_SUBSTEPS, DenseStep, StepError, System, checked, unreached

# Power coefficients of degree 4 -> Bernstein coefficients: b_k = sum_l C(k, l) / C(4, l) a_l.
POWER_TO_BERNSTEIN = np.array(
    [
        [1, 0, 0, 0, 0],
        [1, 1 / 4, 0, 0, 0],
        [1, 1 / 2, 1 / 6, 0, 0],
        [1, 3 / 4, 1 / 2, 1 / 4, 0],
        [1, 1, 1, 1, 1],
    ]
)


@dataclass(frozen=True, slots=True)
class TorchdiffeqMethod:
    """One adaptive method of torchdiffeq; all of them have a quartic interpolant."""

    name: str
    solver: Any  # torchdiffeq ships no types

    def __call__(self, system: System, y0: Array, h: float) -> TorchdiffeqStepper:
        return TorchdiffeqStepper(self, system, y0, h)


class _Silent(torch.nn.Module):
    """The field in the form that torchdiffeq needs: a module on tensors with empty callbacks."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self._system = system

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self._system.tensor_field is not None:
            moved: torch.Tensor = self._system.tensor_field(y)
            return moved
        return torch.from_numpy(self._system.field(float(t), y.numpy()))

    def callback_step(self, t0: object, y0: object, dt: object) -> None:
        pass

    callback_accept_step = callback_reject_step = callback_step


class TorchdiffeqStepper:
    """A torchdiffeq solver that is advanced step by step from t = 0; a rejected trial is repeated with a smaller
    step.
    """

    def __init__(self, method: TorchdiffeqMethod, system: System, y0: Array, h: float) -> None:
        self._method, self._system = method, system
        device = torch.device("cpu") if system.tensor_field is None else system.tensor_field.device
        self._norm = _root_mean_square if system.groups is None else _worst_group(system.groups, device)
        start = torch.as_tensor(np.array(y0, dtype=np.float64), device=device)
        self._solver = self._start(0.0, start, h)
        self._old = start

    def _start(self, t: float, y: torch.Tensor, h: float) -> Any:
        module = _Silent(self._system)
        func = _PerturbFunc(module)
        for name in ("callback_step", "callback_accept_step", "callback_reject_step"):
            setattr(func, name, getattr(module, name))
        solver = self._method.solver(func, y, rtol=0.0, atol=1.0, norm=self._norm, first_step=h, dtype=torch.float64)
        solver._before_integrate(torch.tensor([t], dtype=torch.float64, device=y.device))
        return solver

    def _accepted(self, solver: Any) -> None:
        """Advance `solver` by one accepted step."""
        state = solver.rk_state
        solver.atol = torch.as_tensor(self._system.scale(_numpy(state.y1)), device=state.y1.device)
        while True:
            if not state.t1 + state.dt > state.t1:
                raise StepError(f"the step size fell below 1 ulp at t = {float(state.t1):.17g}")
            trial = solver._adaptive_step(state)
            if trial.t1 > state.t1:
                solver.rk_state = trial
                return
            # A non-finite trial gives a NaN step size; shrink it like any other failed step.
            dt = trial.dt if bool(torch.isfinite(trial.dt)) else state.dt * solver.dfactor
            state = trial._replace(dt=torch.minimum(dt, state.dt * 0.9))

    def step(self) -> DenseStep:
        """Advance by one accepted step; see `Stepper`."""
        self._old = self._solver.rk_state.y1
        self._accepted(self._solver)
        state = self._solver.rk_state
        power = np.stack([_numpy(c) for c in state.interp_coeff])
        coefficients = POWER_TO_BERNSTEIN @ power
        coefficients[0], coefficients[-1] = _numpy(self._old), _numpy(state.y1)
        return checked(DenseStep(float(state.t0), float(state.t1), coefficients))

    def state_at(self, t: float) -> Array:
        """The state (p,) at t inside the last step; see `Stepper`."""
        start, end = float(self._solver.rk_state.t0), float(self._solver.rk_state.t1)
        if t >= end:
            return np.array(_numpy(self._solver.rk_state.y1))
        if t <= start:
            return np.array(_numpy(self._old))
        again = self._start(start, self._old, t - start)
        for _ in range(MOST_SUBSTEPS):
            state = again.rk_state
            if float(state.t1) >= t:
                return np.array(_numpy(state.y1))
            again.rk_state = state._replace(dt=torch.clamp(state.dt, max=t - float(state.t1)))
            self._accepted(again)
        raise unreached(start, t)

    @property
    def proposed(self) -> float:
        """The next step size; see `Stepper`."""
        return float(self._solver.rk_state.dt)


def _numpy(tensor: torch.Tensor) -> Array:
    return np.asarray(tensor.cpu().numpy())


def _root_mean_square(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.abs().pow(2).mean().sqrt()


def _worst_group(groups: Index, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """A norm: the largest RMS over a group of components, so that one neuron's error is not averaged away by the
    others.
    """
    index = torch.as_tensor(groups, device=device)
    count = torch.clamp(torch.bincount(index), min=1).to(torch.float64)

    def norm(tensor: torch.Tensor) -> torch.Tensor:
        squares = torch.zeros_like(count).index_add_(0, index, tensor * tensor)
        return (squares / count).max().sqrt()

    return norm


TORCHDIFFEQ_METHODS = (
    TorchdiffeqMethod("dopri5", Dopri5Solver),
    TorchdiffeqMethod("dopri8", Dopri8Solver),
    TorchdiffeqMethod("bosh3", Bosh3Solver),
    TorchdiffeqMethod("adaptive_heun", AdaptiveHeunSolver),
    TorchdiffeqMethod("fehlberg2", Fehlberg2),
)
