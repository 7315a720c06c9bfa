"""The rescaled time: d tau = (1/n) sum_i g_i dt, summed over the live samples, with v = log(1 + t) carried along.

Live are the samples that some neuron that moves (its a_j is trained, or not 0) is active on: with slope phi' != 0, and
not sliding (`Mode.live`).  All n samples are live where the network has an output bias or no kinks to cross, and all
count where none is live.  It is divided by n, not by the number of live samples: with none dead, tau is the integral of
the mean of g (MATHEMATICS 1); with some dead, it is less, and stays so, as their g need not fall.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Bools
from gflow.problem.loss import Loss

# A clock faster than e^200 per unit is a bad trial: rejected, and its square still fits float64.
LARGEST_EXPONENT = 200.0


# A sample that nothing moves may outweigh the others without bound; beyond e^200 only its size is forgotten.
LARGEST_SHARE = 200.0


def dual_variables(loss: Loss, p: Array, live: Bools) -> tuple[Array, Array]:
    """q = g / sum g and log sum g, sums over live samples, at margins p (..., n) -> (..., n), (...).

    The margins of samples that are not live do not move, so they do not set the clock; their q may exceed 1.
    """
    log_g = loss.log_slope(p)
    if live.all():  # by far the most frequent case
        largest = log_g.max(axis=-1, keepdims=True)
        shares = np.exp(log_g - largest)
        total = shares.sum(axis=-1, keepdims=True)
        return shares / total, (largest + np.log(total))[..., 0]
    counted = log_g[..., live] if live.any() else log_g
    largest = counted.max(axis=-1, keepdims=True)
    total = np.exp(counted - largest).sum(axis=-1, keepdims=True)
    # Differences of large logarithms first: late, they are known to their own rounding only.
    return np.exp(np.minimum(log_g - largest, LARGEST_SHARE)) / total, (largest + np.log(total))[..., 0]


def log_clock_rate(log_total: float, samples: int, v: float) -> float:
    """log of dv / dtau = n / sum(g) / (1 + t)."""
    return float(np.log(samples)) - log_total - v


def clock_rate(log_rate: float) -> float:
    """dv / dtau from its logarithm."""
    return float(np.exp(min(log_rate, LARGEST_EXPONENT)))
