"""The hard-margin problem against closed forms and against all supports tried one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.limit.hard_margin import hard_margin

Array = NDArray[np.float64]


def brute_force(K: Array) -> Array:
    """The multipliers by trying every support (tests only)."""
    n = K.shape[0]
    for size in range(1, n + 1):
        for support in combinations(range(n), size):
            on = list(support)
            lam = np.zeros(n)
            lam[on] = np.linalg.lstsq(K[np.ix_(on, on)], np.ones(size))[0]
            if (lam >= -1e-12).all() and (K @ lam >= 1.0 - 1e-9).all():
                return lam
    raise AssertionError("no support satisfies the KKT conditions")


def test_all_support_vectors_is_the_inverse_of_the_kernel() -> None:
    rng = np.random.default_rng(0)
    A = np.eye(7) + 0.05 * rng.standard_normal((7, 7))
    K = A @ A.T
    found = hard_margin(K)
    assert found is not None and found.unique and found.support.all()
    assert found.multipliers == pytest.approx(np.linalg.solve(K, np.ones(7)), rel=1e-12)
    assert found.margins == pytest.approx(np.ones(7), abs=1e-13)


@pytest.mark.parametrize("seed", range(12))
def test_non_support_samples_against_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    M = np.abs(rng.standard_normal((6, 4))) * 10.0 ** rng.uniform(-3, 3, (6, 1))  # lengths of six orders of magnitude
    found = hard_margin(M @ M.T)
    assert found is not None
    expected = brute_force(M @ M.T)
    assert M.T @ found.multipliers == pytest.approx(M.T @ expected, rel=1e-7)
    assert (found.margins >= 1.0 - found.margin_error - 1e-12).all()


def test_dual_and_kappa_are_the_least_norm_of_the_simplex() -> None:
    """kappa = min q^T K q over the simplex, at q = dual."""
    rng = np.random.default_rng(3)
    M = rng.standard_normal((5, 9))
    K = M @ M.T
    found = hard_margin(K)
    assert found is not None
    assert found.dual @ K @ found.dual == pytest.approx(found.kappa, rel=1e-12)
    for _ in range(200):
        q = rng.dirichlet(np.ones(5))
        assert q @ K @ q >= found.kappa * (1.0 - 1e-12)


def test_no_common_margin() -> None:
    """x and -x with one label: no W separates them."""
    M = np.array([[1.0, 0.0], [-1.0, 0.0], [0.3, 1.0]])
    assert hard_margin(M @ M.T) is None


def test_singular_on_the_support_is_not_unique() -> None:
    M = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = hard_margin(M @ M.T)
    assert found is not None
    assert M.T @ found.multipliers == pytest.approx(np.ones(2), rel=1e-9)
    circle = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]])
    degenerate = hard_margin(circle @ circle.T)
    assert degenerate is not None
    assert circle.T @ degenerate.multipliers == pytest.approx([1.0, 0.0], abs=1e-9)


@pytest.mark.parametrize("scale", [1e-140, 1e-8, 1e8, 1e140])
def test_scale_covariance(scale: float) -> None:
    rng = np.random.default_rng(1)
    M = rng.standard_normal((4, 8))
    plain, scaled = hard_margin(M @ M.T), hard_margin((M @ M.T) * scale)
    assert plain is not None and scaled is not None
    assert scaled.multipliers * scale == pytest.approx(plain.multipliers, rel=1e-10)


def test_one_sample_much_shorter_than_the_others_is_still_separable() -> None:
    K = np.diag([1.0, 1.0, 10.0**-17])
    found = hard_margin(K)
    assert found is not None
    assert found.multipliers == pytest.approx([1.0, 1.0, 1e17], rel=1e-9)
