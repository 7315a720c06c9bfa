"""The first root that goes down, against polynomials whose roots are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import polynomial

from gflow.taylor.polynomial import MOST, first_descent, integral, rate, roots, value

WORK = roots()


def padded(c: np.ndarray) -> np.ndarray:
    return np.append(np.asarray(c, dtype=float), np.zeros(MOST + 3 - len(c)))


def descent(c: np.ndarray, hi: float = 1.0) -> float:
    return first_descent(padded(c), len(c) - 1, hi, WORK)


def with_roots(*at: float) -> np.ndarray:
    """Positive at 0, and 0 at these positive numbers only."""
    c = polynomial.polyfromroots(at)
    return np.asarray(c * np.sign(c[0]))


def test_value_rate_and_integral_are_those_of_numpy() -> None:
    c = np.random.default_rng(0).standard_normal(9)
    assert value(padded(c), 8, 0.3) == pytest.approx(polynomial.polyval(0.3, c), rel=1e-14)
    assert rate(padded(c), 8, 0.3) == pytest.approx(polynomial.polyval(0.3, polynomial.polyder(c)), rel=1e-14)
    assert integral(padded(c), 8, 0.3) == pytest.approx(polynomial.polyval(0.3, polynomial.polyint(c)), rel=1e-14)


@pytest.mark.parametrize("seed", range(50))
def test_the_first_of_several_roots_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = np.sort(rng.uniform(0.05, 1.5, size=rng.integers(1, 5)))
    if np.diff(at, prepend=0.0).min() < 1e-3:
        return
    found = descent(with_roots(*at))
    expected = at[0] if at[0] <= 1.0 else np.inf
    assert found == pytest.approx(expected, rel=1e-9)


def test_two_crossings_in_one_step_do_not_hide() -> None:
    """Both ends are positive, so a look at the ends alone would see nothing."""
    c = with_roots(0.5, 0.5004)
    assert value(padded(c), 2, 0.0) > 0.0 and value(padded(c), 2, 1.0) > 0.0
    assert descent(c) == pytest.approx(0.5, abs=1e-9)


def test_a_touch_is_no_crossing_and_positive_polynomials_have_none() -> None:
    assert descent(with_roots(0.3, 0.3)) == np.inf
    assert descent(np.array([1.0, -1.0, 0.3])) == np.inf


def test_what_is_zero_at_the_start_and_goes_up_crosses_when_it_comes_back() -> None:
    assert descent(np.array([0.0, 1.0, -4.0])) == pytest.approx(0.25, rel=1e-14)


def test_a_root_is_found_to_its_last_digits() -> None:
    """cos u = u to degree 24; a root known to 1e-15."""
    factorial = np.cumprod(np.append(1.0, np.arange(1.0, MOST + 1.0)))
    c = np.array([(1.0, 0.0, -1.0, 0.0)[k % 4] / factorial[k] for k in range(MOST + 1)])
    c[1] = -1.0
    assert descent(c) == pytest.approx(0.7390851332151607, rel=4e-16)


def test_beyond_the_interval_nothing_is_found() -> None:
    assert descent(with_roots(0.5), hi=0.4) == np.inf
    assert descent(with_roots(0.5), hi=0.6) == pytest.approx(0.5)
