"""The convex problem behind the KKT conditions: all vertices, optimality, points made with known multipliers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.analysis.kkt import interior
from gflow.analysis.kkt.fit import least_distance
from gflow.analysis.kkt.problem import Gradients, Multipliers, Pulls
from gflow.analysis.kkt.residuals import residuals
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from tests.analysis.kkt.vertices import by_vertices, drawn

Array = NDArray[np.float64]


@pytest.mark.parametrize("seed", range(60))
def test_least_distance_agrees_with_all_vertices(seed: int) -> None:
    """Fixed and trained outer layers, one output and three, dependent samples, neurons at 0: an independent oracle."""
    problem, U, outer, pattern = drawn(seed)
    if not U.any():
        return
    gradients = Gradients(problem, Parameters(U, outer), pattern)
    fit = least_distance(gradients, problem.network.slope)
    assert fit.distance / gradients.length == pytest.approx(by_vertices(problem, U, outer, pattern), abs=2e-9)
    assert (fit.multipliers >= 0.0).all()
    assert ((fit.slopes >= problem.network.slope) & (fit.slopes <= 1.0)).all()


@pytest.mark.parametrize("seed", [1, 4, 7])
def test_a_singular_newton_system_is_no_end(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it comes, what was found until then is polished, and vertices do the rest."""
    problem, U, outer, pattern = drawn(seed)
    gradients, step, left = Gradients(problem, Parameters(U, outer), pattern), interior._Newton.step, [3]

    def failing(newton: interior._Newton, pull: Pulls, force: Array) -> Array:
        left[0] -= 1
        if left[0] < 0:
            raise np.linalg.LinAlgError("Singular matrix")
        return step(newton, pull, force)

    monkeypatch.setattr(interior._Newton, "step", failing)
    fit = least_distance(gradients, problem.network.slope)
    assert fit.distance / gradients.length == pytest.approx(by_vertices(problem, U, outer, pattern), abs=2e-9)


