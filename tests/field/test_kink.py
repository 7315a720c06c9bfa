"""What a neuron does at a kink: the table of one surface, and consistency of the sides at several."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from gflow.field.clarke import box_least_norm
from gflow.field.faces import sides_after
from gflow.field.hull import cells, independent
from gflow.field.kink import Kink, settle

Array = NDArray[np.float64]
Sides = NDArray[np.int8]
SCALES = [1.0, 1e-6, 1e-12, 1e-100]


def one(
    minus: float, plus: float, onward: int, minus_dot: float = 0.0, plus_dot: float = 0.0, scale: float = 1.0
) -> int:
    """The side after a single surface whose switching function has these rates on its two branches."""
    kink = Kink(
        np.eye(1), np.array([minus * scale]), np.array([minus_dot * scale]), np.array([(plus - minus) * scale]),
        np.array([(plus_dot - minus_dot) * scale]), np.array([onward], dtype=np.int8), 1e-13 * scale, 1e-13 * scale,
    )  # fmt: skip
    return int(settle(kink)[0])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("minus, plus, onward, side", [
    (2.0, 1.0, 1, 1), (2.0, 1.0, 0, 1),  # trapping, both up
    (-1.0, -2.0, -1, -1), (-1.0, -2.0, 0, -1),  # trapping, both down
    (1.0, -1.0, 1, 0), (1.0, -1.0, -1, 0), (1.0, -1.0, 0, 0),  # trapping between: slide, from wherever
    (1.0, 2.0, 1, 1), (1.0, 2.0, 0, 1),  # pushing, both up
    (-2.0, -1.0, -1, -1), (-2.0, -1.0, 0, -1),  # pushing, both down
    (-1.0, 1.0, 0, 0),  # pushing apart, no past: the minimum norm rests
    (1.0, 1.0, 0, 1), (-1.0, -1.0, 0, -1), (0.0, 0.0, 0, 0),  # no jump at all
    (0.0, -1.0, -1, 0), (0.0, -1.0, 0, 0),  # ReLU neuron of the wrong sign: absorbed
])  # fmt: skip
def test_the_table_of_one_surface(minus: float, plus: float, onward: int, side: int, scale: float) -> None:
    assert one(minus, plus, onward, scale=scale) == side


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("other_dot", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize("dot, leaves", [(1.0, True), (0.0, False), (-1.0, False)])
def test_a_tie_is_broken_by_the_derivative_along_the_flow(
    dot: float, leaves: bool, other_dot: float, scale: float
) -> None:
    """The branch whose rate is exactly 0 lets the neuron go if that rate moves outwards, and holds it otherwise."""
    assert one(1.0, 0.0, 0, minus_dot=other_dot, plus_dot=dot, scale=scale) == (1 if leaves else 0)
    assert one(0.0, -1.0, 0, minus_dot=-dot, plus_dot=other_dot, scale=scale) == (-1 if leaves else 0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("onward", [-1, 0, 1])
@pytest.mark.parametrize("jump", [-1e-15, 0.0, 1e-15])
@pytest.mark.parametrize("jump_dot", [-1e-16, 1e-16])
def test_a_jump_within_rounding_pushes_nobody_on(jump_dot: float, jump: float, onward: int, scale: float) -> None:
    """Repeated samples of opposite label, f at rest between them: neither branch moves; the past must not decide."""
    assert one(0.0, jump, onward, plus_dot=jump_dot, scale=scale) == 0
    assert one(2.0, 2.0 + jump, onward, plus_dot=jump_dot, scale=scale) == 1  # a clear rate does


@pytest.mark.parametrize("jump", [-1e-15, -1e-300, 0.0, 1e-300, 1e-15])
def test_a_jump_that_turns_from_trapping_to_pushing_lets_the_neuron_rest(jump: float) -> None:
    """ReLU, repeated samples of opposite labels: both rates are zero at that instant and the + rate will grow.

    From then on the least element of [0, w] is 0; rounding of the jump must not decide between rest and departure.
    """
    assert one(0.0, jump, 0, minus_dot=0.0, plus_dot=1.0) == 0


def arrival(seed: int, k: int, trapping: bool) -> tuple[Kink, Sides]:
    """k surfaces in R^(k+2), met at once by a neuron that comes from a side of each whose field brings it there."""
    rng = np.random.default_rng(seed)
    while True:
        normals = rng.normal(size=(k, k + 2))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        jump = -rng.random(k) if trapping else rng.normal(size=k)
        drift = 1.5 * rng.normal(size=k + 2)
        before = rng.choice(np.array([-1, 1], dtype=np.int8), size=k)
        rates = normals @ (drift + np.where(before > 0, jump, 0.0) @ normals)
        if (before * rates < 0.0).all():
            zero = np.zeros(k)
            return Kink(normals, drift, np.zeros(k + 2), jump, zero, -before, 1e-13, 1e-13), before


def motion(kink: Kink, sides: Sides) -> tuple[Array, Array]:
    """Filippov's velocity on these sides, and the share force (k,) that sliding surfaces need."""
    on_minus = kink.drift + np.where(sides > 0, kink.jump, 0.0) @ kink.normals
    held = kink.normals[sides == 0]
    force = np.zeros(sides.size)
    force[sides == 0] = -np.linalg.pinv(held).T @ on_minus
    return on_minus + force @ kink.normals, force


