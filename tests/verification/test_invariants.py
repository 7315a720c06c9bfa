"""What invariants leave to rounding."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.verification.invariants import moved_onto_kinks


def test_a_start_on_almost_parallel_kinks_moves_by_their_condition() -> None:
    """Normals at an angle of 1e-8 have the singular values sqrt(1 +- cos); one kink, or none, moves nothing further."""
    angle = 1e-8
    units = np.array([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
    W = np.array([[0.0, 0.0, 2.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    assert moved_onto_kinks(units, W) == pytest.approx([np.sqrt(2.0) / angle, 1.0, 1.0], rel=1e-6)
