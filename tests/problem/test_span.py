"""Span coordinates and surfaces: exact factors whatever the scales, and who switches together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.problem.span import factor_span, row_norms
from gflow.problem.surfaces import group_surfaces
from tests.reference.setting import samples

Array = NDArray[np.float64]
KINDS = ["generic", "wide", "plane", "line", "degenerate"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_factors_give_back_the_data(kind: str) -> None:
    X = samples(kind, np.random.default_rng(1))
    span = factor_span(X)
    assert span.rank == np.linalg.matrix_rank(X)
    assert span.C @ span.B == pytest.approx(X, abs=1e-14 * np.abs(X).max())
    assert span.B @ span.B.T == pytest.approx(np.eye(span.rank), abs=1e-14)
    assert span.B.flags.c_contiguous


@pytest.mark.parametrize("spread", [1e-120, 1e-12, 1e12, 1e120])
def test_the_rank_does_not_see_the_scales_of_samples(spread: float) -> None:
    X = samples("degenerate", np.random.default_rng(2))
    scales = np.array([1.0, spread, 1.0, spread, 1.0, 1.0, spread, 1.0])
    plain, scaled = factor_span(X), factor_span(scales[:, None] * X)
    assert plain.rank == scaled.rank == 4
    gap = (scaled.C @ scaled.B) / scales[:, None] - X
    assert np.abs(gap).max() < 1e-14 * np.abs(X).max()


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_row_norms_neither_overflow_nor_vanish(scale: float) -> None:
    A = scale * np.array([[3.0, 4.0], [0.0, 0.0], [-5.0, 12.0]])
    assert row_norms(A) == pytest.approx(scale * np.array([5.0, 0.0, 13.0]), rel=1e-15)
    assert row_norms(np.empty((3, 0))).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_multiples_of_their_normals(kind: str) -> None:
    C = factor_span(samples(kind, np.random.default_rng(4))).C
    surfaces = group_surfaces(C)
    multiples = surfaces.alpha[:, None] * surfaces.normals[surfaces.of_sample]
    assert multiples == pytest.approx(C, abs=1e-14 * np.abs(C).max())
    assert row_norms(surfaces.normals) == pytest.approx(np.ones(surfaces.count))
    assert (surfaces.alpha[surfaces.first_sample] > 0.0).all()
    assert (surfaces.of_sample[surfaces.first_sample] == np.arange(surfaces.count)).all()


def test_repeated_scaled_and_antipodal_samples_share_a_surface() -> None:
    X = np.array([[1.0, 2.0], [0.0, 1.0], [-3.0, -6.0], [1e100, 2e100], [0.0, -1e-100], [1.0, 2.0 + 1e-9]])
    surfaces = group_surfaces(factor_span(X).C)
    assert surfaces.of_sample.tolist() == [0, 1, 0, 0, 1, 2]
    assert np.sign(surfaces.alpha).tolist() == [1, 1, -1, 1, -1, 1]
    assert np.abs(surfaces.alpha) == pytest.approx(row_norms(X), rel=1e-14)


def test_one_input_means_one_surface() -> None:
    surfaces = group_surfaces(factor_span(np.array([[2.0], [-0.5], [1e-9]])).C)
    assert surfaces.count == 1
    assert surfaces.alpha == pytest.approx([2.0, -0.5, 1e-9])


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_margins_from_sides_are_those_of_the_network(kind: str, slope: float) -> None:
    rng = np.random.default_rng(5)
    X = samples(kind, rng)
    y, a = rng.choice([-1.0, 1.0], size=X.shape[0]), rng.normal(size=4)
    W = rng.normal(size=(4, X.shape[1]))
    P = Problem.of(X, y, Network(a, slope), LOSSES["logistic"])
    U = W @ P.span.B.T
    side = np.sign(U @ P.surfaces.normals.T).astype(np.int8)
    z = W @ X.T
    assert P.margins(U, P.sample_sides(side)) == pytest.approx(y * (a @ np.maximum(z, slope * z)), abs=1e-13)


@pytest.mark.parametrize("rank", [2, 5])
def test_what_lies_outside_is_orthogonal_to_the_span_whatever_its_size(rank: int) -> None:
    """To the rounding of itself; where the samples span everything, it is 0 beside the rounding of W."""
    rng = np.random.default_rng(0)
    W, span = rng.normal(size=(4, 5)), factor_span(rng.normal(size=(rank, 5)))
    inside = 1e8 * rng.normal(size=(4, rank)) @ span.B
    outside = span.outside(W + inside)
    expected = W - (W @ span.B.T) @ span.B
    assert np.abs(outside @ span.B.T).max() < 1e-14 * (np.abs(expected).max() if rank < 5 else 1e-7)
    assert outside == pytest.approx(expected, abs=1e-6)


def test_surfaces_are_those_of_all_pairs() -> None:
    """Repeated, opposite, scaled and nearly parallel samples, each compared with each; and many samples in seconds."""
    rng = np.random.default_rng(1)
    near = np.repeat(rng.normal(size=(9, 3)), 6, axis=0) * rng.normal(size=(54, 1))
    corners = rng.choice([-1.0, 1.0], size=(60, 4))
    axes = np.eye(5)[rng.integers(5, size=40)] * rng.normal(size=(40, 1))
    for C in (corners, axes, rng.normal(size=(50, 7)), near * (1.0 + 3e-13 * rng.normal(size=(54, 3)))):
        units, found = C / np.linalg.norm(C, axis=1, keepdims=True), group_surfaces(C)
        apart = [np.linalg.norm(units[:, None] - sign * units[None], axis=2) for sign in (1.0, -1.0)]
        together = found.of_sample[:, None] == found.of_sample[None]
        assert np.array_equal(together, np.minimum(*apart) < 1e-12)
        assert C == pytest.approx(found.alpha[:, None] * found.normals[found.of_sample], abs=1e-11)
    assert group_surfaces(rng.normal(size=(20_000, 30))).count == 20_000


def one_by_one(C: np.ndarray) -> tuple[list[int], list[float]]:
    """The leader and the sign of each sample, by the definition."""
    units = C / np.linalg.norm(C, axis=1, keepdims=True)
    leaders, signs = list[int](), list[float]()
    for i, unit in enumerate(units):
        found, sign = i, 1.0
        for k in range(i):
            apart = [np.linalg.norm(units[k] - each * unit) for each in (1.0, -1.0)]
            if leaders[k] == k and min(apart) < 1e-12:
                found, sign = k, 1.0 if apart[0] < apart[1] else -1.0
                break
        leaders.append(found)
        signs.append(sign)
    return leaders, signs


@pytest.mark.parametrize("size", [0.0, 1e-13, 4e-13, 1e-12, 1e-7])
def test_chains_of_nearly_parallel_samples_are_grouped_by_the_definition(size: float) -> None:
    """Where parallel to rounding is not transitive, each joins the first that has joined no other."""
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(25, 3))[rng.integers(25, size=120)]
    C = (directions + size * rng.normal(size=(120, 3))) * rng.choice([-2.0, -1.0, 1.0, 3.0], size=(120, 1))
    leaders, signs = one_by_one(C)
    found = group_surfaces(C)
    assert found.first_sample[found.of_sample].tolist() == leaders
    assert np.sign(found.alpha).tolist() == signs
    assert np.array_equal(np.sort(found.first_sample), found.first_sample)


def test_a_sample_keeps_the_sign_that_it_has_on_its_own_surface() -> None:
    """Sample 2 is parallel to sample 0, whose surface it is on, and opposite to sample 1, which is not on that one."""
    found = group_surfaces(np.array([[1.0, 0.0], [-1.0, -1.5e-12], [1.0, 0.8e-12]]))
    assert found.of_sample.tolist() == [0, 1, 0] and np.all(found.alpha > 0.0)
