"""What is taken off a neuron that lies on kinks to rounding: nothing along the difference of almost equal normals."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.flow.engine import _taken_off

ANGLE = 2.5e-9
NORMALS = np.array([[1.0, 0.5 * ANGLE, 0.0], [1.0, -0.5 * ANGLE, 0.0]])


def test_the_difference_of_almost_parallel_normals_is_left_open() -> None:
    """z of 1e-8 on one of them is a way of 4 along the difference, which rounding must not take."""
    u = np.array([0.5e-8, 4.0, 3.0])
    assert _taken_off(u, NORMALS, 1e-7) == pytest.approx([0.0, 4.0, 3.0], abs=1e-12)
    assert _taken_off(u, NORMALS, np.inf) == pytest.approx([0.0, 0.0, 3.0], abs=1e-6)


def test_what_is_within_the_tolerance_is_taken_whole() -> None:
    u = np.array([1e-12, 1e-9, 3.0])
    taken = _taken_off(u, NORMALS, 1e-7)
    assert np.abs(NORMALS @ taken).max() < 1e-20 and taken[2] == 3.0


def test_normals_in_all_directions_leave_nothing_and_none_leave_all() -> None:
    u = np.array([1e-17, -2e-17, 3e-18])
    assert not _taken_off(u, np.eye(3), 1e-10).any()
    assert np.array_equal(_taken_off(u, np.zeros((0, 3)), 1e-10), u)
