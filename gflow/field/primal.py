"""The primal branch: the parameters themselves are the state, for every network of the papers (MATHEMATICS 5).

The field is computed in `tensors` (torch, CPU or CUDA); kinks are judged in numpy at the few states that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

import numpy as np
import torch

from gflow.arrays import EPS, Array, Bools, Index
from gflow.field.branch import Measure, Tolerances
from gflow.field.mode import Mode
from gflow.field.tensors import PrimalField
from gflow.ode.step import DenseStep, System
from gflow.problem.loss import log_mean
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# Errors of the weights are also judged by their effect on log L, which may reach this many rtol of log L.
LOSS = 10.0
# No error is required to be below this part of a component, as rounding would not allow it.
LEAST = 64.0 * EPS


@dataclass(frozen=True, slots=True)
class PrimalBranch:
    """The smooth field on one mode from the state y0 (p,), laid out as in `tensors`.

    norms_outside (m,): |w_j| outside the span of the samples; passing: the v that passes while margins move by about 1,
    at most 1.
    """

    problem: Problem
    mode: Mode
    tensor_field: PrimalField
    y0: Array
    unit: float
    tolerances: Tolerances
    norms_outside: Array
    passing: float

    @property
    def groups(self) -> Index:
        """The neuron to which each component belongs, (p,); m for the output bias, m + 1 for the clock."""
        layout, (m, r) = self.tensor_field.layout, self.tensor_field.layout.inner_shape
        groups = np.full(self.y0.size, m + 1, dtype=np.intp)
        groups[layout.inner] = np.repeat(np.arange(m), r)
        if layout.outer is not None:
            groups[layout.outer] = np.tile(np.arange(m), layout.outer_shape[0])
        if layout.bias is not None:
            groups[layout.bias] = m
        return groups

    @property
    def live(self) -> Bools:
        """The samples that set the clock, (n,)."""
        return self.mode.live

    @property
    def system(self) -> System:
        """The system that the integrator gets; its state (p,) is laid out as in `tensors`."""
        return System(self._field, self._jacobian, self._scale(), self.tensor_field, self.groups)

    def _on_device(self, y: Array) -> torch.Tensor:
        return torch.as_tensor(y, dtype=torch.float64, device=self.tensor_field.device)

    def _evaluated(self, function: Callable[[torch.Tensor], torch.Tensor], y: Array) -> Array:
        return np.asarray(function(self._on_device(y)).cpu().numpy())

    def _field(self, _: float, y: Array) -> Array:
        return self._evaluated(self.tensor_field, y)

    def _jacobian(self, _: float, y: Array) -> Array:
        return self._evaluated(torch.func.jacrev(self.tensor_field), y)

    def _scale(self) -> Callable[[Array], Array]:
        """The error scale of each component: a neuron whose block has RMS 1 is off by its tolerance."""
        groups, tolerances = self.groups, self.tolerances
        count = np.bincount(groups, minlength=self.problem.network.width + 2).astype(float)
        outside = np.concatenate([self.norms_outside, [0.0, 0.0]])

        def scale(y: Array) -> Array:
            size = np.sqrt(np.bincount(groups, y * y, minlength=count.size) + outside**2)
            block = tolerances.atol + tolerances.rtol * size
            v = abs(float(y[-1]))
            block[-1] = tolerances.rtol * max(self.passing, min(v, 1.0))
            block[-1] = max(block[-1], 1e3 * EPS * v)
            return np.asarray(np.minimum(block[groups], self._allowed_by_loss(y)) / np.sqrt(count[groups]))

        return scale

    def _allowed_by_loss(self, y: Array) -> Array:
        """The error of each component (p,) at which log L is off by `LOSS` rtol of itself, and not less than rounding.

        Where a sample is long, or its margin a small sum of large terms, that is far less than rtol of a neuron's size.
        Errors of neurons are taken to add up as independent ones.
        """
        layout, W, allowed = self.tensor_field.layout, self.weights(y), np.full(y.size, np.inf)
        levers = self._evaluated(self.tensor_field.levers, y) * sqrt(self.problem.network.width)
        with np.errstate(divide="ignore", over="ignore"):
            inner, outer = LOSS * self.tolerances.rtol * max(1.0, abs(self.log_loss(y))) / levers
        allowed[layout.inner] = np.repeat(np.maximum(inner, LEAST * row_norms(W)), W.shape[1])
        if layout.outer is not None:
            least = LEAST * np.abs(y[layout.outer])
            allowed[layout.outer] = np.maximum(np.tile(outer, layout.outer_shape[0]), least)
        return allowed

    @property
    def axes(self) -> None:
        """None: parameters are judged one by one."""
        return None

    def weights(self, y: Array, neurons: Index | None = None) -> Array:
        """U of k neurons at one or several states, (..., p) -> (..., k, r)."""
        U = self.tensor_field.layout.parameters(y, self.problem.network.outer).U
        return U if neurons is None else U[..., neurons, :]

    def push(self, y: Array, neurons: Index) -> Array:
        """push_ji of k neurons, (..., p) -> (..., k, n)."""
        return self._evaluated(self.tensor_field.push, y)[..., neurons, :]

    def bare_push(self, y: Array, neurons: Index) -> Array:
        """y_i q_i for one output, the push itself for several, (..., p) -> (..., k, n)."""
        return self._evaluated(self.tensor_field.bare_push, y)[..., neurons, :]

    def push_and_rate(self, y: Array, neurons: Index) -> tuple[Array, Array, Array]:
        """push (k, n), its derivative along the flow, and the size of its terms, at y (p,).

        Margins move by at most about 1 per unit, which bounds the terms.
        """
        theta = self._on_device(y)
        push, rate = torch.autograd.functional.jvp(  # type: ignore[no-untyped-call]
            self.tensor_field.push, theta, self.tensor_field(theta)
        )
        pushed, moved = push.cpu().numpy()[neurons], rate.cpu().numpy()[neurons]
        return pushed, moved, np.abs(pushed) + np.abs(moved)

    def moved_at_most(self, step: DenseStep, states: Array) -> None:
        """None: to look at the Bernstein coefficients of U, or at states (k, p), is as cheap as any bound."""
        return None

    def margins(self, y: Array) -> Array:
        """p at a state y, (p,) -> (n,)."""
        return self._evaluated(self.tensor_field.margins, y)

    def log_loss(self, y: Array) -> float:
        """log L at a state y (p,)."""
        return log_mean(self.problem.loss.log_value(self.margins(y)))

    def measure(self, y: Array) -> Measure:
        """The measure at a state y (p,), from one evaluation of the field and the rates of the margins along it."""
        n, measured = self.problem.samples, self._evaluated(self.tensor_field.measure, y)
        p, rates, (speed, log_total) = measured[:n], measured[n : 2 * n], measured[2 * n :]
        return Measure(
            v=float(y[-1]),
            p=p,
            log_loss=log_mean(self.problem.loss.log_value(p)),
            norm=float(np.hypot(np.linalg.norm(self.norms_outside), np.linalg.norm(y[:-1]))),
            speed=float(speed),
            margin_rates=rates,
            log_clock=float(log_total) - log(n),
            rounding=max(self._rounding(y), self._rounding(self.y0)),  # what was lost as weights came to 0 stays lost
        )

    def _rounding(self, y: Array) -> float:
        """Rounding errors of margins at a state y (p,) that is known to its last digits."""
        parameters = self.tensor_field.layout.parameters(y, self.problem.network.outer)
        return self.problem.margin_rounding(parameters.U, parameters.outer)

    def margin_rounding(self, y: Array) -> float:
        """The rounding error added to margins at y (p,): none, as the state holds the parameters themselves."""
        return 0.0

    def at_rest(self, y: Array) -> bool:
        """True at y (p,) only where no sample is live; the integrator handles other stationary points."""
        return not self.live.any()

    def cancels(self, y: Array, h: float) -> bool:
        """False for every y (p,), as the state holds the parameters themselves."""
        return False

    def reach(self, h: float) -> Array:
        """The reach (m,) of `Branch`."""
        push = np.abs(self.push(self.y0, np.arange(self.problem.network.width)))
        return np.asarray(h * (push * self.mode.slopes) @ row_norms(self.problem.span.C))

    @property
    def turns_implicit(self) -> bool:
        """False: the Jacobian holds all parameters, and costs as much as thousands of explicit steps."""
        return False

    def fastest_rate(self, y: Array, enough: float) -> float:
        """That of the outputs, or a bound of it, at y (p,), as in `PrimalField.fastest_rate`."""
        return self.tensor_field.fastest_rate(self._on_device(y), enough)
