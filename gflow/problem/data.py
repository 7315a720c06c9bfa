"""The data sets of the papers' experiments, and two real ones bundled with scikit-learn.

Every function draws from the generator `rng` that it is given and from nothing else, so a seed fixes the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError
from gflow.problem.data_files import read_dataset
from gflow.problem.dataset import Dataset, check_entries, checked_dataset

__all__ = [
    "Array",
    "Dataset",
    "balanced_labels",
    "breast_cancer",
    "clusters",
    "digits",
    "gaussian",
    "gaussian_mean",
    "gaussian_mixture",
    "gram",
    "gram_matrix",
    "ones_mean",
    "orthogonal",
    "parity",
    "read_file",
]

Labels = Literal["rademacher", "balanced"]
# The files of scikit-learn's loaders, and how many lines come before the samples.
BUNDLED = {"load_digits": ("digits.csv.gz", 0), "load_breast_cancer": ("breast_cancer.csv", 1)}
Rng = np.random.Generator


def read_file(path: str | Path, outputs: int = 1, bias: bool = False) -> Dataset:
    """The data set of a .npz file (arrays X (n, d), y (n,)) or of a .csv file (label in the last column).

    Labels are -1 and +1 for one output, classes 0, ..., K - 1 for K outputs.  Zero samples are allowed with a bias.
    Raises ScenarioError.
    """
    return read_dataset(Path(path), outputs, bias)


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
    return checked_dataset(X, _flipped(y, label_noise, rng), "data (gaussian_mixture)")


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


def parity(n: int, d: int, rng: Rng) -> Dataset:
    """Inputs uniform on the corners {+-1/sqrt(d)}^d of a cube, labels y = d x_1 x_2; d >= 2 (Telgarsky, Figure 1)."""
    check_entries(n, d, "data.n x data.d")
    signs = np.where(rng.integers(0, 2, size=(n, d)) == 1, 1.0, -1.0)
    return checked_dataset(signs / np.sqrt(d), signs[:, 0] * signs[:, 1], "data (parity)")


def clusters(
    n: int,
    plus: Sequence[Sequence[float]],
    minus: Sequence[Sequence[float]],
    std: float,
    rng: Rng,
    bias: bool = False,
) -> Dataset:
    """x = mean + N(0, std^2 I); both classes, and all means of a class, are equally likely (Chatterji et al., Figures
    2, 3).

    `plus` and `minus` list the means of the two classes, d numbers each; std >= 0.  Zero samples are allowed with a
    bias; without one they raise ScenarioError.
    """
    means = np.array([*plus, *minus], dtype=np.float64)
    check_entries(n, means.shape[1], "data.n x len(data.means_plus[0])")
    y = _labels(n, "rademacher", rng)
    chosen = np.where(y > 0, rng.integers(len(plus), size=n), len(plus) + rng.integers(len(minus), size=n))
    X = means[chosen] + std * rng.standard_normal((n, means.shape[1]))
    return checked_dataset(X, y, "data (clusters)", bias=bias)


def digits(
    classes: Sequence[int],
    n: int | None,
    scaling: Literal["pixels", "unit", "standard"],
    rng: Rng,
    as_classes: bool = False,
) -> Dataset:
    """Some classes of the 8 x 8 handwritten digits of scikit-learn, X (n, 64).

    For two classes the first gets the label +1, the second -1; with `as_classes` (three or more) labels are 0, 1, ...
    in the order given.  n samples are drawn without replacement, as balanced as possible (None: all).  Raises
    ScenarioError.
    """
    inputs, targets = _bundled("load_digits")
    wanted = np.isin(targets, classes)
    labels = [float(k) for k in range(len(classes))] if as_classes else [1.0, -1.0]
    y = np.array([dict(zip(classes, labels, strict=True))[int(digit)] for digit in targets[wanted]])
    return _prepared(inputs[wanted] / 16.0, y, labels, n, scaling, "data (digits)", rng)


def breast_cancer(n: int | None, scaling: Literal["standard", "unit", "none"], rng: Rng) -> Dataset:
    """The breast cancer data of scikit-learn, 569 samples with d = 30; benign is +1, malignant -1.

    n samples are drawn without replacement, as balanced as possible (None: all).  Raises ScenarioError.
    """
    X, targets = _bundled("load_breast_cancer")
    y = np.where(targets == 1, 1.0, -1.0)
    return _prepared(X, y, [1.0, -1.0], n, scaling, "data (breast_cancer)", rng)


def balanced_labels(n: int, rng: Rng) -> Array:
    """Labels (n,): ceil(n/2) times +1 and floor(n/2) times -1, in random order."""
    y = np.where(np.arange(n) < (n + 1) // 2, 1.0, -1.0)
    return rng.permutation(y)


def _labels(n: int, labels: Labels, rng: Rng) -> Array:
    if labels == "balanced":
        return balanced_labels(n, rng)
    return np.where(rng.integers(0, 2, size=n) == 1, 1.0, -1.0)


def _flipped(y: Array, fraction: float, rng: Rng) -> Array:
    """The labels (n,) with round(fraction * size) of each sign flipped."""
    flipped = y.copy()
    for sign in (1.0, -1.0):
        cluster = np.flatnonzero(y == sign)
        chosen = rng.choice(cluster, size=round(fraction * cluster.size), replace=False)
        flipped[chosen] = -sign
    return flipped


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


def _bundled(loader: str) -> tuple[Array, Array]:
    """Inputs (N, d) and targets (N,) of a data set inside scikit-learn; nothing is downloaded.

    Its file is read, where it is in its usual place: to import scikit-learn takes longer than most runs.
    """
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ScenarioError(
            "data.kind: the bundled real data sets need scikit-learn, which is not installed; "
            "install it with pip install 'gflow[data]'"
        )
    name, header = BUNDLED[loader]
    file = Path(package.origin).parent / "datasets" / "data" / name
    if file.exists():
        rows = np.loadtxt(file, delimiter=",", skiprows=header)
        return np.ascontiguousarray(rows[:, :-1]), rows[:, -1].copy()
    from sklearn import datasets

    # Any: scikit-learn is not typed.
    bunch: Any = getattr(datasets, loader)()
    return np.asarray(bunch.data, dtype=np.float64), np.asarray(bunch.target, dtype=np.float64)


def _prepared(
    X: Array, y: Array, labels: Sequence[float], n: int | None, scaling: str, source: str, rng: Rng
) -> Dataset:
    """The chosen samples, scaled with their own statistics; `labels` holds the label of each class."""
    if n is not None:
        chosen = _balanced_subset([np.flatnonzero(y == label) for label in labels], n, rng)
        X, y = X[chosen], y[chosen]
    if scaling == "unit":
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
    if scaling == "standard":
        spread = X.std(axis=0)
        X = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)  # a constant input becomes 0
    return checked_dataset(X, y, source, outputs=1 if len(labels) == 2 else len(labels))


def _balanced_subset(classes: Sequence[np.ndarray], n: int, rng: Rng) -> np.ndarray:
    """Indices (n,), sorted, of n samples drawn without replacement with sizes as equal as the classes allow."""
    available = [indices.size for indices in classes]
    if n > sum(available):
        raise ScenarioError(f"data.n = {n}: only {sum(available)} samples are there; use n <= {sum(available)}")
    sizes = _balanced_sizes(available, n)
    chosen = [rng.choice(indices, size=size, replace=False) for indices, size in zip(classes, sizes, strict=True)]
    return np.sort(np.concatenate(chosen))


def _balanced_sizes(available: Sequence[int], n: int) -> list[int]:
    """Sizes, one for each class, that sum to n <= sum(available), as equal as possible; the first classes get the
    remainder.
    """
    sizes = [0] * len(available)
    while (left := n - sum(sizes)) > 0:
        unfilled = [k for k, room in enumerate(available) if sizes[k] < room]
        share = left // len(unfilled)
        for k in unfilled if share else unfilled[:left]:
            sizes[k] = min(sizes[k] + max(share, 1), available[k])
    return sizes
