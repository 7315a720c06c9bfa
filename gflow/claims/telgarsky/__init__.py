"""Claims of Telgarsky on networks with both layers trained (degree 2), as they stand for gradient flow.

The paper bounds how fast its potentials grow along the flow of n L.  Where it has a rate Q sum_i q_i c, the rate per
d tau = mean_i g_i dt is c, for both losses, and per tau of the file, which counts live samples only, it is at least c.
Claims on stochastic gradient descent have no counterpart here.
"""

from gflow.claims.claim import Judge
from gflow.claims.telgarsky import (
    best,
    cones,
    data,
    monotonicity,
    near_start,
    neurons,
    ntk,
    pointwise,
    population,
    potential,
    scalar,
    start,
    two_cones,
)
from gflow.claims.telgarsky.setting import applies

CLAIMS: tuple[Judge, ...] = (
    *data.CLAIMS,
    *two_cones.CLAIMS,
    *start.CLAIMS,
    *near_start.CLAIMS,
    *pointwise.CLAIMS,
    *best.CLAIMS,
    *monotonicity.CLAIMS,
    *neurons.LAWS,
    *ntk.CLAIMS,
    *population.CLAIMS,
    *cones.CLAIMS,
    *scalar.CLAIMS,
    *potential.CLAIMS,
    *neurons.OBSERVED,
)
__all__ = ["CLAIMS", "applies"]
