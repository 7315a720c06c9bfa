"""What hypotheses ask of a data set, against loops over the samples."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.claims import data
from tests.claims.frei.runs import simulated


def test_predicates_of_the_data_against_loops(tmp_path: Path) -> None:
    leaky = simulated(tmp_path)
    X, n = leaky.trajectory.X, 6
    norms = [float(np.linalg.norm(x)) for x in X]
    products = [[abs(float(X[i] @ X[k])) for k in range(n) if k != i] for i in range(n)]
    sizes = data.sizes_of(leaky)
    assert data.sizes_of(leaky) is sizes
    Rmin, Rmax, coherence = min(norms), max(norms), max(map(max, products))
    R = Rmax / Rmin
    assert (sizes.Rmin, sizes.Rmax, sizes.coherence) == pytest.approx((Rmin, Rmax, coherence))
    assert sizes.crowd == pytest.approx([sum(row) for row in products])
    assert sizes.nearest == pytest.approx([max(row) for row in products])
    C_R = 10.0 * R**2 / 0.25 + 10.0
    assert data.near_orthogonal_32(sizes, 0.5).slack == pytest.approx(Rmin**2 / (24.0 * R**2 * n * coherence))
    assert data.near_orthogonal_42(sizes, 0.5).slack == pytest.approx(Rmin**2 / (20.0 * C_R * n * coherence))
    assert data.kou_constant(sizes, 0.5) == pytest.approx(Rmin**2 / (16.0 * R**2 * n * coherence))
    assert data.kou_constant(sizes, 0.0) == pytest.approx(Rmin**2 / (R**2 * n * coherence))
    one = data.Sizes.of(np.eye(4))
    assert one.coherence == 0.0 and data.kou_constant(one, 0.5) is None
    assert data.near_orthogonal_32(one, 0.5).holds and data.near_orthogonal_32(one, 0.5).slack is None
    near = np.eye(4) + 1e-5 * (1.0 - np.eye(4))
    explicit = data.explicit_kou(data.Sizes.of(np.asarray(np.linalg.cholesky(near), dtype=np.float64)))
    assert explicit.slack == pytest.approx(1.0 / (3282.0 * 4.0 * 1e-5), rel=1e-3)


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e140])
def test_inner_products_are_the_exact_ones_rounded_once(scale: float) -> None:
    """Against fractions, on entries over 16 orders of magnitude, where BLAS loses digits."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 9)) * scale * 10.0 ** rng.integers(-8, 8, (6, 9))
    exact = [[float(sum(Fraction(a) * Fraction(b) for a, b in zip(x, z, strict=True))) for z in X] for x in X]
    found, error = data.inner_products(X)
    assert found.tolist() == exact and error <= 2.0**-52
    assert (X @ X.T).tolist() != exact  # control


def test_large_or_wild_samples_are_multiplied_in_floats() -> None:
    rng = np.random.default_rng(1)
    for X in (rng.standard_normal((30, 200)), np.ldexp(rng.standard_normal((3, 4)), [[0], [-300], [300]])):
        found, error = data.inner_products(X)
        assert np.array_equal(found, X @ X.T) and error == X.shape[1] * 2.0**-52


def at_equality(change: float = 0.0) -> NDArray[np.float64]:
    """Two samples of norm sqrt(48) and product 1: Rmin^2 = 3 * 2^3 * 2 * coherence, NO32 at slope 1/2 with equality."""
    X = np.array([[6.0, 3.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 6.0, 3.0, 1.0, 1.0]])
    X[1, 4] += change
    return X


@pytest.mark.parametrize("seed", range(5))
def test_near_orthogonality_at_equality_does_not_turn_on_rounding(seed: int) -> None:
    """As it is, one float beside it, and turned by a random rotation; a millionth off it is decided."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((9, 9)))
    for X in (at_equality(), at_equality(2.0**-52), at_equality(-(2.0**-53)), at_equality() @ rotation):
        hypothesis = data.near_orthogonal_32(data.Sizes.of(X), 0.5)
        assert hypothesis.holds and not hypothesis.firm and hypothesis.slack == pytest.approx(1.0, rel=1e-14)
    assert not data.near_orthogonal_32(data.Sizes.of(at_equality(1e-6) @ rotation), 0.5).holds
    met = data.near_orthogonal_32(data.Sizes.of(at_equality(-1e-6) @ rotation), 0.5)
    assert met.holds and met.firm
