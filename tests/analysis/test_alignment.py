"""Derivatives of the margins against autograd; rotations and balance against direct computation."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

import gflow
from gflow.analysis.alignment import alignment, rank_correlation
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Point, along
from gflow.flow.state import FlowState
from gflow.problem.activation import Huberized, Smoothing, SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
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
n, d, m, K = 7, 5, 6, 3
KINDS = ["relu", "leaky", "linear", "smooth", "huber", "both", "scalar", "classes"]


def drawn(kind: str) -> tuple[Problem, Parameters]:
    """A problem of each kind, and parameters off its kinks."""
    rng = np.random.default_rng(11)
    X, y = rng.normal(size=(n, d)), rng.choice([-1.0, 1.0], size=n)
    a = rng.normal(size=m)
    slope = {"leaky": 0.3, "linear": 1.0, "both": 0.1, "classes": 0.2}.get(kind, 0.0)
    smooth: dict[str, Smoothing] = {"smooth": SmoothLeaky(0.2), "huber": Huberized(0.4)}
    directions = rng.normal(size=(m, d)) if kind == "scalar" else None
    if directions is not None:
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bias = None
    if kind == "classes":
        a, y, bias = rng.normal(size=(K, m)), rng.integers(0, K, size=n).astype(float), rng.normal(size=K)
    trains = kind in ("both", "scalar", "classes", "smooth")
    network = Network(a, slope, trains, smooth.get(kind), directions, bias)
    problem = Problem.of(X, y, network, LOSSES["logistic"])
    U = rng.normal(size=(m, 1 if kind == "scalar" else problem.span.rank))
    return problem, Parameters(U, a, bias)


def by_autograd(problem: Problem, parameters: Parameters) -> tuple[Array, Array, list[list[Array]]]:
    """Margins (n,), <theta, grad M_i> (n,) and the gradient of each margin, by torch from the formulas."""
    network = problem.network
    theta = [torch.tensor(parameters.U, requires_grad=True)]
    A = torch.tensor(np.atleast_2d(parameters.outer), requires_grad=True)
    c = torch.tensor(np.zeros(1) if parameters.output_bias is None else parameters.output_bias, requires_grad=True)
    theta += [A] if network.trains_outer else []
    theta += [c] if parameters.output_bias is not None else []
    C = torch.tensor(problem.span.C)
    if network.directions is None:
        z = theta[0] @ C.T
    else:
        z = theta[0] * torch.tensor(network.directions @ problem.X.T)
    match network.smoothing:
        case SmoothLeaky(slope):
            phi = slope * z + (1.0 - slope) * torch.log(0.5 * (1.0 + torch.exp(z)))
        case Huberized(h):
            phi = torch.where(z < 0.0, 0.0 * z, torch.where(z < h, z**2 / (2.0 * h), z - 0.5 * h))
        case None:
            phi = torch.where(z > 0.0, z, network.slope * z)
    f = A @ phi + c[:, None]
    y = torch.tensor(problem.y)
    if network.outputs == 1:
        p = y * f[0]
    else:
        rows = [[f[k, i] for k in range(K) if k != int(y[i])] for i in range(n)]
        p = torch.stack([f[int(y[i]), i] - torch.logsumexp(torch.stack(rows[i]), 0) for i in range(n)])
    gradients = [torch.autograd.grad(p[i], theta, retain_graph=True) for i in range(n)]
    euler = [float(sum((t.detach() * g).sum() for t, g in zip(theta, each, strict=True))) for each in gradients]
    return p.detach().numpy(), np.array(euler), [[g.numpy() for g in each] for each in gradients]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_autograd(kind: str) -> None:
    problem, parameters = drawn(kind)
    p, euler, gradients = by_autograd(problem, parameters)
    z = problem.preactivations(parameters.U)
    side = (np.sign(z) * np.sign(problem.surfaces.alpha))[:, problem.surfaces.first_sample].astype(np.int8)
    state = FlowState(0.0, 0.0, parameters, side, p, 0.0, 0.0)
    point = Point.of(problem, state)
    norms = [np.sqrt(sum((g**2).sum() for g in each)) for each in gradients]
    assert point.sample_norms == pytest.approx(norms, rel=1e-12)
    assert point.euler == pytest.approx(euler, rel=1e-12, abs=1e-13)
    g = 1.0 / (1.0 + np.exp(p))
    totals = [sum(w * each[k] for w, each in zip(g, gradients, strict=True)) for k in range(len(gradients[0]))]
    ratio = np.sqrt(sum((total**2).sum() for total in totals)) / g.sum()
    assert point.gradient_ratio == pytest.approx(ratio, rel=1e-12)


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
    point = Point.of(leaky.problem, state)
    normals = leaky.problem.surfaces.normals
    for j, h in slides:
        assert abs(point.velocity.inner[j] @ normals[h]) < 1e-12 * point.gradient_ratio
        i = leaky.problem.surfaces.first_sample[h]
        assert 0.2 <= point.slopes[j, i] <= 1.0
    for branch in (-1, 1):
        side = np.where(state.side == 0, branch, state.side).astype(np.int8)
        other = Point(leaky.problem, state.parameters, side, state.p)
        assert other.gradient_ratio > point.gradient_ratio * (1.0 + 1e-9)


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
