"""The rescaled time: d tau = (1/n) sum_i g_i dt, summed over the live samples, with v = log(1 + t) carried along.

A sample is live if some neuron that moves (its a_j is trained, or not 0) is active on it: with slope phi' != 0, and not
sliding (`Mode.live`).  All n samples are live where the network has an output bias or no kinks to cross, and all count
where none is live.  The sum is divided by n, not by the number of live samples: if all are live, tau is the integral of
the mean of g (MATHEMATICS 1); if some are not, it is smaller than that, as their g need not fall.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Bools
from gflow.problem.loss import Loss

# The rate of the clock is capped at e^200 per unit: a trial that fast is rejected, and its square still fits float64.
LARGEST_EXPONENT = 200.0


# g of a sample that nothing moves may outgrow the others without bound; its ratio to them is capped at e^200.
LARGEST_SHARE = 200.0


def dual_variables(loss: Loss, p: Array, live: Bools) -> tuple[Array, Array]:
    """q = g / sum g and log sum g, with sums over live samples, at margins p (..., n) -> (..., n), (...); live (n,).

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
    # The differences of logarithms are taken first: late in a flow these are large, and so is their rounding.
    return np.exp(np.minimum(log_g - largest, LARGEST_SHARE)) / total, (largest + np.log(total))[..., 0]


def log_clock_rate(log_total: float, samples: int, v: float) -> float:
    """The logarithm of dv / dtau = n / sum(g) / (1 + t), with log_total = log sum g."""
    return float(np.log(samples)) - log_total - v


def clock_rate(log_rate: float) -> float:
    """dv / dtau from its logarithm, at most e^200."""
    return float(np.exp(min(log_rate, LARGEST_EXPONENT)))
