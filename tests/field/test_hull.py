"""Kinks with dependent normals: the cells of the arrangement, and the least element of a hull, by brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from math import comb
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.faces import settle_dependent, sides_after
from gflow.field.hull import NEARLY_DEPENDENT, cells, independent, least_norm_in_hull, velocities
from gflow.field.kink import Kink
from tests.field.arrangements import hostile, inside, width
from tests.reference.plain_hull import room_in_hull, seen_cells

Array = NDArray[np.float64]
THREE = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])


def unit(seed: int, k: int, r: int) -> Array:
    """k random unit normals (k, r)."""
    normals = np.random.default_rng(seed).normal(size=(k, r))
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True))


def kink_of(normals: Array, drift: Array, jump: Array) -> Kink:
    """A kink without a past and without a second order."""
    zero = np.zeros(jump.size)
    past = np.zeros(jump.size, dtype=np.int8)
    return Kink(normals, drift, np.zeros_like(drift), jump, zero, past, 1e-13, 1e-13)


def nearest_by_faces(points: Array) -> Array:
    """Least element of the hull of points (c, r) over all affine pieces of at most r + 1 points."""
    best = points[np.argmin(np.linalg.norm(points, axis=1))]
    for size in range(2, points.shape[1] + 2):
        for chosen in combinations(range(points.shape[0]), size):
            P = points[list(chosen)]
            weights = _affine(P)
            if weights.min() >= -1e-12 and np.linalg.norm(weights @ P) < np.linalg.norm(best):
                best = weights @ P
    return np.asarray(best)


def _affine(P: Array) -> Array:
    """Weights (s,) with sum 1 of the least element of the affine hull."""
    s = P.shape[0]
    system = np.block([[P @ P.T, np.ones((s, 1))], [np.ones((1, s)), np.zeros((1, 1))]])
    return np.asarray(np.linalg.lstsq(system, np.append(np.zeros(s), 1.0), rcond=1e-12)[0][:s])


def test_derivatives_whose_squares_underflow_do_not_decide() -> None:
    """Three surfaces of the plane, all rates clear: the sides are theirs, however small the derivatives are."""
    jump = np.full(3, 1e-9)
    plain = kink_of(THREE, np.array([1.0, 0.2]), jump)
    tiny = replace(plain, drift_dot=np.array([-1e-219, -1e-219]), jump_dot=np.full(3, 1e-231))
    expected = np.sign(THREE @ plain.drift).astype(np.int8)
    sides, exact, _ = settle_dependent(tiny, cells(THREE))
    assert exact and (sides == expected).all()


def test_the_cells_of_independent_normals_are_all_patterns() -> None:
    found = cells(unit(7, 8, 8))
    assert found is not None and len(found) == 2**8 == len(np.unique(found, axis=0))


def test_the_work_for_cells_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more surface than inputs: ray by ray down to single surfaces there would be 8! 2^8 factorisations."""
    counted = Mock(wraps=np.linalg.svd)
    monkeypatch.setattr(np.linalg, "svd", counted)
    found = cells(unit(8, 9, 8))
    assert found is not None and len(found) == 510 and counted.call_count <= 200


@pytest.mark.parametrize("k, r", [(3, 2), (5, 2), (4, 3), (6, 3), (6, 4), (3, 3), (2, 5)])
def test_generic_normals_have_the_number_of_cells_of_the_theorem(k: int, r: int) -> None:
    """Schlaefli: k hyperplanes in general position through the origin of R^r cut 2 sum_{i < r} C(k - 1, i) cells."""
    found = cells(unit(k * 10 + r, k, r))
    assert found is not None
    assert len(found) == 2 * sum(comb(k - 1, i) for i in range(r))
    assert len(np.unique(found, axis=0)) == len(found)


@pytest.mark.parametrize("seed", range(4))
def test_cells_are_those_that_random_directions_meet(seed: int) -> None:
    normals = unit(seed, 5, 3)
    normals[3] = (normals[0] + normals[1]) / np.linalg.norm(normals[0] + normals[1])
    found = cells(normals)
    assert found is not None
    ours = {tuple(p) for p in found.tolist()}
    assert {tuple(p) for p in seen_cells(normals).tolist()} <= ours
    assert {tuple(-p for p in cell) for cell in ours} == ours


def test_too_many_cells_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gflow.field.hull.MOST_CELLS", 16)
    four = cells(np.eye(4))
    assert four is not None and len(four) == 16
    assert cells(np.eye(5)) is None


@pytest.mark.parametrize("normals, answer", [(np.eye(3), True), (THREE, False), (THREE[:1], True), (THREE[:2], True)])
def test_independence(normals: Array, answer: bool) -> None:
    assert independent(normals) == answer


@pytest.mark.parametrize("r", [1, 2, 3])
@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0, 5.0])
def test_the_least_element_of_a_hull_is_that_of_its_faces(r: int, shift: float) -> None:
    points = np.random.default_rng(int(10 * shift) + r).normal(size=(7, r))
    points[:, 0] += shift
    found = least_norm_in_hull(points)
    if room_in_hull(points) > 1e-9:
        assert not found.any()
    else:
        assert found == pytest.approx(nearest_by_faces(points), abs=1e-10)
        assert (points @ found >= found @ found - 1e-10).all()


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1e-12, 1e12, 1e100])
def test_the_least_element_of_a_hull_has_no_scale(scale: float) -> None:
    points = np.array([[1.0, 2.0], [2.0, -1.0], [3.0, 0.5]])
    assert least_norm_in_hull(scale * points) == pytest.approx(scale * least_norm_in_hull(points), rel=1e-12)
    around = np.array([[1.0, 2.0], [2.0, -3.0], [-3.0, 0.5]])
    assert not least_norm_in_hull(scale * around).any()


