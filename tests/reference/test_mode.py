"""Neurons that slide: the reference against least squares over the box of shares, by scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.reference.mode import ReferenceMode, holding_slopes
from gflow.reference.point import Point

Array = NDArray[np.float64]
SLOPE = 0.3


def sliding(seed: int, kinks: int = 2) -> Point | None:
    """A neuron on `kinks` kinks beside one that is on none, where inner shares hold it; None for other draws.

    Two of the samples share a surface, one of them on its far side.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(6, 4))
    X[1] = -1.5 * X[0]
    problem = Problem.of(X, rng.choice([-1.0, 1.0], size=6), Network(np.array([1.0, -0.7]), SLOPE), LOSSES["logistic"])
    U, normals = rng.normal(size=(2, problem.span.rank)), problem.surfaces.normals[:kinks]
    U[0] -= np.linalg.lstsq(normals, normals @ U[0], rcond=None)[0]
    side = np.sign(U @ problem.surfaces.normals.T).astype(np.int8)
    side[0, :kinks] = 0
    at = Point(problem, Parameters(U, problem.network.outer), ReferenceMode.of(problem, side))
    share = at.mode.balance(at.push, at.force).share
    return at if ((share > 0.0) & (share < 1.0)).all() else None


def found() -> list[Point]:
    draws = [sliding(seed) for seed in range(80)]
    return [at for at in draws if at is not None]


def by_box(at: Point) -> tuple[Array, Array]:
    """Least |sum_i phi'_i push_i c_i| over one share in [0, 1] for each surface: the velocity, and phi' (n,)."""
    problem, surfaces = at.problem, at.problem.surfaces
    push, held = at.push[0], np.flatnonzero(at.mode.side[0] == 0)
    minus = np.where(at.mode.pattern[0] > 0, 1.0, SLOPE)
    turned = np.zeros((held.size, problem.samples))  # what a share adds to phi' of each sample
    for row, h in enumerate(held):
        on = surfaces.of_sample == h
        minus[on] = np.where(surfaces.alpha[on] > 0.0, SLOPE, 1.0)
        turned[row, on] = (1.0 - SLOPE) * np.sign(surfaces.alpha[on])
    base, columns = (minus * push) @ problem.span.C, (turned * push) @ problem.span.C
    best = lsq_linear(columns.T, -base, bounds=(0.0, 1.0), method="bvls", tol=1e-15).x
    return base + best @ columns, minus + best @ turned


def test_the_velocity_is_the_element_of_least_norm() -> None:
    points = found()
    assert len(points) >= 5
    for at in points:
        velocity, slopes = by_box(at)
        np.testing.assert_allclose(at.velocity.inner[0], velocity, atol=1e-12)
        np.testing.assert_allclose(at.slopes[0], slopes, atol=1e-10)
        weighted = (at.push * at.slopes) @ at.problem.span.C
        np.testing.assert_allclose(weighted, at.velocity.inner, atol=1e-12)
        np.testing.assert_allclose(holding_slopes(at.problem, at.mode.side, at.push), at.slopes, atol=1e-12)
        on = at.mode.pattern == 0
        assert (at.slopes[on] > SLOPE).all() and (at.slopes[on] < 1.0).all() and not at.branch_slopes[on].any()
        assert np.abs(at.rates - at.kernel @ at.q).max() < 1e-12  # K with the slopes that hold it


@pytest.mark.parametrize("kinks", [1, 2, 3])
def test_batches_share_one_mode(kinks: int) -> None:
    """Two states of one mode at once, and each alone; padded where neurons slide on different numbers of kinks."""
    at = next(each for seed in range(400) if (each := sliding(seed, kinks)) is not None)
    stacked = np.stack([at.parameters.U, 1.01 * at.parameters.U])
    many = replace(at, parameters=Parameters(stacked, at.parameters.outer))
    for k in range(2):
        one = replace(at, parameters=Parameters(stacked[k], at.parameters.outer))
        np.testing.assert_allclose(many.velocity.inner[k], one.velocity.inner, atol=1e-14)
        np.testing.assert_allclose(many.slopes[k], one.slopes, atol=1e-12)
        np.testing.assert_allclose(many.force[k], one.force, atol=1e-14)


def test_a_mode_taken_over_from_another_is_the_same_mode() -> None:
    at = found()[0]
    turned = at.mode.side.copy()
    turned[1, 0], turned[0, 0] = 0, 1  # another neuron slides, and the first leaves one of its kinks
    near, fresh = ReferenceMode.of(at.problem, turned, at.mode), ReferenceMode.of(at.problem, turned)
    back = ReferenceMode.of(at.problem, at.mode.side, near)
    V = np.random.default_rng(0).normal(size=(3, *at.parameters.U.shape))
    for one, other in ((near, fresh), (back, at.mode)):
        np.testing.assert_array_equal(one.projected(V)[0], other.projected(V)[0])
        np.testing.assert_array_equal(one.held.surfaces, other.held.surfaces)


def test_dependent_kinks_leave_what_is_off_their_span() -> None:
    """w = 0 on more kinks than dimensions: nothing moves, and no share is claimed to be the only one."""
    X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    problem = Problem.of(X, np.ones(3), Network(np.ones(1), 0.0), LOSSES["logistic"])
    mode = ReferenceMode.of(problem, np.zeros((1, 3), dtype=np.int8))
    V = np.array([[0.4, -2.0]])
    assert np.abs(mode.projected(V)[0]).max() < 1e-15 and np.linalg.matrix_rank(mode.held.normals)[0] == 2


def test_a_share_without_a_jump_is_that_of_the_minus_branch() -> None:
    """Nothing pushes on the kink: phi' there is free, and given the slope of the - side of the surface."""
    X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    problem = Problem.of(X, np.ones(3), Network(np.ones(1), SLOPE), LOSSES["logistic"])
    push = np.array([[0.0, 1.0, 0.0]])
    assert holding_slopes(problem, np.array([[0, 1]], dtype=np.int8), push).tolist() == [[SLOPE, 1.0, 1.0]]
