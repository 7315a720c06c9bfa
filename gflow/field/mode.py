"""A mode, that is the side of each neuron on each surface, or that it slides there; and what follows from the sides.

Slopes, projections and kernels are updated neuron by neuron where a side changes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gflow.arrays import Array, Bools, Index, Sides
from gflow.field.hull import cells, each_independent, independent
from gflow.problem.problem import Problem

# A diagonal entry of K below this part of its largest value so far has lost too many digits to differences.
FALLEN = 1e-2
# A diagonal entry of K below this part of its value without projections is mostly rounding of the projections.
THIN = 1e-6


class Mode:
    """side (m, H) in {+1, -1, 0 = sliding}, and what follows from it.

    minus (m, n): the slopes phi', with sliding samples on the - branch of their surface; slopes (m, n): the same with 0
    for sliding samples, which are the slopes that enter the motion.  live (n,): samples on which some neuron that moves
    (its a_j is trained, or not 0) is active, with slope != 0 and not sliding.  On all other samples the neurons that
    move have z = 0 or slope 0, so that the margins of these samples do not move in this mode; a sample on which a
    neuron slides holds it there by a share of the + branch, and does no more.

    For neuron j with k_j sliding surfaces: slots[j] lists them (padded with H); force_map[j] (k_j, r) is the
    pseudo-inverse A of their normals N, so that P_j = I - N^T A projects and sigma = -A v is the force that holds the
    neuron.  dependent: the neurons held on dependent kinks, with the cells around them.  All is derived from `side`, by
    `turn` for one neuron.
    """

    def __init__(self, problem: Problem, side: Sides) -> None:
        self.problem = problem
        self.side = side.astype(np.int8)
        self.dependent: dict[int, Sides | None] = {}
        self._cells: dict[bytes, Sides | None] = {}
        # Column h of pushes @ lengths is sum_{i on h} |alpha_i| push_i; the last column stays 0 for padded slots.
        self.lengths = np.zeros((problem.samples, problem.surfaces.count + 1))
        self.lengths[np.arange(problem.samples), problem.surfaces.of_sample] = np.abs(problem.surfaces.alpha)
        self.signed_lengths = self.lengths * np.sign(problem.surfaces.alpha)[:, None]
        self.padded_normals = np.vstack([problem.surfaces.normals, np.zeros(problem.span.rank)])
        m, r = problem.network.width, problem.span.rank
        most = int((self.side == 0).sum(axis=1).max(initial=0))
        self.slots = np.full((m, most), problem.surfaces.count, dtype=np.intp)
        self.force_map = np.zeros((m, most, r))
        self.minus = self._minus(self.side)
        self.slopes = self._held_out(self.minus, self.side)
        for own, on, force_map, clear in factors(problem.surfaces.normals, self.side):
            self.slots[own, : on.shape[1]], self.force_map[own, : on.shape[1]] = on, force_map
            for k in np.flatnonzero(~clear):
                self.dependent[int(own[k])] = self.cells_around(on[k])
        self.dependent = dict(sorted(self.dependent.items()))

    def _minus(self, side: Sides) -> Array:
        pattern = self.problem.sample_sides(np.where(side == 0, -1, side).astype(np.int8))
        return np.where(pattern > 0, 1.0, self.problem.network.slope)

    def _held_out(self, minus: Array, side: Sides) -> Array:
        return np.asarray(minus * (side[:, self.problem.surfaces.of_sample] != 0))

    @property
    def live(self) -> Bools:
        """The live samples (n,), as the class defines them."""
        moving = self.problem.network.trains_outer | np.atleast_2d(self.problem.network.outer != 0.0).any(axis=0)
        if self.problem.network.output_bias is not None or not self.problem.network.kinked:
            return np.ones(self.problem.samples, dtype=bool)
        return np.asarray(((self.slopes != 0.0) & np.broadcast_to(moving, self.slopes.shape[:1])[:, None]).any(axis=0))

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

    def cells_around(self, surfaces: Index) -> Sides | None:
        """`cells` (c, k) of these surfaces (k,), computed once in a run for each set of surfaces."""
        key = surfaces.tobytes()
        if key not in self._cells:
            self._cells[key] = cells(self.problem.surfaces.normals[surfaces])
        return self._cells[key]

    def turn(self, j: int, side: Sides, hold: bool = False) -> None:
        """Give neuron j the sides (H,); hold: it stays on dependent kinks whatever their hull says."""
        self.side[j] = side
        self.minus[j] = self._minus(side[None])[0]
        self.slopes[j] = self._held_out(self.minus[j][None], self.side[j][None])[0]
        self._factor(j)
        if hold:
            self.hold(j)

    def hold(self, j: int) -> None:
        """Keep neuron j on its kinks whatever their hull says."""
        self.dependent[j] = None

    @property
    def inexact(self) -> Bools:
        """The neurons (m,) that are held by decision, or because their kinks have too many cells."""
        held = np.zeros(self.side.shape[0], dtype=bool)
        held[[j for j, cells_around in self.dependent.items() if cells_around is None]] = True
        return held

    def refresh(self) -> None:
        """Forget how this mode was reached, so that all derived values depend on `side` alone, bit for bit."""
        most = int((self.side == 0).sum(axis=1).max(initial=0))
        self.slots, self.force_map = self.slots[:, :most].copy(), self.force_map[:, :most].copy()

    def drift(self, push: Array, neurons: Index) -> Array:
        """sum_i phi'_ji push_ji c_i over samples off their kinks for k neurons, push (..., k, n) -> (..., k, r)."""
        return np.asarray((self.slopes[neurons] * push) @ self.problem.span.C)

    def bases(self, push: Array, neurons: Index, surfaces: Index) -> Array:
        """What the - branch of each sliding surface adds along its normal; 0 for the other surfaces.

        push (..., k, n) of k neurons, surfaces (k, s) -> (..., k, s).
        """
        held = (self.minus[neurons] - self.slopes[neurons]) * push
        return self._on_surfaces(held @ self.signed_lengths, surfaces)

    def tops(self, push: Array, neurons: Index, surfaces: Index) -> Array:
        """What the + branch of each sliding surface adds along its normal, which is base + jump; shapes as for `bases`.

        push (..., k, n), surfaces (k, s) -> (..., k, s).  That sum would cancel where one sample of the surface
        outweighs the others, so it is not formed.
        """
        sliding = self.side[neurons][:, self.problem.surfaces.of_sample] == 0
        plus = np.where(sliding, 1.0 + self.problem.network.slope - self.minus[neurons], 0.0)
        return self._on_surfaces((plus * push) @ self.signed_lengths, surfaces)

    def jumps(self, push: Array, surfaces: Index) -> Array:
        """J_jh = (1 - slope) sum_{i on h} |alpha_i| push_ji, push (..., k, n), surfaces (k, s) -> (..., k, s)."""
        return self._on_surfaces((1.0 - self.problem.network.slope) * (push @ self.lengths), surfaces)

    @staticmethod
    def _on_surfaces(per_surface: Array, surfaces: Index) -> Array:
        wanted = np.broadcast_to(surfaces, (*per_surface.shape[:-1], surfaces.shape[-1]))
        return np.take_along_axis(per_surface, wanted, axis=-1)

    def project(self, V: Array, neurons: Index) -> Array:
        """P_j v_j for each of these k neurons, V (..., k, r) -> (..., k, r)."""
        held = self.held(V, neurons)
        return np.asarray(V + (held[..., None, :] @ self.padded_normals[self.slots[neurons]])[..., 0, :])

    def held(self, V: Array, neurons: Index) -> Array:
        """The forces sigma = -A v along the sliding normals of k neurons, (..., k, r) -> (..., k, slots)."""
        return np.asarray(-(self.force_map[neurons] @ V[..., None])[..., 0])


