"""Properties of a data set that hypotheses ask for: norms, coherence, and near-orthogonality as each paper defines
it."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import EPS, Array
from gflow.claims.claim import GRAIN, Hypothesis, at_least
from gflow.trajectory import Record

EXACT_WORK, EXACT_BITS = 100_000, 256  # n^2 d and spread of exponents up to which products are made of integers: 0.1 s
EXACT_SIZE = 1e150  # of an input, beyond which its square leaves float64


def inner_products(X: Array) -> tuple[Array, float]:
    """<x_i, x_k> (n, n) of X (n, d), and what rounding leaves in any, relative to the largest |x|^2.

    Each is the exact one rounded once where that is cheap: floats are integers times powers of 2, and a condition such
    as e <= 1/72 on an inner product e must not turn on how it was summed.
    """
    n, d = X.shape
    if n * n * d > EXACT_WORK or not X.any() or float(np.abs(X).max()) > EXACT_SIZE:
        return X @ X.T, d * EPS
    mantissa, exponent = np.frexp(X)
    least = int(exponent[X != 0.0].min())
    if int(exponent.max()) - least > EXACT_BITS:
        return X @ X.T, d * EPS
    whole = np.array([int(each) for each in np.ldexp(mantissa, 53).ravel()], dtype=object)
    powers = np.array([1 << max(int(each) - least, 0) for each in exponent.ravel()], dtype=object)
    integers = (whole * powers).reshape(n, d)
    exact, shift = integers @ integers.T, 2 * (least - 53)
    scale = 1 << abs(shift)
    rounded = [float(each * scale) if shift >= 0 else each / scale for each in exact.ravel()]
    return np.array(rounded).reshape(n, n), EPS


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of n inputs: gram (n, n); Rmin and Rmax, the least and largest norm; coherence, max_{i != k} |<x_i, x_k>|.

    nearest (n,): max_{k != i} |<x_i, x_k>|; crowd (n,): sum_{k != i} |<x_i, x_k>|; error: of any product by rounding.
    """

    gram: Array
    Rmin: float
    Rmax: float
    coherence: float
    nearest: Array
    crowd: Array
    error: float

    @classmethod
    def of(cls, X: Array) -> Sizes:
        """The sizes of the samples X (n, d) as they were given, from one Gram matrix."""
        gram, relative = inner_products(X)
        norms = np.linalg.norm(X, axis=1)
        others = np.abs(gram)
        np.fill_diagonal(others, 0.0)
        nearest = others.max(axis=1)
        Rmin, Rmax = float(norms.min()), float(norms.max())
        error = relative * Rmax**2
        return cls(gram, Rmin, Rmax, float(nearest.max()), nearest, others.sum(axis=1), error)

    @property
    def n(self) -> int:
        """The number n of inputs."""
        return int(self.nearest.size)

    @property
    def R(self) -> float:  # noqa: N802 (the ratio of the literature)
        """Rmax / Rmin."""
        return self.Rmax / self.Rmin

    @property
    def crowding(self) -> float:
        """n coherence / Rmin^2, what every near-orthogonality wants small; 0 for orthogonal inputs."""
        return self.n * self.coherence / self.Rmin**2

    def least_square(self, name: str, factor: float) -> Hypothesis:
        """Rmin^2 >= factor n coherence, up to the rounding of both."""
        value, bound = self.Rmin**2, factor * self.n * self.coherence
        return at_least(name, value, bound, GRAIN * max(value, bound) + factor * self.n * self.error)


_known: WeakKeyDictionary[Record, Sizes] = WeakKeyDictionary()


def sizes_of(run: AnalyzedRun) -> Sizes:
    """The sizes of the inputs of a run, computed once per trajectory."""
    if run.trajectory not in _known:
        _known[run.trajectory] = Sizes.of(run.problem.X)
    return _known[run.trajectory]


def near_orthogonal_32(sizes: Sizes, slope: float) -> Hypothesis:
    """NO32: Rmin^2 >= 3 slope^-3 R^2 n coherence (Frei et al., Theorem 3.2)."""
    return sizes.least_square("NO32: Rmin^2 >= 3 slope^-3 R^2 n max |<x_i, x_k>|", 3.0 * slope**-3 * sizes.R**2)


def loss_ratio_bound(sizes: Sizes, slope: float) -> float:
    """C_R = 10 R^2 / slope^2 + 10 (Frei et al., Theorem 4.2)."""
    return 10.0 * sizes.R**2 / slope**2 + 10.0


def near_orthogonal_42(sizes: Sizes, slope: float) -> Hypothesis:
    """NO42: Rmin^2 >= 5 slope^-2 C_R n coherence (Frei et al., Theorem 4.2)."""
    factor = 5.0 * slope**-2 * loss_ratio_bound(sizes, slope)
    return sizes.least_square("NO42: Rmin^2 >= 5 slope^-2 C_R n max |<x_i, x_k>|", factor)


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
    return sizes.least_square("EXPL_K: Rmin^2 >= 10 C2 n max |<x_i, x_k>|", 10.0 * C2)
