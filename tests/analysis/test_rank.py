"""Stable ranks against closed forms of the papers, and without cancellation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.rank import excess, rank, ranks, row_spread
from tests.analysis.runs import gaussian, simulated

# Eight orthogonal samples, four of each label; outer weights +-1/m of Kou et al. (m a sign).
ORTHOGONAL = """
gflow: 1
name: orthogonal
seed: 3
data: {{kind: file, path: {path}}}
model: {{kind: two_layer, width: 12, activation: {activation}, outer: {{values: signs, scale: inverse_half_width}}}}
init: {{kind: gaussian, std: 0.1}}
loss: logistic
flow: {{until: {{log_time: {log_time}}}}}
record: {{times: {{spacing: loglog, count: 60}}}}
"""


def orthogonal(folder: Path, activation: str, log_time: float = 500.0, norms: float = 1.0) -> AnalyzedRun:
    """The run on eight orthogonal samples, labels alternating, in twelve dimensions (so W_perp is not 0)."""
    X = np.hstack([norms * np.eye(8), np.zeros((8, 4))])
    np.savez(folder / "data.npz", X=X, y=np.where(np.arange(8) % 2 == 0, 1.0, -1.0))
    text = ORTHOGONAL.format(path=folder / "data.npz", activation=activation, log_time=log_time)
    return simulated(folder / "run", text)


def test_excess_of_known_singular_values() -> None:
    """sum_{k >= 2} sigma_k^2 / sigma_1^2 far below the rounding of the stable rank."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.standard_normal((k, 3)))[0] for k in (7, 5))
    A = (left * np.array([1.0, 1e-9, 3e-10])) @ right.T
    assert excess(A) == pytest.approx(1e-18 + 9e-20, rel=1e-5)
    assert excess(np.diag([2.0, 1.0, 1.0])) == pytest.approx(0.5, rel=1e-14)
    assert excess(A.T * 1e200) == pytest.approx(1e-18 + 9e-20, rel=1e-5)


@pytest.mark.parametrize("A", [np.zeros((3, 2)), np.zeros((0, 2))])
def test_there_is_no_stable_rank_of_nothing(A: np.ndarray) -> None:
    assert excess(A) is None


def test_ranks_of_two_directions() -> None:
    """Rows a_j v and a_j u: rank 2, no spread; moving one row by a tenth of the mean shows."""
    outer = np.array([2.0, 1.0, -1.0, -3.0])
    A = np.abs(outer)[:, None] * np.array([[1.0, 0.0, 0.0]] * 2 + [[0.0, 1.0, 0.0]] * 2)
    found = ranks(A, outer)
    assert found.rank == 2 and found.spread_plus == 0.0 and found.spread_minus == 0.0
    assert found.excess_plus == pytest.approx(0.0, abs=1e-30)
    assert found.stable_rank == pytest.approx(1.0 + 5.0 / 10.0)
    A[0, 2] = 0.2  # w_0 / |a_0| moves by 0.1, the mean by 0.05
    assert row_spread(A, outer, 1) == pytest.approx(0.05 / np.hypot(1.0, 0.05))
    assert row_spread(A, np.ones(4), -1) is None


@pytest.mark.parametrize("slope", [0.1, 0.5])
def test_leaky_relu_on_orthonormal_samples(tmp_path: Path, slope: float) -> None:
    """SR(W+-) -> 1 like 1 / log^2 t, SR(W) -> 2 (1 + slope^2) / (1 + slope)^2 for balanced labels and signs."""
    run = orthogonal(tmp_path, f"{{kind: leaky_relu, slope: {slope}}}")
    found = rank(run)
    assert found.verdict == "low rank" and found.rank == 2
    assert found.stable_rank == pytest.approx(2.0 * (1.0 + slope**2) / (1.0 + slope) ** 2, rel=1e-12)
    assert found.limit is not None
    assert found.limit.excess_plus == pytest.approx(0.0, abs=1e-24)
    assert found.limit.spread_plus == pytest.approx(0.0, abs=1e-12)
    assert found.decay_plus == pytest.approx(2.0, abs=0.1)
    assert found.decay_minus == pytest.approx(2.0, abs=0.1)
    assert found.last_row.excess_plus is not None and 0.0 < found.last_row.excess_plus < 1e-3


def test_relu_on_orthogonal_samples(tmp_path: Path) -> None:
    """The start decides: w*_j = a_j sum of lambda_i x_i over the samples of its sign that it is active on, and
    lambda_i = m^2 / (|S_i| |x_i|^2), S_i the neurons of the sign of y_i active on sample i.
    """
    run = orthogonal(tmp_path, "{kind: relu}", norms=2.0)
    problem = run.problem
    a, y = problem.network.outer, problem.y
    own = (run.state(0).side > 0) & (a[:, None] * y > 0.0)
    multipliers = 6.0**2 / (own.sum(axis=0) * 4.0)
    W = (a[:, None] * own * (y * multipliers)) @ problem.X
    found = rank(run)
    values = np.linalg.svd(W, compute_uv=False)
    assert found.stable_rank == pytest.approx(float(np.sum(values**2) / values[0] ** 2), rel=1e-12)
    plus = np.linalg.svd(W[a > 0.0], compute_uv=False)
    assert found.stable_rank_plus == pytest.approx(float(np.sum(plus**2) / plus[0] ** 2), rel=1e-12)
    assert found.rank == np.linalg.matrix_rank(W)
    assert found.verdict == ("low rank" if found.rank <= 2 else "higher rank")


def test_the_last_row_is_that_of_the_full_weights(tmp_path: Path) -> None:
    """W_perp included, for both signs; the limit is far from it at log t = 2, where the way ahead is followed."""
    run = gaussian(tmp_path, 2.0)
    found = rank(run).last_row
    W, a = run.trajectory.weights(-1), run.problem.network.outer
    for part, value in ((W, found.excess), (W[a > 0.0], found.excess_plus), (W[a < 0.0], found.excess_minus)):
        sigma = np.linalg.svd(part, compute_uv=False)
        assert value == pytest.approx(float(np.sum(sigma[1:] ** 2) / sigma[0] ** 2), rel=1e-10)
    rows = W[a > 0.0] / np.abs(a[a > 0.0])[:, None]
    spread = np.linalg.norm(rows - rows.mean(axis=0), axis=1).max() / np.linalg.norm(rows.mean(axis=0))
    assert found.spread_plus == pytest.approx(float(spread), rel=1e-10)
    assert found.rank == np.linalg.matrix_rank(W)


def test_sup_over_the_rows(tmp_path: Path) -> None:
    run = gaussian(tmp_path, 2.0)
    found = rank(run)
    each = [np.linalg.norm(W) ** 2 / np.linalg.norm(W, 2) ** 2 for W in map(run.trajectory.weights, range(40))]
    assert found.sup_stable_rank == pytest.approx(float(max(each)), rel=1e-10)


def test_no_limit_without_theory(tmp_path: Path) -> None:
    """Both layers trained: only the last row, and no rows w_j / |a_j| are compared."""
    found = rank(gaussian(tmp_path, 5.0, 0, 0.1, "model.outer={train: true}", "init.outer={std: 0.5}"))
    assert found.verdict == "last row only" and found.limit is None
    assert found.last_row.spread_plus is None
    assert found.stable_rank == found.last_row.stable_rank
