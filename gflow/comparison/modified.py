"""A smooth flow at given times by scipy's DOP853 at tight tolerances."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from gflow.arrays import Array
from gflow.errors import GflowError

RTOL, ATOL = 1e-11, 1e-13


def states_at(field: Callable[[float, Array], Array], start: Array, times: Array) -> Array:
    """theta (T, p) of d theta / dt = field(t, theta) at times (T,) from 0 on.  Raises GflowError if it gets stuck."""
    if times.size == 1:
        return start[None, :]
    found = solve_ivp(field, (0.0, times[-1]), start, "DOP853", t_eval=times, rtol=RTOL, atol=ATOL)
    if not found.success:
        raise GflowError(f"--modified: the modified flow cannot be followed ({found.message}): take smaller steps")
    return np.asarray(found.y.T)
