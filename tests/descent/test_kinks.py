"""phi'(0): stated, never left to a library, and seen in the iterates where a pre-activation is exactly 0."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gflow.descent import Constant, Coordinates, DescentRun, Options
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from tests.descent.cases import BOTH, DEVICES, Case, leaky, relu, rows

SLOPES = [0.0, 0.1]
CHOICES = [None, 1.0, 0.5]


def on_a_kink(slope: float) -> tuple[Problem, NDArray[np.float64]]:
    """Orthogonal inputs e_1, e_2, e_3; the first neuron has z = 0 at the first, the second neuron w = 0."""
    X, y = np.eye(3, 5), np.array([1.0, -1.0, 1.0])
    W = np.array([[0.0, 1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    return Problem.of(X, y, Network(np.array([1.0, -1.0]), slope), LOSSES["logistic"]), W


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("coordinates", BOTH)
@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("choice", CHOICES)
def test_the_first_step_takes_the_slope_stated(
    choice: float | None, slope: float, coordinates: Coordinates, device: str
) -> None:
    """W(1) - W(0) = (eta / n) a_j g_i y_i s_ji x_i in closed form, with s_ji as stated where z_ji = 0."""
    problem, W = on_a_kink(slope)
    at_zero = slope if choice is None else choice
    options = Options(at_kink=choice, coordinates=coordinates, device=device)
    plain = Case(problem, W, relu)
    first, second = rows(plain, DescentRun(plain.weights(), Constant(0.3), np.array([0, 1])), options=options)
    z = W @ problem.X.T
    slopes = np.where(z > 0.0, 1.0, np.where(z < 0.0, slope, at_zero))
    g = 1.0 / (1.0 + np.exp(first.p))
    expected = 0.1 * (problem.network.outer[:, None] * slopes * g * problem.y) @ problem.X
    assert plain.inner_at(second) - W == pytest.approx(expected, abs=1e-15)
    assert np.array_equal(first.pattern == 0, z == 0.0)


def test_the_choice_matters_only_where_z_is_zero() -> None:
    """Control both ways: on the kink the three choices differ after 20 steps, off it not by a bit."""
    problem, W = on_a_kink(0.1)
    plain = Case(problem, W, leaky)

    def ends(U: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        run = DescentRun(Parameters(U, problem.network.outer), Constant(0.3), np.array([0, 20]))
        return [rows(plain, run, options=Options(at_kink=choice))[-1].U for choice in CHOICES]

    on, off = ends(plain.weights().U), ends(plain.weights().U + 0.01)
    assert min(np.abs(on[a] - on[b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 1e-3
    assert max(np.abs(off[a] - off[b]).max() for a, b in ((0, 1), (0, 2))) < 1e-16


@pytest.mark.parametrize(
    "slope, phi", [(0.0, torch.relu), (0.1, partial(torch.nn.functional.leaky_relu, negative_slope=0.1))]
)
def test_the_default_is_what_torch_does(slope: float, phi: Callable[[torch.Tensor], torch.Tensor]) -> None:
    problem, W = on_a_kink(slope)
    plain = Case(problem, W, phi)
    leaf = torch.tensor(W, requires_grad=True)
    p = torch.tensor(problem.y) * (torch.tensor(problem.network.outer) @ phi(leaf @ torch.tensor(problem.X).T))
    (gradient,) = torch.autograd.grad(torch.nn.functional.softplus(-p).mean(), leaf)
    last = rows(plain, DescentRun(plain.weights(), Constant(0.3), np.array([0, 1])))[-1]
    assert plain.inner_at(last) == pytest.approx(W - 0.3 * gradient.numpy(), abs=1e-15)
