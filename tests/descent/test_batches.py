"""Drawn batches: what a seed means, epochs, means over what is there, and no dependence on how they are taken."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.descent import Constant, DescentRun, GivenBatches, LossWatch, Options, RandomBatches
from gflow.descent.batches import DRAWN_TOGETHER, Stream
from gflow.descent.schedule import LogSquared
from gflow.errors import ScenarioError
from tests.descent.cases import DEVICES, Plain, case, gap, rows


@pytest.mark.parametrize("size", [1, 2, 4, 9])
def test_an_epoch_sees_every_sample_once(size: int) -> None:
    per_epoch = -(-9 // size)
    indices, weights = Stream(RandomBatches(size, False, 0), 9).take(50 * per_epoch)
    for epoch in range(50):
        part = slice(epoch * per_epoch, (epoch + 1) * per_epoch)
        seen = indices[part][weights[part] > 0.0]
        assert sorted(seen.tolist()) == list(range(9))
    assert weights.sum(axis=1) == pytest.approx(1.0, rel=1e-15)
    orders = indices[::per_epoch] if size == 9 else indices.reshape(50, -1)
    assert len({tuple(order) for order in orders}) == 50


def test_replacement_draws_uniformly() -> None:
    indices, weights = Stream(RandomBatches(3, True, 1), 5).take(20_000)
    counts = np.bincount(indices.ravel(), minlength=5) / indices.size
    assert counts == pytest.approx(0.2, abs=5.0 * np.sqrt(0.16 / indices.size))
    assert (np.diff(np.sort(indices, axis=1), axis=1) == 0).any(), "repetitions within a batch must occur"
    assert np.all(weights == 1.0 / 3.0)


@pytest.mark.parametrize("replacement", [True, False])
def test_how_many_are_taken_changes_nothing(replacement: bool) -> None:
    batches = RandomBatches(4, replacement, 5)
    count = DRAWN_TOGETHER // 4 + 100  # across a block
    at_once = Stream(batches, 9).take(count)
    stream = Stream(batches, 9)
    pieces = [stream.take(k) for k in (1, 0, 7, count - 8)]
    for whole, part in zip(at_once, zip(*pieces, strict=True), strict=True):
        assert np.array_equal(whole, np.concatenate(part))
    other = Stream(RandomBatches(4, replacement, 6), 9).take(count)
    assert not np.array_equal(at_once[0], other[0])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("replacement, size", [(True, 4), (False, 4), (False, 1), (False, 9)])
def test_drawn_batches_are_those_of_plain_descent(replacement: bool, size: int, device: str) -> None:
    """The stream names the samples; plain autograd on the same ones ends at the same weights."""
    chosen, batches = case("leaky", "logistic"), RandomBatches(size, replacement, 2)
    indices, weights = Stream(batches, 9).take(200)
    plain = Plain(chosen)
    for own, weight in zip(indices, weights, strict=True):
        plain.step(0.1, own[weight > 0.0].tolist())
    last = rows(
        chosen, DescentRun(chosen.weights(), Constant(0.1), np.array([0, 200]), batches), options=Options(device=device)
    )
    assert gap(chosen.inner_at(last[-1]), plain.inner) < 1e-13


def test_a_full_permutation_is_the_full_batch() -> None:
    chosen = case("both layers", "logistic")
    record = np.array([0, 100])
    full = rows(chosen, DescentRun(chosen.weights(), Constant(0.1), record))[-1]
    shuffled = rows(chosen, DescentRun(chosen.weights(), Constant(0.1), record, RandomBatches(9, False, 0)))[-1]
    assert gap(shuffled.U, full.U) < 1e-13
    single = rows(chosen, DescentRun(chosen.weights(), Constant(0.1), record, RandomBatches(1, False, 0)))[-1]
    assert gap(single.U, full.U) > 1e-3, "negative control: one example a step is another path"


@pytest.mark.parametrize(
    "batches, message",
    [
        (RandomBatches(0, True, 0), "size = 0"),
        (RandomBatches(10, False, 0), "1..9"),
        (GivenBatches(np.zeros((5, 2), dtype=np.int64)), "steps >= 6"),
        (GivenBatches(np.full((6, 2), 9)), "allowed 0..8"),
    ],
)
def test_wrong_batches_are_refused(batches: RandomBatches | GivenBatches, message: str) -> None:
    chosen = case("leaky", "logistic")
    with pytest.raises(ScenarioError, match=message):
        rows(chosen, DescentRun(chosen.weights(), Constant(0.1), np.array([0, 6]), batches))


def test_what_needs_the_loss_needs_full_batches() -> None:
    chosen, record, batches = case("leaky", "logistic"), np.array([0, 6]), RandomBatches(2, True, 0)
    with pytest.raises(ScenarioError, match="full batches"):
        rows(chosen, DescentRun(chosen.weights(), LogSquared(0.1, 0.1), record, batches))
    with pytest.raises(ScenarioError, match="full batches"):
        rows(chosen, DescentRun(chosen.weights(), Constant(0.1), record, batches), options=Options(watch=LossWatch()))
