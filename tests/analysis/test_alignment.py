"""Rotations, balance and the rows of the analyses against direct computation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

import gflow
from gflow.analysis.alignment import alignment, rank_correlation
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along, point_of
from gflow.scenario import parse_scenario
from tests.analysis.runs import file_of

Array = NDArray[np.float64]

PARITY = """
gflow: 1
name: parity
seed: 0
data: {kind: parity, n: 16, d: 6}
model: {kind: two_layer, width: 16, activation: {kind: relu}, outer: {train: true}}
init: {kind: gaussian, std: inverse_sqrt_inputs, outer: {std: inverse_sqrt_width}}
loss: logistic
flow: {until: {log_time: 5.0}}
record: {times: {spacing: log, count: 30}}
"""
LEAKY = """
gflow: 1
name: leaky
data: {kind: gaussian, n: 8, d: 12}
model: {kind: two_layer, width: 10, activation: {kind: leaky_relu, slope: 0.2}}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {time: 60.0}}
record: {times: {spacing: log, count: 20}}
"""


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return AnalyzedRun.of(gflow.simulate(parse_scenario(LEAKY), out=tmp_path_factory.mktemp("leaky")))


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return AnalyzedRun.of(gflow.simulate(parse_scenario(PARITY), out=tmp_path_factory.mktemp("parity")))


def test_a_sliding_neuron_is_held_by_slopes_between_the_branches(leaky: AnalyzedRun) -> None:
    """The weighted gradient with the implied slopes does not move what slides, and is shorter than on any branch."""
    state = leaky.last
    slides = np.argwhere(state.side == 0)
    assert slides.size > 0
    point = point_of(leaky.problem, state)
    normals = leaky.problem.surfaces.normals
    for j, h in slides:
        assert abs(point.velocity.inner[j] @ normals[h]) < 1e-12 * point.velocity.norm
        i = leaky.problem.surfaces.first_sample[h]
        assert 0.2 <= point.slopes[j, i] <= 1.0
    for branch in (-1, 1):
        side = np.where(state.side == 0, branch, state.side).astype(np.int8)
        other = point_of(leaky.problem, replace(state, side=side))
        assert other.velocity.norm > point.velocity.norm * (1.0 + 1e-9)


def test_rows_hold_norms_and_distances_of_the_weights(parity: AnalyzedRun) -> None:
    rows, trajectory = along(parity), parity.trajectory
    assert rows.size == pytest.approx(trajectory.series["parameter_norm"], rel=1e-12)
    W, a = trajectory.weights(trajectory.n_rows - 1), trajectory.outer
    moved = np.sqrt(np.sum((W - trajectory.W_initial) ** 2) + np.sum((a[-1] - a[0]) ** 2))
    assert rows.distance[-1] == pytest.approx(moved, rel=1e-12)
    assert rows.step[0] == 0.0 and rows.step.sum() >= rows.distance[-1]
    assert along(parity) is rows


def test_alignment_of_parity(parity: AnalyzedRun) -> None:
    found, trajectory = alignment(parity), parity.trajectory
    assert found.verdict == "holds" and found.drift is not None and found.drift < 1e-8
    cosine, norm = trajectory.neurons["rotation"][-1], trajectory.neurons["norm"][-1]
    assert found.turning.median == pytest.approx(np.median(cosine), abs=1e-12)
    assert found.turning.least == pytest.approx(cosine.min(), abs=1e-12)
    assert found.turning.norm_correlation == pytest.approx(spearmanr(1.0 - cosine, norm).statistic, abs=1e-12)
    assert found.largest_share == pytest.approx(norm.max() / norm.sum(), rel=1e-12)
    for directions, row in ((found.start, 0), (found.end, trajectory.n_rows - 1)):
        W, X = trajectory.weights(row), trajectory.X
        W, mu = W / np.linalg.norm(W, axis=1, keepdims=True), trajectory.y @ X
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        assert directions.samples == pytest.approx(np.median(np.abs(W @ X.T).max(axis=1)), rel=1e-10)
        assert directions.mu == pytest.approx(np.median(np.abs(W @ mu)) / np.linalg.norm(mu), rel=1e-10)
    assert found.potential is None  # parity lies in no cones: some products are 0


def test_a_drift_of_the_balance_is_seen(parity: AnalyzedRun, tmp_path: Path) -> None:
    """Negative control: the same file with a drift written into its last row."""
    copy = tmp_path / "trajectory.h5"
    copy.write_bytes(file_of(parity).path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file["series/balancedness_drift"][-1] = 0.1
    found = alignment(AnalyzedRun.of(gflow.open_trajectory(copy)))
    assert found.verdict == "violated" and "drifts" in found.summary


def test_a_fixed_outer_layer_conserves_no_balance(leaky: AnalyzedRun) -> None:
    found = alignment(leaky)
    assert found.verdict == "not applicable" and found.drift is None and found.potential is None
    W, start = leaky.trajectory.weights(leaky.trajectory.n_rows - 1), leaky.trajectory.W_initial
    cosine = np.sum(W * start, axis=1) / np.linalg.norm(W, axis=1) / np.linalg.norm(start, axis=1)
    assert found.turning.median == pytest.approx(np.median(cosine), rel=1e-12)


def test_the_correlation_of_a_constant_is_none() -> None:
    assert rank_correlation(np.zeros(4), np.arange(4.0)) is None
    assert rank_correlation(np.arange(4.0), np.exp(np.arange(4.0))) == pytest.approx(1.0)
