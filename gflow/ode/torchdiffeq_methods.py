"""torchdiffeq's adaptive Runge-Kutta methods, single-stepped: the one place that touches its private parts.

Pinned to 0.2.5 (the wheel, which differs from the repository under the same version string).  Of its behaviour we
avoid: events (wrong at t0, located to a tolerance on the state), `min_step` (accepts failed steps), the asserts that
vanish under -O, and the quartic interpolant wherever a state is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchdiffeq._impl.dopri5 import Dopri5Solver
from torchdiffeq._impl.misc import _PerturbFunc

from gflow.ode.step import DenseStep, StepError, System

Array = NDArray[np.float64]

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
    """One of torchdiffeq's adaptive methods; every one of them has a quartic interpolant."""

    name: str
    solver: Any  # torchdiffeq ships no types

    def __call__(self, system: System, y0: Array, h: float) -> TorchdiffeqStepper:
        return TorchdiffeqStepper(self, system, y0, h)


class _Silent(torch.nn.Module):
    """The field as torchdiffeq wants it: a module on tensors, with the callbacks its step calls."""

    def __init__(self, field: Callable[[float, Array], Array]) -> None:
        super().__init__()
        self._field = field

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._field(float(t), y.numpy()))

    def callback_step(self, t0: object, y0: object, dt: object) -> None:
        pass

    callback_accept_step = callback_reject_step = callback_step


class TorchdiffeqStepper:
    """One torchdiffeq solver, advanced by hand from t = 0; a rejected trial is simply tried again, smaller."""

    def __init__(self, method: TorchdiffeqMethod, system: System, y0: Array, h: float) -> None:
        self._method, self._system = method, system
        self._solver = self._start(0.0, y0, h)
        self._old: Array = y0

    def _start(self, t: float, y: Array, h: float) -> Any:
        module = _Silent(self._system.field)
        func = _PerturbFunc(module)
        for name in ("callback_step", "callback_accept_step", "callback_reject_step"):
            setattr(func, name, getattr(module, name))
        state = torch.from_numpy(np.array(y, dtype=np.float64))
        solver = self._method.solver(
            func, state, rtol=0.0, atol=1.0, norm=_root_mean_square, first_step=h, dtype=torch.float64
        )
        solver._before_integrate(torch.tensor([t], dtype=torch.float64))
        return solver

    def _accepted(self, solver: Any) -> None:
        """Advance `solver` by one accepted step."""
        state = solver.rk_state
        while True:
            if not state.t1 + state.dt > state.t1:
                raise StepError(f"the step size fell below 1 ulp at t = {float(state.t1):.17g}")
            solver.atol = torch.from_numpy(self._system.scale(state.y1.numpy()))
            trial = solver._adaptive_step(state)
            if trial.t1 > state.t1:
                solver.rk_state = trial
                return
            # A non-finite trial gives a NaN step size; shrink it like any other failed step.
            dt = trial.dt if bool(torch.isfinite(trial.dt)) else state.dt * solver.dfactor
            state = trial._replace(dt=torch.minimum(dt, state.dt * 0.9))

    def step(self) -> DenseStep:
        self._old = self._solver.rk_state.y1.numpy()
        self._accepted(self._solver)
        state = self._solver.rk_state
        power = np.stack([c.numpy() for c in state.interp_coeff])
        coefficients = POWER_TO_BERNSTEIN @ power
        coefficients[0], coefficients[-1] = self._old, state.y1.numpy()
        return DenseStep(float(state.t0), float(state.t1), coefficients)

    def state_at(self, t: float) -> Array:
        start, end = float(self._solver.rk_state.t0), float(self._solver.rk_state.t1)
        if t >= end:
            return np.array(self._solver.rk_state.y1.numpy())
        if t <= start:
            return np.array(self._old)
        again = self._start(start, self._old, t - start)
        while float(again.rk_state.t1) < t:
            state = again.rk_state
            again.rk_state = state._replace(dt=torch.clamp(state.dt, max=t - float(state.t1)))
            self._accepted(again)
        return np.array(again.rk_state.y1.numpy())

    @property
    def proposed(self) -> float:
        return float(self._solver.rk_state.dt)


def _root_mean_square(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.abs().pow(2).mean().sqrt()


TORCHDIFFEQ_METHODS = (TorchdiffeqMethod("dopri5", Dopri5Solver),)