def factors(normals: Array, side: Sides) -> Iterator[tuple[Index, Index, Array, Bools]]:
    """Of sliding neurons with sides (m, H), those with equally many surfaces s together: neurons (k,), surfaces (k, s),
    force_map (k, s, r) as in `Mode`, and whether the normals are independent (k,).
    """
    counts = (side == 0).sum(axis=1)
    for s in np.unique(counts[counts > 0]):
        neurons = np.flatnonzero(counts == s)
        for own in np.array_split(neurons, 1 + neurons.size // 256):
            on = np.nonzero(side[own] == 0)[1].reshape(own.size, s)
            held = normals[on]
            force_map = np.asarray(np.linalg.pinv(held), dtype=np.float64).swapaxes(1, 2)
            yield own, np.asarray(on), force_map, each_independent(held)


class DualMode(Mode):
    """A mode with its dual kernel K (n, n) = y y^T o sum_j a_j^2 D_j C P_j C^T D_j (MATHEMATICS 5), fixed outer layer.

    A turn costs O(n^2 k_j), and leaves a rounding relative to the largest K so far.  Where K has fallen far below that,
    and on `refresh`, it is computed anew.  K_ik carries a rounding of at least free_i free_k, with free_i^2 (n,) the
    value of K_ii without projections.  Where projections take nearly all of it, K is computed from the projected
    features instead, whose rounding is relative to free_i alone.
    """

    def __init__(self, problem: Problem, side: Sides) -> None:
        super().__init__(problem, side)
        self._gram = problem.span.C @ problem.span.C.T
        self._on_normals = self.padded_normals @ problem.span.C.T  # (H + 1, n)
        self.overlaps = np.abs(self._on_normals[:-1])  # |<u_h, c_i>| (H, n)
        self.K: Array = np.empty(0)
        self._free: Array = np.empty(0)
        self._largest: Array = np.empty(0)
        self.refresh()

    @property
    def free(self) -> Array:
        """|h_i| (n,) without projections, which sets the rounding of a feature."""
        return np.sqrt(np.maximum(self._free, 0.0))

    def turn(self, j: int, side: Sides, hold: bool = False) -> None:
        """Give neuron j the sides (H,), as in `Mode`, and update K."""
        self.K -= self._kernel(np.array([j]))
        before = self._squares(np.array([j]))
        super().turn(j, side, hold)
        self.K += self._kernel(np.array([j]))
        self._free += self._squares(np.array([j])) - before
        size = np.diag(self.K)
        if (size < FALLEN * self._largest).any():
            self._from_scratch()
        elif (size < THIN * self._free).any():
            self._from_features()
        self._largest = np.maximum(self._largest, np.diag(self.K))

    def refresh(self) -> None:
        """As in `Mode`; K is computed anew."""
        super().refresh()
        self._from_scratch()

    def _from_scratch(self) -> None:
        everyone = np.arange(self.problem.network.width)
        self.K, self._free = self._kernel(everyone), self._squares(everyone)
        self._largest = np.diag(self.K).copy()
        if (self._largest < THIN * self._free).any():
            self._from_features()

    def _from_features(self) -> None:
        h = (self.problem.network.outer[:, None] * self.directions()).reshape(self.problem.samples, -1)
        self.K = h @ h.T

    def directions(self) -> Array:
        """y_i phi'_ji P_j c_i as (n, m, r): a_j times it is the gradient of margin i with respect to neuron j."""
        own = np.arange(self.problem.network.width)
        factors = self.problem.y[:, None] * self.slopes.T
        # Almost parallel normals make one projection inexact; a second one takes away what the first has left.
        return self.project(self.project(factors[:, :, None] * self.problem.span.C[:, None, :], own), own)

    def _squares(self, neurons: Index) -> Array:
        """The part of free^2 (n,) that these neurons contribute."""
        return np.asarray(np.diag(self._gram) * (self.problem.network.outer[neurons] ** 2 @ self.slopes[neurons] ** 2))

    def _kernel(self, neurons: Index) -> Array:
        """The part of K (n, n) that these neurons contribute, symmetric."""
        C, y, a = self.problem.span.C, self.problem.y, self.problem.network.outer[neurons]
        slopes = self.slopes[neurons] * y
        total = self._gram * (slopes.T @ (a[:, None] ** 2 * slopes))
        for chunk in np.array_split(np.arange(neurons.size), 1 + neurons.size // 256):
            own = neurons[chunk]
            left = (a[chunk, None, None] ** 2 * slopes[chunk, None]) * self._on_normals[self.slots[own]]
            right = slopes[chunk, None] * (self.force_map[own] @ C.T)
            total -= left.reshape(-1, y.size).T @ right.reshape(-1, y.size)
        return np.asarray(0.5 * (total + total.T))
