"""A mode and what holds its sliding neurons: projections, forces, and shares of the + branch (MATHEMATICS 2, 3).

A sliding neuron moves with P v = v - N^T A v, where N are its unit normals and A = pinv(N)^T: Clarke's element of least
norm.  Where the normals are independent, one choice of phi' in [slope, 1] on its kinks yields it: on surface h

    -A v = base + share jump,    jump = (1 - slope) sum_{i on h} |alpha_i| push_ji,

where base is what the - branch of h adds along u_h.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gflow.arrays import Array, Bools, Index, Sides
from gflow.problem.problem import Problem
from gflow.reference.dual import live_samples
from gflow.reference.margins import slopes

# Neurons whose factors are worked out at once, so that memory stays small.
TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Held:
    """The neurons (h,) that slide, with their surfaces (h, s), padded with -1.

    normals N (h, s, r) and force_map A = pinv(N)^T (h, s, r), 0 where padded.
    """

    neurons: Index
    surfaces: Index
    normals: Array
    force_map: Array


@dataclass(frozen=True, slots=True)
class Balance:
    """The forces that hold sliding neurons, compared with the jumps; padded as in `Held`.

    rest (..., h, s): the force less its base; jump (..., h, s).  Their quotient is the share of the + branch.  Where
    nothing pushes on a kink every share would do, and it is set to 0.
    """

    rest: Array
    jump: Array

    @property
    def share(self) -> Array:
        """The shares (..., h, s), in [0, 1] to rounding where a neuron stays on independent kinks."""
        return np.divide(self.rest, self.jump, out=np.zeros_like(self.rest), where=self.jump != 0.0)


@dataclass(frozen=True)
class ReferenceMode:
    """The mode with side (m, H), 0 where a neuron slides; made by `of`."""

    problem: Problem
    side: Sides
    kinks: dict[int, tuple[Index, Array, Array]]
    """for each sliding neuron: surfaces (s,), N (s, r), A (s, r)"""

    @classmethod
    def of(cls, problem: Problem, side: Sides, near: ReferenceMode | None = None) -> ReferenceMode:
        """The mode with side (m, H), which may be anything where there is no kink to cross.

        near: a mode from which factors are taken over for neurons with the same sides.
        """
        kinks: dict[int, tuple[Index, Array, Array]] = {}
        counts = (side == 0).sum(axis=1) * problem.network.kinked
        if near is not None:
            kinks = {j: kink for j, kink in near.kinks.items() if (near.side[j] == side[j]).all()}
            counts[list(kinks)] = 0
        for s in np.unique(counts[counts > 0]):
            found = np.flatnonzero(counts == s)
            for own in np.array_split(found, 1 + found.size // TOGETHER):
                on = np.nonzero(side[own] == 0)[1].reshape(own.size, s)
                normals = problem.surfaces.normals[on]
                force_maps = np.linalg.pinv(normals).swapaxes(1, 2)
                kinks |= {int(j): (on[k], normals[k], force_maps[k]) for k, j in enumerate(own)}
        return cls(problem, side.copy(), dict(sorted(kinks.items())))

    @cached_property
    def pattern(self) -> Sides:
        """Signs of the pre-activations (m, n), 0 where a neuron slides."""
        return self.problem.sample_sides(self.side)

    @cached_property
    def live(self) -> Bools:
        """The live samples (n,), see `live_samples`."""
        return live_samples(self.problem, self.pattern)

    @cached_property
    def held(self) -> Held:
        """All sliding neurons at once."""
        shape = len(self.kinks), max((on.size for on, _, _ in self.kinks.values()), default=0)
        surfaces = np.full(shape, -1, dtype=np.intp)
        normals, force_map = np.zeros((2, *shape, self.problem.span.rank))
        for row, (on, N, A) in enumerate(self.kinks.values()):
            surfaces[row, : on.size], normals[row, : on.size], force_map[row, : on.size] = on, N, A
        return Held(np.fromiter(self.kinks, np.intp, len(self.kinks)), surfaces, normals, force_map)

    def projected(self, V: Array) -> tuple[Array, Array]:
        """P_j v_j (..., m, r) for V (..., m, r), and the forces -A_j v_j (..., h, s) that hold the sliding neurons."""
        held = self.held
        if not held.neurons.size:
            return V, np.zeros((*V.shape[:-2], 0, 0))
        force = -np.einsum("hsr,...hr->...hs", held.force_map, V[..., held.neurons, :])
        moved = V.copy()
        moved[..., held.neurons, :] += np.einsum("...hs,hsr->...hr", force, held.normals)
        return moved, np.asarray(force)

    def balance(self, push: Array, force: Array) -> Balance:
        """How a force (..., h, s) is made of both branches of each kink, for push_ji = q_i dp_i/dphi_ji (..., m, n)."""
        alpha, slope, held = self.problem.surfaces.alpha, self.problem.network.slope, self.held
        mine = push[..., held.neurons, :]
        minus = np.where(alpha > 0.0, slope, 1.0)
        base = self._gathered(mine * alpha * minus)
        return Balance(force - base, (1.0 - slope) * self._gathered(mine * np.abs(alpha)))

    def _gathered(self, terms: Array) -> Array:
        """Sums over the samples of each surface that a neuron slides on, (..., h, n) -> (..., h, s)."""
        surfaces = self.problem.surfaces
        on = np.zeros((self.problem.samples, surfaces.count + 1))  # the last column takes the padding
        on[np.arange(self.problem.samples), surfaces.of_sample] = 1.0
        at = self.held.surfaces
        return np.take_along_axis(terms @ on, np.broadcast_to(at, (*terms.shape[:-1], at.shape[1])), axis=-1)

    def on_samples(self, values: Array) -> Array:
        """The value of each sample's surface, (..., h, s) -> (..., m, n); 0 where the neuron does not slide on it."""
        per_surface = np.zeros((*values.shape[:-1], self.problem.surfaces.count + 1))
        np.put_along_axis(per_surface, np.broadcast_to(self.held.surfaces, values.shape), values, axis=-1)
        spread = np.zeros((*values.shape[:-2], *self.pattern.shape))
        spread[..., self.held.neurons, :] = per_surface[..., self.problem.surfaces.of_sample]
        return np.where(self.pattern == 0, spread, 0.0)

    def slopes_with(self, share: Array) -> Array:
        """phi' (..., m, n) of a kinked network whose sliding neurons have these shares (..., h, s) of + branches."""
        own = self.on_samples(share)
        own = np.where(self.problem.surfaces.alpha > 0.0, own, 1.0 - own)
        slope = self.problem.network.slope
        off = np.where(self.pattern > 0, 1.0, slope)
        return np.where(self.pattern == 0, slope + (1.0 - slope) * own, off)


def holding_slopes(problem: Problem, side: Sides, push: Array) -> Array:
    """phi' (m, n) with which sliding neurons stay on their kinks under this push (m, n), with sides (m, H).

    Off the kinks it is that of the branch.
    """
    mode = ReferenceMode.of(problem, side)
    off = slopes(problem.network, mode.pattern.astype(np.float64), mode.pattern)
    _, force = mode.projected((push * off) @ problem.span.C)
    return mode.slopes_with(mode.balance(push, force).share)
