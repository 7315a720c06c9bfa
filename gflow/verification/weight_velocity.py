"""The velocity of a state in the space of the weights, from W and X themselves, with a bound of its rounding errors.

dw_j/dtau = P_j sum_i f_ji x_i with forces f_ji = phi'_ji q_i sum_k A_kj dp_i/df_ki: of the elements of Clarke's set
the one of least norm, as the shares of the sliding pairs lie in [0, 1] (`event_log`).  Where the terms of almost
parallel or antipodal samples cancel, K = C C^T loses twice the digits that they do: of sum_i f_i x_i it shows products
with the x_k.  Here the terms themselves are added up, in extended precision where they cancel.

Rounding errors: q_i has that of its margin, a sum of the terms A_j W_jc X_ic, whose sizes sum to s_i; every product and
every sum has its own; and neither engine distinguishes 64 units of rounding of the terms from zero.  So
    doubt_j = (64 + n) eps (1 + max_i s_i) sum_i |f_ji| |x_i|,
times the condition of the normals that P_j is made of.  Nothing moves where |dw_j/dtau| <= doubt_j for all neurons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.verification.velocity import Field, Motion, Weights

# A sum that is smaller than this part of the size of its terms is computed again in extended precision.
CANCELLED = 1e-3


@dataclass(frozen=True, slots=True)
class Velocity:
    """W (m, d): dw_j/dtau; doubt (m,): its rounding error; terms (m,): sum_i |f_ji| |x_i|; reach (n,): the sum of the
    terms of dp_i/dtau, |x_i| sum_jk |A_kj| phi'_ji terms_j; motion: the same state by `velocity`."""

    W: Array
    doubt: Array
    terms: Array
    reach: Array
    motion: Motion

    @property
    def norms(self) -> Array:
        """|dw_j/dtau| (m,)."""
        return row_norms(self.W)

    @property
    def excess(self) -> float:
        """The largest |dw_j/dtau| over its doubt; 0 where nothing pushes."""
        norms = self.norms
        return float(np.divide(norms, self.doubt, out=np.zeros_like(norms), where=norms > 0.0).max(initial=0.0))

    @property
    def log_clock(self) -> float:
        """log(dtau / dt)."""
        return float(self.motion.log_clock[0])


def velocity(field: Field, weights: Weights, W: Array) -> Velocity:
    """The velocity of one state, given as `weights` and as W (m, d), on the present mode of the field."""
    problem, motion = field.problem, field.at(weights, field.live)
    slopes, x = motion.at.branch_slopes[0], row_norms(problem.X)
    forces = slopes * motion.at.push[0]
    terms = np.abs(forces) @ x
    V, condition = _projected(field, _summed(forces, problem.X, terms))
    reach = x * ((_sizes(weights) * terms) @ slopes)
    return Velocity(V, rounding(problem, weights, W, slopes) * condition * terms, terms, reach, motion)


def ways_left(field: Field, seen: Velocity) -> Array:
    """How far each neuron (m,) would still go if the velocity V decayed at its present rate, -<V, dV/dtau> / |V|^2.

    For one output and a fixed outer layer: dV_j/dtau = P_j sum_i f_ji (d log g_i / dp_i) (dp_i / dtau) x_i.  Directions
    in which V is slow count with the square of their part of V.  inf where V does not decay.
    """
    problem, at = field.problem, seen.motion.at
    slopes, forces = at.branch_slopes[0], at.branch_slopes[0] * at.push[0]
    active = slopes * problem.network.outer[:, None]
    rates = problem.y * (active * (seen.W @ problem.X.T)).sum(axis=0)
    changes = forces * (problem.loss.log_slope_rate(at.p[0]) * rates)
    summed = _summed(changes, problem.X, np.abs(changes) @ row_norms(problem.X))
    falls, square = -float((_projected(field, summed)[0] * seen.W).sum()), float((seen.W**2).sum())
    return seen.norms * (square / falls) if falls > 0.0 else np.where(seen.norms > 0.0, np.inf, 0.0)


def rounding(problem: Problem, weights: Weights, W: Array, slopes: Array) -> float:
    """(64 + n) eps (1 + max_i s_i), the rounding error of a sum of forces over its terms; W (m, d), slopes (m, n)."""
    sizes = _sizes(weights) @ (slopes * (np.abs(W) @ np.abs(problem.X).T))
    bias = weights.parameters.output_bias
    largest = float(sizes.max()) + (0.0 if bias is None else float(np.abs(bias).max()))
    return (64.0 + problem.samples) * EPS * (1.0 + largest)


def _sizes(weights: Weights) -> Array:
    """sum_k |A_kj| (m,)."""
    outer = weights.parameters.outer
    return np.asarray(np.abs(outer).reshape(-1, outer.shape[-1]).sum(axis=0))


def _summed(forces: Array, X: Array, terms: Array) -> Array:
    """sum_i f_ji x_i (m, d)."""
    V = np.asarray(forces @ X)
    again = np.flatnonzero(row_norms(V) < CANCELLED * terms)
    if again.size:
        V[again] = forces[again].astype(np.longdouble) @ X.astype(np.longdouble)
    return V


def _projected(field: Field, V: Array) -> tuple[Array, Array]:
    """P_j V_j (m, d), and the condition (m,) of the normals of each neuron; 1 where it does not slide."""
    problem, condition = field.problem, np.ones(V.shape[0])
    if problem.network.directions is not None:
        return np.sum(V * problem.network.directions, axis=1, keepdims=True) * problem.network.directions, condition
    for j, surfaces in zip(field.held.neurons, field.held.surfaces, strict=True):
        normals = problem.X[problem.surfaces.first_sample[surfaces[surfaces >= 0]]]
        _, sizes, Vt = np.linalg.svd(normals / row_norms(normals)[:, None], full_matrices=False)
        rank = int((sizes > max(normals.shape) * EPS * sizes[0]).sum())
        basis = Vt[:rank]
        V[j] -= (basis @ V[j]) @ basis
        condition[j] = sizes[0] / sizes[rank - 1]
    return V, condition
