"""The rescaled time: d tau = (mean g) dt, with v = log(1 + t) carried along (design 2.6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.problem.loss import Loss

Array = NDArray[np.float64]

# exp of more could overflow once multiplied by a step; a rate this large is a step to be rejected anyway.
LARGEST_EXPONENT = 500.0


def dual_variables(loss: Loss, p: Array) -> tuple[Array, Array]:
    """q = g / sum g and log sum g at margins p (..., n) -> (..., n), (...)."""
    log_g = loss.log_slope(p)
    largest = log_g.max(axis=-1, keepdims=True)
    g = np.exp(log_g - largest)
    total = g.sum(axis=-1, keepdims=True)
    return g / total, (largest + np.log(total))[..., 0]


def clock_rate(log_total: float, samples: int, v: float) -> float:
    """dv / dtau = n / sum(g) / (1 + t)."""
    return float(np.exp(min(np.log(samples) - log_total - v, LARGEST_EXPONENT)))
