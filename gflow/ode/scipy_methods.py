"""scipy's one-step methods behind the protocol of `step`; only the public interface of its solvers is used."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import DOP853, RK45, Radau
from scipy.linalg import LinAlgWarning

from gflow.arrays import Array
from gflow.ode.bernstein import from_nodes, nodes
from gflow.ode.step import MOST_SUBSTEPS, DenseStep, StepError, System, checked, unreached

# The error is judged by System.scale alone; scipy insists on a positive rtol of at least 100 machine epsilons.
SMALLEST_RTOL = 2.3e-14


@dataclass(frozen=True, slots=True)
class ScipyMethod:
    """One method of scipy.

    degree: of its dense output; implicit: whether it needs the Jacobian; exact_output: whether the dense output is as
    accurate as the steps.
    """

    name: str
    solver: Any  # scipy ships no types
    degree: int
    implicit: bool
    exact_output: bool

    def __call__(self, system: System, y0: Array, h: float) -> ScipyStepper:
        return ScipyStepper(self, system, y0, h)


class ScipyStepper:
    """A scipy solver that is advanced step by step from t = 0; its tolerance and longest step are set before each
    step.
    """

    def __init__(self, method: ScipyMethod, system: System, y0: Array, h: float) -> None:
        self._method, self._system = method, system
        self._solver = self._start(0.0, y0, np.inf, h)
        self._dense: Any = None

    def _start(self, t: float, y: Array, bound: float, h: float) -> Any:
        options = {"jac": self._system.jacobian} if self._method.implicit else {}
        atol = self._system.group_scale(y)
        solver = self._method.solver(
            self._system.field, t, y, bound, rtol=SMALLEST_RTOL, atol=atol, first_step=h, **options
        )
        if self._method.implicit:
            solver.newton_tol = 1e-3  # in units of the scale; scipy would derive it from rtol, which is not used here
        return solver

    def step(self) -> DenseStep:
        """Advance by one accepted step; see `Stepper`."""
        solver = self._solver
        solver.atol = self._system.group_scale(solver.y)
        if self._system.longest is not None:
            solver.max_step = self._system.longest(solver.y, float(solver.h_abs))
        _advance(solver)
        self._dense = solver.dense_output()
        start, end = float(solver.t_old), float(solver.t)
        values = self._dense(start + (end - start) * nodes(self._method.degree)).T
        coefficients = from_nodes(self._method.degree) @ values
        coefficients[0], coefficients[-1] = self._dense.y_old, solver.y
        return checked(DenseStep(start, end, coefficients))

    def state_at(self, t: float) -> Array:
        """The state (p,) at t inside the last step; see `Stepper`."""
        solver = self._solver
        if t >= solver.t:
            return np.array(solver.y)
        if self._method.exact_output:
            return np.asarray(self._dense(t))
        start = float(solver.t_old)
        if t <= start:
            return np.array(self._dense.y_old)
        again = self._start(start, np.array(self._dense.y_old), t, t - start)
        for _ in range(MOST_SUBSTEPS):
            if again.status != "running":
                return np.asarray(again.y)
            _advance(again)
        raise unreached(start, t)

    @property
    def proposed(self) -> float:
        """The next step size; see `Stepper`."""
        return float(self._solver.h_abs)


def _advance(solver: Any) -> None:
    """Take one accepted step.

    Trials that overflow, or whose matrix is singular, are rejected like any other bad trial.  Raises StepError where
    the step size underflows.
    """
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)
        solver.step()
    if solver.status == "failed":
        raise StepError(f"the step size fell below 10 ulp at t = {solver.t:.17g}")


SCIPY_METHODS = (
    ScipyMethod("DOP853", DOP853, degree=7, implicit=False, exact_output=True),
    ScipyMethod("RK45", RK45, degree=4, implicit=False, exact_output=False),
    ScipyMethod("Radau", Radau, degree=3, implicit=True, exact_output=False),
)
