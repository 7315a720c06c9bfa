"""The Hessian of the loss, and the sharpness, beside dense Hessians by autograd, for every kind of network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gflow.analysis import hessian
from gflow.analysis.hessian import Hessian
from gflow.arrays import Array
from gflow.comparison.sharpness import sharpness
from gflow.problem.parameters import Layout, Parameters
from gflow.problem.problem import Problem
from tests.reference.networks import KINDS, drawn, margins_by_autograd, point


def by_autograd(problem: Problem, parameters: Parameters) -> Array:
    """hess L (p, p) at the parameters, from the formulas."""

    def loss(theta: torch.Tensor) -> torch.Tensor:
        p = margins_by_autograd(problem, theta)
        return (torch.exp(-p) if problem.loss.name == "exponential" else torch.nn.functional.softplus(-p)).mean()

    theta = torch.tensor(Layout.of(problem).flat(parameters))
    return np.asarray(torch.autograd.functional.hessian(loss, theta).numpy())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("kind", KINDS)
def test_products_and_eigenvalues(kind: str, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, parameters = drawn(kind, loss=loss)
    dense, own = by_autograd(problem, parameters), Hessian(point(problem, parameters), 1.5)
    columns = np.column_stack([own.times(unit) for unit in np.eye(len(dense))])
    assert np.exp(1.5) * columns == pytest.approx(dense, rel=1e-11, abs=1e-12 * np.abs(dense).max())
    values = np.linalg.eigvalsh(dense)
    assert sharpness(point(problem, parameters)) == pytest.approx(values[-1], rel=1e-11)
    for most in (len(dense), 0):  # all eigenvalues, then Lanczos
        monkeypatch.setattr(hessian, "DENSE", most)
        assert np.exp(1.5) * own.largest == pytest.approx(values[-1], rel=1e-7)
        assert np.exp(1.5) * own.norm == pytest.approx(np.abs(values).max(), rel=1e-7)


def test_curvature_counts() -> None:
    """Without the second derivatives of margins the sharpness would be another one, by more than a twentieth."""
    for kind in ("smooth", "huber", "both", "classes"):
        at = point(*drawn(kind))
        weights = np.exp(at.log_g) * -at.problem.loss.log_slope_rate(at.p)
        D = np.sqrt(weights / at.problem.samples)
        gauss_newton = np.linalg.eigvalsh(D[:, None] * at.kernel * D)[-1]
        assert abs(sharpness(at) / gauss_newton - 1.0) > 0.05, kind


def test_a_slope_that_overflows_and_a_hessian_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, parameters = drawn("relu", loss="exponential")
    assert sharpness(point(problem, Parameters(1e4 * parameters.U, parameters.outer, None))) == np.inf
    constant = point(problem, Parameters(parameters.U, np.zeros(problem.network.width), None))
    for most in (hessian.DENSE, 0):
        monkeypatch.setattr(hessian, "DENSE", most)
        assert Hessian(constant, 0.0).norm == 0.0


def test_a_hessian_that_leaves_float64_is_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, parameters = drawn("both")
    huge = point(problem, Parameters(1e200 * parameters.U, 1e200 * parameters.outer, None))
    for most in (hessian.DENSE, 0):
        monkeypatch.setattr(hessian, "DENSE", most)
        with np.errstate(over="ignore", invalid="ignore"):
            assert Hessian(huge, 0.0).norm == Hessian(huge, 0.0).largest == np.inf
