"""The reference against autograd, finite differences and itself in batches, for every kind of network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gflow.problem.parameters import Layout, Parameters
from gflow.problem.problem import Problem
from gflow.reference.margins import margins_at
from gflow.reference.point import Direction, Point
from tests.reference.networks import KINDS, Array, drawn, jacobian, margins_by_autograd, n, point


def flat(problem: Problem, moved: Direction, at: Parameters) -> Array:
    """A direction as theta (p,)."""
    return Layout.of(problem).flat(
        Parameters(moved.inner, at.outer if moved.outer is None else moved.outer, moved.bias)
    )


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("kind", KINDS)
def test_against_autograd(kind: str, loss: str) -> None:
    """Margins, their gradients in every form, the velocity, what margins gain along it, and the kernel."""
    problem, parameters = drawn(kind, loss=loss)
    at, J, theta = point(problem, parameters), jacobian(problem, parameters), Layout.of(problem).flat(parameters)
    p = margins_by_autograd(problem, torch.tensor(theta)).numpy()
    np.testing.assert_allclose(at.p, p, rtol=1e-12)
    np.testing.assert_allclose(margins_at(problem, parameters), p, rtol=1e-12)
    g = np.exp(-p) if loss == "exponential" else 1.0 / (1.0 + np.exp(p))
    np.testing.assert_allclose(at.q, g / g.sum(), rtol=1e-12)
    np.testing.assert_allclose(at.log_total, np.log(g.sum()), atol=1e-12)
    moved = (g / g.sum()) @ J
    np.testing.assert_allclose(flat(problem, at.velocity, parameters), moved, atol=1e-12)
    assert at.velocity.norm == pytest.approx(np.linalg.norm(moved), rel=1e-12)
    assert float(at.velocity.square) == pytest.approx(np.sum(moved**2), rel=1e-12)
    np.testing.assert_allclose(at.rates, J @ moved, atol=1e-11)
    np.testing.assert_allclose(at.kernel, J @ J.T, atol=1e-11)
    np.testing.assert_allclose(at.sample_norms, np.linalg.norm(J, axis=1), rtol=1e-12)
    np.testing.assert_allclose(at.euler, J @ theta, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_against_finite_differences(kind: str) -> None:
    """The loss falls along any direction as the velocity says, with nothing but values of the loss."""
    problem, parameters = drawn(kind, seed=3)
    at, layout, rng = point(problem, parameters), Layout.of(problem), np.random.default_rng(0)
    theta = layout.flat(parameters)

    def loss(there: Array) -> float:
        p = margins_at(problem, layout.parameters(there, problem.network.outer))
        return float(np.mean(np.log1p(np.exp(-p))))

    fall = np.exp(at.log_total) / n * flat(problem, at.velocity, parameters)
    for _ in range(3):
        along = rng.normal(size=theta.size)
        slope = (loss(theta + 1e-6 * along) - loss(theta - 1e-6 * along)) / 2e-6
        assert slope == pytest.approx(-fall @ along, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_many_states_at_once_are_each_alone(kind: str) -> None:
    """Leading axes (2, 2) on one mode, with clocks that count all samples and only some."""
    problem, parameters = drawn(kind)
    at, layout = point(problem, parameters), Layout.of(problem)
    theta = layout.flat(parameters) * (1.0 + 0.01 * np.arange(4.0).reshape(2, 2, 1))
    live = np.arange(n) % 3 > 0
    many = replace(at, parameters=layout.parameters(theta, problem.network.outer), live=live)
    for k in np.ndindex(2, 2):
        one = replace(at, parameters=layout.parameters(theta[k], problem.network.outer), live=live)
        for name in ("p", "q", "log_total", "by_output", "push", "rates", "slopes", "euler", "sample_norms"):
            found, alone = getattr(many, name), getattr(one, name)
            found = np.broadcast_to(found, (2, 2, *alone.shape))[k]  # slopes of a mode are the same everywhere
            np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-13, err_msg=name)
        np.testing.assert_allclose(many.velocity.inner[k], one.velocity.inner, atol=1e-13)
        np.testing.assert_allclose(many.velocity.square[k], one.velocity.square, rtol=1e-12)


@pytest.mark.parametrize("kind", ["relu", "leaky", "linear", "both", "scalar"])
def test_euler_and_homogeneity(kind: str) -> None:
    """<theta, grad p> = L p with L = 1 for a fixed outer layer and 2 for both."""
    problem, parameters = drawn(kind)
    at = point(problem, parameters)
    np.testing.assert_allclose(at.euler, problem.network.homogeneity * at.p, atol=1e-12)


def test_known_margins_set_the_dual_variables() -> None:
    """What a file keeps of the margins is better known than what its weights give back."""
    problem, parameters = drawn("leaky")
    at: Point = point(problem, parameters)
    other = replace(at, known=at.p + np.log(2.0) * (np.arange(n) == 0))
    assert other.q[0] < at.q[0] and other.p is other.known
