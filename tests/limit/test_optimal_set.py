"""The polytope of optimal multipliers and the projection onto it, against general solvers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize

from gflow.limit.hard_margin import margin_of_features
from gflow.limit.optimal_set import OptimalSet

Array = NDArray[np.float64]
SQUARE = np.array([[1.0, a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])


def tied(seed: int) -> Array:
    """More features with <W*, h> = 1, W* = (1, 0, 0), than dimensions, and one beyond."""
    rng = np.random.default_rng(seed)
    around = np.vstack([SQUARE[:, 1:], rng.standard_normal((2, 2))])
    return np.vstack([np.column_stack([np.ones(6), around]), [[2.0, 0.3, 0.1]]])


def the_set(H: Array) -> OptimalSet:
    hard = margin_of_features(H, np.zeros(len(H)))
    assert hard is not None
    found = OptimalSet.of(hard, H)
    assert found is not None
    return found


def ends(H: Array, W: Array, f: Array) -> float:
    """min f.q over q >= 0 with H^T q = W, by the plain linear program."""
    return float(linprog(f, A_eq=H.T, b_eq=W, bounds=(0.0, None)).fun)


@pytest.mark.parametrize("seed", range(5))
def test_the_member_is_inside(seed: int) -> None:
    """Positive wherever any admissible q is; and the least values of linear functions are those of the polytope."""
    H = tied(seed)
    found = the_set(H)
    q, W = found.member, np.array([1.0, 0.0, 0.0])
    assert H.T @ q == pytest.approx(W, abs=1e-10) and q.min() >= 0.0 and q.sum() == pytest.approx(1.0, abs=1e-14)
    largest = np.array([-ends(H[:6], W, -row) for row in np.eye(6)])
    assert (found.support == np.append(largest > 1e-9, False)).all() and not found.single
    F = np.random.default_rng(seed).standard_normal((130, 7)) * np.geomspace(1e-6, 1e6, 130)[:, None]
    F[1], F[2] = 0.0, np.append(H[:6] @ [1.0, 2.0, 3.0], 5.0)  # nothing, and what is the same for all admissible q
    size = np.maximum(np.abs(F).max(axis=1), 1e-300)
    expected = [ends(H[:6], W, f[:6]) for f in F / size[:, None]]
    assert found.least(F) / size == pytest.approx(np.array(expected), abs=1e-9)
    assert found.least(F[2:3])[0] == pytest.approx(1.0, abs=1e-12)
    assert found.least(F[:0]).shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_the_limit_is_the_projection(seed: int) -> None:
    """argmin KL(q || softmax(-p)) by a general solver; and it is the same for p further on the way."""
    H, rng = tied(seed), np.random.default_rng(100 + seed)
    found, p = the_set(H), rng.uniform(0.0, 3.0, 7)
    limit = found.limit(p)
    assert limit is not None
    q, log_e = limit
    S = found.support
    log_pi = -p[S] - np.logaddexp.reduce(-p[S])

    def divergence(x: Array) -> float:
        x = np.maximum(x, 1e-12)
        return float(x @ (np.log(x) - log_pi))

    across = np.linalg.svd(H[S].T)[2][3:]
    whole = minimize(
        lambda y: divergence(found.member[S] + y @ across),
        np.zeros(len(across)),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda y: found.member[S] + y @ across - 1e-9},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert q[S] == pytest.approx(found.member[S] + whole.x @ across, abs=1e-5)
    assert np.log(q[S]) == pytest.approx(log_e[S], abs=1e-8)
    later = found.limit(p + H @ rng.standard_normal(3))
    assert later is not None and later[0] == pytest.approx(q, abs=1e-9)


def test_a_point() -> None:
    """Dependent features with margin 1 of which only two can carry W*."""
    H = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 0.5, 1.0]])
    found = the_set(H)
    assert found.single and found.support.tolist() == [True, True, False, False]
    assert found.member == pytest.approx([0.5, 0.5, 0.0, 0.0], abs=1e-12)
