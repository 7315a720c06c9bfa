"""Real data sets: their samples are those of their sources, and what is held out of them is not trained on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from gflow.errors import ScenarioError
from gflow.problem import real_data
from gflow.problem.dataset import Dataset, Split
from gflow.problem.real_data import HeldOut


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def digits(
    classes: real_data.Classes,
    n: int | None,
    scaling: real_data.Scaling,
    g: np.random.Generator,
    as_classes: bool = False,
) -> Dataset:
    return real_data.digits(classes, n, scaling, g, as_classes).train


def breast_cancer(n: int | None, scaling: real_data.Scaling, g: np.random.Generator) -> Dataset:
    return real_data.breast_cancer(n, scaling, g).train


def test_digits_as_classes() -> None:
    sample = digits([8, 3, 5], 100, "unit", rng(), as_classes=True)
    assert sample.X.shape == (100, 64) and [int(np.sum(sample.y == k)) for k in range(3)] == [34, 33, 33]
    everything = digits([8, 3, 5], None, "pixels", rng(), as_classes=True)
    assert [int(np.sum(everything.y == k)) for k in range(3)] == [174, 183, 182]
    pair = digits([3, 5], None, "pixels", rng())
    classes = everything.y > 0  # in the order given: 3 is class 1, 5 is class 2
    assert np.array_equal(everything.X[classes], pair.X)
    assert np.array_equal(everything.y[classes], np.where(pair.y > 0, 1.0, 2.0))
    assert len(np.unique(digits(list(range(10)), 95, "pixels", rng(), as_classes=True).y)) == 10


def test_digits() -> None:
    everything = digits([3, 5], None, "pixels", rng())
    assert everything.X.shape == (365, 64) and (everything.X.min(), everything.X.max()) == (0.0, 1.0)
    assert (np.sum(everything.y == 1), np.sum(everything.y == -1)) == (183, 182)
    swapped = digits([5, 3], None, "pixels", rng())
    assert np.array_equal(swapped.y, -everything.y) and np.array_equal(swapped.X, everything.X)
    some = digits([3, 5], 51, "unit", rng())
    assert np.sum(some.y == 1) == 26 and np.allclose(np.linalg.norm(some.X, axis=1), 1.0)
    assert len(np.unique(some.X, axis=0)) == 51  # without replacement


def test_subsets_are_as_balanced_as_the_classes_allow() -> None:
    most = digits([3, 5], 364, "pixels", rng())
    assert {int(np.sum(most.y == 1)), int(np.sum(most.y == -1))} == {182}
    cancer = breast_cancer(500, "none", rng())  # 212 of 569 are malignant
    assert (np.sum(cancer.y == -1), np.sum(cancer.y == 1)) == (212, 288)
    with pytest.raises(ScenarioError, match=r"data.n = 366: only 365"):
        digits([3, 5], 366, "pixels", rng())
    many = digits([8, 3, 5], 530, "pixels", rng(), as_classes=True)  # 174, 183 and 182 are there
    assert [int(np.sum(many.y == k)) for k in range(3)] == [174, 178, 178]
    with pytest.raises(ScenarioError, match=r"data.n = 540: only 539"):
        digits([8, 3, 5], 540, "pixels", rng(), as_classes=True)


def test_standard_scaling() -> None:
    for sample in (breast_cancer(None, "standard", rng()), digits([0, 1], 100, "standard", rng())):
        spread = sample.X.std(axis=0)
        assert np.allclose(sample.X.mean(axis=0), 0.0, atol=1e-12)
        assert np.all(np.isclose(spread, 1.0) | (spread == 0.0))  # a constant pixel stays 0


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_data, "find_spec", lambda name: None)
    with pytest.raises(ScenarioError, match=r"need scikit-learn.*pip install 'gflow\[data\]'"):
        digits([3, 5], None, "pixels", rng())


@pytest.mark.parametrize("loader", list(real_data.BUNDLED))
def test_files_of_scikit_learn_are_what_it_loads(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file is elsewhere, scikit-learn itself is asked."""
    X, targets = real_data._bundled(loader)
    bunch = getattr(datasets, loader)()
    assert np.array_equal(X, bunch.data) and np.array_equal(targets, bunch.target)
    monkeypatch.setitem(real_data.BUNDLED, loader, ("moved.csv", 0))
    asked = real_data._bundled(loader)
    assert np.array_equal(asked[0], X) and np.array_equal(asked[1], targets)


