"""The data-correlated decomposition: against lstsq, against orthogonal inputs, and what breaks its identities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.rho import Decomposition, coefficients, rho
from gflow.scenario import parse_scenario
from gflow.trajectory import recorded_run

SMALL = """
gflow: 1
name: small
data: {kind: gaussian, n: 5, d: 9}
model: {kind: two_layer, width: 10, activation: {kind: leaky_relu, slope: 0.3}}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {log_time: 12.0}}
record: {times: {spacing: log, count: 30}}
"""


def run(folder: Path, *overrides: str) -> AnalyzedRun:
    return AnalyzedRun.of(gflow.simulate(parse_scenario(SMALL, overrides=overrides), out=folder))


def test_coefficients_are_those_of_least_squares_on_the_whole_weights(tmp_path: Path) -> None:
    analyzed = run(tmp_path)
    X, norms = analyzed.trajectory.X, np.linalg.norm(analyzed.trajectory.X, axis=1)
    for row, found, _ in list(coefficients(analyzed))[5::8]:
        moved = analyzed.trajectory.weights(row) - analyzed.trajectory.W_initial
        columns, residual, rank, _ = np.linalg.lstsq((X / norms[:, None] ** 2).T, moved.T, rcond=None)
        assert rank == 5 and residual.max() < 1e-20 * np.abs(moved).max() + 1e-20
        assert found == pytest.approx(columns.T, rel=1e-9, abs=1e-11)


def test_on_orthogonal_inputs_they_are_the_changes_of_the_preactivations(tmp_path: Path) -> None:
    analyzed = run(tmp_path, "data={kind: orthogonal, n: 5, d: 9, norm: 1.7}")
    X = analyzed.trajectory.X
    for row, found, _ in coefficients(analyzed):
        z = (analyzed.trajectory.weights(row) - analyzed.trajectory.W_initial) @ X.T
        assert found == pytest.approx(z, abs=1e-12)


@pytest.mark.parametrize("engine", ["dual", "primal"])
@pytest.mark.parametrize("activation", ["{kind: leaky_relu, slope: 0.3}", "{kind: relu}"])
def test_the_identities_hold(tmp_path: Path, engine: str, activation: str) -> None:
    result = rho(run(tmp_path, f"flow.engine={engine}", f"model.activation={activation}"))
    assert result.verdict == "holds" and result.unique
    assert result.sign_excess is not None and result.sign_excess.value <= 1e-7
    assert result.bookkeeping is not None and result.bookkeeping.value < 1e-7
    if "leaky" in activation:
        assert result.ratio_slack is not None and result.ratio_slack.value >= 1.0 - 1e-7
    else:
        assert result.ratio_slack is None


def test_the_sets_of_active_neurons_are_counted_with_their_signs(tmp_path: Path) -> None:
    analyzed = run(tmp_path)
    X, y, a = analyzed.trajectory.X, analyzed.trajectory.y, analyzed.trajectory.outer
    result = rho(analyzed)
    for row, counted in ((0, result.active_start), (analyzed.trajectory.n_rows - 1, result.active_end)):
        z = analyzed.trajectory.weights(row) @ X.T
        sliding = analyzed.trajectory.pattern[row] == 0
        assert counted == tuple(int((((z > 0) | sliding)[:, i] & (a * y[i] > 0)).sum()) for i in range(5))


def test_a_flipped_label_breaks_the_sign_rule(tmp_path: Path) -> None:
    analyzed = run(tmp_path)
    flipped = analyzed.problem.y * np.where(np.arange(5) == 2, -1.0, 1.0)
    result = rho(AnalyzedRun(analyzed.trajectory, replace(analyzed.problem, y=flipped)))
    assert result.verdict == "violated"
    assert result.sign_excess is not None and result.sign_excess.value > 0.5


def test_a_slope_that_is_too_large_breaks_the_ratio_bound_and_the_books(tmp_path: Path) -> None:
    analyzed = run(tmp_path)
    steeper = replace(analyzed.problem, network=replace(analyzed.problem.network, slope=0.5))
    result = rho(AnalyzedRun(analyzed.trajectory, steeper))
    assert result.verdict == "violated"
    assert result.ratio_slack is not None and result.ratio_slack.value < 0.7
    assert result.bookkeeping is not None and result.bookkeeping.value > 1e-3


def test_unequal_outer_weights_are_divided_out(tmp_path: Path) -> None:
    outer = "model.outer={values: [1, -1, 2, -0.5, 1, -3, 0.5, 0, -1, 1], scale: one}"
    result = rho(run(tmp_path, outer))
    assert result.verdict == "holds"
    assert result.ratio_slack is not None and 1.0 - 1e-7 < result.ratio_slack.value < 1.0 / 0.3 + 1e-7


def test_dependent_samples_have_no_unique_coefficients(tmp_path: Path) -> None:
    result = rho(run(tmp_path, "data={kind: gaussian, n: 6, d: 4}"))
    assert result.verdict == "not applicable" and not result.unique
    assert "rank 4 of 6" in result.summary


def test_a_trained_outer_layer_has_no_such_decomposition(tmp_path: Path) -> None:
    assert rho(run(tmp_path, "model.outer.train=true", "flow.until={time: 1.0}")).verdict == "not applicable"


def test_small_blocks_give_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyzed = run(tmp_path)
    whole = rho(analyzed)
    monkeypatch.setattr(recorded_run, "BLOCK_BYTES", 1)
    assert rho(analyzed) == whole


def test_scales_of_the_inputs_do_not_matter(tmp_path: Path) -> None:
    """Samples scaled by 1e-6 and weights by 1e6: the lift is found without trouble, the coefficients are the same."""
    analyzed = run(tmp_path)
    C = analyzed.problem.span.C
    scaled = replace(analyzed.problem, span=replace(analyzed.problem.span, C=1e-6 * C))
    small = Decomposition.of(AnalyzedRun(analyzed.trajectory, scaled))
    U = analyzed.last.U
    assert small.coefficients(U) == pytest.approx(1e-6 * Decomposition.of(analyzed).coefficients(U), rel=1e-9)


def test_what_the_weights_do_not_show_is_no_gap(tmp_path: Path) -> None:
    """Samples of length 1e-30: the clock leaps over a tau of 1e11 in which no weight moves by its rounding."""
    X = 1e-30 * np.array([[1.0, 0.2], [-0.3, 1.0]])
    np.savez(tmp_path / "data.npz", X=X, y=np.ones(2))
    np.savez(tmp_path / "start.npz", W=np.array([[0.5, 1.0], [-1.0, 2.0]]), a=np.ones(2))
    overrides = (
        f"data={{kind: file, path: {tmp_path / 'data.npz'}}}",
        f"init={{kind: file, path: {tmp_path / 'start.npz'}}}",
        "model.width=2",
        "flow.until={log_time: 90}",
        "record.times={spacing: loglog, count: 6}",
    )
    moved = run(tmp_path / "run", *overrides)
    assert moved.trajectory.tau[1] > 1e6 and (moved.state(1).U == moved.state(0).U).all()
    books = rho(moved).bookkeeping
    assert books is not None and books.value < 1e-6


def test_a_motion_that_large_weights_do_not_show_is_no_gap_in_the_books(tmp_path: Path) -> None:
    """Nearly all of the weights lies outside the span: the clock leaps over a tau in which |w_j| does not change."""
    x, W = np.array([[1.3e-8, 0.0, 0.0]]), np.array([[0.0, 2000.0, 600.0], [0.0, 500.0, -400.0]])
    np.savez(tmp_path / "data.npz", X=x, y=np.array([-1.0]))
    np.savez(tmp_path / "start.npz", W=W, a=np.array([1e-8, 1e-8]))
    analyzed = run(
        tmp_path / "run",
        f"data={{kind: file, path: {tmp_path / 'data.npz'}}}",
        f"init={{kind: file, path: {tmp_path / 'start.npz'}}}",
        "model.width=2",
        "loss=exponential",
        "flow.until={log_time: 2.7}",
    )
    found, tau = rho(analyzed), analyzed.trajectory.tau[-1]
    masses = np.abs(analyzed.last.U).max() / (1e-8 * 1.3e-8)
    assert masses < 0.9 * 0.3 * tau or masses > 1.1 * tau  # the leap has moved the clock, and not the weights
    assert found.verdict == "not applicable" or found.bookkeeping is None or found.bookkeeping.value < 1e-6
