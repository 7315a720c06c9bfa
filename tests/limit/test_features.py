"""Features against fractions, and their bounds of error against both."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.mode import DualMode
from gflow.limit.exact import ExactKernel
from gflow.limit.features import _tall_qr, _turned, features_of
from gflow.limit.hard_margin import margin_of_features
from tests.flow.driver import problem_of
from tests.reference.setting import Setting

Array = NDArray[np.float64]


def mode_of(gap: float, seed: int) -> DualMode:
    """Two samples that are opposed but for a gap, with the same label, and three more; one neuron slides."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((5, 4))
    X[1] = -X[0] + gap * rng.standard_normal(4)
    problem = problem_of(
        Setting(X, np.array([1.0, 1.0, -1.0, 1.0, -1.0]), np.array([1.0, -1.0, 0.5]), 0.5, "exponential")
    )
    side = rng.choice([-1, 1], size=(3, problem.surfaces.count)).astype(np.int8)
    side[0, 3] = 0
    return DualMode(problem, side)


@pytest.mark.parametrize("gap", [1.0, 1e-4, 1e-8])
@pytest.mark.parametrize("seed", range(4))
def test_inner_products_are_within_their_bounds(gap: float, seed: int) -> None:
    """Also of differences and sums, of which a kernel in floats sees nothing."""
    mode = mode_of(gap, seed)
    found, samples = features_of(mode, np.arange(5)), np.arange(5)
    exact = ExactKernel.of(mode, samples)
    assert exact is not None
    K, K_error = found.kernel
    assert (np.abs(K - exact.rounded) <= K_error).all()
    for i, k in ((0, 1), (0, 2), (1, 4)):
        for sign in (1, -1):
            square = exact.K[i][i] + exact.K[k][k] + 2 * sign * exact.K[i][k]
            length = float(square) ** 0.5
            computed = float(np.linalg.norm(found.rows[i] + sign * found.rows[k]))
            assert abs(computed - length) <= float(found.error[i] + found.error[k]) + 1e-15 * length
    assert isinstance(exact.K[0][0], Fraction)


@pytest.mark.parametrize("shape", [(3, 5), (5, 5), (40, 6), (4000, 5)])
def test_the_bound_of_the_reduction(shape: tuple[int, int]) -> None:
    """Small, and above what a basis that is off by a little, or an upper factor that is, really loses."""
    A = np.random.default_rng(0).standard_normal(shape)
    Q, R = _tall_qr(A)
    lengths = np.linalg.norm(A, axis=0)
    assert (_turned(A, Q, R) <= 1e-12 * lengths).all()
    off = R.copy()
    off[0, -1] += 1e-9
    assert _turned(A, Q, off)[-1] >= 1e-9 * (1.0 - 1e-4)
    assert (_turned(A, Q * (1.0 + 1e-9), R / (1.0 + 1e-9)) >= 1e-9 * lengths).all()


def test_unique_is_never_said_wrongly() -> None:
    """Against the exact rank of the features with margin 1, in small whole numbers."""
    rng, unique, other = np.random.default_rng(1), 0, 0
    for _ in range(150):
        n, k = (int(each) for each in rng.integers(2, [7, 5]))
        H = rng.integers(-1, 3, size=(n, k)).astype(float)
        found = margin_of_features(H, np.zeros(n)) if (H != 0.0).any(axis=1).all() else None
        if found is None:
            continue
        on = [i for i in range(n) if abs(found.margins[i] - 1.0) < 1e-7]
        K = [[Fraction(int(H[i] @ H[j])) for j in on] for i in on]
        independent = ExactKernel(K).independent(np.ones(len(on), dtype=bool))
        assert found.unique is independent
        unique, other = unique + found.unique, other + (not found.unique)
    assert unique >= 30 and other >= 5