def test_a_zero_velocity_counts_as_the_least() -> None:
    assert not least_norm_in_hull(np.zeros((4, 2))).any()
    assert not least_norm_in_hull(np.array([[1.0, 0.0], [0.0, 0.0]])).any()


@pytest.mark.parametrize("drift, jump, sides", [
    (0.0, [-1.0, -1.0, -1.0], [0, 0, 0]),  # all three push home
    (0.0, [-1.0, -1e-3, -1e-3], [0, 0, 0]),  # cells where one is off still hold 0 (0 is a velocity of no cell)
    (5.0, [-1.0, -1.0, -1.0], [1, -1, -1]),  # carried off along the first normal
    (-5.0, [-1.0, -1.0, -1.0], [-1, 1, 1]),
])  # fmt: skip
def test_three_trapping_kinks_in_a_plane(drift: float, jump: list[float], sides: list[int]) -> None:
    """Leaky-like: the drift counts the - branches; 0 = sum of the normals, so equal jumps cancel to a drift."""
    base = -0.5 * np.array(jump) @ THREE + drift * THREE[0]
    kink = kink_of(THREE, base, np.array(jump))
    after, exact, _ = sides_after(kink, cells(THREE))
    assert exact
    assert after.tolist() == sides


@pytest.mark.parametrize("seed", range(30))
def test_the_ray_taken_agrees_with_the_field_on_it(seed: int) -> None:
    """The sides chosen give a velocity that goes where they say; all zero exactly if the hull holds 0."""
    rng = np.random.default_rng(seed)
    normals = unit(seed, 4, 2)
    patterns = cells(normals)
    assert patterns is not None
    kink = kink_of(normals, rng.normal(size=2), -rng.random(4))
    fields = velocities(kink, patterns)
    after, exact, _ = settle_dependent(kink, patterns)
    assert exact
    if not after.any():
        assert room_in_hull(fields) > -1e-9
        return
    assert not room_in_hull(fields) > 1e-9
    velocity = kink.drift + np.where(after > 0, kink.jump, 0.0) @ normals
    held = normals[after == 0]
    velocity = velocity - np.linalg.pinv(held) @ (held @ velocity)
    rates = normals @ velocity
    assert (after[after != 0] * rates[after != 0] > 0.0).all()


def test_uncounted_cells_fall_back_on_the_box_and_say_so() -> None:
    after, exact, _ = settle_dependent(kink_of(THREE, np.zeros(2), -np.ones(3)), None)
    assert not exact
    assert not after.any()


@pytest.mark.parametrize("seed", range(60))
def test_cells_of_degenerate_arrangements_are_those_with_room(seed: int) -> None:
    """All sign patterns: what is found has an exact point inside; what a linear programme gives room to is found."""
    normals = hostile(seed, most=6, rank=4)
    k, r = normals.shape
    found = cells(normals)
    assert found is not None
    ours = {tuple(pattern) for pattern in found.tolist()}
    for pattern in product((-1, 1), repeat=k):
        walls = np.array(pattern)[:, None] * normals
        nearest = least_norm_in_hull(walls)
        if pattern in ours:
            assert inside(walls, nearest) or inside(walls, width(walls)[1])
        else:
            assert width(walls)[0] < 2.0 * r**0.5 * NEARLY_DEPENDENT


@pytest.mark.parametrize("seed", range(120))
def test_no_arrangement_is_too_much(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any normals, any field: no exception, one programme for each side of each cell at most, opposite cells paired."""
    normals = hostile(seed)
    k, r = normals.shape
    counted = Mock(wraps=least_norm_in_hull)
    monkeypatch.setattr("gflow.field.hull.least_norm_in_hull", counted)
    patterns = cells(normals)
    if patterns is not None:
        assert counted.call_count <= max(1, len(patterns)) * k
        assert {tuple(p) for p in patterns.tolist()} == {tuple(p) for p in (-patterns).tolist()}
    rng = np.random.default_rng([seed, 1])
    size = float(10.0 ** rng.uniform(-100, 100))
    drifts, jumps = size * rng.standard_normal((2, r)), size * rng.standard_normal((2, k))
    past = np.zeros(k, dtype=np.int8)
    sides, exact, _ = sides_after(
        Kink(normals, drifts[0], drifts[1], jumps[0], jumps[1], past, 1e-14 * size, 0), patterns
    )
    assert sides.shape == (k,) and (exact or not sides.any())


def test_a_bundle_of_surfaces_is_one_to_rounding() -> None:
    """Copies of one normal that differ by rounding have two cells, whatever their number; so have nearly equal ones."""
    rng = np.random.default_rng(0)
    for spread in (0.0, 1e-16, 1e-12, 1e-9):
        rows = np.array([0.6, 0.8, 0.0]) + spread * rng.standard_normal((9, 3))
        found = cells(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        assert found is not None and found.tolist() == [[-1] * 9, [1] * 9]


@pytest.mark.parametrize("distance", [1e-4, 1e-7, 1e-9, 1e-10])
@pytest.mark.parametrize("size", [1e-150, 1.0, 1e150])
def test_a_hull_near_0_is_as_far_as_it_is(distance: float, size: float) -> None:
    """The segment from (d, 1) to (d, -2), beside points further off: its nearest point is (d, 0)."""
    points = size * np.array([[distance, 1.0], [distance, -2.0], [3.0, 0.5], [1.0, 1.0]])
    nearest = least_norm_in_hull(points)
    assert nearest[0] / size == pytest.approx(distance, abs=1e-14) and abs(nearest[1]) < 1e-14 * size