@pytest.mark.parametrize("seed", range(8))
def test_larger_problems_are_optimal(seed: int) -> None:
    """The residual R of the best point of a cone: <R, h> <= 0 for every Clarke gradient h, and <R, sum> = 0."""
    rng = np.random.default_rng(seed)
    n, m, slope = 30, 25, float(rng.choice([0.0, 0.3]))
    outer = rng.standard_normal((4, m) if seed % 2 else m)
    y = rng.integers(0, 4, n).astype(float) if seed % 2 else rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, 40))
    problem = Problem.of(X, y, Network(outer, slope, trains_outer=seed % 4 < 2), LOSSES["logistic"])
    U = rng.standard_normal((m, n))
    pattern = np.sign(U @ problem.span.C.T).astype(np.int8) * (rng.random((m, n)) < 0.6).astype(np.int8)
    gradients = Gradients(problem, Parameters(U, outer), pattern)
    fit = least_distance(gradients, slope)
    lam = fit.multipliers * gradients.units
    nu = lam[gradients.margin] * (fit.slopes - slope) / (1.0 - slope)
    pulls = gradients.pulls(gradients.residual(Multipliers(lam, nu)))
    steepest = pulls.on_base + gradients.gathered(np.maximum(pulls.on_kinks, 0.0))
    assert fit.determined and (lam > 0.0).any()
    assert steepest.max() < 1e-11
    assert abs(lam @ pulls.on_base + nu @ pulls.on_kinks) < 1e-11


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_a_made_point_with_many_kinks_is_recognised(slope: float) -> None:
    """theta = sum_i lambda_i h_i with known lambda and known slopes, a fifth of 4000 pairs on their kink."""
    rng = np.random.default_rng(7)
    n, m = 20, 200
    outer = np.where(np.arange(m) < m // 2, 1.0, -1.0) / np.sqrt(m)
    X, y = rng.standard_normal((n, 50)), rng.choice([-1.0, 1.0], n)
    problem = Problem.of(X, y, Network(outer, slope), LOSSES["logistic"])
    pattern = rng.choice([-1, 1, 0], (m, n), p=[0.4, 0.4, 0.2]).astype(np.int8)
    inside = slope + (1.0 - slope) * rng.uniform(0.05, 0.95, pattern.shape)
    slopes = np.where(pattern > 0, 1.0, np.where(pattern < 0, slope, inside))
    multipliers = rng.uniform(0.0, 1.0, n) * (np.arange(n) > 2)  # three samples support nothing
    U = (outer[:, None] * slopes * (y * multipliers)) @ problem.span.C
    gradients = Gradients(problem, Parameters(U, outer), pattern)
    fit = least_distance(gradients, slope)
    assert fit.distance < 1e-13 * gradients.length
    assert fit.determined
    np.testing.assert_allclose(fit.multipliers, multipliers, atol=1e-12)
    on = multipliers[gradients.margin] > 0.0
    np.testing.assert_allclose(fit.slopes[on], slopes[gradients.neuron, gradients.margin][on], atol=1e-11)


def test_among_dependent_gradients_complementary_multipliers_are_chosen() -> None:
    """x = 1 and x = 2 pull one linear neuron the same way; only the sample with the least margin may have lambda."""
    problem = Problem.of(np.array([[1.0], [2.0]]), np.ones(2), Network(np.ones(1), 1.0), LOSSES["logistic"])
    at = residuals(problem, Parameters(np.array([[3.0]]), np.ones(1)), np.ones((1, 1), dtype=np.int8))
    assert at.stationarity < 1e-12 and not at.determined
    assert at.complementarity is not None and at.complementarity < 1e-12
    assert at.multipliers == pytest.approx([1.0, 0.0], abs=1e-12)
    assert at.min_margin_ratio == pytest.approx(0.5)


def test_one_neuron_with_both_layers_trained() -> None:
    """v = c x / |x|, a = c is KKT: h = (a x, <v, x>), lambda = 1 / |x|; an unbalanced one is not."""
    x = np.array([[3.0, 4.0]])
    problem = Problem.of(x, np.ones(1), Network(np.array([2.0]), 0.0, trains_outer=True), LOSSES["logistic"])
    side = np.ones((1, 1), dtype=np.int8)
    at = residuals(problem, Parameters(np.array([[2.0]]) * problem.span.C / 5.0, np.array([2.0])), side)
    assert at.stationarity < 1e-14
    assert at.multipliers == pytest.approx([1.0 / 5.0], rel=1e-12)
    # (v, a) = (2, 1) against (1, 2) / sqrt 5: the sine of the angle between them is 3 / 5.
    off = residuals(problem, Parameters(np.array([[2.0]]) * problem.span.C / 5.0, np.array([1.0])), side)
    assert off.stationarity == pytest.approx(3.0 / 5.0, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_scale_of_the_weights_does_not_matter(factor: float) -> None:
    problem, U, outer, pattern = drawn(2)
    side = pattern[:, problem.surfaces.first_sample]
    one, other = (residuals(problem, Parameters(c * U, outer), side) for c in (1.0, factor))
    assert other.stationarity == pytest.approx(one.stationarity, rel=1e-12)


def test_weights_outside_the_span_count() -> None:
    """|W_perp| stands against no gradient: sqrt(distance^2 + |W_perp|^2) / sqrt(|U|^2 + |W_perp|^2)."""
    problem, U, outer, pattern = drawn(4)
    side = pattern[:, problem.surfaces.first_sample]
    inside = residuals(problem, Parameters(U, outer), side)
    both = residuals(problem, Parameters(U, outer), side, outside=2.0)
    size = np.linalg.norm(U)
    expected = np.hypot(inside.stationarity * size, 2.0) / np.hypot(size, 2.0)
    assert both.stationarity == pytest.approx(float(expected), rel=1e-12)
