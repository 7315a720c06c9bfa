"""The losses against 60-digit arithmetic, from margins of -1e300 to 1e300."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES, log_mean

Array = NDArray[np.float64]
SIZES = [0.0, 1e-300, 1e-18, 1e-9, 1e-3, 0.5, 1.0, 5.0, 29.999, 30.0, 30.001, 36.0, 40.0, 100.0, 700.0, 750.0, 1e4]
MARGINS = [sign * size for size in SIZES for sign in (1.0, -1.0)]


def exactly(name: str, p: float) -> tuple[float, float, float]:
    """log l(p), log g(p) and d log g / dp."""
    with localcontext() as context:
        context.prec = 60 + int(abs(p))
        if name == "exponential":
            return -p, -p, -1.0
        e = Decimal(-p).exp()
        value = (1 + e).ln()
        return float(value.ln()), float((e / (1 + e)).ln()), float(-1 / (1 + e))


@pytest.mark.parametrize("p", [p for p in MARGINS if abs(p) <= 750.0])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_formulas_have_all_their_digits(name: str, p: float) -> None:
    loss, at = LOSSES[name], np.array([p])
    value, slope, rate = exactly(name, p)
    assert loss.log_value(at) == pytest.approx([value], rel=4e-16, abs=1e-15)
    assert loss.log_slope(at) == pytest.approx([slope], rel=4e-16, abs=1e-300)
    assert loss.log_slope_rate(at) == pytest.approx([rate], rel=4e-14, abs=0.0)


@pytest.mark.parametrize("p", [1e4, 1e8, 1e150, 1e300])
def test_far_out_logistic_is_exponential_or_linear(p: float) -> None:
    loss = LOSSES["logistic"]
    assert loss.log_value(np.array([p])) == pytest.approx([-p], rel=1e-16)
    assert loss.log_slope(np.array([p])) == pytest.approx([-p], rel=1e-16)
    assert loss.log_slope_rate(np.array([p])) == pytest.approx([-1.0])
    assert loss.log_value(np.array([-p])) == pytest.approx([np.log(p)], rel=1e-15)
    assert loss.log_slope(np.array([-p])) == pytest.approx([0.0])
    assert loss.log_slope_rate(np.array([-p])) == pytest.approx([0.0])


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_slopes_are_derivatives(name: str) -> None:
    """g = -l' and the rate of log g, by central differences where nothing cancels."""
    loss, p, h = LOSSES[name], np.linspace(-8.0, 8.0, 33), 1e-5
    value = np.exp(loss.log_value(np.concatenate([p - h, p + h])))
    assert np.exp(loss.log_slope(p)) == pytest.approx((value[:33] - value[33:]) / (2.0 * h), rel=1e-6)
    slope = loss.log_slope(np.concatenate([p - h, p + h]))
    assert loss.log_slope_rate(p) == pytest.approx((slope[33:] - slope[:33]) / (2.0 * h), abs=1e-9)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("p", [-1e4, -800.0, -50.0, -31.0, -29.0, -1.0, 0.0, 1.0, 29.0, 31.0, 50.0, 800.0, 1e4, 1e12])
def test_the_smoothed_margin_of_one_sample_is_its_margin(name: str, p: float) -> None:
    assert LOSSES[name].smoothed_margin(np.array([p])) == pytest.approx(p, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("shift", [-1e3, -5.0, 0.0, 5.0, 1e3])
def test_the_smoothed_margin_has_the_loss_of_all(name: str, shift: float) -> None:
    """l(smoothed) = sum l(p_i); below the least margin, and by at most log n where losses are exponential."""
    loss, p = LOSSES[name], shift + np.array([0.0, 0.5, 3.0])
    smoothed = loss.smoothed_margin(p)
    total = float(np.logaddexp.reduce(loss.log_value(p)))
    assert loss.log_value(np.array([smoothed])) == pytest.approx([total], rel=1e-14, abs=1e-13)
    assert smoothed < p.min()
    if name == "exponential" or shift > 0.0:
        assert smoothed >= p.min() - np.log(3.0) - 0.1


def test_log_mean_needs_no_exponential() -> None:
    assert log_mean(np.array([-1e6, -1e6])) == pytest.approx(-1e6)
    assert log_mean(np.array([1e6, -1e6])) == pytest.approx(1e6 - np.log(2.0))
    assert log_mean(np.log(np.array([1.0, 2.0, 6.0]))) == pytest.approx(np.log(3.0))
