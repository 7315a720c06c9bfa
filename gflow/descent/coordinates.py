"""The inner layers of B runs: how they are stored, their pre-activations, and how a step moves them.

The cost of a step does not depend on d.  A step on k samples has coefficients (B, m, k): w_j += sum_i coefficients_ji
c_i.  `indices` (B, k) are the samples of a mini-batch (repetitions add up); None stands for all n.  `runs` (R,) are
positions of runs among the B.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gflow.arrays import Array
from gflow.descent.batches import FullBatch
from gflow.descent.plan import Coordinates, DescentRun
from gflow.problem.problem import Problem


class Inner(Protocol):
    """The inner layers of B runs, changed in place."""

    @property
    def moved(self) -> Tensor:
        """What steps change, (B, m, .); the rest is known from the start."""

    def preactivations(self, indices: Tensor | None) -> Tensor:
        """z (B, m, k), valid until the next call or step; callers must not write to it."""

    def add(self, target: Tensor, coefficients: Tensor, indices: Tensor | None) -> None:
        """Add one step of all runs to the target (B, m, .), `moved` or a velocity of it; coefficients (B, m, k),
        indices (B, k) or None."""

    def all_preactivations(self, runs: Tensor) -> Tensor:
        """z (R, m, n) of these runs (R,), as a copy."""

    def span(self, runs: Tensor) -> Tensor:
        """U (R, m, r) of these runs (R,) in float64, as a copy."""

    def keep(self, runs: Tensor) -> None:
        """Keep these runs (R,) and drop the others."""

    def finite(self) -> Tensor:
        """Whether all stored numbers of a run are finite, (B,)."""


class SpanInner:
    """Inner layers stored as U (B, m, r)."""

    def __init__(self, problem: Problem, U: Tensor) -> None:
        self._U = U
        self._C = _like(U, problem.span.C)
        self._z = U.new_empty(0)

    @property
    def moved(self) -> Tensor:
        """U (B, m, r)."""
        return self._U

    def preactivations(self, indices: Tensor | None) -> Tensor:
        """z (B, m, k) at indices (B, k) or None; see `Inner`."""
        B, m, r = self._U.shape
        if indices is not None:
            return self._U @ self._C[indices].mT
        if self._z.shape[0] != B:
            self._z = self._U.new_empty(B, m, self._C.shape[0])
        torch.mm(self._U.view(B * m, r), self._C.T, out=self._z.view(B * m, -1))
        return self._z

    def add(self, target: Tensor, coefficients: Tensor, indices: Tensor | None) -> None:
        """Add one step to the target (B, m, r); see `Inner`."""
        B, m, r = target.shape
        if indices is not None:
            target.baddbmm_(coefficients, self._C[indices])
        else:
            target.view(B * m, r).addmm_(coefficients.view(B * m, -1), self._C)

    def all_preactivations(self, runs: Tensor) -> Tensor:
        """z (R, m, n) of these runs (R,), as a copy."""
        return torch.bmm(self._U[runs], _each(self._C.T, runs))

    def span(self, runs: Tensor) -> Tensor:
        """U (R, m, r) of these runs (R,) in float64, as a copy."""
        return self._U[runs].double()

    def keep(self, runs: Tensor) -> None:
        """Keep these runs (R,) and drop the others."""
        self._U = self._U[runs]

    def finite(self) -> Tensor:
        """Whether all stored numbers of a run are finite, (B,)."""
        return self._U.isfinite().all(-1).all(-1)


class SampleInner:
    """Inner layers stored as the coefficients R (B, m, n) of U = U(0) + R C, so that z = z(0) + R G with G = C C^T.

    z is computed from R at every step.  If each step changed z itself, rounding would separate it from U over many
    steps.
    """

    def __init__(self, problem: Problem, U: Tensor) -> None:
        C = problem.span.C
        self._C = torch.tensor(C, dtype=torch.float64, device=U.device)  # of rows, which are float64
        self._gram = _like(U, C @ C.T)
        self._start, self._z_start = U, U @ _like(U, C).T
        self._R = torch.zeros_like(self._z_start)
        self._z = U.new_empty(0)

    @property
    def moved(self) -> Tensor:
        """R (B, m, n)."""
        return self._R

    def preactivations(self, indices: Tensor | None) -> Tensor:
        """z (B, m, k) at indices (B, k) or None; see `Inner`."""
        if indices is not None:
            start = torch.gather(self._z_start, 2, self._columns(indices))
            return start.baddbmm_(self._R, self._gram[indices].mT)
        if self._z.shape != self._R.shape:
            self._z = torch.empty_like(self._R)
        start, R, z = (tensor.view(-1, tensor.shape[-1]) for tensor in (self._z_start, self._R, self._z))
        torch.addmm(start, R, self._gram, out=z)
        return self._z

    def add(self, target: Tensor, coefficients: Tensor, indices: Tensor | None) -> None:
        """Add one step to the target (B, m, n); see `Inner`."""
        if indices is not None:
            target.scatter_add_(2, self._columns(indices), coefficients)
        else:
            target.add_(coefficients)

    def _columns(self, indices: Tensor) -> Tensor:
        return indices[:, None, :].expand(-1, self._R.shape[1], -1)

    def all_preactivations(self, runs: Tensor) -> Tensor:
        """z (R, m, n) of these runs (R,), as a copy."""
        return self._z_start[runs] + torch.bmm(self._R[runs], _each(self._gram, runs))

    def span(self, runs: Tensor) -> Tensor:
        """U (R, m, r) of these runs (R,) in float64, as a copy."""
        return self._start[runs].double() + torch.bmm(self._R[runs].double(), _each(self._C, runs))

    def keep(self, runs: Tensor) -> None:
        """Keep these runs (R,) and drop the others."""
        self._start, self._z_start, self._R = self._start[runs], self._z_start[runs], self._R[runs]

    def finite(self) -> Tensor:
        """Whether all stored numbers of a run are finite, (B,)."""
        return self._R.isfinite().all(-1).all(-1)


class ScalarInner:
    """The inner parameters b (B, m, 1) of the scalar network, z_ji = b_j <v_j, x_i>."""

    def __init__(self, problem: Problem, U: Tensor) -> None:
        self._b = U
        self._inputs = _like(U, problem.coordinates()[..., 0])  # (m, n)
        self._z = U.new_empty(0)

    @property
    def moved(self) -> Tensor:
        """b (B, m, 1)."""
        return self._b

    def _seen(self, indices: Tensor | None) -> Tensor:
        return self._inputs if indices is None else self._inputs[:, indices].transpose(0, 1)

    def preactivations(self, indices: Tensor | None) -> Tensor:
        """z (B, m, k) at indices (B, k) or None; see `Inner`."""
        seen = self._seen(indices)
        shape = (self._b.shape[0], *seen.shape[-2:])
        if self._z.shape != shape:
            self._z = self._b.new_empty(shape)
        torch.mul(self._b, seen, out=self._z)
        return self._z

    def add(self, target: Tensor, coefficients: Tensor, indices: Tensor | None) -> None:
        """Add one step to the target (B, m, 1); see `Inner`."""
        torch.mul(coefficients, self._seen(indices), out=self._z)
        target.add_(self._z.sum(-1, keepdim=True))

    def all_preactivations(self, runs: Tensor) -> Tensor:
        """z (R, m, n) of these runs (R,), as a copy."""
        return self._b[runs] * self._inputs

    def span(self, runs: Tensor) -> Tensor:
        """b (R, m, 1) of these runs (R,) in float64, as a copy."""
        return self._b[runs].double()

    def keep(self, runs: Tensor) -> None:
        """Keep these runs (R,) and drop the others."""
        self._b = self._b[runs]

    def finite(self) -> Tensor:
        """Whether all stored numbers of a run are finite, (B,)."""
        return self._b.isfinite().all(-1).all(-1)


def inner_of(problem: Problem, run: DescentRun, coordinates: Coordinates, U: Tensor, decays: bool = False) -> Inner:
    """The inner layers of runs that are like `run` and start at U (B, m, r); decays: U(0) shrinks, too."""
    if problem.network.directions is not None:
        return ScalarInner(problem, U)
    if coordinates is Coordinates.CHEAPEST:
        few = isinstance(run.batches, FullBatch) and problem.samples <= 2 * problem.span.rank and not decays
        coordinates = Coordinates.SAMPLES if few else Coordinates.SPAN
    return SampleInner(problem, U) if coordinates is Coordinates.SAMPLES else SpanInner(problem, U)


def _like(model: Tensor, values: Array) -> Tensor:
    return torch.tensor(values, dtype=model.dtype, device=model.device)


def _each(matrix: Tensor, runs: Tensor) -> Tensor:
    """The matrix (k, l) for each of these runs, (R, k, l), without a copy.

    So that each product is one of a run alone: its bits do not depend on the other runs.
    """
    return matrix.expand(runs.shape[0], *matrix.shape)


def numbers(values: Tensor) -> Array:
    """A copy in float64, (...) -> (...), that later steps do not change."""
    return np.array(values.cpu().numpy(), dtype=np.float64)
