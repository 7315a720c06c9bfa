"""The random data sets of the papers' experiments.

Every function draws from the generator `rng` that it is given and from nothing else, so a seed fixes the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError
from gflow.problem.dataset import Dataset, check_entries, checked_dataset

__all__ = [
    "Array",
    "Dataset",
    "balanced_labels",
    "clusters",
    "flipped",
    "gaussian",
    "gaussian_mean",
    "gaussian_mixture",
    "gram",
    "gram_matrix",
    "ones_mean",
    "orthogonal",
    "parity",
]

Labels = Literal["rademacher", "balanced"]
Rng = np.random.Generator


def gaussian(n: int, d: int, std: float, labels: Labels, rng: Rng) -> Dataset:
    """x_i ~ N(0, std^2 I_d), X (n, d), with labels y (n,) in {-1, +1} that do not depend on the inputs."""
    check_entries(n, d, "data.n x data.d")
    y = _labels(n, labels, rng)
    return checked_dataset(std * rng.standard_normal((n, d)), y, "data (gaussian)")


def ones_mean(d: int, norm: float) -> Array:
    """The vector (d,) of this norm whose entries are all equal and positive (Frei et al., Appendix F.1)."""
    return np.full(d, norm / np.sqrt(d))


def gaussian_mean(d: int, std: float, rng: Rng) -> Array:
    """A vector (d,) drawn from N(0, std^2 I_d) (Kou et al., Section 6)."""
    return std * rng.standard_normal(d)


def gaussian_mixture(n: int, mean: Array, std: float, label_noise: float, labels: Labels, rng: Rng) -> Dataset:
    """x_i = y_i mu + N(0, std^2 I_d) with mu = mean (d,), after which some labels of each cluster are flipped.

    The cluster of each sign has s samples, of which round(label_noise s), drawn without replacement, have their labels
    flipped (Frei et al., Appendix F.1); label_noise is in [0, 0.5), halves are rounded to even.
    """
    check_entries(n, mean.size, "data.n x data.d")
    y = _labels(n, labels, rng)
    X = y[:, None] * mean + std * rng.standard_normal((n, mean.size))
    return checked_dataset(X, flipped(y, label_noise, rng), "data (gaussian_mixture)")


def orthogonal(n: int, d: int, replacement: bool, norm: float, labels: Labels, rng: Rng) -> Dataset:
    """x_i = norm e_k(i), with k(i) drawn from 0..d-1 (Kou et al., Figure 5, with norm 1).

    Without replacement the inputs are orthogonal; then n > d raises ScenarioError.
    """
    check_entries(n, d, "data.n x data.d")
    if not replacement and n > d:
        raise ScenarioError(f"data.n = {n}: {n} orthogonal inputs need d >= n, not d = {d}")
    y = _labels(n, labels, rng)
    X = np.zeros((n, d))
    X[np.arange(n), rng.choice(d, size=n, replace=replacement)] = norm
    return checked_dataset(X, y, "data (orthogonal)")


def gram(n: int, d: int, norms: float | Sequence[float], coherence: float, labels: Labels, rng: Rng) -> Dataset:
    """Inputs (n, d) whose Gram matrix is `gram_matrix` of these norms and coherence: its Cholesky factor.

    `norms` is one number, n numbers, or (for n != 2) two numbers [low, high] between which norms are drawn uniformly.
    d >= n; columns beyond n are zero.  Raises ScenarioError where d < n or the matrix is not positive definite.
    """
    check_entries(n, d, "data.n x data.d")
    if d < n:
        raise ScenarioError(f"data.d = {d}: a positive definite Gram matrix of n = {n} samples needs d >= {n}")
    y = _labels(n, labels, rng)
    sizes = _norms(n, norms, rng)
    X = np.zeros((n, d))
    X[:, :n] = _cholesky(gram_matrix(sizes, coherence, rng), sizes, coherence)
    return checked_dataset(X, y, "data (gram)")


def gram_matrix(norms: Array, coherence: float, rng: Rng) -> Array:
    """G (n, n) with diagonal norms^2, norms (n,), and random off-diagonal entries.

    The largest of these has the size `coherence` >= 0.
    """
    n = norms.size
    G = np.diag(norms**2)
    if n > 1 and coherence > 0:
        upper = np.triu_indices(n, k=1)
        entries = rng.uniform(-1.0, 1.0, size=upper[0].size)
        G[upper] = coherence * (entries / np.abs(entries).max())
        G.T[upper] = G[upper]
    return G


def parity(n: int, d: int, rng: Rng, label_noise: float = 0.0) -> Dataset:
    """Inputs uniform on the corners {+-1/sqrt(d)}^d of a cube, labels y = d x_1 x_2; d >= 2 (Telgarsky, Figure 1).

    Then labels are flipped as in `gaussian_mixture`.
    """
    check_entries(n, d, "data.n x data.d")
    signs = np.where(rng.integers(0, 2, size=(n, d)) == 1, 1.0, -1.0)
    y = flipped(signs[:, 0] * signs[:, 1], label_noise, rng)
    return checked_dataset(signs / np.sqrt(d), y, "data (parity)")


def clusters(
    n: int,
    plus: Sequence[Sequence[float]],
    minus: Sequence[Sequence[float]],
    std: float,
    rng: Rng,
    bias: bool = False,
    norm: float | None = None,
    label_noise: float = 0.0,
) -> Dataset:
    """x = mean + N(0, std^2 I); both classes, and all means of a class, are equally likely (Chatterji et al., Figures
    2, 3).

    `plus` and `minus` list the means of the two classes, d numbers each; std >= 0.  norm: every sample is scaled to it
    (Chatterji et al. assume 1).  Then labels are flipped as in `gaussian_mixture`.  Zero samples are allowed with a
    bias; without one they raise ScenarioError.
    """
    means = np.array([*plus, *minus], dtype=np.float64)
    check_entries(n, means.shape[1], "data.n x len(data.means_plus[0])")
    y = _labels(n, "rademacher", rng)
    chosen = np.where(y > 0, rng.integers(len(plus), size=n), len(plus) + rng.integers(len(minus), size=n))
    X = means[chosen] + std * rng.standard_normal((n, means.shape[1]))
    if norm is not None:
        sizes = np.linalg.norm(X, axis=1, keepdims=True)
        X *= norm / np.where(sizes > 0.0, sizes, norm)  # a zero sample has no direction, and stays
    return checked_dataset(X, flipped(y, label_noise, rng), "data (clusters)", bias=bias)


def balanced_labels(n: int, rng: Rng) -> Array:
    """Labels (n,): ceil(n/2) times +1 and floor(n/2) times -1, in random order."""
    y = np.where(np.arange(n) < (n + 1) // 2, 1.0, -1.0)
    return rng.permutation(y)


def flipped(y: Array, fraction: float, rng: Rng) -> Array:
    """The labels (n,) with round(fraction * size) of each sign flipped, drawn without replacement."""
    noisy = y.copy()
    for sign in (1.0, -1.0):
        cluster = np.flatnonzero(y == sign)
        chosen = rng.choice(cluster, size=round(fraction * cluster.size), replace=False)
        noisy[chosen] = -sign
    return noisy


def _labels(n: int, labels: Labels, rng: Rng) -> Array:
    if labels == "balanced":
        return balanced_labels(n, rng)
    return np.where(rng.integers(0, 2, size=n) == 1, 1.0, -1.0)


def _norms(n: int, norms: float | Sequence[float], rng: Rng) -> Array:
    if isinstance(norms, int | float):
        return np.full(n, float(norms))
    if len(norms) == n:
        return np.asarray(norms, dtype=np.float64)
    low, high = norms
    return rng.uniform(low, high, size=n)


def _cholesky(G: Array, norms: Array, coherence: float) -> Array:
    """L (n, n) with L L^T = G.  Raises ScenarioError with a coherence that is always small enough."""
    try:
        return np.asarray(np.linalg.cholesky(G), dtype=np.float64)
    except np.linalg.LinAlgError:
        bound = norms.min() ** 2 / (norms.size - 1)
        raise ScenarioError(
            f"data.coherence = {coherence:g}: the Gram matrix drawn is not positive definite (smallest "
            f"eigenvalue {np.linalg.eigvalsh(G)[0]:.3g}); below (smallest norm)^2 / (n - 1) = {bound:.6g} it "
            "always is, or draw with another seed"
        ) from None
