"""Switching surfaces of the data; parallel samples (repeated, scaled, opposite) share one, as they switch together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array, Index
from gflow.problem.span import row_norms

# Unit vectors closer than this count as one direction: far above rounding, far below differences that data mean.
PARALLEL = 1e-12


@dataclass(frozen=True, slots=True)
class Surfaces:
    """H surfaces with c_i = alpha_i u_h, h = of_sample[i], and unit normals u_h in span coordinates.

    normals (H, r); of_sample (n,): the surface of each sample; alpha (n,): signed lengths; first_sample (H,): the first
    sample of each surface, along which its normal points, so that its alpha is positive.
    """

    normals: Array  # (H, r)
    of_sample: Index  # (n,)
    alpha: Array  # (n,)
    first_sample: Index  # (H,)

    @property
    def count(self) -> int:
        """The number H of surfaces."""
        return int(self.normals.shape[0])


def group_surfaces(C: Array) -> Surfaces:
    """The surfaces of samples C (n, r) without zero rows, in the order of their first samples.

    Each sample joins the first one to which it is parallel and that has joined no other.
    """
    norms = row_norms(C)
    units = C / norms[:, None]
    leader, signs = np.arange(C.shape[0]), np.ones(C.shape[0])
    near = _Near(units)
    for i in near.crowded():
        if leader[i] < i:
            continue
        others = near.after(i)
        others = others[leader[others] == others]  # those that have joined no other
        same = np.linalg.norm(units[others] - units[i], axis=1) < PARALLEL
        opposite = np.linalg.norm(units[others] + units[i], axis=1) < PARALLEL
        leader[others[same | opposite]] = i
        signs[others[opposite]] = -1.0
    first, of_sample = np.unique(leader, return_inverse=True)
    return Surfaces(units[first], of_sample, signs * norms, first)


class _Near:
    """Finds the few samples that may be parallel to one: their products with a fixed direction agree but for the sign.

    Otherwise all pairs would have to be looked at, which takes hours for 60,000 samples.
    """

    def __init__(self, units: Array) -> None:
        """units (n, r)."""
        direction = np.random.default_rng(0).normal(size=units.shape[1])
        self._heights = np.abs(units @ direction)
        self._order = np.argsort(self._heights, kind="stable")
        self._sorted = self._heights[self._order]
        # Of units that are as close as `PARALLEL`, and their rounding.
        self._reach = 2.0 * (PARALLEL + units.shape[1] * EPS) * float(np.abs(direction).sum())

    def crowded(self) -> list[int]:
        """The samples, in their order, that any other may be parallel to: most data have few of them, or none."""
        close = np.diff(self._sorted) <= 2.0 * self._reach  # twice: `after` rounds its bounds
        either = np.append(close, False) | np.append(False, close)
        return [int(i) for i in np.sort(self._order[either])]

    def after(self, i: int) -> Index:
        """The samples (k,) from i on, in their order, among which are all that are parallel to it; i comes first."""
        height = self._heights[i]
        low = np.searchsorted(self._sorted, height - self._reach, side="left")
        high = np.searchsorted(self._sorted, height + self._reach, side="right")
        found = np.sort(self._order[low:high])
        return found[np.searchsorted(found, i) :]
