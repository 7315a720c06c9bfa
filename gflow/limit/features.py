"""The features of the margins on one mode: p_i changes by <h_i, change of W>, and the kernel is K_ik = <h_i, h_k>.

Features hold twice as many digits as K.  For example, unit features that are 1e-10 from being opposite have a hard
margin of 1e-10; in K, whose entries round at 1e-16, only its square 1e-20 would show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Index
from gflow.field.mode import Mode
from gflow.problem.span import row_norms


@dataclass(frozen=True, slots=True)
class Features:
    """rows (n, k): h_i in orthonormal coordinates of their span; error (n,): bounds of |computed - exact h_i|.

    Neurons on the same sides move along the same direction: group (m,) numbers these, share (m,) = a_j / |a of the
    group|, and basis (groups, r, k) leads back to the weights.
    """

    rows: Array
    error: Array
    basis: Array
    group: Index
    share: Array

    def weights(self, w: Array) -> Array:
        """U (m, r) with the coordinates w (k,)."""
        return np.asarray(self.share[:, None] * (self.basis @ w)[self.group])

    @property
    def kernel(self) -> tuple[Array, Array]:
        """K (n, n), and bounds (n, n) of the errors of its entries."""
        lengths = row_norms(self.rows)
        loose = self.error + EPS * (self.rows.shape[1] + 8) * lengths
        return self.rows @ self.rows.T, np.outer(loose, lengths) + np.outer(lengths + loose, loose)


def features_of(mode: Mode, samples: Index) -> Features:
    """h_i = (y_i a_j phi'_ji P_j c_i)_j for the given samples (n,), with P_j = I - N^T A and A = (N N^T)^-1 N.

    A is off by at most grain sqrt(k) |A|^2 (a perturbation of N by its own rounding), and |N c_i| <= sqrt(k) |c_i|.  So
    P_j c_i is off by at most grain (1 + k |A|^2) |c_i|, where grain covers the d inputs that are summed in c_i.
    `_turned` bounds the error that the reduction to at most n coordinates adds.
    """
    problem = mode.problem
    outer, C = problem.network.outer, problem.span.C[samples]
    _, first, group = np.unique(mode.side, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    size = row_norms(_by_group(outer, group, first.size))
    weight = size[:, None] * mode.slopes[first][:, samples]  # (groups, n)
    forces = mode.force_map[first] @ C.T
    projected = C.T - mode.padded_normals[mode.slots[first]].swapaxes(1, 2) @ forces
    tall = first.size * problem.span.rank, samples.size  # (., 0) where no neuron is active on any sample
    stacked = (projected * (weight * problem.y[samples])[:, None, :]).reshape(tall)
    basis, upper = _tall_qr(stacked)
    sliding = (mode.side[first] == 0).sum(axis=1)
    amplified = 1.0 + sliding * np.linalg.norm(mode.force_map[first], axis=(1, 2)) ** 2
    grain = 8.0 * EPS * (problem.X.shape[1] + mode.slots.shape[1] + 8)
    error = grain * row_norms(weight.T * amplified) * row_norms(C) + _turned(stacked, basis, upper)
    share = np.divide(outer, size[group], out=np.zeros_like(outer), where=size[group] > 0.0)
    return Features(upper.T.copy(), error, basis.reshape(first.size, problem.span.rank, basis.shape[1]), group, share)


def _by_group(outer: Array, group: Index, groups: int) -> Array:
    """Outer weights (groups, largest group), padded with zeros."""
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group, minlength=groups)
    place = np.arange(outer.size) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.zeros((groups, int(counts.max())))
    table[group[order], place] = outer[order]
    return table


def _turned(A: Array, basis: Array, upper: Array) -> Array:
    """Bounds (n,) of |A_i - Q R_i| for A (k, n), R as computed, and a Q with exactly orthonormal columns.

    The one nearest to the computed basis V is off by |V^T V - 1|_2 at most (its singular values differ from 1 by less),
    so that  |A_i - Q R_i| <= |A_i - V R_i| + |V^T V - 1| |R_i| .  A sum of s products in any order is off by at most
    s EPS times the sum of their sizes (Higham 2002, section 3.1): s = n + 1 in A_i - V R_i, and in V^T V the rows of a
    block and the number of blocks.
    """
    n, lengths = basis.shape[1], row_norms(upper.T)
    block = int(np.ceil(np.sqrt(basis.shape[0])))
    count = -(-basis.shape[0] // block)
    padded = np.zeros((count * block, n))
    padded[: basis.shape[0]] = basis
    blocks = padded.reshape(count, block, n)
    gram = (blocks.swapaxes(1, 2) @ blocks).sum(axis=0)
    skew = float(np.linalg.norm(gram - np.eye(n))) + EPS * (block + count) * float(np.trace(gram))
    residual = row_norms((A - basis @ upper).T) + EPS * (n + 2) * (row_norms(A.T) + np.sqrt(n) * lengths)
    return np.asarray(1.01 * (residual + skew * lengths))


def _tall_qr(A: Array) -> tuple[Array, Array]:
    """Q and R of A (k, n); in blocks that fit a cache where k is far above n (Demmel et al. 2012)."""
    k, n = A.shape
    block = 8 * n
    if k <= 2 * block or not n:
        basis, upper = np.linalg.qr(A)
        return np.asarray(basis, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    padded = np.zeros((-(-k // block) * block, n))
    padded[:k] = A
    own, each = np.linalg.qr(padded.reshape(-1, block, n))
    across, upper = np.linalg.qr(each.reshape(-1, n))
    basis = (own @ across.reshape(-1, n, n)).reshape(-1, n)[:k]
    return np.asarray(basis, dtype=np.float64), np.asarray(upper, dtype=np.float64)
