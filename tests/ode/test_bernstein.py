"""Bernstein coefficients, brackets of first descents against the roots of numpy, and roots inside steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.ode.bernstein import DEPTH, basis, first_descents, from_nodes, nodes
from gflow.ode.locate import root
from tests.ode.known import METHODS, known, started, step_past

Array = NDArray[np.float64]


def in_bernstein_form(power: NDArray[np.floating[Any]]) -> Array:
    """Power coefficients, highest first -> Bernstein coefficients."""
    degree = power.size - 1
    return np.asarray(from_nodes(degree) @ np.polyval(power, nodes(degree)))


@pytest.mark.parametrize("degree", [1, 3, 4, 7])
def test_the_basis_is_a_partition_of_unity_and_reproduces_polynomials(degree: int) -> None:
    theta = np.linspace(0.0, 1.0, 33)
    assert (basis(degree, theta) >= 0.0).all()
    np.testing.assert_allclose(basis(degree, theta).sum(axis=1), 1.0, rtol=1e-14)
    power = np.random.default_rng(degree).normal(size=degree + 1)
    np.testing.assert_allclose(basis(degree, theta) @ in_bernstein_form(power), np.polyval(power, theta), atol=1e-12)


@pytest.mark.parametrize("degree", [1, 4, 7])
def test_end_coefficients_are_end_values(degree: int) -> None:
    power = np.random.default_rng(10 + degree).normal(size=degree + 1)
    ends = in_bernstein_form(power)[[0, -1]]
    np.testing.assert_allclose(ends, np.polyval(power, [0.0, 1.0]), atol=1e-13)


@pytest.mark.parametrize("degree", [3, 4, 7])
def test_the_first_descent_of_random_polynomials_is_bracketed(degree: int) -> None:
    rng = np.random.default_rng(degree)
    powers = [np.poly(rng.uniform(-0.5, 1.5, size=degree)) for _ in range(300)]
    powers = [p if np.polyval(p, 0.0) > 0.0 else -p for p in powers]
    low, high = first_descents(np.array([in_bernstein_form(p) for p in powers]))
    found = 0
    for k, power in enumerate(powers):
        roots = np.sort(np.roots(power).real)
        inside = roots[(roots > 0.0) & (roots < 1.0)]
        if np.diff(inside).min(initial=1.0) < 2.0 ** (1 - DEPTH):
            continue  # a touch, within the resolution that is promised
        assert np.isfinite(low[k]) == bool(inside.size)
        if inside.size:  # it starts positive, so the first root goes down
            found += 1
            assert low[k] - 1e-7 <= inside[0] <= high[k] + 1e-7
            assert high[k] - low[k] == 2.0**-DEPTH
    assert found > 100


def test_two_crossings_inside_one_step_are_seen() -> None:
    """Positive at both ends: a test of signs at the ends would miss it."""
    low, high = first_descents(in_bernstein_form(np.poly([0.70, 0.71]))[None])
    assert low[0] <= 0.70 <= high[0]


def test_a_guard_that_starts_at_zero_and_rises_does_not_fire_at_once() -> None:
    rising = in_bernstein_form(np.array([1.0, 1.0, 0.0]))
    returning = in_bernstein_form(np.array([-1.0, 0.6, 0.0]))  # theta (0.6 - theta)
    low, high = first_descents(np.array([rising, returning]))
    assert np.isinf(low[0]) and np.isinf(high[0])
    assert low[1] <= 0.6 <= high[1] and low[1] > 0.5


def test_a_touch_is_no_descent() -> None:
    low, _ = first_descents(in_bernstein_form(np.poly([0.3, 0.3]))[None] + 1e-12)
    assert np.isinf(low[0])


def test_tiny_values_keep_their_signs() -> None:
    """Products of these underflow; signs are compared, not multiplied."""
    low, high = first_descents(np.array([[2e-200, -1e-200]]))
    assert low[0] <= 2.0 / 3.0 <= high[0]


@pytest.mark.parametrize("at", [0.5, 0.25, 0.75, 3.0 / 1024.0])
@pytest.mark.parametrize("degree", [1, 4, 7])
def test_a_root_that_falls_on_a_halving_is_not_lost(degree: int, at: float) -> None:
    """The line from at to at - 1: exactly zero where two pieces meet, which belongs to neither inside."""
    line = at - np.arange(degree + 1) / degree
    line[np.abs(line) < 1e-15] = 0.0
    low, high = first_descents(line[None])
    assert low[0] - 1e-12 <= at <= high[0] + 1e-12


def test_a_guard_that_is_zero_at_the_end_of_one_step_fires_in_the_next() -> None:
    """Guards start lifted above zero, so one that stands at zero when a step begins has come down to it."""
    low, high = first_descents(np.array([[0.0, -1.0, -2.0], [1.0, 0.5, 0.0]]))
    assert min(low[0], low[1]) <= 1.0


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("bracket", [(0.0, 1.0), (0.0, 1e-3), (0.999, 1.0)])
def test_a_root_is_found_on_the_states_of_the_method(name: str, bracket: tuple[float, float]) -> None:
    """cos t = 0 at pi / 2, from right and from wrong brackets; the state returned is the state at the time returned."""
    stepper = started(name, known(1e-11), 1e-3)
    step = step_past(stepper, np.pi / 2.0)[-1]
    hit = root(stepper, step, lambda y: float(y[2]), *bracket, resolution=1e-15)
    assert hit is not None
    assert hit[0] == pytest.approx(np.pi / 2.0, abs=1e-9)
    assert abs(hit[1][2]) < 1e-14
    np.testing.assert_array_equal(stepper.state_at(hit[0]), hit[1])


@pytest.mark.parametrize("name", METHODS)
def test_no_root_where_the_value_stays_positive(name: str) -> None:
    stepper = started(name, known(1e-9), 1e-3)
    step = stepper.step()
    assert root(stepper, step, lambda y: float(y[2]), 0.2, 0.3, resolution=1e-15) is None
