"""Signs that no proof can close on a mode, for a small part of the work of looking for one.

They never speak where a proof would close, so that a search may pass over such states without finding anything else.
"""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Sides
from gflow.field.mode import DualMode
from gflow.limit.hard_margin import hard_margin
from gflow.problem.loss import Exponential
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# For the logistic loss a proof needs 4 max_i K_ii e^-P <= 0.99 kappa (`certificate`), and kappa <= max_i K_ii.
LEAST_P = float(np.log(4.0))
# A rate is taken for negative in the limit below this part of the sum of sizes of its terms; the limit has to be known,
# from the kernel alone, ten times better.
CLEARLY = 1e-6


def too_early(problem: Problem, side: Sides, p: Array) -> bool:
    """Are the margins p (n,) of the live samples too small for the logistic loss to be near the exponential one?

    side (m, H): the mode; a sample is live where a neuron with a_j != 0 has a slope, and is not on its kink.
    """
    if isinstance(problem.loss, Exponential):
        return False
    pattern = problem.sample_sides(side[problem.network.outer != 0.0])
    live = (pattern != 0 if problem.network.slope else pattern > 0).any(axis=0)
    return float(-np.logaddexp.reduce(-p[live], initial=-np.inf)) < LEAST_P


def turns(mode: DualMode) -> bool:
    """Does some pair off its kink clearly move towards it in the limit of the mode?  It cannot stay then.

    In the limit dw_j / dtau = kappa a_j P_j sum_i phi'_ji y_i lambda_i c_i, the same for all admissible lambda.  False
    where samples without active neurons, or multipliers that K does not tell, could have a say.
    """
    problem = mode.problem
    if not mode.live.all() or not (np.diag(mode.K) > 0.0).all():
        return False
    hard = hard_margin(mode.K)
    if hard is None or hard.w_error > 0.1 * CLEARLY * float(np.linalg.norm(hard.w)):
        return False
    everyone = np.arange(problem.network.width)
    push = problem.network.outer[:, None] * (problem.y * hard.dual)
    rates = mode.side * (mode.project(mode.drift(push, everyone), everyone) @ problem.surfaces.normals.T)
    terms = (mode.slopes * np.abs(push)) @ row_norms(problem.span.C)
    return bool((rates < -CLEARLY * terms[:, None]).any())
