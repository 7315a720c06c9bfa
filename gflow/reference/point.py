"""The network at one or many sets of weights on one mode, and the first derivatives of its margins there.

With dp_i/df_ki (`by_output`), dp_i/dphi_ji = sum_k A_kj dp_i/df_ki (`by_hidden`) and push_ji = q_i dp_i/dphi_ji,

    dw_j/dtau = P_j sum_i phi'_ji push_ji x_i,   dA/dtau = sum_i q_i dp_i/df_i phi_i^T,   dc/dtau = sum_i q_i dp_i/df_i,

without the parts that are not trained.  This is the gradient of the loss over -(1/n) sum g (MATHEMATICS 1, 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gflow.arrays import Array, Bools
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.reference.dual import dual_variables
from gflow.reference.kernel import tangent_kernel
from gflow.reference.margins import by_output, hidden, margins, outputs, slopes
from gflow.reference.mode import ReferenceMode


@dataclass(frozen=True, slots=True)
class Direction:
    """A vector in the space of the trained parameters, or several; None for what is not trained."""

    inner: Array
    """(..., m, r)"""
    outer: Array | None
    """(..., K, m)"""
    bias: Array | None
    """(..., K)"""

    @property
    def square(self) -> Array:
        """The squared Euclidean norm (...)."""
        total = np.sum(self.inner**2, axis=(-2, -1))
        if self.outer is not None:
            total = total + np.sum(self.outer**2, axis=(-2, -1))
        return np.asarray(total if self.bias is None else total + np.sum(self.bias**2, axis=-1))

    @property
    def norm(self) -> float:
        """The Euclidean norm of one vector, without leading axes."""
        parts = (np.linalg.norm(part) for part in (self.inner, self.outer, self.bias) if part is not None)
        return float(np.hypot.reduce(list(parts)))


@dataclass(frozen=True)
class Point:
    """Parameters on a mode: U (..., m, r), outer (m,) or (..., K, m) and output bias (..., K).

    known (..., n): margins that are known better than from the weights; None: they are computed.  live (n,): the
    samples over which q is normalised; None: all of them.
    """

    problem: Problem
    parameters: Parameters
    mode: ReferenceMode
    known: Array | None = None
    live: Bools | None = None

    @cached_property
    def z(self) -> Array:
        """Pre-activations (..., m, n)."""
        return self.problem.preactivations(self.parameters.U)

    @cached_property
    def branch_slopes(self) -> Array:
        """phi'_ji (..., m, n), 0 where neuron j slides on sample i."""
        return slopes(self.problem.network, self.z, self.mode.pattern)

    @cached_property
    def hidden(self) -> Array:
        """phi(z) (..., m, n), 0 where neuron j slides on sample i."""
        return hidden(self.problem.network, self.z, self.mode.pattern)

    @cached_property
    def f(self) -> Array:
        """Outputs (..., K, n)."""
        return outputs(self.parameters.outer, self.hidden, self.parameters.output_bias)

    @cached_property
    def p(self) -> Array:
        """Margins (..., n)."""
        return margins(self.problem.y, self.f) if self.known is None else self.known

    @cached_property
    def log_g(self) -> Array:
        """log g_i (..., n)."""
        return self.problem.loss.log_slope(self.p)

    @cached_property
    def _dual(self) -> tuple[Array, Array]:
        live = np.ones(self.problem.samples, dtype=bool) if self.live is None else self.live
        return dual_variables(self.log_g, live)

    @property
    def q(self) -> Array:
        """Dual variables g_i / sum of g over live samples (..., n)."""
        return self._dual[0]

    @property
    def log_total(self) -> Array:
        """log of the sum of g over live samples (...)."""
        return self._dual[1]

    @cached_property
    def by_output(self) -> Array:
        """dp_i / df_ki (..., K, n)."""
        return by_output(self.problem.y, self.f)

    @cached_property
    def by_hidden(self) -> Array:
        """dp_i / dphi_ji (..., m, n)."""
        return np.asarray(np.swapaxes(np.atleast_2d(self.parameters.outer), -1, -2) @ self.by_output)

    @cached_property
    def push(self) -> Array:
        """q_i dp_i / dphi_ji (..., m, n)."""
        return np.asarray(self.by_hidden * self.q[..., None, :])

    @cached_property
    def _moved(self) -> tuple[Array, Array]:
        """dU/dtau (..., m, r), and the forces (..., h, s) on the neurons that slide."""
        return self.mode.projected(times_inputs(self.problem, self.push * self.branch_slopes))

    @property
    def force(self) -> Array:
        """The forces (..., h, s) that hold the sliding neurons, along their normals; see `mode.Held`."""
        return self._moved[1]

    @cached_property
    def velocity(self) -> Direction:
        """d theta/dtau = -grad L / ((1/n) sum of g over live samples), of least norm where neurons slide."""
        network, residuals = self.problem.network, self.by_output * self.q[..., None, :]
        outer = residuals @ np.swapaxes(self.hidden, -1, -2) if network.trains_outer else None
        bias = None if self.parameters.output_bias is None else residuals.sum(axis=-1)
        return Direction(self._moved[0], outer, bias)

    @cached_property
    def rates(self) -> Array:
        """dp / dtau (..., n) along the velocity."""
        moved = self.velocity
        turned = self.branch_slopes * self.problem.preactivations(moved.inner)
        f_rate = np.atleast_2d(self.parameters.outer) @ turned
        if moved.outer is not None:
            f_rate = f_rate + moved.outer @ self.hidden
        if moved.bias is not None:
            f_rate = f_rate + moved.bias[..., None]
        return np.asarray(np.sum(self.by_output * f_rate, axis=-2))

    @cached_property
    def slopes(self) -> Array:
        """phi'_ji (..., m, n); where neuron j slides, the Clarke slope in [slope, 1] that holds it on its kink."""
        if not self.mode.kinks:
            return self.branch_slopes
        return self.mode.slopes_with(np.clip(self.mode.balance(self.push, self.force).share, 0.0, 1.0))

    @property
    def by_preactivation(self) -> Array:
        """dp_i / dz_ji (..., m, n) with `slopes`, so that grad_{w_j} p_i is this times x_i."""
        return np.asarray(self.by_hidden * self.slopes)

    @cached_property
    def euler(self) -> Array:
        """<theta, grad p_i> (..., n) in all trained parameters: degree times p_i where f is homogeneous (Euler)."""
        total = np.sum(self.by_hidden * self.branch_slopes * self.z, axis=-2)  # z is 0 where a neuron slides
        if self.problem.network.trains_outer:
            total = total + np.sum(self.by_hidden * self.hidden, axis=-2)
        bias = self.parameters.output_bias
        return np.asarray(total if bias is None else total + np.sum(bias[..., None] * self.by_output, axis=-2))

    @cached_property
    def kernel(self) -> Array:
        """<grad p_i, grad p_k> (n, n) in all trained parameters, at one set of weights."""
        weights, inputs = gradient_factors(self.problem, self.by_preactivation)
        outer = self.by_output if self.problem.network.trains_outer else None
        bias = None if self.parameters.output_bias is None else self.by_output
        return tangent_kernel(inputs @ inputs.T, weights, outer, self.hidden, bias)

    @cached_property
    def sample_norms(self) -> Array:
        """|grad p_i| (..., n) in all trained parameters."""
        weights, inputs = gradient_factors(self.problem, self.by_preactivation)
        squared = np.sum(weights**2, axis=-2) * np.sum(inputs**2, axis=-1)
        of_outputs = np.sum(self.by_output**2, axis=-2)
        if self.problem.network.trains_outer:
            squared = squared + of_outputs * np.sum(self.hidden**2, axis=-2)
        return np.asarray(np.sqrt(squared + (of_outputs if self.parameters.output_bias is not None else 0.0)))


def gradient_factors(problem: Problem, by_preactivation: Array) -> tuple[Array, Array]:
    """weights (..., m, n) and inputs (n, r) with dp_i/dU_j = weights_ji inputs_i, from dp_i/dz_ji (..., m, n).

    A scalar network has one coordinate for each neuron, <v_j, x_i>, which is part of the weights; its inputs are 1, (n,
    1).
    """
    coordinates = problem.coordinates()
    if problem.network.directions is None:
        return by_preactivation, coordinates
    return by_preactivation * coordinates[..., 0], np.ones((problem.samples, 1))


def times_inputs(problem: Problem, terms: Array) -> Array:
    """sum_i terms_ji dz_ji/dU_j, (..., m, n) -> (..., m, r)."""
    weights, inputs = gradient_factors(problem, terms)
    return np.asarray(weights @ inputs)
