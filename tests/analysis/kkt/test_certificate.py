"""What is said of a point is proved: exact KKT points are recognised, others have a lower bound of their distance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gflow.analysis.kkt.certificate import bound_along, proved_distance, solved
from gflow.analysis.kkt.fit import least_distance
from gflow.analysis.kkt.problem import Gradients, Multipliers
from gflow.analysis.kkt.residuals import residuals
from gflow.analysis.kkt.vertices import by_vertices
from gflow.limit.limit_point import LimitPoint
from gflow.problem.parameters import Parameters
from tests.analysis.kkt.exact import made, tied
from tests.analysis.kkt.vertices import by_vertices as stationarity
from tests.analysis.kkt.vertices import drawn


@pytest.mark.sample("0", "200", "250")
@pytest.mark.parametrize("first", range(0, 300, 50))
def test_exact_points_are_recognised(first: int) -> None:
    """Whatever ties, repetitions and kinks: distance 0 to rounding, no bound above it, no false uniqueness."""
    looked = 0
    for seed in range(first, first + 50):
        if (found := made(seed)) is None:
            continue
        problem, U, pattern, multipliers = found
        gradients = tied(problem, U, pattern)
        fit = least_distance(gradients, problem.network.slope)
        assert fit.distance <= 1e-9 * gradients.length, seed
        assert fit.at_least is not None and fit.at_least <= 1e-9 * gradients.length, seed
        assert (fit.multipliers >= 0.0).all()
        if fit.determined:
            live = gradients.live
            np.testing.assert_allclose(fit.multipliers[live], multipliers[live], atol=1e-6 * multipliers.max())
        looked += 1
    assert looked >= 40


def test_the_distance_of_perturbed_points_is_proved() -> None:
    """Off a KKT point by 1e-5 to 1e-1: the bound is below the distance over all vertices, and close to it."""
    rng, looked = np.random.default_rng(0), 0
    for seed in range(600):
        if (found := made(seed)) is None:
            continue
        problem, U, pattern, _ = found
        pattern = np.where(pattern == 0, 1, pattern).astype(np.int8)  # a point off its kinks: <h, theta> = p
        size = 10.0 ** rng.uniform(-5.0, -1.0)
        noise = rng.standard_normal(U.shape)
        moved = U + size * np.linalg.norm(U) / np.linalg.norm(noise) * noise
        gradients = tied(problem, moved, pattern)
        if (problem.y * (problem.network.outer @ (np.where(pattern > 0, 1.0, problem.network.slope) * (
            moved @ problem.span.C.T))) <= 1e-3 * gradients.size * gradients.length).any():  # fmt: skip
            continue
        fit = least_distance(gradients, problem.network.slope)
        exact = stationarity(problem, moved, problem.network.outer, pattern)
        assert fit.at_least is not None
        assert fit.at_least / gradients.length <= exact * (1.0 + 1e-9) + 1e-13
        assert fit.at_least / gradients.length >= exact * (1.0 - 1e-3) - 1e-7
        looked += 1
    assert looked >= 20


def test_a_fit_that_failed_proves_nothing() -> None:
    """Weights that are not optimal: the residual is long, the bound is not."""
    found = made(1)
    assert found is not None
    problem, U, pattern, _ = found
    gradients = tied(problem, U, pattern)
    nothing = Multipliers(np.zeros(gradients.size.size), np.zeros(gradients.margin.size))
    assert gradients.distance(nothing) == pytest.approx(1.0) and not solved(gradients, nothing)
    assert proved_distance(gradients, nothing) < 1e-9


@pytest.mark.parametrize("size", [1.0, 1e-16, 1e-300])
def test_no_direction_proves_what_is_not_so(size: float) -> None:
    """Whatever vector a fit hands over: at an exact KKT point the distance is 0, also where <h_c, theta> < 0 for some
    c, which pull only once theta is taken off the direction."""
    turned = 0
    for seed in range(120):
        if (found := made(seed)) is None:
            continue
        problem, U, pattern, _ = found
        gradients = tied(problem, U, pattern)
        theta, none = gradients.residual(Multipliers(np.zeros(gradients.size.size), np.zeros(gradients.margin.size)))
        turned += bool((gradients.pulls((theta, none)).on_base < -0.1).any())
        for noise in np.random.default_rng(seed).standard_normal((60, *theta.shape)):
            assert bound_along(gradients, (size * noise, none)) < 1e-9, seed
        assert bound_along(gradients, (np.full_like(theta, np.nan), none)) == 0.0
    assert turned >= 10


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_no_direction_proves_more_than_the_distance(seed: int) -> None:
    """Off a KKT point too, and the residual proves the distance itself where <h_c, theta> > 0 for all c."""
    problem, U, outer, pattern = drawn(seed)
    if not U.any():
        return
    gradients = Gradients(problem, Parameters(U, outer), pattern)
    exact = stationarity(problem, U, outer, pattern)
    none = Multipliers(np.zeros(gradients.size.size), np.zeros(gradients.margin.size))
    theta, rng = gradients.residual(none), np.random.default_rng(seed)
    for _ in range(40):
        mixed = [
            rng.standard_normal() * part + rng.standard_normal() * rng.standard_normal(part.shape) for part in theta
        ]
        assert bound_along(gradients, (mixed[0], mixed[1])) <= exact * (1.0 + 1e-9) + 1e-13


def test_a_limit_that_is_known_to_its_error_is_not_told_from_a_kkt_point_within() -> None:
    """W* off by a hundredth of its length: a distance of less proves nothing of the exact point, one of more does."""
    judged = 0
    for seed in range(0, 120, 4):  # hypercubes
        if (found := made(seed)) is None:
            continue
        problem, U, pattern, multipliers = found
        noise, error = np.random.default_rng(seed).standard_normal(U.shape), 0.01 * float(np.linalg.norm(U))
        moved = U + error / np.linalg.norm(noise) * noise
        side, on = pattern[:, problem.surfaces.first_sample], np.ones(problem.samples, dtype=bool)
        point = LimitPoint(side, moved, multipliers, multipliers, np.ones(on.size), on, True, on, error)
        at = Parameters(moved, problem.network.outer)
        exact = residuals(problem, at, side, known=point)
        alone = residuals(problem, at, side, known=replace(point, error=0.0))
        if alone.at_least is not None and alone.at_least > 1e-4:
            assert exact.at_least is not None and exact.at_least < 1e-12 < alone.at_least <= alone.stationarity
            judged += 1
    assert judged >= 3


@pytest.mark.parametrize("seed", range(0, 200, 10))
def test_vertices_solve_it_alone(seed: int) -> None:
    if (found := made(seed)) is None:
        return
    problem, U, pattern, _ = found
    gradients = tied(problem, U, pattern)
    at = by_vertices(gradients)
    assert at is not None and gradients.distance(at) < 1e-9 and solved(gradients, at)
    assert (at.lam >= 0.0).all() and (at.nu >= 0.0).all() and (at.nu <= at.lam[gradients.margin] + 1e-12).all()
