"""Several outputs with softmax cross-entropy: gradients, sliding, balancedness, and two classes as one output."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.field.mode import Mode
from gflow.field.tensors import PrimalField
from gflow.flow.primal import primal_engine
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network, class_margins
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, loglog_slope, relative_gap, until_time
from tests.primal.driver import DEVICES, event_list, primal, slides
from tests.reference.plain_network import PlainNetwork, Weights, leaky

Array = NDArray[np.float64]


def drawn(K: int, seed: int, slope: float = 0.0, n: int = 12, d: int = 5, m: int = 8) -> tuple[Problem, Array]:
    """Inputs with a column of ones, every class present, both layers and the output bias trained."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=(n, d)), np.ones(n)])
    y = rng.permutation(np.arange(n) % K).astype(float)
    A, c = rng.normal(size=(K, m)) / np.sqrt(m), 0.1 * rng.normal(size=K)
    network = Network(A, slope, trains_outer=True, output_bias=c)
    return Problem.of(X, y, network, LOSSES["logistic"]), 0.5 * rng.normal(size=(m, d + 1))


@cache
def run(K: int, seed: int, rtol: float = 1e-10, end: float = 20.0, slope: float = 0.0) -> Result:
    problem, W = drawn(K, seed, slope)
    return primal(problem, W, until_time(end), rtol=rtol, rows=12)


