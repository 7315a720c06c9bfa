"""How far q moves in a step, which says whether neurons on dependent kinks surely stay there (`flow.taylor_hulls`)."""

from __future__ import annotations

import numpy as np

from gflow.compiled import kernel
from gflow.taylor.model import MOVES, MOVES_RELATIVE, PATH, RELATIVE, AnyModel

# Relative changes of a q below this, far below every band of the shares, do not count.
NOTHING = 1e-18


@kernel
def bound_path(model: AnyModel, N: int, u: float) -> tuple[float, float]:
    """What q moves up to u at most: in the 2-norm, and relatively, as a logarithm."""
    q, n = model.terms.q, model.p.size
    path, most, power = 0.0, 0.0, 1.0
    for k in range(1, N):
        squared, largest = 0.0, 0.0
        for i in range(n):
            squared += q[k, i] * q[k, i]
            largest = max(largest, abs(q[k, i]) / (q[0, i] + NOTHING))
        power *= u
        path += np.sqrt(squared) * power
        most += largest * power
    return path, (-np.log1p(-most) if most < 0.9 else np.inf)


@kernel
def hulls_hold(model: AnyModel) -> bool:
    """Do all neurons on dependent kinks surely stay there in the step?"""
    now, step, hull = model.now, model.step, model.hull
    return bool(now[PATH] + step[MOVES] <= hull[0] or now[RELATIVE] + step[MOVES_RELATIVE] <= hull[1])


@kernel
def pass_path(model: AnyModel) -> bool:
    """Add what q moved in the step to its paths; False where the relative one is lost."""
    now, step = model.now, model.step
    now[PATH] += step[MOVES]
    if step[MOVES_RELATIVE] < np.inf:
        now[RELATIVE] += step[MOVES_RELATIVE]
        return True
    model.hull[1] = -np.inf
    return False


@kernel
def ask_hulls(model: AnyModel) -> None:
    """Where another sample is live q is another, and hulls have to be judged."""
    if model.hull[0] < np.inf:
        model.hull[0], model.hull[1] = -np.inf, -np.inf
