"""Margins far below the rounding of a kernel, against closed forms; and when it may be said that there are none."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.field.mode import DualMode
from gflow.limit.certificate import ModeLimit
from gflow.limit.hard_margin import hard_margin, margin_of_features
from tests.flow.driver import problem_of
from tests.reference.setting import Setting


@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-10, 1e-12])
def test_almost_opposite_features(gap: float) -> None:
    """h = (+-1, gap): lambda = 1 / (2 gap^2) each; the kernel does not see gaps below 1e-8."""
    H = np.array([[1.0, gap], [-1.0, gap]])
    found = margin_of_features(H, np.zeros(2))
    assert found is not None and found.unique and found.certain
    exact = 0.5 / gap**2
    assert (np.abs(found.multipliers - exact) <= np.minimum(found.error, 1e-4 * exact)).all()
    assert abs(found.w - [0.0, 1.0 / gap]).max() <= found.w_error <= 0.1 / gap
    if gap < 1e-8:
        assert hard_margin(H @ H.T) is None


@pytest.mark.parametrize(("gap", "said"), [(0.0, "have all margins positive"), (1e-15, "were found")])
def test_no_margins_is_said_only_where_it_is_proved(gap: float, said: str) -> None:
    X = np.array([[1.0, 0.0], [1.0, gap], [0.3, 1.0]])
    problem = problem_of(Setting(X, np.array([1.0, -1.0, 1.0]), np.array([1.0, -1.0]), 0.5, "exponential"))
    side = np.ones((2, problem.surfaces.count), dtype=np.int8)
    limit = ModeLimit(problem, DualMode(problem, side))
    assert limit.hard is None and said in limit._no_limit
