"""The rescaled time: d tau = (mean g) dt, with v = log(1 + t) carried along (design 2.6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.problem.loss import Loss

Array = NDArray[np.float64]

# A clock faster than e^200 per unit is a bad trial: rejected, and its square still fits float64.
LARGEST_EXPONENT = 200.0


def dual_variables(loss: Loss, p: Array) -> tuple[Array, Array]:
    """q = g / sum g and log sum g at margins p (..., n) -> (..., n), (...)."""
    log_g = loss.log_slope(p)
    largest = log_g.max(axis=-1, keepdims=True)
    g = np.exp(log_g - largest)
    total = g.sum(axis=-1, keepdims=True)
    return g / total, (largest + np.log(total))[..., 0]


def log_clock_rate(log_total: float, samples: int, v: float) -> float:
    """log of dv / dtau = n / sum(g) / (1 + t)."""
    return float(np.log(samples)) - log_total - v


def clock_rate(log_rate: float) -> float:
    """dv / dtau from its logarithm."""
    return float(np.exp(min(log_rate, LARGEST_EXPONENT)))
