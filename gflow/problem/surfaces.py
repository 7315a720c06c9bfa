"""Switching surfaces of the data; parallel samples (repeated, scaled, opposite) share one, as they switch together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Index
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
    """The surfaces of samples C (n, r) without zero rows, in the order of their first samples."""
    norms = row_norms(C)
    units = C / norms[:, None]
    of_sample = np.full(C.shape[0], -1, dtype=np.intp)
    signs = np.ones(C.shape[0])
    first: list[int] = []
    for i in range(C.shape[0]):  # once per run, vectorised over the samples that follow
        if of_sample[i] >= 0:
            continue
        same = np.linalg.norm(units[i:] - units[i], axis=1) < PARALLEL
        opposite = np.linalg.norm(units[i:] + units[i], axis=1) < PARALLEL
        members = i + np.flatnonzero((same | opposite) & (of_sample[i:] < 0))
        of_sample[members] = len(first)
        signs[i:][opposite] = -1.0
        first.append(i)
    index = np.array(first, dtype=np.intp)
    return Surfaces(units[index], of_sample, signs * norms, index)
