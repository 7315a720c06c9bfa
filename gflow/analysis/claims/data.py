"""What hypotheses ask of a data set: its norms, its coherence, and how nearly orthogonal each paper wants it."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.claims.claim import Hypothesis, at_least
from gflow.analysis.subject import Subject
from gflow.trajectory import Trajectory

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of n inputs: gram (n, n); Rmin and Rmax, the least and largest norm; coherence, max_{i != k} |<x_i, x_k>|.

    nearest (n,): max_{k != i} |<x_i, x_k>|; crowd (n,): sum_{k != i} |<x_i, x_k>|.
    """

    gram: Array
    Rmin: float
    Rmax: float
    coherence: float
    nearest: Array
    crowd: Array

    @classmethod
    def of(cls, C: Array) -> Sizes:
        """From the samples in any orthonormal coordinates, C (n, r); one Gram matrix."""
        gram = C @ C.T
        norms = np.linalg.norm(C, axis=1)
        others = np.abs(gram)
        np.fill_diagonal(others, 0.0)
        nearest = others.max(axis=1)
        return cls(gram, float(norms.min()), float(norms.max()), float(nearest.max()), nearest, others.sum(axis=1))

    @property
    def n(self) -> int:
        return int(self.nearest.size)

    @property
    def R(self) -> float:  # noqa: N802 (the ratio of the literature)
        """Rmax / Rmin."""
        return self.Rmax / self.Rmin

    @property
    def crowding(self) -> float:
        """n coherence / Rmin^2, what every near-orthogonality wants small; 0 for orthogonal inputs."""
        return self.n * self.coherence / self.Rmin**2


_known: WeakKeyDictionary[Trajectory, Sizes] = WeakKeyDictionary()


def sizes_of(subject: Subject) -> Sizes:
    """The sizes of the inputs of a run, worked out once a trajectory."""
    if subject.trajectory not in _known:
        _known[subject.trajectory] = Sizes.of(subject.problem.span.C)
    return _known[subject.trajectory]


def near_orthogonal_32(sizes: Sizes, slope: float) -> Hypothesis:
    """NO32: Rmin^2 >= 3 slope^-3 R^2 n coherence (Frei et al., Theorem 3.2)."""
    bound = 3.0 * slope**-3 * sizes.R**2 * sizes.n * sizes.coherence
    return at_least("NO32: Rmin^2 >= 3 slope^-3 R^2 n max |<x_i, x_k>|", sizes.Rmin**2, bound)


def loss_ratio_bound(sizes: Sizes, slope: float) -> float:
    """C_R = 10 R^2 / slope^2 + 10 (Frei et al., Theorem 4.2)."""
    return 10.0 * sizes.R**2 / slope**2 + 10.0


def near_orthogonal_42(sizes: Sizes, slope: float) -> Hypothesis:
    """NO42: Rmin^2 >= 5 slope^-2 C_R n coherence (Frei et al., Theorem 4.2)."""
    bound = 5.0 * slope**-2 * loss_ratio_bound(sizes, slope) * sizes.n * sizes.coherence
    return at_least("NO42: Rmin^2 >= 5 slope^-2 C_R n max |<x_i, x_k>|", sizes.Rmin**2, bound)


def kou_constant(sizes: Sizes, slope: float) -> float | None:
    """C_eff, the largest C for which NOK(C) holds (Kou et al.); None where every C will do (orthogonal inputs).

    Rmin^2 slope^4 / (R^2 n coherence) for a leaky slope in (0, 1], without slope^4 for ReLU (slope 0).
    """
    if sizes.coherence == 0.0:
        return None
    leak = slope**4 if slope > 0.0 else 1.0
    return leak / (sizes.R**2 * sizes.crowding)


def explicit_kou(sizes: Sizes) -> Hypothesis:
    """EXPL_K: Rmin^2 >= 10 C2 n coherence, C2 = 2 (1 + 60 e R^2): enough for Lemma G.1 of Kou et al., derived."""
    C2 = 2.0 * (1.0 + 60.0 * np.e * sizes.R**2)
    return at_least("EXPL_K: Rmin^2 >= 10 C2 n max |<x_i, x_k>|", sizes.Rmin**2, 10.0 * C2 * sizes.n * sizes.coherence)
