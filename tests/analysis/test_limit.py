"""Limits against the closed forms of the papers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.limit import limit, stable_rank
from tests.analysis.runs import gaussian, simulated

LEM_B8 = """
gflow: 1
name: lemB8
data: {{kind: file, path: {path}}}
model: {{kind: two_layer, width: 4, activation: {{kind: leaky_relu, slope: 0.5}}}}
init: {{kind: gaussian, std: 0.3}}
loss: exponential
flow: {{until: {{log_time: 200.0}}}}
record: {{times: {{count: 5}}}}
"""


def test_frei_lemma_b8(tmp_path: Path) -> None:
    """lambda_1 = lambda_2 = 8 / (4 e + 5), lambda_3 = 8 / 5 in the scaling a_j = +-1 / sqrt(m), m1 = m2."""
    e = 1.0 / 72.0
    X = np.array([[-1.0, 0.0, 0.0], [e, np.sqrt(1.0 - e**2), 0.0], [0.0, 0.0, 1.0]])
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=np.array([-1.0, 1.0, 1.0]))
    result = limit(simulated(tmp_path / "run", LEM_B8.format(path=path)))
    assert result.verdict == "proved"
    assert result.multipliers == pytest.approx([8 / (4 * e + 5), 8 / (4 * e + 5), 8 / 5], rel=1e-12)
    assert result.multipliers is not None
    assert result.normalized_margin == pytest.approx(float(result.multipliers.sum()) ** -0.5, rel=1e-12)


ORTHOGONAL = """
gflow: 1
name: orthogonal
data: {{kind: orthogonal, n: 6, d: 6}}
model: {{kind: two_layer, width: 8, activation: {{kind: leaky_relu, slope: {slope}}}}}
init: {{kind: gaussian, std: 0.1}}
loss: logistic
flow: {{until: {{log_time: 500.0}}}}
record: {{times: {{count: 5}}}}
"""


@pytest.mark.parametrize("slope", [0.1, 0.5])
def test_orthogonal_data(tmp_path: Path, slope: float) -> None:
    """lambda_i = m / ((m_y + slope^2 m_-y) |x_i|^2); SR(W+-) = 1; SR(W) = 2 (1 + slope^2) / (1 + slope)^2, balanced."""
    run = simulated(tmp_path, ORTHOGONAL.format(slope=slope))
    result = limit(run)
    assert result.verdict == "proved" and result.support == 6
    assert result.multipliers == pytest.approx(np.full(6, 2.0 / (1.0 + slope**2)), rel=1e-12)
    assert result.stable_rank_plus == pytest.approx(1.0, abs=1e-12)
    assert result.stable_rank_minus == pytest.approx(1.0, abs=1e-12)
    if abs(run.problem.y.sum()) == 0.0:
        assert result.stable_rank == pytest.approx(2.0 * (1.0 + slope**2) / (1.0 + slope) ** 2, rel=1e-12)


def test_all_samples_on_the_margin_is_the_inverse_of_the_kernel(tmp_path: Path) -> None:
    """Where no pair slides and every multiplier is positive, lambda = K^-1 1 with K from patterns alone."""
    gram = "kind: gram, n: 5, d: 9, norms: [1.0, 2.0], coherence: 0.02"
    text = ORTHOGONAL.format(slope=0.4).replace("kind: orthogonal, n: 6, d: 6", gram)
    run = simulated(tmp_path, text)
    result = limit(run)
    X, y, a = run.trajectory.X, run.problem.y, run.problem.network.outer
    slopes = np.where(run.trajectory.read("pattern", -1) > 0, 1.0, 0.4)
    assert result.sliding == 0
    K = np.outer(y, y) * (X @ X.T) * ((a[:, None] ** 2 * slopes).T @ slopes)
    assert result.multipliers == pytest.approx(np.linalg.solve(K, np.ones(5)), rel=1e-11)


def test_the_limit_is_reached(tmp_path: Path) -> None:
    """(t / n) g_i -> lambda_i and p_i - log t -> -log(n lambda_i) along the run itself (logistic)."""
    run = gaussian(tmp_path, 1e5)
    result = limit(run)
    state = run.last
    assert result.multipliers is not None
    read_off = run.problem.loss.log_slope(state.p) + state.v - np.log(state.p.size)
    assert read_off == pytest.approx(np.log(result.multipliers), abs=1e-6)


def test_no_limit_is_claimed_where_none_is_known(tmp_path: Path) -> None:
    text = ORTHOGONAL.format(slope=0.1).replace("log_time: 500.0", "time: 3.0")
    text = text.replace("kind: leaky_relu", "kind: smooth_leaky_relu")
    result = limit(simulated(tmp_path, text))
    assert result.verdict == "none" and result.multipliers is None and result.reason


def test_stable_rank_without_cancellation() -> None:
    U = np.outer(np.ones(3), [1.0, 2.0]) + np.array([[0, 0], [1e-9, 0], [0, 0]])
    value = stable_rank(U)
    assert value is not None
    singular = np.linalg.svd(U, compute_uv=False)
    assert value - 1.0 == pytest.approx((singular[1] / singular[0]) ** 2, rel=1e-6, abs=1e-17)
    assert stable_rank(np.zeros((2, 2))) is None
