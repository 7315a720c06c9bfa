"""When a neuron is due: a bound on the earliest time at which one of its pairs can reach its kink."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from gflow.taylor.guards import used_up


def by_decimals(spare: float, inward: float, growth: float) -> float:
    """The positive root of spare - inward t - growth t^2, with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        c, b, a = Decimal(spare), Decimal(inward), Decimal(growth)
        return float((-b + (b * b + 4 * a * c).sqrt()) / (2 * a))


@pytest.mark.parametrize("inward", [-1.0, -1e-9, 0.0, 1e-9, 1.0])
@pytest.mark.parametrize("spare", [1.0, 1e-8, 1e-17, 1e-120])
@pytest.mark.parametrize("growth", [1e3, 1e-3, 1e-20])
def test_it_is_the_root_to_rounding(spare: float, inward: float, growth: float) -> None:
    assert used_up(spare, inward, growth) == pytest.approx(by_decimals(spare, inward, growth), rel=1e-14)


def test_a_pair_that_just_left_its_kink_is_due_again() -> None:
    """It moves away from it, with a room of rounding, and comes back as soon as q can have turned its rate.

    Control: the form for pairs that come nearer divides by a difference that is 0 here, as if they never came back.
    """
    spare, inward, growth = 1e-17, -1.0, 0.5
    assert inward + np.sqrt(inward * inward + 4.0 * growth * spare) == 0.0
    assert used_up(spare, inward, growth) == pytest.approx(2.0)


def test_the_ends() -> None:
    assert used_up(0.0, 0.0, 1.0) == used_up(0.0, 1.0, 0.0) == 0.0
    assert used_up(1.0, -1.0, np.inf) == used_up(0.0, 0.0, np.inf) == 0.0
    assert used_up(1.0, 0.5, 0.0) == 2.0
    assert used_up(1.0, -1.0, 0.0) == used_up(1.0, 0.0, 0.0) == np.inf
