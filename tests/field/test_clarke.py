"""The box-constrained minimum-norm problem against enumeration of active sets and against scipy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from gflow.field.clarke import FREE, HIGH, LOW, box_least_norm

Array = NDArray[np.float64]


def box(seed: int, size: int, dimension: int) -> tuple[Array, Array, Array, Array]:
    """Unit normals (k, r), a velocity (r,) and finite bounds around zero, of either sign."""
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(size, dimension))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    jump = rng.normal(size=size)
    return normals, rng.normal(size=dimension), np.minimum(jump, 0.0), np.maximum(jump, 0.0)


def by_enumeration(gram: Array, rates: Array, low: Array, high: Array) -> Array:
    """The sigma that satisfies the optimality conditions, over all 3^k active sets."""
    for states in product((LOW, FREE, HIGH), repeat=rates.size):
        active = np.array(states)
        sigma = np.where(active == LOW, low, np.where(active == HIGH, high, 0.0))
        free = active == FREE
        sigma[free] = np.linalg.solve(gram[np.ix_(free, free)], -(rates + gram @ sigma)[free])
        rho = rates + gram @ sigma
        inside = (sigma >= low - 1e-12).all() and (sigma <= high + 1e-12).all()
        if inside and (rho[active == LOW] >= -1e-12).all() and (rho[active == HIGH] <= 1e-12).all():
            return sigma
    raise AssertionError("no active set is optimal")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_is_the_one_of_all_active_sets(seed: int, size: int) -> None:
    normals, v, low, high = box(seed, size, 6)
    gram = normals @ normals.T
    found = box_least_norm(gram, normals @ v, low, high)
    assert found.sigma == pytest.approx(by_enumeration(gram, normals @ v, low, high), abs=1e-12)
    assert found.rates == pytest.approx(normals @ (v + normals.T @ found.sigma), abs=1e-12)


@pytest.mark.parametrize("size, dimension", [(10, 12), (30, 40), (60, 61)])
def test_the_optimum_is_scipys(size: int, dimension: int) -> None:
    normals, v, low, high = box(7, size, dimension)
    found = box_least_norm(normals @ normals.T, normals @ v, low, high)
    other = lsq_linear(normals.T, -v, (low, high), method="bvls", tol=1e-15, max_iter=10_000)
    ours, theirs = (np.linalg.norm(v + normals.T @ sigma) for sigma in (found.sigma, other.x))
    assert ours <= theirs + 1e-12
    assert found.sigma == pytest.approx(other.x, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_active_set_says_which_bound_holds_and_the_rates_agree(seed: int) -> None:
    normals, v, low, high = box(seed, 12, 14)
    found = box_least_norm(normals @ normals.T, normals @ v, low, high)
    assert (found.sigma[found.active == LOW] == low[found.active == LOW]).all()
    assert (found.sigma[found.active == HIGH] == high[found.active == HIGH]).all()
    assert (found.rates[found.active == LOW] >= 0.0).all()
    assert (found.rates[found.active == HIGH] <= 0.0).all()
    assert (found.rates[found.active == FREE] == 0.0).all()


@pytest.mark.parametrize("exponent", [-1000, -332, -40, -20, 20, 332, 900])
def test_scale_changes_no_bit(exponent: int) -> None:
    """Powers of two: gradients of 1e-300 to 1e270 give the same active set and the same digits."""
    normals, v, low, high = box(3, 8, 9)
    gram, scale = normals @ normals.T, 2.0**exponent
    plain = box_least_norm(gram, normals @ v, low, high)
    scaled = box_least_norm(gram, scale * (normals @ v), scale * low, scale * high)
    assert (scaled.active == plain.active).all()
    assert (scaled.sigma == scale * plain.sigma).all()


def test_no_kink_is_an_empty_problem() -> None:
    empty = np.empty(0)
    found = box_least_norm(np.empty((0, 0)), empty, empty, empty)
    assert found.sigma.size == found.rates.size == found.active.size == 0


@pytest.mark.parametrize("rate, sigma, active", [(2.0, -1.0, LOW), (0.5, -0.5, FREE), (-1.0, 0.0, HIGH)])
def test_one_trapping_kink(rate: float, sigma: float, active: int) -> None:
    """- branch rate `rate`, + branch rate - 1: cross up, slide, cross down."""
    found = box_least_norm(np.eye(1), np.array([rate]), np.array([-1.0]), np.array([0.0]))
    assert found.sigma == pytest.approx([sigma], abs=0.0)
    assert found.active.tolist() == [active]


def test_bounds_may_be_infinite() -> None:
    gram = np.array([[1.0, 0.5], [0.5, 1.0]])
    free = np.array([-np.inf, -np.inf]), np.array([np.inf, np.inf])
    assert box_least_norm(gram, np.array([1.0, 2.0]), *free).sigma == pytest.approx([0.0, -2.0])
    half = np.array([0.0, -np.inf]), np.array([np.inf, np.inf])
    found = box_least_norm(gram, np.array([2.0, 2.0]), *half)
    assert found.sigma == pytest.approx([0.0, -2.0])
    assert found.rates == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7])
def test_normals_almost_parallel(gap: float) -> None:
    """Two normals `gap` apart: the velocity is that of the enumeration although sigma is ill conditioned."""
    normals = np.array([[1.0, 0.0, 0.0], [np.cos(gap), np.sin(gap), 0.0]])
    v, low, high = np.array([0.7, 0.2, 0.4]), np.array([-1.0, -1.0]), np.zeros(2)
    found = box_least_norm(normals @ normals.T, normals @ v, low, high)
    other = lsq_linear(normals.T, -v, (low, high), method="bvls", tol=1e-15)
    norms = [np.linalg.norm(v + normals.T @ sigma) for sigma in (found.sigma, other.x)]
    assert norms[0] == pytest.approx(norms[1], abs=1e-8)
    assert (found.sigma >= low).all() and (found.sigma <= high).all()
