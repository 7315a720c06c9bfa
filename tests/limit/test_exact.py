"""Elimination of whole numbers against elimination of fractions, by hand; and its price."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from gflow.field.mode import DualMode, Mode
from gflow.limit.exact import ExactKernel, Matrix
from gflow.problem.problem import Problem
from tests.flow.driver import problem_of
from tests.reference.setting import Setting


def rank(rows: Matrix) -> int:
    """By plain elimination."""
    rows, found = [row[:] for row in rows], 0
    for column in range(len(rows[0]) if rows else 0):
        at = next((i for i in range(found, len(rows)) if rows[i][column]), None)
        if at is None:
            continue
        rows[found], rows[at] = rows[at], rows[found]
        for i in range(found + 1, len(rows)):
            ratio = rows[i][column] / rows[found][column]
            rows[i] = [a - ratio * b for a, b in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def kernel_of(H: Matrix) -> Matrix:
    return [[sum((a * b for a, b in zip(h, g, strict=True)), Fraction(0)) for g in H] for h in H]


@pytest.mark.parametrize("seed", range(12))
def test_solutions_are_exact(seed: int) -> None:
    """Features with huge denominators and W* in their span: x solves K x = 1 on its support, K x >= 1 elsewhere."""
    rng = np.random.default_rng(seed)
    n, k = 5, 3
    H = [
        [Fraction(1), *(Fraction(int(rng.integers(-99, 99)), int(rng.integers(1, 10**9))) for _ in range(k - 1))]
        for _ in range(n)
    ]
    K = kernel_of(H)
    exact = ExactKernel(K)
    every = np.ones(n, dtype=bool)
    assert exact.independent(every) is (rank(K) == n) is False
    near = rng.uniform(0.5, 1.0, n)
    found = exact.solution(near, 0)
    assert found is None or (found.rank == rank(K) and found.binding.all())
    few = [0, 1]
    inner = ExactKernel(kernel_of([H[i] for i in few]))
    pair = inner.solution(np.array([0.5, 0.5]), 1)
    a, b, c = inner.K[0][0], inner.K[0][1], inner.K[1][1]
    det = a * c - b * b
    x = ((c - b) / det, (a - b) / det)
    if min(x) > 0:
        assert pair is not None and pair.rank == 2 and pair.binding.all()
        assert pair.x.tolist() == [float(each) for each in x]
    else:
        assert pair is None


def test_free_components_stay_where_they_are_put() -> None:
    """h = (1, +-1) twice: x = (t, 1/2 - t, ...), a component of 1e-12 included; a tie broken by 1e-12 has none."""
    H = [[Fraction(1), Fraction(s)] for s in (1, 1, -1, -1)]
    found = ExactKernel(kernel_of(H)).solution(np.array([1e-12, 0.5, 0.25, 0.25]), 1)
    assert found is not None and found.rank == 2
    assert found.x[0] == 1e-12 and found.x.sum() == pytest.approx(1.0, abs=1e-15) and found.x[1] < 0.5
    H[1] = [each * (1 + Fraction(1, 10**12)) for each in H[1]]
    assert ExactKernel(kernel_of(H)).solution(np.array([1e-12, 0.5, 0.25, 0.25]), 1) is None


def generic(n: int, d: int) -> tuple[Problem, Mode]:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d)), rng.choice([-1.0, 1.0], size=n)
    problem = problem_of(Setting(X, y, rng.choice([-1.0, 1.0], size=4) / 2.0, 0.1, "exponential"))
    side = rng.choice([-1, 0, 1], p=[0.45, 0.1, 0.45], size=(4, n)).astype(np.int8)
    return problem, DualMode(problem, side)


def test_the_kernel_is_that_of_the_mode() -> None:
    problem, mode = generic(6, 9)
    assert isinstance(mode, DualMode) and (mode.side == 0).any()
    found = ExactKernel.of(mode, np.arange(problem.samples))
    assert found is not None
    assert found.rounded == pytest.approx(mode.K, rel=1e-12, abs=1e-14)


def test_what_would_take_long_is_not_begun() -> None:
    """Random floats: numbers of an elimination of 30 rows have thousands of digits."""
    problem, mode = generic(30, 35)
    found = ExactKernel.of(mode, np.arange(problem.samples))
    assert found is None or found.solution(np.ones(30), 1) is None
    assert found is None or not found.independent(np.ones(30, dtype=bool))
