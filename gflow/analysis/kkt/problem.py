"""The convex problem behind the KKT conditions, whose least value is the distance of a point from stationarity.

At theta, with Clarke gradients h_c of the margins (one output: c = i, p_i = y_i f(x_i); K outputs: c = (i, k), k not
the class of sample i, p_c = f_{y_i}(x_i) - f_k(x_i), the pairwise form of Lyu and Li 2020),

    minimise |theta - sum_c lambda_c h_c|   over lambda >= 0 and the slope s_jc in [slope, 1] of every pair on its kink.

In lambda and nu_jc = lambda_c (s_jc - slope) / (1 - slope) this is a convex quadratic program with 0 <= nu_jc <=
lambda_c: kinks couple within a neuron, neurons through lambda only.  An interior point method (`interior`) finds the
active sets, also where the problem is degenerate (at a KKT point no constraint has a multiplier).  Linear least squares
on these sets (`polish`) gives the full accuracy.  Where both lose their digits, `vertices` solves the problem anew.
`certificate` derives what a solution proves.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Bools, Index, Sides
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.reference.kernel import tangent_kernel
from gflow.reference.margins import hidden, slopes
from gflow.reference.point import gradient_factors


@dataclass(frozen=True, slots=True)
class Pulls:
    """Inner products of all gradients with a vector: on_base (N,), with the - branch at kinks, and on_kinks (E,), what
    the + branch of each kink adds."""

    on_base: Array
    on_kinks: Array


@dataclass(frozen=True, slots=True)
class Multipliers:
    """lam (N,): lambda in units of the lengths of gradients; nu (E,): how much of it is on the + branch of a kink."""

    lam: Array
    nu: Array


class Gradients:
    """The Clarke gradients of N margins at one point, of which E pairs (neuron, margin) lie on their kinks.

    p (N,) the margins; sample (N,) and, for several outputs, other (N,) the class each is against; size (N,): lengths
    of the gradients (slopes 1 at kinks), the units of lam; length: |theta| in span coordinates, the unit of residuals.
    neuron, margin (E,): the pairs on kinks.
    """

    def __init__(self, problem: Problem, parameters: Parameters, pattern: Sides) -> None:
        """pattern (m, n): signs of the pre-activations, 0 on the kink.  Raises ValueError for smooth activations."""
        network = problem.network
        if network.smoothing is not None:
            raise ValueError("a smooth activation has no Clarke gradients and is not homogeneous")
        outer = np.atleast_2d(parameters.outer)
        self.sample, self.other, self._by_output = _margins(network, problem.y)
        z = problem.preactivations(parameters.U)
        on_kink = (pattern == 0)[:, self.sample] if network.kinked else np.zeros((outer.shape[1], 1), dtype=bool)
        self._outer_trained = network.trains_outer
        self._hidden = hidden(network, z, pattern)[:, self.sample]
        self.p: Array = np.sum(self._by_output * (outer @ self._hidden), axis=0)
        push = outer.T @ self._by_output
        factors, inputs = gradient_factors(problem, slopes(network, z, pattern, at_kink=network.slope))
        base, self._C = push * factors[:, self.sample], inputs[self.sample]
        self.neuron, self.margin = np.nonzero(on_kink)
        added = (1.0 - network.slope) * push[self.neuron, self.margin]
        self.size = self._sizes(base, added)
        self.length = float(np.hypot(np.linalg.norm(parameters.U), np.linalg.norm(outer) * self._outer_trained))
        unit = self.length or 1.0
        self._theta, self._theta_outer = parameters.U / unit, outer / unit
        self._base, self._added = base / self.size, added / self.size[self.margin]
        self._by_output, self.units = self._by_output / self.size, self.size / unit
        self._assemble()

    def _sizes(self, base: Array, added: Array) -> Array:
        whole = base.copy()
        whole[self.neuron, self.margin] += added
        squared = np.sum(whole**2, axis=0) * np.sum(self._C**2, axis=1)
        if self._outer_trained:
            squared = squared + np.sum(self._by_output**2, axis=0) * np.sum(self._hidden**2, axis=0)
        self.live: Bools = squared > 0.0
        return np.asarray(np.sqrt(np.where(self.live, squared, 1.0)))

    def _assemble(self) -> None:
        """The quadratic form: kernel (N, N), blocks (k, s, s) of neurons with kinks, mixed (k, s, N)."""
        gram = self._C @ self._C.T
        self.kernel = tangent_kernel(gram, self._base, self._by_output if self._outer_trained else None, self._hidden)
        neurons, self.row, counts = np.unique(self.neuron, return_inverse=True, return_counts=True)
        self.slot = np.arange(self.neuron.size) - np.repeat(np.cumsum(counts) - counts, counts)
        k, s = neurons.size, int(counts.max(initial=0))
        added, of_slot = np.zeros((k, s)), np.zeros((k, s), dtype=np.intp)
        added[self.row, self.slot], of_slot[self.row, self.slot] = self._added, self.margin
        self.blocks = added[:, :, None] * gram[of_slot[:, :, None], of_slot[:, None, :]] * added[:, None, :]
        self.mixed = added[:, :, None] * gram[of_slot] * self._base[neurons][:, None, :]

    def only(self, mask: Bools) -> Gradients:
        """The problem with these margins (N,) alone."""
        part, kept = copy(self), mask[self.margin]
        part.sample, part.p, part.live = self.sample[mask], self.p[mask], self.live[mask]
        part.size, part.units = self.size[mask], self.units[mask]
        part.other = None if self.other is None else self.other[mask]
        part._C, part._base, part._by_output = self._C[mask], self._base[:, mask], self._by_output[:, mask]
        part._hidden, part._added = self._hidden[:, mask], self._added[kept]
        part.neuron, part.margin = self.neuron[kept], (np.cumsum(mask) - 1)[self.margin[kept]]
        part._assemble()
        return part

    def filled(self, mask: Bools, at: Multipliers) -> Multipliers:
        """Multipliers of `only(mask)`, mask (N,), as multipliers of all margins, 0 for the others."""
        lam, nu = np.zeros(self.size.size), np.zeros(self.margin.size)
        lam[mask], nu[mask[self.margin]] = at.lam, at.nu
        return Multipliers(lam, nu)

    def residual(self, at: Multipliers) -> tuple[Array, Array]:
        """(theta - sum_c lambda_c h_c) / |theta| (m, r), and its part in the outer layer (K, m), 0 if not trained."""
        mixed = self._base * at.lam
        mixed[self.neuron, self.margin] += self._added * at.nu
        inner = self._theta - mixed @ self._C
        if not self._outer_trained:
            return inner, np.zeros((1, 1))
        return inner, self._theta_outer - (self._by_output * at.lam) @ self._hidden.T

    def pulls(self, residual: tuple[Array, Array]) -> Pulls:
        """The products of all gradients with a residual: its parts (m, r) and (K, m), as `residual` gives them."""
        inner, outer = residual
        moved = inner @ self._C.T
        on_base = np.sum(self._base * moved, axis=0)
        if self._outer_trained:
            on_base = on_base + np.sum(self._by_output * (outer @ self._hidden), axis=0)
        return Pulls(on_base, self._added * moved[self.neuron, self.margin])

    def distance(self, at: Multipliers) -> float:
        """Length of the residual, relative to |theta|."""
        inner, outer = self.residual(at)
        return float(np.hypot(np.linalg.norm(inner), np.linalg.norm(outer)))

    def gathered(self, on_kinks: Array) -> Array:
        """Sums over the kinks of each margin, (E,) -> (N,)."""
        return np.bincount(self.margin, on_kinks, self.size.size).astype(np.float64)


def _margins(network: Network, y: Array) -> tuple[Index, Index | None, Array]:
    """sample (N,), the class it is compared with, and dp_c / df_k (K, N)."""
    everyone = np.arange(y.size)
    if network.outputs == 1:
        return everyone, None, y[None, :].copy()
    labels, classes = y.astype(np.intp), np.arange(network.outputs)
    sample, other = np.nonzero(labels[:, None] != classes)
    pull = (classes[:, None] == labels[sample]).astype(float) - (classes[:, None] == other)
    return sample, other, pull


def folded(gradients: Gradients, high: Bools) -> tuple[Array, Array]:
    """Kernel (N, N) and mixed terms (k, s, N) when the kinks `high` have slope 1 and the unknown is lam - nu there."""
    chosen = np.zeros(gradients.mixed.shape)
    chosen[gradients.row, gradients.slot, gradients.margin] = high
    mixed = gradients.mixed + gradients.blocks @ chosen
    flat = chosen.reshape(-1, gradients.size.size)
    added = flat.T @ mixed.reshape(flat.shape) + gradients.mixed.reshape(flat.shape).T @ flat
    return gradients.kernel + added, mixed
