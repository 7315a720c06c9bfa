"""What tolerances keep of weights and margins, against margins of weights that are off by exactly that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification import error_scales
from tests.verification.runs import run

SMALL = 1e-6
KINDS = [
    "model.outer={train: true}",
    "model.activation={kind: leaky_relu, slope: 0.3}",
    "model.activation={kind: smooth_leaky_relu, slope: 0.3}",
]


def recorded(trajectory: Trajectory) -> RecordedRun:
    return RecordedRun.of(trajectory)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_off_by_their_tolerance_move_no_margin_further(tmp_path: Path, kind: str) -> None:
    """In random directions, and in that of the gradient of each margin, which reaches the bound in one neuron."""
    at = recorded(run(tmp_path, kind, "flow.engine=primal", "model.width=1", log_time=0.2))
    row, rng = at.row(at.trajectory.n_rows - 1), np.random.default_rng(0)
    trained = at.problem.network.trains_outer
    size = float(np.hypot(np.linalg.norm(at.weights(row.U)), np.linalg.norm(row.outer) if trained else 0.0))
    size += float(at.trajectory.facts["atol"]) / at.rtol
    allowed, reached = error_scales.of_margins(at, replace(row, p=0.0 * row.p), primal=True), 0.0
    theta = np.append(row.U.ravel(), row.outer if trained else [])

    def margins(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        U = theta[: row.U.size].reshape(row.U.shape)
        return at.problem.margins(U, row.pattern, theta[row.U.size :] if trained else row.outer)

    steps = 1e-6 * np.eye(theta.size)
    gradients = np.array([margins(theta + h) - margins(theta - h) for h in steps]).T / 2e-6
    for direction in [*gradients, *rng.normal(size=(20, theta.size))]:
        off = SMALL * size * direction / np.linalg.norm(direction)
        moved = np.abs(margins(theta + off) - margins(theta)) / SMALL
        assert (moved <= allowed * (1.0 + 1e-4)).all()
        reached = max(reached, float((moved / allowed).max()))
    largest = float((np.linalg.norm(gradients, axis=1) * size).max())
    assert reached > 0.999 or largest < 1.0  # at least 1 is allowed


def test_of_the_dual_engine_nothing_more_is_allowed(clean: Trajectory) -> None:
    at = recorded(clean)
    row = at.row(3)
    assert error_scales.of_weights(at, row, primal=False) == pytest.approx(np.linalg.norm(at.weights(row.U)), rel=1e-12)
    assert set(error_scales.of_margins(at, row, primal=False)) == {max(1.0, np.abs(row.p).max())}
    floor = float(at.trajectory.facts["atol"]) / at.rtol
    sizes = np.linalg.norm(at.weights(row.U), axis=1) + floor
    assert error_scales.of_weights(at, row, primal=True) == pytest.approx(np.linalg.norm(sizes), rel=1e-12)


def test_a_primal_run_of_neurons_that_cancel_is_kept_as_its_weights_are(tmp_path: Path) -> None:
    """Two neurons with a = +-1e4 and almost the same weights: their margins are 1e-4 of what each adds to them."""
    rng = np.random.default_rng(3)
    X, w = rng.normal(size=(3, 3)), rng.normal(size=3)
    np.savez(tmp_path / "data.npz", X=X, y=np.sign(X @ w))
    np.savez(tmp_path / "start.npz", W=np.array([w, w * (1.0 + 1e-6)]), a=np.array([1e4, -1e4]))
    trajectory = run(
        tmp_path / "run",
        f"data={{kind: file, path: {tmp_path / 'data.npz'}}}",
        f"init={{kind: file, path: {tmp_path / 'start.npz'}}}",
        "model.width=2",
        "model.activation={kind: leaky_relu, slope: 0.5}",
        "flow.engine=primal",
        "flow.rtol=1e-6",
        "flow.until={log_time: 1}",
    )
    at = recorded(trajectory)
    row = at.row(1)
    assert error_scales.of_margins(at, row, primal=True).max() > 1e3 * max(1.0, np.abs(row.p).max())
    assert not [check for check in gflow.verify(trajectory).checks if check.verdict == "fail"]


def test_what_a_start_below_atol_grows_into_is_off_by_what_atol_leaves_of_it(tmp_path: Path) -> None:
    """|theta| = s at the start: atol is s times atol / s, beside rtol s; the dual engine has no such floor."""
    at = recorded(
        run(tmp_path, "flow.engine=primal", "model.width=1", "init={kind: gaussian, std: 1.0e-9}", log_time=0.1)
    )
    row, atol = at.row(0), float(at.trajectory.facts["atol"])
    size = float(np.linalg.norm(at.weights(row.U)))
    assert error_scales.of_growth(at, row, primal=True) == pytest.approx(1.0 + atol / (at.rtol * size), rel=1e-9)
    assert error_scales.of_growth(at, row, primal=False) == 1.0
