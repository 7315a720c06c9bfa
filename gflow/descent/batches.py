"""The samples of each step: all of them, mini-batches drawn with a given seed, or batches listed by the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gflow.arrays import Array, Integers
from gflow.errors import ScenarioError

# How many indices are drawn at a time.  Another number would give other batches for the same seed.
DRAWN_TOGETHER = 2**14


@dataclass(frozen=True, slots=True)
class FullBatch:
    """Gradient descent: every step uses all n samples."""

    @property
    def size(self) -> None:
        """None: all samples."""
        return None


@dataclass(frozen=True, slots=True)
class RandomBatches:
    """Batches of `size` samples from numpy's default generator with this seed; size 1 is one sample a step.

    With replacement each index is independent and uniform.  Without it each epoch is a permutation of the samples, cut
    into batches; where size does not divide n, the last batch of an epoch is smaller, and its mean is over the samples
    it has.
    """

    size: int
    replacement: bool
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class GivenBatches:
    """Step k uses the samples indices[k], indices (T, size), numbers from 0, ..., n - 1."""

    indices: Integers

    @property
    def size(self) -> int:
        """The number of samples of a batch."""
        return int(self.indices.shape[1])


@dataclass(frozen=True, slots=True)
class StreamedBatches:
    """Step k uses the next `size` samples in the order of the data: each sample once, and so none after the last."""

    size: int


Batches = FullBatch | RandomBatches | GivenBatches | StreamedBatches


def check_batches(batches: Batches, n: int, steps: int) -> None:
    """Raise ScenarioError where batches do not fit n samples or this number of steps."""
    if isinstance(batches, StreamedBatches) and (batches.size < 1 or batches.size * steps > n):
        raise ScenarioError(
            f"descent.stream: {steps} steps of {batches.size} samples take more than the n = {n} that there are; "
            f"take at most {n // max(batches.size, 1)} steps"
        )
    if isinstance(batches, RandomBatches):
        largest = "" if batches.replacement else f"..{n}"
        if batches.size < 1 or (not batches.replacement and batches.size > n):
            raise ScenarioError(f"descent.batches.size = {batches.size}: must be in 1{largest or ' or more'} (n = {n})")
    if isinstance(batches, GivenBatches):
        indices = batches.indices
        if indices.ndim != 2 or indices.shape[1] < 1 or indices.shape[0] < steps:
            raise ScenarioError(f"descent.batches: indices {indices.shape} must be (steps >= {steps}, size >= 1)")
        if indices.size and (indices.min() < 0 or indices.max() >= n):
            raise ScenarioError(f"descent.batches: indices span {indices.min()}..{indices.max()}, allowed 0..{n - 1}")


class Stream:
    """The batches of one run in order; which ones are drawn does not depend on how many are taken at a time."""

    def __init__(self, batches: RandomBatches | GivenBatches | StreamedBatches, n: int) -> None:
        self._blocks = blocks(batches, n)
        self._indices = np.empty((0, batches.size), dtype=np.int64)
        self._weights = np.empty((0, batches.size))
        self._behind = 0  # batches to skip before the next one is taken

    def take(self, count: int) -> tuple[Integers, Array]:
        """The next `count` batches: indices and weights, (count, size) each."""
        behind, self._behind = self._behind, 0
        if behind:
            self._pass_over(behind)
        while self._indices.shape[0] < count:
            indices, weights = next(self._blocks)
            self._indices = np.concatenate([self._indices, indices])
            self._weights = np.concatenate([self._weights, weights])
        taken = self._indices[:count], self._weights[:count]
        self._indices, self._weights = self._indices[count:], self._weights[count:]
        return taken

    def skip(self, count: int) -> None:
        """Continue as if the next `count` batches had been taken; they are drawn only when a batch is taken after
        them.
        """
        self._behind += count

    def _pass_over(self, count: int) -> None:
        while self._indices.shape[0] < count:
            count -= self._indices.shape[0]
            self._indices, self._weights = next(self._blocks)
        self.take(count)


def blocks(batches: RandomBatches | GivenBatches | StreamedBatches, n: int) -> Iterator[tuple[Integers, Array]]:
    """Blocks of batches: indices (T, size), and weights (T, size) that sum to 1 over each batch."""
    size = batches.size
    if isinstance(batches, GivenBatches):
        yield batches.indices, np.full(batches.indices.shape, 1.0 / size)
        return
    if isinstance(batches, StreamedBatches):
        order = np.arange(n // size * size, dtype=np.int64).reshape(-1, size)
        yield order, np.full(order.shape, 1.0 / size)
        return
    rng = np.random.default_rng(batches.seed)
    while batches.replacement:
        indices = rng.integers(n, size=(max(1, DRAWN_TOGETHER // size), size))
        yield indices, np.full(indices.shape, 1.0 / size)
    while True:
        yield _epochs(rng, n, size)


def _epochs(rng: np.random.Generator, n: int, size: int) -> tuple[Integers, Array]:
    """Some epochs, each a permutation cut into batches; the last batch of each is filled up with samples of weight
    0.
    """
    epochs, per_epoch = max(1, DRAWN_TOGETHER // n), -(-n // size)
    order = rng.permuted(np.tile(np.arange(n, dtype=np.int64), (epochs, 1)), axis=1)
    filled = np.zeros((epochs, per_epoch * size), dtype=np.int64)
    filled[:, :n] = order
    weights = np.full((per_epoch, size), 1.0 / size)
    weights[-1] = np.where(np.arange(size) < n - (per_epoch - 1) * size, 1.0 / (n - (per_epoch - 1) * size), 0.0)
    return filled.reshape(-1, size), np.tile(weights, (epochs, 1))
