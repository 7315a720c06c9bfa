"""Multipliers in closed form, global optima and linear predictors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.analysis.kkt import kkt
from tests.analysis.kkt.runs import GAUSSIAN, given
from tests.analysis.runs import simulated

Array = NDArray[np.float64]


def test_frei_lemma_b8(tmp_path: Path) -> None:
    """Multipliers, the global optimum (Theorem 3.2 applies), and a linear predictor that is not the max-margin one."""
    e = 1.0 / 80.0
    X = np.array([[-1.0, 0.0, 0.0], [e, np.sqrt(1.0 - e**2), 0.0], [0.0, 0.0, 1.0]])
    found = kkt(given(tmp_path, X, np.array([-1.0, 1.0, 1.0]), 0.5))
    assert found.verdict == "holds"
    assert found.multipliers == pytest.approx([8 / (4 * e + 5), 8 / (4 * e + 5), 8 / 5], rel=1e-11)
    assert found.global_optimum is True
    assert found.convex_program is not None and found.linear is not None
    assert found.convex_program.norm_ratio == pytest.approx(1.0, rel=1e-12)
    assert found.convex_program.near_orthogonality == pytest.approx(1.0 / (72.0 * e), rel=1e-12)
    z = 6 / (4 * e + 5) * (X[1] - X[0]) + 6 / 5 * X[2]
    best = (X[1] - X[0]) / (1.0 + e) + X[2]  # K^-1 1 of the linear kernel
    cosine = z @ best / (np.linalg.norm(z) * np.linalg.norm(best))
    assert found.linear.angle == pytest.approx(float(np.arccos(cosine)), rel=1e-6)
    assert found.linear.norm_ratio == pytest.approx(float(np.linalg.norm(z) / np.linalg.norm(best)), rel=1e-9)
    assert found.linear.norm_ratio <= found.linear.bound == pytest.approx(4.0 / 3.0)


@pytest.mark.parametrize("slope", [0.1, 0.5])
def test_orthogonal_samples(tmp_path: Path, slope: float) -> None:
    """lambda_i = 1 / K_ii = m / ((m_y + slope^2 m_-y) |x_i|^2), and the flow finds the optimum."""
    norms = np.array([1.0, 2.0, 0.5, 3.0])
    found = kkt(given(tmp_path, np.diag(norms), np.array([1.0, 1.0, -1.0, 1.0]), slope))
    assert found.multipliers == pytest.approx(2.0 / ((1.0 + slope**2) * norms**2), rel=1e-11)
    assert found.global_optimum is True


def test_gram_data(tmp_path: Path) -> None:
    """lambda = K^-1 1 with the kernel of Frei et al. (m1 = m2 = m / 2) where Theorem 3.2 applies."""
    slope, n = 0.5, 6
    rng = np.random.default_rng(1)
    y = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0])
    noise = rng.uniform(-1.0, 1.0, (n, n))
    gram = np.diag(rng.uniform(1.0, 1.1, n) ** 2) + 0.004 * np.triu(noise, 1) + 0.004 * np.triu(noise, 1).T
    X: Array = np.asarray(np.linalg.cholesky(gram), dtype=np.float64)
    found = kkt(given(tmp_path, X, y, slope, until="certified: true, log_time: 1.0e5"))
    K = np.where(y[:, None] == y, 0.5 * (1.0 + slope**2), -slope) * gram
    assert found.multipliers == pytest.approx(np.linalg.solve(K, np.ones(n)), rel=1e-9)
    assert found.global_optimum is True
    assert found.convex_program is not None and found.convex_program.angle < 1e-12


def test_a_limit_that_is_not_the_optimum(tmp_path: Path) -> None:
    """Far from orthogonal, the flow of seed 5 ends at a KKT point although a shorter W has margins of at least 1."""
    run = simulated(tmp_path, GAUSSIAN.format(seed=5))
    found = kkt(run)
    assert found.verdict == "holds" and found.global_optimum is False
    assert found.convex_program is not None and found.convex_program.norm_ratio is not None
    assert found.convex_program.norm_ratio > 1.01
    assert found.convex_program.near_orthogonality is not None and found.convex_program.near_orthogonality < 1.0


def test_a_linear_network_is_convex(tmp_path: Path) -> None:
    """With slope 1 every KKT point is optimal, and its predictor is the hard-margin one."""
    X = np.random.default_rng(0).standard_normal((4, 6))
    y = np.array([1.0, -1.0, 1.0, -1.0])
    found = kkt(given(tmp_path, X, y, 1.0, activation="{kind: linear}"))
    assert found.verdict == "holds" and found.global_optimum is True
    assert found.linear is not None and found.linear.angle < 1e-9
    assert found.convex_program is not None
    assert found.convex_program.norm_ratio == pytest.approx(1.0, rel=1e-9)
