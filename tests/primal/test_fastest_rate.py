"""The fastest rate of the primal field, by the engine and by eigenvalues of derivatives that autograd computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gflow.arrays import Array, Bools
from gflow.field.mode import Mode
from gflow.field.tensors import PrimalField
from gflow.problem.parameters import Layout, Parameters
from gflow.problem.problem import Problem
from tests.reference.networks import KINDS, drawn, margins_of, outputs_by_autograd, point

UNIT = 0.125


def dual(problem: Problem, p: torch.Tensor, live: Bools) -> torch.Tensor:
    """q (n,), from the formulas; live (n,): the samples that set the clock."""
    g = torch.sigmoid(-p) if problem.loss.name == "logistic" else torch.exp(-p)
    return g / g[torch.from_numpy(live)].sum()


def gauss_newton_rates(problem: Problem, parameters: Parameters) -> Array:
    """The sizes of all eigenvalues of K dR/df, per unit, with K = (df/dtheta)(df/dtheta)^T."""
    theta, live = torch.tensor(Layout.of(problem).flat(parameters)), point(problem, parameters).mode.live

    def residuals(f: torch.Tensor) -> torch.Tensor:
        told = torch.func.vjp(lambda f: margins_of(problem, f), f)
        moved: torch.Tensor = told[1](dual(problem, told[0], live))[0]
        return moved

    f = outputs_by_autograd(problem, theta)
    J = torch.func.jacrev(lambda theta: outputs_by_autograd(problem, theta))(theta).reshape(f.numel(), -1)
    B = torch.func.jacrev(residuals)(f).reshape(f.numel(), f.numel())
    return np.asarray(UNIT * np.abs(np.linalg.eigvals((J @ J.T @ B).detach().numpy())))


def field_of(problem: Problem, parameters: Parameters) -> PrimalField:
    at = point(problem, parameters)
    slopes = None if problem.network.smoothing is not None else at.slopes.copy()
    return PrimalField(problem, slopes, Mode(problem, at.mode.side), UNIT, torch.device("cpu"))


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_the_fastest_rate_is_the_largest_eigenvalue(kind: str, seed: int, loss: str) -> None:
    """It is found to 10 per cent; where a bound is enough, it is not below."""
    problem, parameters = drawn(kind, seed, loss)
    field, exact = field_of(problem, parameters), gauss_newton_rates(problem, parameters).max()
    theta = torch.from_numpy(np.append(Layout.of(problem).flat(parameters), 1e3))  # a clock that stands by then
    assert field.fastest_rate(theta, 0.0) == pytest.approx(exact, rel=0.1)
    assert field.fastest_rate(theta, np.inf) >= (1.0 - 1e-12) * exact


def test_a_fast_clock_counts() -> None:
    """dv/dtau = n / (sum g) / (1 + t) per unit is an eigenvalue of its own, the largest where all margins are large."""
    problem, parameters = drawn("relu")
    large = Parameters(40.0 * parameters.U, parameters.outer, parameters.output_bias)
    field, theta = field_of(problem, large), torch.from_numpy(np.append(Layout.of(problem).flat(large), 0.0))
    rate = float(field(theta)[-1])
    assert field.fastest_rate(theta, 0.0) >= rate > 0.0