def cross_entropy(problem: Problem, theta: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy at (U, A, c), as anyone would write it in torch."""
    m, r, K = problem.network.width, problem.span.rank, problem.network.outputs
    U, A, c = theta[: m * r], theta[m * r : -K], theta[-K:]
    z = torch.as_tensor(problem.span.C, device=theta.device) @ U.reshape(m, r).T
    f = torch.nn.functional.leaky_relu(z, problem.network.slope) @ A.reshape(K, m).T + c
    labels = torch.as_tensor(problem.y, device=theta.device).long()
    return torch.nn.functional.cross_entropy(f, labels)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("K", [2, 3, 10])
def test_the_field_is_the_gradient_of_autograd(K: int, slope: float, device: str) -> None:
    problem, _ = drawn(K, 0, slope, n=20, d=7, m=9)
    m, r = 9, problem.span.rank
    rng = np.random.default_rng(1)
    for size in (0.3, 1.0, 3.0):
        theta = torch.as_tensor(size * rng.normal(size=m * r + K * m + K), device=device).requires_grad_()
        loss = cross_entropy(problem, theta)
        (gradient,) = torch.autograd.grad(loss, theta)
        U = theta.detach().cpu().numpy()[: m * r].reshape(m, r)
        slopes = np.where(U @ problem.span.C.T > 0.0, 1.0, slope)
        mode = Mode(problem, np.where(U @ problem.surfaces.normals.T > 0.0, 1, -1).astype(np.int8))
        assert (mode.minus == slopes).all()
        field = PrimalField(problem, slopes, mode, 0.25, torch.device(device))
        rate = field(torch.cat([theta.detach(), torch.full((1,), 0.7, dtype=torch.float64, device=device)]))
        p = field.margins(torch.cat([theta.detach(), theta.new_zeros(1)])).detach()
        mean_g = torch.sigmoid(-p).mean()
        gap = (rate[:-1] / 0.25 * mean_g + gradient).abs().max() / gradient.abs().max()
        assert float(gap) < 1e-12
        assert float(rate[-1]) == pytest.approx(0.25 / float(mean_g) * np.exp(-0.7), rel=1e-12)
        assert float(torch.log1p(torch.exp(-p)).mean()) == pytest.approx(float(loss.detach()), rel=1e-12)


@pytest.mark.parametrize("K", [2, 3, 10])
def test_cross_entropy_is_the_logistic_loss_of_the_class_margin(K: int) -> None:
    rng = np.random.default_rng(2)
    for size in (1.0, 10.0, 300.0):
        f, labels = size * rng.normal(size=(K, 40)), (np.arange(40) % K).astype(float)
        p = class_margins(f, labels)
        exact = np.logaddexp.reduce(f, axis=0) - f[labels.astype(int), np.arange(40)]
        assert np.logaddexp(0.0, -p) == pytest.approx(exact, rel=1e-12, abs=1e-12 * size)


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("K", [3, 10])
def test_balancedness_is_conserved_through_events(K: int, slope: float) -> None:
    """sum_k A_kj^2 - |w_j|^2, the hidden bias a part of w_j."""
    result = run(K, 0, slope=slope)
    assert len(result.events) > 10
    assert slides(result) > 2
    held = [(row.state.parameters.outer**2).sum(axis=0) - (row.state.U**2).sum(axis=1) for row in result.rows]
    assert all(now == pytest.approx(held[0], abs=1e-9) for now in held)


@pytest.mark.parametrize("K", [3, 10])
def test_rows_show_the_loss_of_the_network_and_it_never_rises(K: int) -> None:
    problem, W = drawn(K, 0)
    plain, result = PlainNetwork(problem.X, problem.y, leaky(0.0)), run(K, 0)
    losses = []
    for k, row in enumerate(result.rows):
        parameters = row.state.parameters
        weights = Weights(result.weights(W, k), parameters.outer, parameters.output_bias)
        losses.append(plain.loss(weights))
        assert row.state.log_loss == pytest.approx(np.log(losses[-1]), abs=1e-9)
    assert (np.diff(losses) < 0.0).all()
    assert result.state.parameters.output_bias is not None
    assert result.state.parameters.output_bias.sum() == pytest.approx(problem.network.output_bias.sum(), abs=1e-9)  # type: ignore[union-attr]


def test_two_classes_with_a_fixed_outer_layer_are_one_output() -> None:
    """f_1 - f_0 = sum_j a_j phi(z_j) with A = (-a / 2, a / 2): the dual engine's flow, slides and all."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(12, 20)), rng.choice([-1.0, 1.0], size=12)
    a, W = rng.choice([-1.0, 1.0], size=10) / np.sqrt(10.0), 0.1 * rng.normal(size=(10, 20))
    one = flow(Problem.of(X, y, Network(a, 0.0), LOSSES["logistic"]), W, until_time(20.0), rtol=1e-10)
    two = Problem.of(X, (y + 1.0) / 2.0, Network(np.array([-a / 2.0, a / 2.0]), 0.0), LOSSES["logistic"])
    other = primal(two, W, until_time(20.0), rtol=1e-10)
    assert slides(one) > 5
    assert event_list(other) == event_list(one)
    assert relative_gap(other.state.U, one.state.U) < 1e-8
    assert other.state.p == pytest.approx(one.state.p, abs=1e-8)


ETAS = (8e-3, 4e-3, 2e-3, 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("K", [3, 5])
def test_descent_tends_to_the_flow_where_neurons_slide(K: int) -> None:
    gaps = np.empty((len(ETAS), 6))
    sliding = 0
    for k in range(6):
        problem, W = drawn(K, k)
        result = run(K, k, end=8.0)
        sliding += slides(result)
        parameters = result.state.parameters
        exact = np.column_stack([result.weights(W), parameters.outer.T])
        start = Weights(W, problem.network.outer, problem.network.output_bias)
        plain = PlainNetwork(problem.X, problem.y, leaky(0.0))
        for i, eta in enumerate(ETAS):
            end = plain.descend(start, eta, round(8.0 / eta))
            assert end.c == pytest.approx(parameters.output_bias, abs=5.0 * eta)
            gaps[i, k] = relative_gap(np.column_stack([end.W, end.a.T]), exact)
    assert sliding > 5
    assert 0.85 < loglog_slope(ETAS, gaps.mean(axis=1)) < 1.15
    assert gaps.mean(axis=1)[-1] < ETAS[-1]


def test_every_component_belongs_to_its_neuron() -> None:
    """Groups of the error norm: neurons with their column of A, the output bias, the clock."""
    problem, W = drawn(3, 0)
    engine = primal_engine(problem, W, Tolerances(1e-8, 1e-10))
    groups = engine.stretch(engine.start()[0]).branch.system.groups
    assert groups is not None
    assert groups.tolist() == [*np.repeat(np.arange(8), problem.span.rank), *np.tile(np.arange(8), 3), 8, 8, 8, 9]
