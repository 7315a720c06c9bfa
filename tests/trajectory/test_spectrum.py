"""Norms of W from span coordinates: against the singular values of W, by either way, and what would mislead one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.trajectory import spectrum
from gflow.trajectory.spectrum import GramSpectrum, MovedSpectrum, spectrum_of

Array = NDArray[np.float64]
K, RANK, INPUTS = 160, 12, 300


def parts(seed: int = 0) -> tuple[Array, Array, Array]:
    """U (k, r), W_perp (k, d) and basis (r, d), W = U B + W_perp."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(INPUTS, INPUTS)))[0].T
    U, beside = rng.normal(size=(K, RANK)), rng.normal(size=(K, INPUTS - RANK))
    return U, beside @ axes[RANK:], axes[:RANK]


@pytest.mark.parametrize("way", [GramSpectrum, MovedSpectrum])
@pytest.mark.parametrize(
    ("inside", "outside"), [(1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (1e-3, 1.0), (30.0, 1e-3), (1e170, 1.0), (1.0, 1e-170)]
)
def test_norms_are_those_of_the_weights(way: type, inside: float, outside: float) -> None:
    """As large as rows come, as small, all directions alike, and none left outside the span."""
    U, W_perp, basis = parts()
    size = max(inside, outside)
    found = way(outside * W_perp).norms(inside * U)
    singular = np.linalg.svd(inside / size * U @ basis + outside / size * W_perp, compute_uv=False)
    assert found.spectral / size == pytest.approx(singular[0], rel=1e-13)
    assert found.frobenius / size == pytest.approx(np.sqrt(np.sum(singular**2)), rel=1e-13)
    assert found.stable_rank == pytest.approx(np.sum((singular / singular[0]) ** 2), rel=1e-12)


def test_no_weights_have_no_norms() -> None:
    for way in (GramSpectrum, MovedSpectrum):
        found = way(np.zeros((K, INPUTS))).norms(np.zeros((K, RANK)))
        assert (found.frobenius, found.spectral, found.stable_rank) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("gap", [0.0, 1e-14, 1e-9, 1e-5])
def test_two_largest_values_almost_alike(gap: float) -> None:
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(size, RANK)))[0] for size in (K, RANK))
    singular = np.concatenate([[3.0, 3.0 - gap], rng.random(RANK - 2)])
    found = MovedSpectrum(np.zeros((K, INPUTS))).norms(left * singular @ right.T)
    assert found.spectral == pytest.approx(3.0, rel=1e-13)


def test_a_start_that_sees_nothing_of_the_largest_value_is_found_out() -> None:
    """From a vector without the first axis, all that Lanczos' method can see is the second value."""
    D, start = np.linspace(0.0, 0.1, K), np.full(K, 1.0)
    V = np.zeros((K, 2))
    V[0, 0], V[1, 1], start[0] = 2.0, 1.0, 0.0
    top = spectrum._top(D, V, start / np.linalg.norm(start))
    assert top == pytest.approx(4.0, rel=1e-14)


@pytest.mark.parametrize(("part", "is_top"), [(1.0, True), (1.0 - 1e-14, True), (1.0 - 1e-12, False), (0.9, False)])
def test_what_is_not_the_largest_value_is_not_taken_for_it(part: float, is_top: bool) -> None:
    U, W_perp, _ = parts()
    D, axes = np.linalg.eigh(W_perp @ W_perp.T)
    largest = float(np.linalg.eigvalsh(W_perp @ W_perp.T + U @ U.T)[-1])
    assert spectrum._is_top(part * largest, D, axes.T @ U) == is_top


def test_only_large_gram_matrices_go_the_other_way() -> None:
    """Many inputs and many neurons; few neurons, few inputs, or as many directions as neurons are quick anyhow."""
    shapes = {(512, 10_000, 100): MovedSpectrum, (128, 1000, 20): GramSpectrum, (2000, 40, 20): GramSpectrum}
    shapes[(200, 400, 150)] = GramSpectrum
    for (k, d, rank), way in shapes.items():
        assert type(spectrum_of(np.zeros((k, d)), rank)) is way
