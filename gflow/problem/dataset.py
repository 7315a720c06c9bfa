"""A labelled data set, and the checks that every data set must pass, whatever its source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array
from gflow.errors import ScenarioError

Where = Callable[[int], str]
"""From the position of a sample to the words that name it in a message, for example `data.csv:7` or `data.npz: sample
6`.
"""

# Squares of inputs and their sums over d stay inside float64 (1e-308 .. 1e308).
SMALLEST_SIZE, LARGEST_SIZE = 1e-150, 1e150
MAX_ENTRIES = 2**31  # in a matrix: 16 GiB


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Inputs X (n, d) and labels y (n,), float64 and C-contiguous.

    y is -1 or +1, or for K >= 3 outputs the class 0, ..., K - 1.  A sample is the zero vector only if neurons have
    biases.
    """

    X: Array
    y: Array


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Samples to train on, and others that are only predicted; None where none are asked for."""

    train: Dataset
    test: Dataset | None = None


def checked_dataset(
    X: Array, y: Array, source: str, where: Where | None = None, outputs: int = 1, bias: bool = False
) -> Dataset:
    """The data set of X (n, d) and y (n,), both float64, for a network with this number of outputs.

    `source` names the data in messages, `where` one sample of it.  Raises ScenarioError for shapes that do not fit, NaN
    or inf, labels other than -1 and +1 (1 output) or 0, ..., K - 1 (K outputs), samples that are zero (without a bias),
    and samples whose squared norm would leave float64 (largest entry outside [1e-150, 1e150]).
    """
    where = where or (lambda i: f"{source}: sample {i}")
    _check_shapes(X, y, source)
    _check_finite(X, where)
    if outputs == 1:
        _check_signs(y, where)
    else:
        _check_classes(y, outputs, where)
    _check_sizes(X, where, bias)
    return Dataset(np.ascontiguousarray(X), np.ascontiguousarray(y))


def check_same_inputs(test: Dataset, d: int, source: str) -> None:
    """Raise ScenarioError unless test samples have the d inputs of the training samples; source: who gave them."""
    if test.X.shape[1] != d:
        raise ScenarioError(
            f"{source}: has {test.X.shape[1]} inputs, and the training samples have {d}; make them equal"
        )


def check_entries(rows: int, columns: int, what: str) -> None:
    """Raise ScenarioError where a matrix would not fit into memory, before it is allocated; `what` names it in the
    message.
    """
    if rows * columns > MAX_ENTRIES:
        raise ScenarioError(f"{what}: {rows} x {columns} numbers are more than {MAX_ENTRIES}; use fewer")


def _check_shapes(X: Array, y: Array, source: str) -> None:
    if X.ndim != 2:
        raise ScenarioError(f"{source}: X has shape {X.shape}; it must be a matrix (n, d), one sample a row")
    if y.ndim != 1:
        raise ScenarioError(f"{source}: y has shape {y.shape}; it must be a vector (n,), use y.ravel()")
    if 0 in X.shape:
        raise ScenarioError(f"{source}: X has shape {X.shape}; it needs at least one sample and one input")
    if X.shape[0] != y.shape[0]:
        raise ScenarioError(f"{source}: X has {X.shape[0]} samples and y has {y.shape[0]} labels; match them")


def _check_finite(X: Array, where: Where) -> None:
    bad = np.argwhere(~np.isfinite(X))
    if bad.size:
        i, k = bad[0]
        raise ScenarioError(f"{where(int(i))}: input {k} is {X[i, k]}; every input must be a finite number")


def _check_signs(y: Array, where: Where) -> None:
    bad = np.flatnonzero(np.abs(y) != 1)
    if bad.size:
        hint = "; turn labels 0 and 1 into -1 and +1 by 2 y - 1" if set(np.unique(y)) <= {0.0, 1.0} else ""
        raise ScenarioError(f"{where(int(bad[0]))}: the label is {y[bad[0]]:g}; it must be -1 or +1{hint}")


def _check_classes(y: Array, outputs: int, where: Where) -> None:
    bad = np.flatnonzero(~np.isin(y, np.arange(outputs)))
    if bad.size:
        label = y[bad[0]]
        hint = "; classes count from 0" if label == outputs else "; classes -1 and +1 need outputs: 1"
        raise ScenarioError(
            f"{where(int(bad[0]))}: the label is {label:g}; with outputs = {outputs} it must be a class, an integer "
            f"0, ..., {outputs - 1}{hint if label in (outputs, -1) else ''}"
        )


def _check_sizes(X: Array, where: Where, bias: bool) -> None:
    size = np.abs(X).max(axis=1)
    zero = size == 0
    if zero.any() and not bias:
        raise ScenarioError(
            f"{where(int(np.flatnonzero(zero)[0]))}: the sample is the zero vector, so its margin is 0 for ever "
            "without a bias; remove it"
        )
    bad = np.flatnonzero(((size < SMALLEST_SIZE) & ~zero) | (size > LARGEST_SIZE))
    if bad.size:
        raise ScenarioError(
            f"{where(int(bad[0]))}: the largest input is {size[bad[0]]:.3g} in size; it must lie in "
            f"[{SMALLEST_SIZE:g}, {LARGEST_SIZE:g}], where squares fit float64; rescale the data"
        )
