"""Descent beside the modified flow, that of L + (eta / 4) |grad L|^2, which its steps follow to one order more.  Loads
torch.

The modified flow is smooth; scipy's DOP853 integrates it at tight tolerances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import solve_ivp

from gflow.arrays import Array
from gflow.assembly import Setup
from gflow.comparison.descent_rows import DescentRows
from gflow.comparison.order import fitted_order
from gflow.comparison.paired_run import largest
from gflow.comparison.plan import Alive, Counted, Plan
from gflow.comparison.result import ModifiedComparison, ModifiedGap
from gflow.comparison.timetable import first_tenth
from gflow.comparison.verdict import order_text
from gflow.descent import ModifiedFlow
from gflow.errors import GflowError
from gflow.problem.parameters import Parameters

RTOL, ATOL = 1e-11, 1e-13


def modified_flows(setup: Setup, etas: Sequence[float]) -> list[ModifiedFlow]:
    """One for each step size.  Raises ScenarioError for a network with kinks."""
    return [ModifiedFlow(setup.problem, eta) for eta in etas]


def beside_modified_flows(
    setup: Setup, plan: Plan, rows: DescentRows, flows: Sequence[ModifiedFlow], alive: Alive, progress: Counted
) -> ModifiedComparison:
    """Each run, whose rows are on disk, beside the modified flow of its own step size."""
    gaps = []
    for run, flow in enumerate(flows):
        progress(run, len(flows))
        v, inner = rows.all(run, "log1p_time", 1), rows.all(run, "inner", 1)
        found = modified_gaps(setup, flow, np.expm1(v), inner, alive) if v.size else []
        top = largest(v, found, first_tenth(plan.end))
        gaps.append(None if top is None else top[0])
    order = fitted_order(plan.etas, gaps, RTOL)
    pairs = tuple(ModifiedGap(eta, gap) for eta, gap in zip(plan.etas, gaps, strict=True))
    text = f"beside the flow of L + (eta / 4) |grad L|^2{order_text(order)}"
    return ModifiedComparison(pairs, order.slope, order.interval, order.points, text)


def modified_gaps(setup: Setup, flow: ModifiedFlow, times: Array, inner: Array, alive: Alive) -> list[float]:
    """|W_GD - W| / |W - W(0)|, W of the modified flow, at times (T,) > 0; inner (T, m, r) of descent.

    alive is called with every evaluation, so that an interruption can end it.
    """
    start = Parameters.of(setup.problem, setup.inner)

    def field(t: float, theta: Array) -> Array:
        alive()
        return flow(t, theta)

    found = states_at(field, flow.pack(start), np.concatenate([[0.0], times]))[1:]
    U = np.stack([flow.unpack(np.ascontiguousarray(theta)).U for theta in found])
    axes = (1, 2)
    return [float(x) for x in np.linalg.norm(inner - U, axis=axes) / np.linalg.norm(U - start.U, axis=axes)]


def states_at(field: Callable[[float, Array], Array], start: Array, times: Array) -> Array:
    """theta (T, p) at times (T,) from 0 on, by d theta / dt = field(t, theta) from start (p,).  GflowError if stuck."""
    if times.size == 1:
        return start[None, :]
    found = solve_ivp(field, (0.0, times[-1]), start, "DOP853", t_eval=times, rtol=RTOL, atol=ATOL)
    if not found.success:
        raise GflowError(f"--modified: the modified flow cannot be followed ({found.message}): take smaller steps")
    return np.asarray(found.y.T)
