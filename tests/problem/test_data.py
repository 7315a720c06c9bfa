"""The generated data sets have the statistics of the papers they come from, and follow from their seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gflow.errors import ScenarioError
from gflow.problem import data, real_data
from gflow.problem.data import Dataset


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


GENERATORS: dict[str, Callable[[np.random.Generator], Dataset]] = {
    "gaussian": lambda g: data.gaussian(9, 5, 2.0, "rademacher", g),
    "gaussian balanced": lambda g: data.gaussian(9, 5, 2.0, "balanced", g),
    "mixture": lambda g: data.gaussian_mixture(9, data.gaussian_mean(5, 0.01, g), 1.0, 0.2, "rademacher", g),
    "orthogonal": lambda g: data.orthogonal(5, 9, False, 1.0, "rademacher", g),
    "repeated": lambda g: data.orthogonal(9, 5, True, 1.0, "rademacher", g),
    "gram": lambda g: data.gram(5, 7, [1.0, 2.0], 0.1, "rademacher", g),
    "parity": lambda g: data.parity(9, 5, g),
    "clusters": lambda g: data.clusters(9, [[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0]], 0.1, g),
    "digits": lambda g: real_data.digits([3, 5], 20, "pixels", g).train,
    "breast cancer": lambda g: real_data.breast_cancer(20, "standard", g).train,
}


@pytest.mark.parametrize("generate", GENERATORS.values(), ids=GENERATORS)
def test_a_seed_fixes_the_data(generate: Callable[[np.random.Generator], Dataset]) -> None:
    first, again, other = generate(rng(1)), generate(rng(1)), generate(rng(2))
    assert np.array_equal(first.X, again.X) and np.array_equal(first.y, again.y)
    assert not (np.array_equal(first.X, other.X) and np.array_equal(first.y, other.y))
    for array in (first.X, first.y):
        assert array.dtype == np.float64 and array.flags.c_contiguous
    assert first.y.shape == (first.X.shape[0],) and set(np.unique(first.y)) <= {-1.0, 1.0}


def test_gaussian_inputs_and_labels() -> None:
    sample = data.gaussian(4000, 10, 3.0, "rademacher", rng())
    assert abs(sample.X.std() - 3.0) < 3 * 3.0 / np.sqrt(2 * 40_000)
    assert abs(sample.X.mean()) < 3 * 3.0 / np.sqrt(40_000)
    assert abs(sample.y.mean()) < 3 / np.sqrt(4000)
    assert np.abs(sample.y @ sample.X / 4000).max() < 4 * 3.0 / np.sqrt(4000)  # independent of the labels


@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_balanced_labels(n: int) -> None:
    labels = [data.gaussian(n, 1, 1.0, "balanced", rng(seed)).y for seed in range(20)]
    assert all(y.sum() == n % 2 for y in labels)
    assert n == 1 or len({tuple(y) for y in labels}) > 1  # in random order


def test_the_mean_of_frei_has_norm_d_to_the_power() -> None:
    for d in (1, 100, 10_000):
        mean = data.ones_mean(d, d**0.26)
        assert np.linalg.norm(mean) == pytest.approx(d**0.26, rel=1e-12)
        assert np.all(mean == mean[0]) and mean[0] > 0


def test_the_mean_of_kou() -> None:
    mean = data.gaussian_mean(10_000, 0.01, rng())
    assert abs(mean.std() - 0.01) < 4 * 0.01 / np.sqrt(20_000)


@pytest.mark.parametrize("n", [100, 101, 7])
@pytest.mark.parametrize("labels", ["rademacher", "balanced"])
def test_exactly_a_share_of_each_cluster_is_flipped(n: int, labels: data.Labels) -> None:
    mean = data.ones_mean(50, 100.0)  # so far from 0 that each input shows its cluster
    sample = data.gaussian_mixture(n, mean, 1.0, 0.15, labels, rng())
    cluster = np.sign(sample.X @ mean)
    for sign in (1.0, -1.0):
        size = int(np.sum(cluster == sign))
        assert np.sum(sample.y[cluster == sign] != sign) == round(0.15 * size)
    assert np.allclose((sample.X * cluster[:, None]).mean(axis=0), mean, atol=4 / np.sqrt(n))


def test_label_noise_changes_labels_only() -> None:
    mean = data.ones_mean(5, 1.0)
    clean = data.gaussian_mixture(50, mean, 1.0, 0.0, "rademacher", rng())
    noisy = data.gaussian_mixture(50, mean, 1.0, 0.3, "rademacher", rng())
    assert np.array_equal(clean.X, noisy.X) and not np.array_equal(clean.y, noisy.y)


def test_orthogonal_inputs() -> None:
    sample = data.orthogonal(20, 40, False, 2.0, "rademacher", rng())
    assert np.array_equal(sample.X @ sample.X.T, 4.0 * np.eye(20))
    assert np.array_equal(np.sum(sample.X != 0, axis=1), np.ones(20))
    repeated = data.orthogonal(20, 5, True, 1.0, "rademacher", rng())
    assert np.linalg.matrix_rank(repeated.X) <= 5
    with pytest.raises(ScenarioError, match=r"data.n = 6: .* d >= n"):
        data.orthogonal(6, 5, False, 1.0, "rademacher", rng())


@pytest.mark.parametrize("norms", [1.0, [0.5, 2.0], [1.0, 2.0, 3.0, 1.0, 1.0, 1.0]])
@pytest.mark.parametrize("d", [6, 11])
def test_the_gram_matrix_is_the_prescribed_one(norms: float | list[float], d: int) -> None:
    sample = data.gram(6, d, norms, 0.04, "rademacher", rng())
    G = sample.X @ sample.X.T
    off = np.abs(G - np.diag(np.diag(G)))
    assert sample.X.shape == (6, d)
    assert off.max() == pytest.approx(0.04, abs=1e-12)
    sizes = np.sqrt(np.diag(G))
    if isinstance(norms, float):
        assert np.allclose(sizes, norms, rtol=1e-12)
    elif len(norms) == 6:
        assert np.allclose(sizes, norms, rtol=1e-12)
    else:
        assert norms[0] <= sizes.min() < sizes.max() <= norms[1]


def test_the_cholesky_factor_reproduces_its_matrix() -> None:
    sizes = np.array([1.0, 2.0, 3.0])
    generator = rng(5)
    data.balanced_labels(3, generator)  # labels are drawn first
    G = data.gram_matrix(sizes, 0.3, generator)
    assert np.array_equal(G, G.T) and np.array_equal(np.diag(G), sizes**2)
    assert np.abs(G - np.diag(np.diag(G))).max() == 0.3
    rebuilt = data.gram(3, 3, list(sizes), 0.3, "balanced", rng(5)).X
    assert np.allclose(rebuilt @ rebuilt.T, G, atol=1e-12)


def test_gram_data_can_meet_the_strongest_hypothesis() -> None:
    # NO32 = Rmin^2 / (3 lk^-3 R^2 n coh) >= 1 (Frei et al., Theorem 3.2), here with slope lk = 0.1 and n = 10
    lk, n = 0.1, 10
    coherence = lk**3 / (3 * n) / 1.01
    sample = data.gram(n, n, 1.0, coherence, "balanced", rng())
    G = sample.X @ sample.X.T
    sizes = np.sqrt(np.diag(G))
    coh = np.abs(G - np.diag(np.diag(G))).max()
    no32 = sizes.min() ** 2 / (3 * lk**-3 * (sizes.max() / sizes.min()) ** 2 * n * coh)
    assert no32 == pytest.approx(1.01, rel=1e-9)


def test_a_gram_matrix_that_is_not_positive_definite_is_refused_with_a_bound() -> None:
    with pytest.raises(ScenarioError, match=r"not positive definite .* = 0.111111 it always is"):
        data.gram(10, 10, 1.0, 0.9, "rademacher", rng())
    for seed in range(20):  # and below the bound it always is
        data.gram(10, 10, 1.0, 0.11, "rademacher", rng(seed))
    with pytest.raises(ScenarioError, match="needs d >= 3"):
        data.gram(3, 2, 1.0, 0.1, "rademacher", rng())


def test_one_sample_and_no_coherence() -> None:
    assert np.array_equal(data.gram(1, 1, 3.0, 0.0, "balanced", rng()).X, [[3.0]])
    assert np.array_equal(data.gram(2, 2, [1.0, 2.0], 0.0, "balanced", rng()).X, np.diag([1.0, 2.0]))


def test_parity() -> None:
    sample = data.parity(4000, 20, rng())
    assert np.array_equal(np.unique(sample.X), np.array([-1.0, 1.0]) / np.sqrt(20))
    assert np.allclose(np.linalg.norm(sample.X, axis=1), 1.0, rtol=1e-14)
    assert np.allclose(20 * sample.X[:, 0] * sample.X[:, 1], sample.y, rtol=1e-14)  # the definition
    for moment in (sample.X.mean(axis=0), sample.y @ sample.X / 4000):  # no single input tells the label
        assert np.abs(moment).max() < 4.5 / np.sqrt(20 * 4000)
    assert set(np.unique(sample.y)) == {-1.0, 1.0}
    corners = data.parity(64, 2, rng())
    assert len(np.unique(corners.X, axis=0)) == 4  # all four of them, many times


def test_clusters() -> None:
    plus, minus = [[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]], [[-5.0, 0.0, 0.0]]
    n, sample = 6000, data.clusters(6000, plus, minus, 0.1, rng())
    means = np.array([*plus, *minus])
    nearest = np.argmin(np.linalg.norm(sample.X[:, None] - means, axis=2), axis=1)
    assert np.array_equal(sample.y, np.where(nearest < 3, 1.0, -1.0))
    shares = np.bincount(nearest) / n  # classes equally likely, then the means of a class
    assert np.abs(shares - np.array([1 / 6, 1 / 6, 1 / 6, 1 / 2])).max() < 4 / np.sqrt(4 * n)
    noise = sample.X - means[nearest]
    assert abs(noise.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * 3 * n) and abs(noise.mean()) < 4 * 0.1 / np.sqrt(3 * n)
    assert np.array_equal(np.unique(data.clusters(50, plus, minus, 0.0, rng()).X, axis=0), np.unique(means, axis=0))


def test_samples_at_the_origin_need_a_bias() -> None:
    with pytest.raises(ScenarioError, match=r"data \(clusters\): sample \d+: the sample is the zero vector"):
        data.clusters(10, [[0.0, 0.0]], [[1.0, 1.0]], 0.0, rng())
    assert not data.clusters(10, [[0.0, 0.0]], [[1.0, 1.0]], 0.0, rng(), bias=True).X.all()


def test_data_too_large_for_any_memory_are_refused_at_once() -> None:
    with pytest.raises(ScenarioError, match="10000000 x 10000000 numbers"):
        data.gaussian(10_000_000, 10_000_000, 1.0, "rademacher", rng())
    with pytest.raises(ScenarioError, match="10000000 x 10000000 numbers"):
        data.parity(10_000_000, 10_000_000, rng())
    with pytest.raises(ScenarioError, match="10000000 x 1000 numbers"):
        data.clusters(10_000_000, [[1.0] * 1000], [[2.0] * 1000], 1.0, rng())
