"""Linear functions of the dual variables q whose signs decide whether a mode stays.

They are a rate for every pair (neuron, surface) off its kink, and for every sliding pair the room to both ends of its
share.  In a mode  dw_j/dtau = a_j P_j sum_i phi'_ji y_i q_i c_i,  so that side * dzeta_jh/dtau is linear in q, and so
is the force sigma = -(N N^T)^-1 N v that holds a sliding neuron on the surfaces with normals N.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Bools, Index
from gflow.field.mode import Mode

BLOCK_NUMBERS = 2_000_000  # numbers per block


@dataclass(frozen=True, slots=True)
class Switches:
    """k linear functions of q that are positive as long as the mode stays.

    F (k, n): coefficients, each off by at most error (k, n), exactly 0 where F and error are 0; neuron (k,), surface
    (k,): the pair; slides (k,): true for a room of a sliding pair, false for a rate.
    """

    F: Array
    error: Array
    neuron: Index
    surface: Index
    slides: Bools

    def on(self, samples: Index) -> Switches:
        """The same functions of some of the variables, samples (k,)."""
        return Switches(self.F[:, samples], self.error[:, samples], self.neuron, self.surface, self.slides)

    @property
    def safe(self) -> Bools:
        """The functions (k,) without negative coefficients, which are >= 0 whatever q is."""
        return np.asarray((self.F >= self.error).all(axis=1))

    def of(self, chosen: Bools) -> Switches:
        """The chosen functions, (k,)."""
        return Switches(
            self.F[chosen], self.error[chosen], self.neuron[chosen], self.surface[chosen], self.slides[chosen]
        )


def switches(mode: Mode, outer: Array, q: Array, heavy: Index) -> Iterator[Switches]:
    """All switching functions of a mode, in blocks of neurons of bounded size.

    outer (m,); q (n,), which decides between which ends a share lies; heavy: samples that outweigh all others there,
    all by the same weight.
    """
    m, n, H = outer.size, q.size, mode.problem.surfaces.count
    count = max(1, -(-m * (H + 2) * n // BLOCK_NUMBERS))
    for own in np.array_split(np.arange(m), min(count, m)):
        yield _block(mode, outer, q, heavy, own)


def _block(mode: Mode, outer: Array, q: Array, heavy: Index, own: Index) -> Switches:
    force, force_error = _forces(mode, own)
    weight = outer[own, None] * mode.slopes[own] * mode.problem.y
    rates = _rates(mode, own, weight, force, force_error)
    ends = _Ends(outer[own, None] * mode.problem.y, q, heavy)
    rooms = _rooms(mode, own, ends, weight, force, force_error)
    slides = np.arange(rates.neuron.size + rooms.neuron.size) >= rates.neuron.size
    return Switches(
        np.concatenate([rates.F, rooms.F]),
        np.concatenate([rates.error, rooms.error]),
        np.concatenate([rates.neuron, rooms.neuron]),
        np.concatenate([rates.surface, rooms.surface]),
        slides,
    )


def _grain(mode: Mode) -> float:
    """Relative rounding of a sum of products over the inputs and the slots, doubled for safety."""
    return 8.0 * EPS * float(mode.problem.X.shape[1] + mode.slots.shape[1] + 8)


def _forces(mode: Mode, own: Index) -> tuple[Array, Array]:
    """-(N N^T)^-1 N c_i for the sliding normals of each neuron, (k, slots, n), and its error, zero where exact.

    Solved with the Gram matrix, whose exact zeros (orthogonal samples) survive, with a bound of the error entrywise.
    """
    normals, C = mode.padded_normals[mode.slots[own]], mode.problem.span.C
    free = (mode.slots[own] == mode.problem.surfaces.count).astype(float)
    gram = normals @ normals.swapaxes(1, 2) + free[..., None] * np.eye(free.shape[1])
    source, source_size = normals @ C.T, np.abs(normals) @ np.abs(C).T
    inverse = np.linalg.pinv(gram, hermitian=True) if mode.dependent else np.linalg.inv(gram)
    gram_size = np.abs(normals) @ np.abs(normals).swapaxes(1, 2) + free[..., None] * np.eye(free.shape[1])
    force_size = np.abs(inverse) @ source_size
    return -inverse @ source, _grain(mode) * (force_size + np.abs(inverse) @ gram_size @ force_size)


def _rates(mode: Mode, own: Index, weight: Array, force: Array, force_error: Array) -> Switches:
    """side * dzeta/dtau of the pairs off their kink."""
    U, C, slots = mode.padded_normals[:-1], mode.problem.span.C, mode.slots[own]
    between, between_size = U @ mode.padded_normals.T, np.abs(U) @ np.abs(mode.padded_normals).T
    to_slots, to_slots_size = (each[:, slots].swapaxes(0, 1) for each in (between, between_size))  # (k, H, slots)
    value = U @ C.T + to_slots @ force
    size = np.abs(U) @ np.abs(C).T + to_slots_size @ np.abs(force)
    error = _grain(mode) * size + np.abs(to_slots) @ force_error
    side = mode.side[own]
    row, surface = np.nonzero(side)
    F = side[row, surface, None] * weight[row] * value[row, surface]
    error = np.abs(weight[row]) * error[row, surface]
    return Switches(F, error, own[row], surface, np.zeros(row.size, dtype=bool))


@dataclass(frozen=True, slots=True)
class _Ends:
    """factors (k, n) = a_j y_i of some neurons; at which q, and under which samples' weight, jumps are looked at."""

    factors: Array
    q: Array
    heavy: Index

    def orientation(self, jump: Array) -> Array:
        """Sign of jumps (k, n), (k,)."""
        outweighed = jump[:, self.heavy].sum(axis=1)
        decides = np.abs(outweighed) > 8.0 * EPS * np.abs(jump[:, self.heavy]).sum(axis=1)
        return np.where(np.where(decides, outweighed, jump @ self.q) > 0.0, 1.0, -1.0)


def _rooms(mode: Mode, own: Index, ends: _Ends, weight: Array, force: Array, force_error: Array) -> Switches:
    """Room of each share to its two ends, as forces: t sigma and t (w - sigma), t = sign of the jump w."""
    H = mode.problem.surfaces.count
    row, slot = np.nonzero(mode.slots[own] < H)
    surface = mode.slots[own][row, slot]
    jump = (1.0 - mode.problem.network.slope) * ends.factors[row] * mode.lengths[:, surface].T
    base = (mode.minus - mode.slopes)[own][row] * ends.factors[row] * mode.signed_lengths[:, surface].T
    drag = weight[row] * force[row, slot]
    orientation = ends.orientation(jump)[:, None]
    sigma = drag - base
    error = np.abs(weight[row]) * force_error[row, slot] + 8.0 * EPS * (np.abs(drag) + np.abs(base))
    F = np.concatenate([orientation * sigma, orientation * (jump - sigma)])
    errors = np.concatenate([error, error + 8.0 * EPS * np.abs(jump)])
    return Switches(F, errors, np.tile(own[row], 2), np.tile(surface, 2), np.ones(2 * row.size, dtype=bool))
