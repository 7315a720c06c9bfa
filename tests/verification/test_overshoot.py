"""What steps leave of an extreme, where the quantity is known between them."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.verification.overshoot import overshoot


@pytest.mark.parametrize("first", [-1.0, -0.93, -0.8, -0.71, -0.65])
def test_a_parabola_is_missed_by_no_more(first: float) -> None:
    """1 - 3 v^2 at steps of 0.4: the largest value met is at most 3 (0.4 / 2)^2 below 1, which is the bend."""
    v = first + 0.4 * np.arange(6)
    f = 1.0 - 3.0 * v**2
    found = overshoot(np.column_stack([v, f]), v[f.argmax()])
    assert found == pytest.approx(3.0 * 0.2**2, rel=1e-9)
    assert 0.0 <= 1.0 - f.max() <= found * (1.0 + 1e-9)


def test_the_longer_of_two_steps_counts() -> None:
    v = np.array([0.0, 0.1, 0.5])
    assert overshoot(np.column_stack([v, v**2]), 0.1) == pytest.approx(2.0 * 0.4**2 / 8.0)


def test_longer_steps_leave_more() -> None:
    v = np.linspace(0.0, 1.0, 6)
    met = np.column_stack([v, v**2])
    assert overshoot(met, 0.5, longer=3.0) == pytest.approx(2.0 * 0.6**2 / 8.0)
    assert overshoot(met, 0.5, longer=3.0, length=0.8) == pytest.approx(2.0 * 0.8**2 / 8.0)
    assert overshoot(met, 0.5, longer=3.0, length=0.1) == pytest.approx(2.0 * 0.6**2 / 8.0)


def test_what_is_straight_or_known_from_both_sides_leaves_nothing() -> None:
    """A line, and a jump where two stretches meet at one time, which every integration meets."""
    v = np.array([0.0, 1.0, 2.0, 2.0, 3.0, 4.0])
    jump = np.column_stack([v, [0.0, 1.0, 2.0, 100.0, 101.0, 102.0]])
    assert overshoot(jump, 2.0) == pytest.approx(0.0, abs=1e-12)
    assert overshoot(jump[:2], 1.0) == 0.0  # two samples have no curvature
    far = np.column_stack([np.arange(12.0), [0.0] * 9 + [1.0, 0.0, 0.0]])
    assert overshoot(far, 1.0) == 0.0 and overshoot(far, 9.0) == pytest.approx(0.25)
