"""Guards of a segment: functions of the state that stay positive as long as the mode is right.

A guard is side * zeta for a pair off its kink, and the room to either end of the share for a sliding pair.  Every one
is a linear function of the masses or of q, so it is judged on whole steps by its Bernstein coefficients; only neurons
whose guards could reach zero in the step are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gflow.field.clarke import ROUNDING
from gflow.field.dual import DualBranch
from gflow.field.hull import least_norm_in_hull, velocities
from gflow.field.kink import Kink
from gflow.ode.bernstein import first_descents, from_nodes, nodes
from gflow.ode.step import DenseStep
from gflow.problem.span import row_norms

Array = NDArray[np.float64]
Index = NDArray[np.intp]

SHARE_DEGREE = 7


@dataclass(frozen=True, slots=True)
class Values:
    """Guards of some neurons in units of their rounding: off (k, H) per surface, share (k, slots, 2); inf: no guard."""

    neurons: Index
    off: Array
    share: Array

    def lowest(self) -> float:
        """The smallest of all."""
        return min(float(self.off.min(initial=np.inf)), float(self.share.min(initial=np.inf)))


class Guards:
    """The guards of one branch.  `shift` lifts guards that start within rounding of zero, so that time must pass
    before any of them can fire: an event cannot repeat at the instant that was just classified."""

    def __init__(self, branch: DualBranch, weight_scale: Array) -> None:
        """weight_scale (m,): the size of the terms that cancel in zeta, which sets its rounding."""
        self.branch = branch
        problem, mode = branch.problem, branch.mode
        self._reach = np.abs(problem.network.outer)
        self._largest = float(row_norms(problem.span.C).max())
        self._cross = np.abs(problem.surfaces.normals @ problem.span.C.T)  # (H, n)
        self._everyone = np.arange(problem.network.width)
        self.curved = problem.network.slope != 1.0
        self._sliders = np.flatnonzero((mode.side == 0).any(axis=1) & (self._reach > 0.0))
        tiny = np.finfo(float).tiny
        self.off_band = np.maximum(ROUNDING * weight_scale, tiny)[:, None]
        self.share_band = np.maximum(ROUNDING * self._share_scale(), tiny)[..., None]
        self._slope = 2.0 * self._share_scale()
        off, share = self._off(branch.y0, self._everyone), self._share(branch.dual(branch.y0), self._everyone)
        self.off_shift = np.maximum(self.off_band - off, 0.0)
        self.share_shift = np.maximum(self.share_band - share, 0.0)
        self._off_room = off + self.off_shift
        self._share_room = self._rooms(share + self.share_shift, self._everyone)

    def _share_scale(self) -> Array:
        """Largest force a unit of q can ask of each slot, (m, slots)."""
        rows = np.linalg.norm(self.branch.mode.force_map, axis=2)
        return np.asarray(self._reach[:, None] * self._largest * np.maximum(rows, 1.0))

    def _rooms(self, share: Array, neurons: Index) -> Array:
        """Change of q (1-norm) before a share guard of these neurons can fire, (k,)."""
        slope = self._slope[neurons][..., None]
        room = np.divide(share, slope, out=np.full(share.shape, np.inf), where=(slope > 0.0) & np.isfinite(share))
        return np.asarray(room.min(axis=(1, 2), initial=np.inf))

    def values(self, y: Array, neurons: Index) -> Values:
        """Guards of these neurons at a state y (n + 1,)."""
        off = self._off(y, neurons) + self.off_shift[neurons]
        share = self._share(self.branch.dual(y), neurons) + self.share_shift[neurons]
        return Values(neurons, off / self.off_band[neurons], share / self.share_band[neurons])

    def lowest(self, y: Array, neurons: Index) -> float:
        """The smallest guard of these neurons at a state, in units of rounding; -1 where dependent kinks let one go."""
        bound = [j for j in neurons if j in self.branch.mode.dependent]
        if bound and not all(self.hull_holds(self.branch.dual(y), int(j)) for j in bound):
            return -1.0
        return self.values(y, neurons).lowest()

    def _off(self, y: Array, neurons: Index) -> Array:
        side = self.branch.mode.side[neurons]
        zeta = self.branch.weights(y, neurons) @ self.branch.problem.surfaces.normals.T
        guarded = (side != 0) & self.curved & (self._reach[neurons, None] > 0.0)
        return np.where(guarded, side * zeta, np.inf)

    def _share(self, q: Array, neurons: Index) -> Array:
        """Room of each share to its two ends, as forces: t sigma and t (w - sigma) with t = sign w."""
        mode, problem = self.branch.mode, self.branch.problem
        slots = mode.slots[neurons]
        sigma = mode.held(self.branch.drift(q, neurons), neurons)
        jump = self.jumps(q, neurons, slots)
        orientation = np.where(self.jumps(self.branch.dual(self.branch.y0), neurons, slots) > 0.0, 1.0, -1.0)
        room = np.stack([orientation * sigma, orientation * (jump - sigma)], axis=-1)
        guarded = (slots < problem.surfaces.count) & (self._reach[neurons, None] > 0.0)
        bound = np.isin(neurons, list(mode.dependent))
        return np.where((guarded & ~bound[:, None])[..., None] & self.curved, room, np.inf)

    def jumps(self, q: Array, neurons: Index, surfaces: Index) -> Array:
        """w_jh = (1 - slope) a_j sum_{i on h} y_i |alpha_i| q_i, q (..., n), surfaces (k, s) -> (..., k, s)."""
        problem = self.branch.problem
        scale = (1.0 - problem.network.slope) * problem.network.outer[neurons, None]
        return np.asarray(scale * (q @ self.branch.mode.signed)[..., surfaces])

    def brackets(self, step: DenseStep) -> tuple[Index, float, float] | None:
        """Neurons of which a guard may go down in this step, and a bracket (theta) of the first that does."""
        q = self.branch.dual(step.at(nodes(SHARE_DEGREE)))
        near_off, near_share = self._spend(step, q)
        found = _Falling()
        if near_off.size:
            off = self._off(step.coefficients, near_off) + self.off_shift[near_off]
            self._off_room[near_off] = off[-1]
            found.look(off, near_off)
        if near_share.size:
            share = self._share(q, near_share) + self.share_shift[near_share]
            self._share_room[near_share] = self._rooms(share[-1], near_share)
            finite = np.where(np.isfinite(share), share, 1.0)
            found.look(np.tensordot(from_nodes(SHARE_DEGREE), finite, 1), near_share)
        bound = self._hull_bracket(q)
        if bound is not None and bound[0] < found.low:
            found.low, found.high = bound
            found.neurons.append(np.array(list(self.branch.mode.dependent), dtype=np.intp))
        return (np.unique(np.concatenate(found.neurons)), found.low, found.high) if np.isfinite(found.low) else None

    def _spend(self, step: DenseStep, q: Array) -> tuple[Index, Index]:
        """Use up the room of all pairs by what the step can have moved them at most; neurons that ran out."""
        if not self.curved:
            return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
        masses = self.branch.unit * np.ptp(step.coefficients[:, :-1], axis=0)
        own = np.where(
            (self.branch.mode.side == 0).any(axis=1)[:, None],
            float(row_norms(self.branch.problem.span.C) @ masses),
            self._cross @ masses,
        )
        self._off_room -= self._reach[:, None] * own
        self._share_room -= 1.5 * np.abs(q - q[0]).sum(axis=1).max()
        return (
            np.flatnonzero((self._off_room <= 0.0).any(axis=1) & (self._reach > 0.0)),
            self._sliders[self._share_room[self._sliders] <= 0.0],
        )

    def _hull_bracket(self, q: Array) -> tuple[float, float] | None:
        """Nodes of the step between which a neuron held on dependent kinks comes free."""
        grid = nodes(SHARE_DEGREE)
        for k in range(1, grid.size):
            if any(not self.hull_holds(q[k], j) for j in self.branch.mode.dependent):
                return float(grid[k - 1]), float(grid[k])
        return None

    def hull_holds(self, q: Array, j: int) -> bool:
        """Does the hull of neuron j's velocities, held on dependent kinks, contain 0 at q (n,)?"""
        patterns = self.branch.mode.dependent[j]
        if patterns is None or self._reach[j] == 0.0 or not self.curved:
            return True
        kink = self.kink(j, np.flatnonzero(self.branch.mode.side[j] == 0), q, np.zeros_like(q))
        return not least_norm_in_hull(velocities(kink, patterns)).any()

    def kink(self, j: int, surfaces: Index, q: Array, q_rate: Array, onward: NDArray[np.int8] | None = None,
             slop: float = 0.0) -> Kink:  # fmt: skip
        """The local problem of neuron j on these surfaces, each counted on its - branch in the drift."""
        own, problem, mode = np.array([j]), self.branch.problem, self.branch.mode
        normals = problem.surfaces.normals[surfaces]
        on_plus = np.where(mode.side[j, surfaces] > 0, 1.0, 0.0)

        def local(masses: Array) -> tuple[Array, Array]:
            jump = self.jumps(masses, own, surfaces[None])[0]
            return self.branch.drift(masses, own)[0] - (on_plus * jump) @ normals, jump

        (drift, jump), (drift_rate, jump_rate) = local(q), local(q_rate)
        size = ROUNDING * float(self._reach[j]) * self._largest
        past = np.zeros(surfaces.size, dtype=np.int8) if onward is None else onward
        return Kink(normals, drift, drift_rate, jump, jump_rate, past, size + slop, size * float(np.abs(q_rate).sum()))


class _Falling:
    """Neurons whose guards have a negative Bernstein coefficient, and the earliest bracket of a descent among them."""

    def __init__(self) -> None:
        self.neurons: list[Index] = []
        self.low = self.high = np.inf

    def look(self, coefficients: Array, neurons: Index) -> None:
        """Guards of these neurons as polynomials, coefficients (degree + 1, k, ...)."""
        polynomials = np.moveaxis(coefficients, 0, -1)
        falling = (polynomials < 0.0).any(axis=-1)
        if not falling.any():
            return
        self.neurons.append(neurons[falling.reshape(neurons.size, -1).any(axis=1)])
        lows, highs = first_descents(polynomials[falling])
        first = int(np.argmin(lows))
        if lows[first] < self.low:
            self.low, self.high = float(lows[first]), float(highs[first])
