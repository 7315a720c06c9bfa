"""The field of the flow at many states of one mode at once, computed by the `reference` without any engine.

q_i = g_i / (sum of g over the samples that the clock counts), for all samples.  The clock does not count the samples on
which every active neuron slides; but a share of their + branch holds these neurons, so they belong to K.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from gflow.arrays import EPS, Array, Bools, Sides
from gflow.flow.state import FlowState
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.reference.mode import Balance, Held, ReferenceMode
from gflow.reference.point import Point
from gflow.trajectory.recorded_run import RecordedRow


@dataclass(frozen=True, slots=True)
class Weights:
    """States of the flow: U (k, m, r), outer (m,), (K, m) or (k, K, m), output bias (k, K), v = log(1 + t) (k,)."""

    parameters: Parameters
    v: Array


@dataclass(frozen=True, slots=True)
class Motion:
    """Rates per tau at k states.

    fall (k,): -d log L / dtau = |theta'|^2 (dtau/dt) / L; growth (k,): d (|theta|^2 / 2) / dtau = sum_i q_i <theta,
    grad p_i>, which is hom sum_i q_i p_i for homogeneous networks; clock (k,): dv / dtau; log_clock (k,): log(dtau /
    dt); square (k,): |dtheta / dtau|^2.
    """

    at: Point
    fall: Array
    growth: Array
    clock: Array
    log_clock: Array
    square: Array


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of the + branch for each surface that a neuron slides on (h, s), padded as in `Held`.

    slopes (m, n): phi' of all samples with these shares; doubt (m, n): the rounding error of slopes, which cancellation
    in the terms and almost parallel normals enlarge; excess (h, s): how far the force is from what shares in [0, 1]
    give, beyond its rounding, over the sum of the |terms| that it balances; unique (h,): are the normals independent,
    so that the shares are unique?
    """

    slopes: Array
    doubt: Array
    excess: Array
    unique: Bools


class Field:
    """The field on one mode after the other; from one mode to the next only what changes is computed again."""

    def __init__(self, problem: Problem) -> None:
        """Without a kink to cross there is one mode, and `take` need not be called."""
        self.problem = problem
        everywhere = np.ones((problem.network.width, problem.surfaces.count), dtype=np.int8)
        self._mode = ReferenceMode.of(problem, everywhere)

    def take(self, side: Sides) -> None:
        """Go to the mode with these sides (m, H)."""
        self._mode = ReferenceMode.of(self.problem, side, self._mode)

    @property
    def held(self) -> Held:
        """The neurons that slide, with the surfaces that hold them."""
        return self._mode.held

    @property
    def live(self) -> Bools:
        """(n,): samples that some neuron that moves is active on without sliding, which are those that tau counts."""
        return self._mode.live

    def at(self, weights: Weights, live: Bools) -> Motion:
        """The motion at states of the mode; live (n,): the samples that tau counts."""
        at = Point(self.problem, weights.parameters, self._mode, live=live)
        log_n, square = log(self.problem.samples), at.velocity.square
        log_clock = at.log_total - log_n
        log_L = np.logaddexp.reduce(self.problem.loss.log_value(at.p), axis=-1) - log_n
        return Motion(
            at=at,
            fall=square * np.exp(log_clock - log_L),
            growth=np.sum(at.q * at.euler, axis=-1),
            clock=np.exp(np.minimum(-log_clock - weights.v, 200.0)),
            log_clock=log_clock,
            square=square,
        )

    def shares(self, motion: Motion) -> Shares:
        """The shares of the + branch with which both branches balance, at each kink, the force at the first state."""
        problem, held, slope = self.problem, self.held, self.problem.network.slope
        push, force = motion.at.push[0], motion.at.force[0]
        if not held.neurons.size:
            slopes = motion.at.branch_slopes[0]
            return Shares(slopes, np.zeros_like(slopes), np.zeros((0, 0)), np.ones(0, dtype=bool))
        found = self._mode.balance(push, force)
        terms = np.einsum("hn,hsn->hs", np.abs(push[held.neurons]), np.abs(held.normals @ problem.span.C.T))
        loose = self._loose(motion, terms)
        doubt = (1.0 - slope) * loose / np.where(found.jump != 0.0, np.abs(found.jump), np.inf)
        ranks = np.linalg.matrix_rank(held.normals)
        return Shares(
            slopes=self._mode.slopes_with(found.share),
            doubt=self._mode.on_samples(doubt),
            excess=_excess(found, loose, terms),
            unique=ranks == (held.surfaces >= 0).sum(axis=1),
        )

    def _loose(self, motion: Motion, terms: Array) -> Array:
        """Rounding (h, s) of the rest that a share is: of its terms (h, s), and of the force that holds the neuron."""
        forces = (motion.at.push * motion.at.branch_slopes)[0, self.held.neurons]
        size = np.abs(forces) @ row_norms(self.problem.span.C)
        force = np.linalg.norm(self.held.force_map, axis=2) * size[:, None]
        return np.asarray((64.0 + self.problem.samples) * EPS * (terms + force))


def _excess(found: Balance, loose: Array, terms: Array) -> Array:
    """How far the rest is outside [0, jump] beyond its rounding, over its terms, all (h, s)."""
    rest, jump = found.rest, found.jump
    outside = np.maximum(np.minimum(jump, 0.0) - rest, rest - np.maximum(jump, 0.0))
    return np.divide(np.maximum(outside - loose, 0.0), terms, out=np.zeros_like(terms), where=terms > 0.0)


def weights_at(at: FlowState | RecordedRow) -> Weights:
    """A state, or a stored row, as one for the field; its time does not matter there."""
    outer, bias = at.parameters.outer, at.parameters.output_bias
    return Weights(Parameters(at.U[None], outer, None if bias is None else bias[None]), np.zeros(1))
