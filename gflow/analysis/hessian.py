"""The Hessian of the loss on a mode, times vectors, and its extreme eigenvalues.

With r_ki = dl(p_i)/df_ki, pushes A^T r and a vector (dU, dA, dc), whose dot is the derivative along it,

    (1/n) sum_i ((A^T r)_ji phi'_ji)' x_i,   (1/n) sum_i (r_i phi_i^T)',   (1/n) sum_i r_i'

are its parts in U, A and c (MATHEMATICS 1), by the product rule.  Neurons that slide keep their share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from gflow.arrays import Array
from gflow.problem.parameters import Layout
from gflow.reference.point import Point, times_inputs

DENSE = 48  # parameters up to which all eigenvalues are computed
ACCURACY = 1e-8  # relative, of an eigenvalue by Lanczos


@dataclass(frozen=True)
class Hessian:
    """(weak) hess L / exp(log_unit) at a point with U (m, r), in all trained parameters theta (p,) of its `Layout`."""

    point: Point
    log_unit: float

    def times(self, theta: Array) -> Array:
        """The product (p,) with a vector theta (p,)."""
        point, parameters = self.point, self._layout.parameters(theta, np.zeros_like(self.point.parameters.outer))
        A, dA = np.atleast_2d(point.parameters.outer), np.atleast_2d(parameters.outer)
        dz = point.problem.preactivations(parameters.U)
        df = A @ (point.slopes * dz) + dA @ point.hidden
        if parameters.output_bias is not None:
            df = df + parameters.output_bias[:, None]
        dr = self._bend(df)
        pushed = point.slopes * (A.T @ dr + dA.T @ self._r)
        if self._second is not None:
            pushed = pushed + self._second * dz * (A.T @ self._r)
        parts = [times_inputs(point.problem, pushed).ravel()]
        if self._layout.outer is not None:
            parts.append((dr @ point.hidden.T + self._r @ (point.slopes * dz).T).ravel())
        if self._layout.bias is not None:
            parts.append(dr.sum(axis=1))
        return np.concatenate(parts)

    @property
    def largest(self) -> float:
        """The largest eigenvalue; infinite where the Hessian leaves float64."""
        return self._extreme("LA")

    @property
    def norm(self) -> float:
        """The operator norm, the largest size of an eigenvalue; infinite where the Hessian leaves float64."""
        return abs(self._extreme("LM"))

    def _extreme(self, which: str) -> float:
        size = sum(
            part.stop - part.start for part in (self._layout.inner, self._layout.outer, self._layout.bias) if part
        )
        start = np.random.default_rng(0).standard_normal(size)  # a fixed one: the same file gives the same answer
        image = self.times(start)
        if not np.isfinite(image).all():
            return np.inf
        if not image.any():
            return 0.0
        if size <= DENSE:
            values = np.linalg.eigvalsh(np.column_stack([self.times(unit) for unit in np.eye(size)]))
            return float(values[-1] if which == "LA" else values[np.abs(values).argmax()])
        operator = LinearOperator((size, size), matvec=self.times, dtype=np.float64)
        return float(eigsh(operator, k=1, which=which, v0=start, tol=ACCURACY, return_eigenvectors=False)[0])

    @cached_property
    def _layout(self) -> Layout:
        return Layout.of(self.point.problem)

    @cached_property
    def _g(self) -> Array:
        """g_i / (n unit) (n,)."""
        return np.exp(self.point.log_g - self.log_unit) / self.point.problem.samples

    @cached_property
    def _r(self) -> Array:
        """dl(p_i)/df_ki / (n unit) (K, n)."""
        return -self._g * self.point.by_output

    @cached_property
    def _second(self) -> Array | None:
        """phi''_ji (m, n), None where it is 0."""
        smoothing = self.point.problem.network.smoothing
        return None if smoothing is None else smoothing.second_derivative(self.point.z)

    def _bend(self, df: Array) -> Array:
        """The derivative of r (K, n) along df (K, n)."""
        point = self.point
        dp = np.sum(point.by_output * df, axis=0)
        dr = -self._g * point.problem.loss.log_slope_rate(point.p) * dp * point.by_output
        if point.problem.network.outputs == 1:
            return np.asarray(dr)
        softmax = np.where(point.by_output > 0.0, 0.0, -point.by_output)
        return np.asarray(dr + self._g * softmax * (df - np.sum(softmax * df, axis=0)))
