"""Smooth activations against 340 digits, at every size of z, in numpy, in the engine, and in descent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

from gflow.arrays import Array
from gflow.descent.activation import HuberizedReLU
from gflow.descent.activation import SmoothLeaky as InDescent
from gflow.field import tensors
from gflow.problem.activation import Huberized, Smoothing, SmoothLeaky

SLOPE, BANDWIDTH = 0.2, 0.25
SIZES = np.concatenate([[0.0], np.logspace(-300, -20, 5), np.logspace(-19, 2.8, 60), [800.0]])
Z = np.concatenate([-SIZES[:0:-1], SIZES])
SMOOTHINGS = [SmoothLeaky(SLOPE), SmoothLeaky(0.0), Huberized(BANDWIDTH)]


def exact(smoothing: Smoothing, z: float) -> tuple[float, float]:
    """phi(z) and phi'(z) rounded from 340 digits, from the formulas of the papers."""
    with localcontext() as context:
        context.prec = 340
        at = Decimal(z)
        match smoothing:
            case SmoothLeaky(slope):
                soft, rising = ((1 + at.exp()) / 2).ln(), 1 / (1 + (-at).exp())
                part = 1 - Decimal(slope)
                return float(Decimal(slope) * at + part * soft), float(Decimal(slope) + part * rising)
            case Huberized(h):
                if at <= 0:
                    return 0.0, 0.0
                width = Decimal(h)
                return (float(at * at / (2 * width)), float(at / width)) if at < width else (float(at - width / 2), 1.0)


def with_out(activation: InDescent | HuberizedReLU) -> Callable[[Array], Array]:
    def value(z: Array) -> Array:
        out = torch.empty(z.size, dtype=torch.float64)
        activation.value(torch.from_numpy(z), out)
        return out.numpy()

    return value


def values_of(smoothing: Smoothing) -> dict[str, Callable[[Array], Array]]:
    """Every way in which gflow computes phi."""
    stepped = InDescent(smoothing.slope) if isinstance(smoothing, SmoothLeaky) else HuberizedReLU(BANDWIDTH)
    return {
        "numpy": smoothing.value,
        "engine": lambda z: np.asarray(tensors._smooth(smoothing, torch.from_numpy(z))[0]),
        "descent": with_out(stepped),
        "modified": lambda z: stepped.differentiable(torch.from_numpy(z)).numpy(),
    }


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=str)
def test_values_are_right_to_a_few_roundings_of_themselves(smoothing: Smoothing) -> None:
    """Near 0, too, where a difference with log 2 has an error of 1e-16 whatever z is."""
    value = np.array([exact(smoothing, z)[0] for z in Z])
    for name, computed in values_of(smoothing).items():
        gap = np.abs(computed(Z) - value)
        assert (gap <= 1e-15 * np.abs(value) + 1e-300).all(), (name, Z[gap > 1e-15 * np.abs(value)])


@pytest.mark.parametrize("smoothing", SMOOTHINGS, ids=str)
def test_slopes_are_right_to_a_few_roundings(smoothing: Smoothing) -> None:
    slope = np.array([exact(smoothing, z)[1] for z in Z])
    for computed in (smoothing.derivative(Z), tensors._smooth(smoothing, torch.from_numpy(Z))[1].numpy()):
        assert computed == pytest.approx(slope, abs=5e-16)


def test_the_derivative_that_autograd_finds_at_zero_is_that_of_the_activation() -> None:
    """Implicit methods and the modified loss differentiate phi, at a start of exactly 0, too."""
    for at in (0.0, -0.0):
        z = torch.full((1,), at, dtype=torch.float64, requires_grad=True)
        for value in (tensors._smooth(SmoothLeaky(SLOPE), z)[0], InDescent(SLOPE).differentiable(z)):
            assert float(torch.autograd.grad(value.sum(), z)[0]) == pytest.approx(0.5 * (1.0 + SLOPE), rel=1e-15)


def test_the_difference_with_log_two_would_fail() -> None:
    """The control of the values."""
    z = 1e-9
    naive = SLOPE * z + (1.0 - SLOPE) * (np.logaddexp(0.0, z) - np.log(2.0))
    assert abs(naive - exact(SmoothLeaky(SLOPE), z)[0]) > 1e-9 * z