@pytest.mark.parametrize("trapping", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(12))
def test_the_sides_agree_with_the_motion_they_imply(seed: int, k: int, trapping: bool) -> None:
    kink, _ = arrival(1000 * k + seed, k, trapping)
    sides = settle(kink)
    velocity, force = motion(kink, sides)
    rates = kink.normals @ velocity
    assert (sides[sides != 0] * rates[sides != 0] > 0.0).all()
    sliding = sides == 0
    assert rates[sliding] == pytest.approx(0.0, abs=1e-12)
    share = force[sliding] / kink.jump[sliding]
    assert (share >= -1e-12).all() and (share <= 1.0 + 1e-12).all()


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_filippov_is_the_least_element_of_clarke(seed: int, k: int, scale: float) -> None:
    """Three routes to one velocity: the projector on the sides chosen, our pivoting, scipy on normalised data."""
    plain, _ = arrival(77 * k + seed, k, trapping=True)
    kink = Kink(
        plain.normals, scale * plain.drift, plain.drift_dot, scale * plain.jump, plain.jump_dot, plain.onward,
        scale * 1e-13, scale * 1e-13,
    )  # fmt: skip
    velocity, _ = motion(kink, settle(kink))
    low, high = np.minimum(kink.jump, 0.0), np.maximum(kink.jump, 0.0)
    best = box_least_norm(kink.normals @ kink.normals.T, kink.normals @ kink.drift, low, high)
    scipys = lsq_linear(plain.normals.T, -plain.drift, (low / scale, high / scale), method="bvls", tol=1e-15)
    size = scale * float(np.linalg.norm(plain.drift))
    assert velocity == pytest.approx(kink.drift + best.sigma @ kink.normals, abs=1e-13 * size)
    assert velocity == pytest.approx(scale * (plain.drift + scipys.x @ plain.normals), abs=1e-10 * size)


def test_a_pushing_surface_turned_by_another_goes_where_its_rate_points() -> None:
    """It was moving up; the trapping surface met at the same instant turns its rate round."""
    normals = np.array([[1.0, 0.0], [0.8, 0.6]])
    drift, jump = np.array([0.1, 2.0]), np.array([0.05, -5.0])
    kink = Kink(normals, drift, np.zeros(2), jump, np.zeros(2), np.array([1, 1], dtype=np.int8), 1e-13, 1e-13)
    sides = settle(kink)
    velocity, _ = motion(kink, sides)
    assert sides.tolist() == [-1, 0]
    assert normals[0] @ velocity < 0.0


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-8, 1e-9])
def test_almost_parallel_surfaces_are_settled(gap: float) -> None:
    """Whatever the threshold of independence: the problem handed to the quadratic program has to be one it solves."""
    normals = np.array([[1.0, 0.0, 0.0], [np.cos(gap), np.sin(gap), 0.0]])
    past = np.zeros(2, dtype=np.int8)
    kink = Kink(normals, np.array([0.7, 0.2, 0.4]), np.zeros(3), -np.ones(2), np.zeros(2), past, 1e-13, 1e-13)
    sides, _, _ = sides_after(kink, None if independent(normals) else cells(normals))
    assert (np.abs(sides) <= 1).all()
