"""The field of the flow worked out anew, at many states of one mode at once: by the formulas of the papers, from the
weights and the samples, with no part of either engine.

dtheta/dtau = sum_i q_i grad p_i, projected where neurons slide, which is the element of minimum norm; per sample i and
neuron j, grad_{w_j} p_i = phi'_ji sum_k A_kj dp_i/df_ki x_i.  q_i = g_i / (sum of g over the samples that the clock
counts), for all samples: the clock does not count those on which every active neuron slides (`field.mode`), but a
share of their + branch is what holds these neurons, and belongs to K.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import EPS, Array
from gflow.field.clock import dual_variables
from gflow.flow.state import FlowState
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.trajectory.recorded_run import RecordedRow

Sides = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Weights:
    """States of the flow: U (k, m, r), A (k, K, m) or (K, m), output bias (k, K) or None, v = log(1 + t) (k,)."""

    U: Array
    A: Array
    bias: Array | None
    v: Array


@dataclass(frozen=True, slots=True)
class Forces:
    """slopes phi'_ji (k, m, n), 0 where neuron j slides on sample i; push_ji = q_i sum_k A_kj dp_i/df_ki (k, m, n), of
    samples that the clock does not count too; held (k, h, s): what holds the neurons that slide, along their normals
    (see `Held`)."""

    slopes: Array
    push: Array
    held: Array


@dataclass(frozen=True, slots=True)
class Motion:
    """Rates per tau at k states.

    fall (k,): -d log L / dtau = |theta'|^2 (dtau/dt) / L; growth (k,): d (|theta|^2 / 2) / dtau = sum_i q_i <theta,
    grad p_i>, which is hom sum_i q_i p_i for homogeneous networks; rates (k, n): dp / dtau; clock (k,): dv / dtau;
    log_clock (k,): log(dtau / dt); q (k, n): of all samples; square (k,): |dtheta / dtau|^2.
    """

    fall: Array
    growth: Array
    rates: Array
    clock: Array
    log_clock: Array
    q: Array
    square: Array
    forces: Forces


@dataclass(frozen=True, slots=True)
class Held:
    """neurons (h,) that slide; surfaces (h, s), padded with -1; normals N (h, s, r), zero where padded; forces
    A = pinv(N)^T (h, s, r): P v = v - N^T A v."""

    neurons: NDArray[np.intp]
    surfaces: NDArray[np.intp]
    normals: Array
    pull: Array


@dataclass(frozen=True, slots=True)
class Shares:
    """Of the + branch, of each surface that a neuron slides on (h, s), padded as in `Held`.

    slopes (m, n): phi' of all samples with them; doubt (m, n): what rounding leaves open of these, as a share is the
    rest of its terms and of a force, which normals that are almost parallel stretch; excess (h, s): how far the force
    is from what shares in [0, 1] give, beyond its rounding, over the sum of the |terms| that it balances; unique (h,):
    are the normals independent, so that no others do?
    """

    slopes: Array
    doubt: Array
    excess: Array
    unique: NDArray[np.bool_]


class Field:
    """The field on one mode after the other; what changes from one to the next is all that is worked out again."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self._coordinates = problem, problem.coordinates()
        self._sides: Sides | None = None
        self._maps: dict[int, tuple[NDArray[np.intp], Array, Array]] = {}
        self.slopes = np.empty((0, 0))
        self.held = Held(np.empty(0, np.intp), np.empty((0, 0), np.intp), np.empty((0, 0, 0)), np.empty((0, 0, 0)))

    def take(self, side: Sides) -> None:
        """Go to the mode with these sides (m, H)."""
        if not self.problem.network.kinked:
            return
        changed = np.arange(side.shape[0])
        if self._sides is not None:
            changed = np.flatnonzero((side != self._sides).any(axis=1))
        for j in changed:
            self._maps.pop(int(j), None)
            on = np.flatnonzero(side[j] == 0)
            if on.size:
                normals = self.problem.surfaces.normals[on]
                self._maps[int(j)] = on, normals, np.asarray(np.linalg.pinv(normals), dtype=np.float64).T
        if changed.size:
            pattern = self.problem.sample_sides(side)
            self.slopes = np.where(pattern > 0, 1.0, self.problem.network.slope) * (pattern != 0)
            self.held = self._padded()
        self._sides = side.copy()

    def _padded(self) -> Held:
        most = max((on.size for on, _, _ in self._maps.values()), default=0)
        shape = (len(self._maps), most)
        surfaces = np.full(shape, -1, dtype=np.intp)
        normals = np.zeros((*shape, self.problem.span.rank))
        pull = np.zeros_like(normals)
        for row, (on, N, A) in enumerate(self._maps.values()):
            surfaces[row, : on.size], normals[row, : on.size], pull[row, : on.size] = on, N, A
        return Held(np.fromiter(self._maps, np.intp, len(self._maps)), surfaces, normals, pull)

    @property
    def live(self) -> NDArray[np.bool_]:
        """(n,): samples that some neuron that moves is active on without sliding, which are those that tau counts."""
        network = self.problem.network
        if network.output_bias is not None or not network.kinked:
            return np.ones(self.problem.samples, dtype=bool)
        moving = network.trains_outer | np.atleast_2d(network.outer != 0.0).any(axis=0)
        return np.asarray((self.slopes[np.broadcast_to(moving, network.width)] != 0.0).any(axis=0))

    def at(self, weights: Weights, live: NDArray[np.bool_]) -> Motion:
        """The motion at states of the mode; live (n,): the samples that tau counts."""
        network, loss = self.problem.network, self.problem.loss
        z = self._preactivations(weights.U)
        slopes, hidden = self._activated(z)
        f = weights.A @ hidden
        if weights.bias is not None:
            f = f + weights.bias[:, :, None]
        p, pull = self._margins(f)
        q, log_total = dual_variables(loss, p, live)
        R = pull * q[:, None, :]
        push = np.swapaxes(weights.A, -1, -2) @ R
        U_rate, force = self._moved(push * slopes)
        f_rate = weights.A @ (slopes * self._preactivations(U_rate))
        speed = np.sum(U_rate**2, axis=(1, 2))
        growth = np.sum(push * slopes * z, axis=(1, 2))
        if network.trains_outer:
            A_rate = R @ np.swapaxes(hidden, -1, -2)
            f_rate = f_rate + A_rate @ hidden
            speed, growth = speed + np.sum(A_rate**2, axis=(1, 2)), growth + np.sum(weights.A * A_rate, axis=(1, 2))
        if weights.bias is not None:
            c_rate = R.sum(axis=-1)
            f_rate = f_rate + c_rate[:, :, None]
            speed, growth = speed + np.sum(c_rate**2, axis=1), growth + np.sum(weights.bias * c_rate, axis=1)
        log_clock = log_total - log(p.shape[-1])
        log_L = np.logaddexp.reduce(loss.log_value(p), axis=-1) - log(p.shape[-1])
        return Motion(
            fall=speed * np.exp(log_clock - log_L),
            growth=growth,
            rates=np.sum(pull * f_rate, axis=1),
            clock=np.exp(np.minimum(-log_clock - weights.v, 200.0)),
            log_clock=log_clock,
            q=q,
            square=speed,
            forces=Forces(slopes, push, force),
        )

    def _preactivations(self, U: Array) -> Array:
        """(k, m, r) -> (k, m, n)."""
        if self.problem.network.directions is None:
            return np.asarray(U @ self._coordinates.T)
        return np.asarray(U * self._coordinates[..., 0])

    def _activated(self, z: Array) -> tuple[Array, Array]:
        """phi' and phi (k, m, n); both 0 where a neuron slides."""
        network = self.problem.network
        if network.smoothing is not None:
            return network.smoothing.derivative(z), network.smoothing.value(z)
        slopes = self.slopes if network.kinked else np.where(z > 0.0, 1.0, network.slope)
        return np.broadcast_to(slopes, z.shape), slopes * z

    def _margins(self, f: Array) -> tuple[Array, Array]:
        """p (k, n) and dp/df (k, K, n) at outputs f (k, K, n)."""
        y = self.problem.y
        if self.problem.network.outputs == 1:
            return y * f[:, 0], np.broadcast_to(y, f.shape)
        own = y.astype(np.intp) == np.arange(f.shape[1])[:, None]
        others = np.logaddexp.reduce(np.where(own, -np.inf, f), axis=1)
        pull = np.where(own, 1.0, -np.exp(np.where(own, 0.0, f - others[:, None])))
        return np.sum(np.where(own, f, 0.0), axis=1) - others, pull

    def _moved(self, forces: Array) -> tuple[Array, Array]:
        """dU/dtau (k, m, r) from push * phi' (k, m, n), and the forces that hold sliding neurons (k, h, s)."""
        if self.problem.network.directions is not None:
            rate = np.sum(forces * self._coordinates[..., 0], axis=-1, keepdims=True)
            return np.asarray(rate), np.zeros((rate.shape[0], 0, 0))
        rate, held = forces @ self._coordinates, self.held
        if not held.neurons.size:
            return np.asarray(rate), np.zeros((rate.shape[0], 0, 0))
        force = -np.einsum("hsr,khr->khs", held.pull, rate[:, held.neurons])
        rate[:, held.neurons] += np.einsum("khs,hsr->khr", force, held.normals)
        return np.asarray(rate), np.asarray(force)

    def shares(self, motion: Motion) -> Shares:
        """What the force at the first state of a motion needs of both branches of each kink."""
        problem, held, network = self.problem, self.held, self.problem.network
        if not held.neurons.size:
            slopes = motion.forces.slopes[0]
            return Shares(slopes, np.zeros_like(slopes), np.zeros((0, 0)), np.ones(0, dtype=bool))
        of_sample, alpha = problem.surfaces.of_sample, problem.surfaces.alpha
        on = np.zeros((problem.samples, problem.surfaces.count + 1))  # the last column takes the padding
        on[np.arange(problem.samples), of_sample] = 1.0
        push, at = motion.forces.push[0, held.neurons], held.surfaces
        minus = np.where(alpha > 0.0, network.slope, 1.0)
        base = np.take_along_axis((push * alpha * minus) @ on, at, axis=1)
        jump = np.take_along_axis((1.0 - network.slope) * (push * np.abs(alpha)) @ on, at, axis=1)
        rest = motion.forces.held[0] - base
        outside = np.maximum(np.minimum(jump, 0.0) - rest, rest - np.maximum(jump, 0.0))
        terms = np.einsum("hn,hsn->hs", np.abs(push), np.abs(held.normals @ problem.span.C.T))
        loose = self._loose(push, terms)
        excess = np.divide(np.maximum(outside - loose, 0.0), terms, out=np.zeros_like(terms), where=terms > 0.0)
        share = np.zeros((held.neurons.size, problem.surfaces.count + 1))
        np.put_along_axis(share, at, np.divide(rest, jump, out=np.zeros_like(rest), where=jump != 0.0), axis=1)
        doubt = (1.0 - network.slope) * loose / np.where(jump != 0.0, np.abs(jump), np.inf)
        own = np.where(alpha > 0.0, share[:, of_sample], 1.0 - share[:, of_sample])
        slides = np.zeros_like(share, dtype=bool)
        np.put_along_axis(slides, at, True, axis=1)
        slides[:, -1] = False
        slopes = self.slopes.copy()
        full = network.slope + (1.0 - network.slope) * own
        slopes[held.neurons] = np.where(slides[:, of_sample], full, slopes[held.neurons])
        open_, spread = np.zeros_like(slopes), np.zeros_like(share)
        np.put_along_axis(spread, at, doubt, axis=1)
        open_[held.neurons] = np.where(slides[:, of_sample], spread[:, of_sample], 0.0)
        ranks = np.linalg.matrix_rank(held.normals)
        return Shares(slopes, open_, excess, ranks == (at >= 0).sum(axis=1))

    def _loose(self, push: Array, terms: Array) -> Array:
        """Rounding (h, s) of the rest that a share is: of its terms (h, s), and of the force that holds the neuron."""
        size = np.abs(push * self.slopes[self.held.neurons]) @ row_norms(self.problem.span.C)
        force = np.linalg.norm(self.held.pull, axis=2) * size[:, None]
        return np.asarray((64.0 + self.problem.samples) * EPS * (terms + force))


def weights_at(at: FlowState | RecordedRow) -> Weights:
    """A state, or a stored row, as one for the field; its time does not matter there."""
    bias = at.parameters.output_bias
    return Weights(at.U[None], np.atleast_2d(at.parameters.outer), None if bias is None else bias[None], np.zeros(1))
