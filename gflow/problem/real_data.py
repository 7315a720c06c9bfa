"""Real data sets: which samples are trained on, which are held out to test, and how their inputs are scaled.

The choice of training samples draws from one generator and that of test samples from another, so that the former are
the same with and without the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array, Index
from gflow.errors import ScenarioError
from gflow.problem.data_files import read_dataset
from gflow.problem.dataset import Dataset, Split, checked_dataset
from gflow.problem.image_files import Images

Rng = np.random.Generator
Scaling = Literal["pixels", "unit", "standard", "none"]
Classes = Sequence[int | Sequence[int]]
"""The targets of each label, one or several, in the order of the labels."""

LARGEST_PIXEL = 255.0
# The files of scikit-learn's loaders, and how many lines come before the samples.
BUNDLED = {"load_digits": ("digits.csv.gz", 0), "load_breast_cancer": ("breast_cancer.csv", 1)}


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How many test samples are wanted (None: all that there are), and the generator that chooses them."""

    count: int | None
    rng: Rng


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Samples to choose from: inputs (N, d) of any numeric type, which are divided by `unit`, and labels (N,)."""

    inputs: NDArray[Any]  # Any: pixels are kept as bytes until some of them are chosen
    y: Array
    labels: tuple[float, ...]
    """the label of each class"""
    source: str
    unit: float = 1.0

    def samples(self, chosen: Index) -> Array:
        """The inputs (k, d) of some samples."""
        return np.asarray(self.inputs[chosen], dtype=np.float64) / self.unit


def read_file(path: str | Path, outputs: int = 1, bias: bool = False, test: HeldOut | None = None) -> Split:
    """The data set of a .npz file (arrays X (n, d), y (n,)) or of a .csv file (label in the last column).

    test: samples that are taken out of the file.  Labels are -1 and +1 for one output, classes 0, ..., K - 1 for K
    outputs.  Zero samples are allowed with a bias.  Raises ScenarioError.
    """
    everything = read_dataset(Path(path), outputs, bias)
    if test is None:
        return Split(everything)
    parts = split_of(np.arange(everything.y.size), everything.y.size, False, test)
    return Split(*(Dataset(everything.X[part], everything.y[part]) for part in parts))


def digits(
    classes: Classes,
    n: int | None,
    scaling: Scaling,
    rng: Rng,
    as_classes: bool = False,
    test: HeldOut | None = None,
) -> Split:
    """Some classes of the 8 x 8 handwritten digits of scikit-learn, X (n, 64).

    For two classes the first gets the label +1, the second -1; with `as_classes` (three or more) labels are 0, 1, ...
    in the order given.  n samples are drawn without replacement, as balanced as possible (None: all).  Raises
    ScenarioError.
    """
    inputs, targets = _bundled("load_digits")
    return split_pool(pool_of(inputs, targets, classes, as_classes, "data (digits)", 16.0), n, scaling, rng, test)


def breast_cancer(n: int | None, scaling: Scaling, rng: Rng, test: HeldOut | None = None) -> Split:
    """The breast cancer data of scikit-learn, 569 samples with d = 30; benign is +1, malignant -1.

    n samples are drawn without replacement, as balanced as possible (None: all).  Raises ScenarioError.
    """
    inputs, targets = _bundled("load_breast_cancer")
    return split_pool(pool_of(inputs, targets, [1, 0], False, "data (breast_cancer)"), n, scaling, rng, test)


def images(
    train: Images,
    test: Images | None,
    classes: Classes,
    n: int | None,
    scaling: Scaling,
    rng: Rng,
    as_classes: bool = False,
    held: HeldOut | None = None,
) -> Split:
    """Some classes of MNIST or CIFAR-10, pixels divided by 255, labels as for `digits`.

    n samples are drawn from `train` without replacement, as balanced as possible (None: all), and test samples from
    `test` at random, where it is given.  Raises ScenarioError.
    """
    source = f"data ({train.kind})"
    pool = pool_of(train.pixels, train.targets, classes, as_classes, source, LARGEST_PIXEL)
    chosen = training_samples(pool, n, rng)
    if test is None or held is None:
        return scaled_split(pool, chosen, None, chosen[:0], scaling)
    others = pool_of(test.pixels, test.targets, classes, as_classes, source, LARGEST_PIXEL)
    return scaled_split(pool, chosen, others, drawn(np.arange(others.y.size), others.y.size, held), scaling)


def pool_of(
    inputs: NDArray[Any], targets: NDArray[Any], classes: Classes, as_classes: bool, source: str, unit: float = 1.0
) -> Pool:
    """The samples whose targets (N,) are named, with labels +1, -1 or, `as_classes`, 0, 1, ... in the order of classes.

    Any: numbers of any type.
    """
    labels = tuple(float(k) for k in range(len(classes))) if as_classes else (1.0, -1.0)
    y = np.full(targets.size, np.nan)
    for label, members in zip(labels, classes, strict=True):
        y[np.isin(targets, members)] = label
    wanted = np.flatnonzero(~np.isnan(y))
    return Pool(inputs if wanted.size == y.size else inputs[wanted], y[wanted], labels, source, unit)


def split_pool(pool: Pool, n: int | None, scaling: Scaling, rng: Rng, test: HeldOut | None) -> Split:
    """n training samples, as balanced as possible (None: all), and test samples from the others."""
    train, held = split_of(training_samples(pool, n, rng), pool.y.size, n is not None, test)
    return scaled_split(pool, train, None if test is None else pool, held, scaling)


def training_samples(pool: Pool, n: int | None, rng: Rng) -> Index:
    """Indices, sorted, of n samples drawn without replacement, as balanced as possible; None: all."""
    if n is None:
        return np.arange(pool.y.size)
    return _balanced_subset([np.flatnonzero(pool.y == label) for label in pool.labels], n, rng)


def split_of(train: Index, size: int, chosen: bool, test: HeldOut | None) -> tuple[Index, Index]:
    """The samples to train on and those to test on, sorted: some of the `size` - len(train) others.

    chosen: the training samples were asked for by number; else they are all, and test samples are taken out of them.
    """
    if test is None:
        return train, np.empty(0, dtype=np.intp)
    others = np.setdiff1d(np.arange(size), train) if chosen else train
    most = others.size - int(not chosen)
    held = drawn(others, most, test)
    return (train if chosen else np.setdiff1d(train, held)), held


def drawn(samples: Index, most: int, test: HeldOut) -> Index:
    """Some of these samples, by a random permutation, sorted.  Raises ScenarioError for more than there are."""
    count = most if test.count is None else test.count
    if count > most:
        raise ScenarioError(
            f"data.test = {count}: only {most} samples are left to test on; use a smaller number, or train on fewer"
        )
    return np.sort(test.rng.permutation(samples)[:count])


def scaled_split(train_pool: Pool, train: Index, test_pool: Pool | None, test: Index, scaling: Scaling) -> Split:
    """The chosen samples, scaled; `standard` takes the statistics of the training samples for both."""
    X = train_pool.samples(train)
    T = None if test_pool is None else test_pool.samples(test)
    if scaling == "standard":
        centre, spread = X.mean(axis=0), X.std(axis=0)
        spread[spread == 0.0] = 1.0  # a constant input becomes 0
        X, T = (X - centre) / spread, None if T is None else (T - centre) / spread
    if scaling == "unit":
        X, T = _units(X), None if T is None else _units(T)
    trained = _checked(train_pool, X, train, train_pool.source)
    if test_pool is None or T is None:
        return Split(trained)
    return Split(trained, _checked(test_pool, T, test, f"{test_pool.source}, test samples"))


def _units(X: Array) -> Array:
    """Rows of norm 1; a zero row stays as it is, to be refused by its own name."""
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(norms > 0.0, norms, 1.0))


def _checked(pool: Pool, X: Array, chosen: Index, source: str) -> Dataset:
    outputs = 1 if pool.labels == (1.0, -1.0) else len(pool.labels)
    return checked_dataset(X, pool.y[chosen], source, outputs=outputs)


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


def _balanced_subset(classes: Sequence[Index], n: int, rng: Rng) -> Index:
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
