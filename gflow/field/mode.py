"""A mode (which side of which surface, or sliding) and the factorisations it implies, kept up to date per neuron."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.field.hull import cells, independent
from gflow.problem.problem import Problem

Array = NDArray[np.float64]
Sides = NDArray[np.int8]


class Mode:
    """side (m, H) in {+1, -1, 0 = sliding} and what follows from it.

    minus (m, n): slopes phi' with sliding samples on the - branch of their surface.
    For neuron j with k_j sliding surfaces: slots[j] lists them (padded with H), force_map[j] (k_j, r) is the
    pseudo-inverse A of their normals N, so P_j = I - N^T A projects and sigma = -A v is the force that holds them.
    K (n, n) = y y^T o sum_j a_j^2 D_j C P_j C^T D_j, the dual kernel (design 2.5).
    `side` is the truth; all else is derived from it, by `turn` for one neuron at the cost of O(n^2 k_j).
    """

    def __init__(self, problem: Problem, side: Sides) -> None:
        self.problem = problem
        self.side = side.astype(np.int8)
        self.dependent: dict[int, Sides | None] = {}
        self._cells: dict[bytes, Sides | None] = {}
        self._gram = problem.span.C @ problem.span.C.T
        self._on_normals = np.zeros((problem.surfaces.count + 1, problem.samples))  # the last row pads
        self._on_normals[:-1] = problem.surfaces.normals @ problem.span.C.T
        # Column h of q @ signed is sum_{i on h} y_i |alpha_i| q_i; the last column stays 0 for padded slots.
        self.signed = np.zeros((problem.samples, problem.surfaces.count + 1))
        self.signed[np.arange(problem.samples), problem.surfaces.of_sample] = problem.y * np.abs(problem.surfaces.alpha)
        self._padded_normals = np.vstack([problem.surfaces.normals, np.zeros(problem.span.rank)])
        m, r = problem.network.width, problem.span.rank
        most = int((self.side == 0).sum(axis=1).max(initial=0))
        self.slots = np.full((m, most), problem.surfaces.count, dtype=np.intp)
        self.force_map = np.zeros((m, most, r))
        self.minus = self._minus(self.side)
        for j in np.flatnonzero((self.side == 0).any(axis=1)):
            self._factor(int(j))
        self.K = np.empty(0)
        self.refresh()

    def _minus(self, side: Sides) -> Array:
        pattern = self.problem.sample_sides(np.where(side == 0, -1, side).astype(np.int8))
        return np.where(pattern > 0, 1.0, self.problem.network.slope)

    def _factor(self, j: int) -> None:
        sliding = np.flatnonzero(self.side[j] == 0)
        grow = sliding.size - self.slots.shape[1]
        if grow > 0:
            self.slots = np.pad(self.slots, ((0, 0), (0, grow)), constant_values=self.problem.surfaces.count)
            self.force_map = np.pad(self.force_map, ((0, 0), (0, grow), (0, 0)))
        self.slots[j], self.force_map[j] = self.problem.surfaces.count, 0.0
        self.dependent.pop(j, None)
        if sliding.size:
            normals = self.problem.surfaces.normals[sliding]
            self.slots[j, : sliding.size] = sliding
            self.force_map[j, : sliding.size] = np.linalg.pinv(normals).T
            if not independent(normals):
                self.dependent[j] = self.cells_around(sliding)

    def cells_around(self, surfaces: NDArray[np.intp]) -> Sides | None:
        """`cells` of these surfaces, worked out once a run for each set of them."""
        key = surfaces.tobytes()
        if key not in self._cells:
            self._cells[key] = cells(self.problem.surfaces.normals[surfaces])
        return self._cells[key]

    def turn(self, j: int, side: Sides) -> None:
        """Neuron j takes the sides (H,)."""
        self.K -= self._kernel(np.array([j]))
        self.side[j] = side
        self.minus[j] = self._minus(side[None])[0]
        self._factor(j)
        self.K += self._kernel(np.array([j]))

    def refresh(self) -> None:
        """K from scratch: ends the drift of `turn` (about one rounding an event), and leaves no trace of the past."""
        most = int((self.side == 0).sum(axis=1).max(initial=0))
        self.slots, self.force_map = self.slots[:, :most].copy(), self.force_map[:, :most].copy()
        self.K = self._kernel(np.arange(self.problem.network.width))

    def _kernel(self, neurons: NDArray[np.intp]) -> Array:
        """The share of these neurons in K, (n, n), symmetric."""
        C, y, a = self.problem.span.C, self.problem.y, self.problem.network.outer[neurons]
        slopes = self.minus[neurons] * y
        total = self._gram * (slopes.T @ (a[:, None] ** 2 * slopes))
        for chunk in np.array_split(np.arange(neurons.size), 1 + neurons.size // 256):
            own = neurons[chunk]
            left = (a[chunk, None, None] ** 2 * slopes[chunk, None]) * self._on_normals[self.slots[own]]
            right = slopes[chunk, None] * (self.force_map[own] @ C.T)
            total -= left.reshape(-1, y.size).T @ right.reshape(-1, y.size)
        return np.asarray(0.5 * (total + total.T))

    def project(self, V: Array, neurons: NDArray[np.intp]) -> Array:
        """P_j v_j for each of these neurons, V (..., k, r) -> (..., k, r)."""
        held = self.held(V, neurons)
        return np.asarray(V + (held[..., None, :] @ self._padded_normals[self.slots[neurons]])[..., 0, :])

    def held(self, V: Array, neurons: NDArray[np.intp]) -> Array:
        """Forces sigma = -A v along the sliding normals, (..., k, r) -> (..., k, slots)."""
        return np.asarray(-(self.force_map[neurons] @ V[..., None])[..., 0])
