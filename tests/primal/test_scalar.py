"""The scalar network sum_j a_j phi(b_j <v_j, x>) against its exact n-dimensional reduction (claims 3.E)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gflow.field.branch import Tolerances
from gflow.flow.primal import primal_engine
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import until_time
from tests.primal.driver import DEVICES, primal

Array = NDArray[np.float64]
TIMES = np.array([0.5, 3.0, 20.0, 100.0])
CASES = [(0.0, "logistic"), (0.0, "exponential"), (0.2, "logistic"), (0.2, "exponential")]


@dataclass(frozen=True)
class Scalar:
    """X (n, d), y, unit directions (m, d), sizes s = |a| = |b| and both signs (m,)."""

    X: Array
    y: Array
    directions: Array
    size: Array
    sign_a: Array
    sign_b: Array
    slope: float
    loss: str

    def problem(self) -> Problem:
        outer = self.sign_a * self.size
        network = Network(outer, self.slope, trains_outer=True, directions=self.directions)
        return Problem.of(self.X, self.y, network, LOSSES[self.loss])

    def margins(self, a: Array, b: Array) -> Array:
        """y_i f(x_i), by the formula."""
        z = b[:, None] * (self.directions @ self.X.T)
        return np.asarray(self.y * (a @ np.maximum(z, self.slope * z)))

    def sizes(self, times: Array) -> Array:
        """s_j(t) = s_j(0) exp(sum_i F_ji Lambda_i), d Lambda_i/dt = g_i / n; (m, times)."""
        z = self.sign_b[:, None] * (self.directions @ self.X.T)
        F = self.y * self.sign_a[:, None] * np.maximum(z, self.slope * z)

        def rate(_: float, lam: Array) -> Array:
            p = F.T @ (self.size * np.exp(F @ lam)) ** 2
            g = np.exp(-p) if self.loss == "exponential" else 1.0 / (1.0 + np.exp(p))
            return np.asarray(g / self.y.size)

        start = np.zeros(self.y.size)
        done = solve_ivp(rate, (0.0, times[-1]), start, "DOP853", times, rtol=1e-12, atol=1e-14)
        return np.asarray(self.size[:, None] * np.exp(F @ done.y))


def drawn(slope: float, loss: str, seed: int = 0, n: int = 10, d: int = 2, m: int = 24) -> Scalar:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X /= np.linalg.norm(X, axis=1)[:, None]
    directions = rng.normal(size=(m, d))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    y, sign_a, sign_b = (rng.choice([-1.0, 1.0], size=k) for k in (n, m, m))
    return Scalar(X, y, directions, np.full(m, m**-0.25), sign_a, sign_b, slope, loss)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["DOP853", "dopri5"])
@pytest.mark.parametrize(("slope", "loss"), CASES)
def test_the_reduction_and_the_balance(slope: float, loss: str, method: str, device: str) -> None:
    scalar = drawn(slope, loss)
    b = scalar.sign_b * scalar.size
    rows = [float(np.log1p(t)) for t in TIMES]
    problem, until = scalar.problem(), until_time(float(TIMES[-1]))
    result = primal(problem, b[:, None], until, rtol=1e-10, rows=rows, method=method, device=device)
    exact = scalar.sizes(TIMES)
    assert result.events == []
    for k, row in enumerate(result.rows[1:]):
        a, b = row.state.parameters.outer, row.state.U[:, 0]
        assert scalar.sign_a * a == pytest.approx(exact[:, k], rel=1e-8)
        assert scalar.sign_b * b == pytest.approx(exact[:, k], rel=1e-8)
        assert a**2 == pytest.approx(b**2, rel=1e-9)


@pytest.mark.parametrize(("slope", "loss"), CASES)
def test_margins_and_loss_of_the_rows_are_those_of_the_network(slope: float, loss: str) -> None:
    scalar = drawn(slope, loss)
    result = primal(scalar.problem(), (scalar.sign_b * scalar.size)[:, None], until_time(20.0), rows=4)
    for row in result.rows:
        p = scalar.margins(row.state.parameters.outer, row.state.U[:, 0])
        assert row.state.p == pytest.approx(p, abs=1e-12)
        losses = np.exp(-p) if loss == "exponential" else np.log1p(np.exp(-p))
        assert row.state.log_loss == pytest.approx(float(np.log(losses.mean())), abs=1e-12)


def test_the_field_is_the_gradient_of_the_loss() -> None:
    """-dL/d(b, a) by central differences of the formula, at the start."""
    scalar = drawn(0.2, "logistic")
    a, b = scalar.sign_a * scalar.size, scalar.sign_b * scalar.size
    engine = primal_engine(scalar.problem(), b[:, None], Tolerances(1e-8, 1e-10))
    branch = engine.stretch(engine.start()[0]).branch
    rate = branch.system.field(0.0, branch.y0)[:-1] / branch.unit
    theta, m = np.concatenate([b, a]), a.size

    def loss(at: Array) -> float:
        return float(np.mean(np.log1p(np.exp(-scalar.margins(at[m:], at[:m])))))

    step = 1e-6 * np.eye(2 * m)
    gradient = np.array([(loss(theta + e) - loss(theta - e)) / 2e-6 for e in step])
    mean_g = float(np.mean(1.0 / (1.0 + np.exp(scalar.margins(a, b)))))
    assert rate * mean_g == pytest.approx(-gradient, abs=1e-9)
