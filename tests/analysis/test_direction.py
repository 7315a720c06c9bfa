"""Angles to the limit: their size, their rates, and the bound that a proof gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.analysis.direction import direction
from tests.analysis.runs import gaussian


def test_angles_against_the_weights_themselves(tmp_path: Path) -> None:
    run = gaussian(tmp_path, 1e3)
    result = direction(run)
    limit = run.limit
    assert limit is not None and result.angle is not None
    W_limit = limit.U @ run.problem.span.B
    for row, angle in zip((0, 20, 39), result.angle[[0, 20, 39]], strict=True):
        W = run.trajectory.weights(row)
        cosine = np.sum(W * W_limit) / np.linalg.norm(W) / np.linalg.norm(W_limit)
        assert angle == pytest.approx(np.arccos(cosine), abs=1e-7)
    assert result.angle_to_limit == result.angle[-1]


def test_rates(tmp_path: Path) -> None:
    """The angle of W falls like 1 / log t; the velocity's far faster."""
    result = direction(gaussian(tmp_path, 1e5))
    assert result.verdict == "proved"
    assert result.log_rate == pytest.approx(1.0, abs=0.02)
    assert result.velocity_angle is not None and result.angle_to_limit is not None
    assert result.velocity_angle < 1e-4 * result.angle_to_limit


def test_the_bound_holds_later_on(tmp_path: Path) -> None:
    """The angle stays below the bound from the row of the proof on, and the bound is not idle."""
    near, far = direction(gaussian(tmp_path / "a", 1e3)), direction(gaussian(tmp_path / "b", 1e6))
    assert near.angle_bound is not None and near.distance_bound is not None
    assert far.log1p_time is not None and far.angle is not None and near.angle_to_limit is not None
    later = far.angle[far.log1p_time > np.log1p(np.exp(1e2)) * 10]
    assert later.size > 5 and (later <= near.angle_bound).all()
    assert near.angle_to_limit <= near.angle_bound <= 10.0 * near.angle_to_limit


def test_no_bound_without_a_proof(tmp_path: Path) -> None:
    result = direction(gaussian(tmp_path, 2.0))
    assert result.angle_bound is None and result.distance_bound is None
    assert result.verdict == "proved"  # of the limit, which was found ahead