def test_scikit_learn_is_not_loaded_for_its_files() -> None:
    program = "import sys, numpy; from gflow.problem import real_data; real_data.digits([3, 5], None, 'unit', "
    program += "numpy.random.default_rng(0)); assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def rows_of(sample: Dataset) -> set[bytes]:
    return {row.tobytes() for row in sample.X}


def held(split: Split) -> Dataset:
    assert split.test is not None
    return split.test


def test_samples_held_out_are_others_and_leave_the_subset_as_it_is() -> None:
    alone = digits([3, 5], 100, "pixels", rng(1))
    split = real_data.digits([3, 5], 100, "pixels", rng(1), test=HeldOut(50, rng(2)))
    assert np.array_equal(split.train.X, alone.X) and np.array_equal(split.train.y, alone.y)
    assert held(split).y.size == 50 and not rows_of(held(split)) & rows_of(alone)
    everything = digits([3, 5], None, "pixels", rng())
    known = {row.tobytes(): y for row, y in zip(everything.X, everything.y, strict=True)}
    assert [known[row.tobytes()] for row in held(split).X] == list(held(split).y)  # each with its own label
    most = real_data.digits([3, 5], 100, "pixels", rng(1), test=HeldOut(None, rng(2)))
    assert rows_of(held(most)) | rows_of(alone) == rows_of(everything)
    with pytest.raises(ScenarioError, match=r"data.test = 266: only 265 samples are left"):
        real_data.digits([3, 5], 100, "pixels", rng(1), test=HeldOut(266, rng(2)))


def test_without_a_size_all_samples_that_are_not_held_out_are_trained_on() -> None:
    everything = breast_cancer(None, "none", rng())
    split = real_data.breast_cancer(None, "none", rng(), HeldOut(69, rng(3)))
    assert (split.train.y.size, held(split).y.size) == (500, 69)
    assert rows_of(split.train) | rows_of(held(split)) == rows_of(everything)
    other = real_data.breast_cancer(None, "none", rng(), HeldOut(69, rng(4)))
    assert rows_of(held(other)) != rows_of(held(split))  # it is the seed that chooses
    with pytest.raises(ScenarioError, match=r"data.test = 569: only 568 samples are left"):
        real_data.breast_cancer(None, "none", rng(), HeldOut(569, rng(3)))


def test_every_sample_is_held_out_equally_often() -> None:
    counts = np.zeros(10)
    for seed in range(2000):
        _, chosen = real_data.split_of(np.arange(10), 10, False, HeldOut(3, rng(seed)))
        counts[chosen] += 1
    assert np.abs(counts - 600.0).max() < 5.0 * np.sqrt(2000 * 0.3 * 0.7)


def test_test_samples_are_scaled_by_the_statistics_of_the_training_samples() -> None:
    raw = real_data.breast_cancer(200, "none", rng(1), HeldOut(100, rng(2)))
    split = real_data.breast_cancer(200, "standard", rng(1), HeldOut(100, rng(2)))
    centre, spread = raw.train.X.mean(axis=0), raw.train.X.std(axis=0)
    assert np.allclose(held(split).X, (held(raw).X - centre) / spread, rtol=1e-12, atol=1e-12)
    assert np.abs(held(split).X.mean(axis=0)).max() > 1e-3
    units = real_data.breast_cancer(200, "unit", rng(1), HeldOut(100, rng(2)))
    assert np.allclose(np.linalg.norm(held(units).X, axis=1), 1.0, rtol=1e-14)


def test_samples_taken_out_of_a_file(tmp_path: Path) -> None:
    X, y = rng().standard_normal((12, 3)), np.where(rng(1).random(12) > 0.3, 1.0, -1.0)
    np.savez(tmp_path / "d.npz", X=X, y=y)
    split = real_data.read_file(tmp_path / "d.npz", test=HeldOut(4, rng(5)))
    assert (split.train.y.size, held(split).y.size) == (8, 4)
    kept = np.flatnonzero([row.tobytes() in rows_of(split.train) for row in X])
    assert np.array_equal(X[kept], split.train.X) and np.array_equal(y[kept], split.train.y)  # in their order
    out = np.setdiff1d(np.arange(12), kept)
    assert np.array_equal(X[out], held(split).X) and np.array_equal(y[out], held(split).y)
