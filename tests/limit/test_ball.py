"""Bounds over a ball of the divergence: what must not be proved, and the allowance for a centre that is not exact."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.limit.ball import CENTRE, Ball
from gflow.limit.divergence import coordinate_range, lower_bounds
from gflow.limit.hard_margin import margin_of_features
from gflow.limit.switches import Switches

Array = NDArray[np.float64]


def ball(H: Array, p: Array) -> Ball:
    hard = margin_of_features(H, np.zeros(len(H)))
    assert hard is not None
    found = Ball.of(hard, H @ H.T, np.zeros((len(H), len(H))), p, 0.0, exponential=True)
    assert found is not None
    return found


def unproved(ball: Ball, F: list[float], slides: bool, room: float = 1e3) -> int:
    row, one = np.array([F]), np.zeros(1, dtype=np.intp)
    block = Switches(row, np.zeros_like(row), one, one, np.array([slides]))
    return int(ball.judge(block, np.zeros(1), np.array([[room]]), np.zeros((1, 1)))[1].sum())


def test_a_sample_of_margin_1_and_multiplier_0_that_decides() -> None:
    """Its mass is infinite in all time, however slowly it comes: nothing is safe that only it moves back."""
    weak = ball(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([10.0, 40.0]))  # lambda = (1, 0), both margins 1
    assert unproved(weak, [0.0, -1.0], slides=False) == 1
    assert unproved(weak, [1.0, -1.0], slides=False) == 0
    above = ball(np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([10.0, 40.0]))  # the second margin is 2
    assert unproved(above, [0.0, -1.0], slides=False) == 0
    assert unproved(above, [0.0, -1.0], slides=False, room=1e-30) == 1


def test_a_share_that_tends_to_its_bound_is_not_proved() -> None:
    """However much room a pair off its kink would have."""
    here = ball(np.eye(2), np.array([50.0, 50.0]))
    assert unproved(here, [1.0, -1.0], slides=True) == 1
    assert unproved(here, [1.0, -1.0 + 1e-12], slides=True) == 1
    assert unproved(here, [1.0, -0.9], slides=True) == 0


def test_a_bound_that_is_no_number_proves_nothing() -> None:
    here = ball(np.eye(2), np.array([50.0, 50.0]))
    assert unproved(here, [np.nan, -1.0], slides=True) == 1
    assert unproved(here, [1.0, -1.0], slides=False, room=float("nan")) == 1


def least(f: Array, x: Array, D: float) -> float:
    """min f.q over KL(x || q) <= D by its dual, mu on a fine grid."""
    mu = f.min() - np.geomspace(1e-9, 1e6, 4001)
    return float((mu + np.exp(-D + np.log(f[:, None] - mu).T @ x)).max())


def test_the_allowance_for_an_inexact_centre() -> None:
    """The bound around q, less CENTRE 2 max |f| |x - q|, holds around x; without CENTRE it does not."""
    rng, short = np.random.default_rng(0), 0
    for _ in range(300):
        n = int(rng.integers(2, 5))
        f, q = rng.standard_normal(n), rng.dirichlet(np.ones(n) * 10.0 ** rng.uniform(-1.0, 1.0)) + 1e-13
        q /= q.sum()
        x = 0.98 * q
        x[np.argmin(f)] += 0.02
        D, shift = 10.0 ** rng.uniform(-4.0, 0.5), float(np.abs(x - q).sum())
        bound, allowed = lower_bounds(f[None], q, D)[0], 2.0 * float(np.abs(f).max()) * shift
        assert least(f, x, D) >= bound - CENTRE * allowed - 1e-7  # the grid of mu
        short += least(f, x, D) < bound - allowed - 1e-7
    assert short


@pytest.mark.parametrize("D", [1e-12, 1e-6, 1e-2, 1.0])
def test_ends_of_a_coordinate_rise_with_the_centre(D: float) -> None:
    """So that those of an interval of centres are at its ends; down to components of 1e-12."""
    x = np.geomspace(1e-12, 0.999, 200)
    low, high = coordinate_range(x, D)
    assert (np.diff(low) > 0.0).all() and (np.diff(high) >= -1e-9).all()  # rounded up by so much
    assert (low <= np.log(x)).all() and (high >= np.log(x)).all()


def test_a_centre_that_is_not_exact_has_wider_ends() -> None:
    """A relative error of a tiny component counts as often as the log of q may fall."""
    q, shift, D = np.array([1e-12, 1.0 - 1e-12]), np.array([1e-16, 0.0]), 1e-5
    low = coordinate_range(q, D, shift)[0]
    moved = coordinate_range(q - shift, D)[0]
    assert low[0] <= moved[0] < coordinate_range(q, D)[0][0] - 100.0
