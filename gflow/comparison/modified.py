"""Descent beside the modified flow, that of L + (eta / 4) |grad L|^2, which its steps follow to one order more.  Loads
torch.

Where phi'' is continuous the modified flow is smooth, and scipy's DOP853 integrates it at tight tolerances.  Where it
jumps (Huberized ReLU) the field jumps too, thousands of times, and an adaptive method would shrink its steps at every
jump; there `PER_STEP` classical Runge-Kutta steps are made for each step of descent, whose error is a small part of the
gap that they measure, and is measured itself with half as many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import DOP853

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
PER_STEP = 8
# Evaluations of the field for each step size: minutes for the networks of the papers.  What is later is left out.
MOST_EVALUATIONS = 60_000
PARTS = 100  # of the way of all runs, for progress
CLEAR = 5.0  # a gap that is not so many times the error of the modified flow says nothing of its order
AXES = (1, 2)
Field = Callable[[float, Array], Array]


def modified_flows(setup: Setup, etas: Sequence[float]) -> list[ModifiedFlow]:
    """One for each step size.  Raises ScenarioError for a network with kinks."""
    return [ModifiedFlow(setup.problem, eta) for eta in etas]


def beside_modified_flows(
    setup: Setup, plan: Plan, rows: DescentRows, flows: Sequence[ModifiedFlow], alive: Alive, progress: Counted
) -> ModifiedComparison:
    """Each run, whose rows are on disk, beside the modified flow of its own step size."""
    gaps, errors, reached = [], [], []
    for run, flow in enumerate(flows):
        v, inner = rows.all(run, "log1p_time", 1), rows.all(run, "inner", 1)
        until = max(float(np.expm1(v[-1])), 1e-300) if v.size else 1.0

        def told(t: float, run: int = run, until: float = until) -> None:
            alive()
            progress(int(PARTS * (run + min(t / until, 1.0)) / len(flows)), PARTS)

        told(0.0)
        found, off = modified_gaps(setup, flow, np.expm1(v), inner, told) if v.size else ([], [])
        top, error = (largest(v[: len(found)], each, first_tenth(plan.end)) for each in (found, off))
        gaps.append(None if top is None else top[0])
        errors.append(0.0 if error is None else error[0])
        reached.append(len(found) == v.size)
    known = [gap if gap is None or gap > CLEAR * error else None for gap, error in zip(gaps, errors, strict=True)]
    order = fitted_order(plan.etas, known, RTOL)
    pairs = tuple(ModifiedGap(eta, gap) for eta, gap in zip(plan.etas, gaps, strict=True))
    text = f"beside the flow of L + (eta / 4) |grad L|^2{order_text(order)}"
    if max(errors) > 0.0:
        text += f"; that flow is known to {max(errors):.1e} of its way"
    if not all(reached):
        late = ", ".join(f"{eta:g}" for eta, whole in zip(plan.etas, reached, strict=True) if not whole)
        text += f"; for eta = {late} only as far as {MOST_EVALUATIONS} evaluations lead"
    return ModifiedComparison(pairs, order.slope, order.interval, order.points, text)


def modified_gaps(
    setup: Setup, flow: ModifiedFlow, times: Array, inner: Array, told: Callable[[float], None]
) -> tuple[list[float], list[float]]:
    """|W_GD - W| / |W - W(0)|, W of the modified flow, at times (T,) > 0, the first of them where that is all that
    `MOST_EVALUATIONS` lead to; inner (T, m, r) of descent.  And by what part of |W - W(0)| W may be off, 0 where its
    method adapts its steps.

    told is called with the time of every step, so that an interruption can end it.
    """
    start, times = Parameters.of(setup.problem, setup.inner), np.concatenate([[0.0], times])
    if not flow.jumps:
        found = _gaps(flow, start, smooth_states(flow, flow.pack(start), times, told)[1:], inner)
        return found, [0.0] * len(found)
    here, step = flow.pack(start), flow.eta / PER_STEP
    states = [
        stepped_states(flow, here, times, step, told),
        stepped_states(flow, here, times, 2.0 * step, lambda _: told(times[-1])),
    ]
    common = slice(1, min(map(len, states)))
    fine, coarse = (_inner_of(flow, each[common]) for each in states)
    off = np.linalg.norm(fine - coarse, axis=AXES) / np.linalg.norm(fine - start.U, axis=AXES)
    return _gaps(flow, start, states[0][common], inner), [float(x) for x in off]


def _inner_of(flow: ModifiedFlow, states: Array) -> Array:
    """W (k, m, r) in states (k, p)."""
    return np.stack([flow.unpack(np.ascontiguousarray(theta)).U for theta in states])


def _gaps(flow: ModifiedFlow, start: Parameters, states: Array, inner: Array) -> list[float]:
    if not len(states):
        return []
    U = _inner_of(flow, states)
    gaps = np.linalg.norm(inner[: len(U)] - U, axis=AXES) / np.linalg.norm(U - start.U, axis=AXES)
    return [float(x) for x in gaps]


def smooth_states(field: Field, start: Array, times: Array, told: Callable[[float], None]) -> Array:
    """theta (k, p) at the first k of the times (T,) from 0 on, by d theta / dt = field(t, theta) from start (p,).

    k: as many as `MOST_EVALUATIONS` lead to.  GflowError if stuck.
    """
    found, at = [start], 1
    solver = DOP853(field, 0.0, start, times[-1], rtol=RTOL, atol=ATOL) if times.size > 1 else None
    while solver is not None and at < times.size and solver.nfev < MOST_EVALUATIONS:
        message = solver.step()
        if solver.status == "failed":
            raise GflowError(f"--modified: the modified flow cannot be followed ({message}): take smaller steps")
        told(solver.t)
        within = times[at : np.searchsorted(times, solver.t, side="right")]
        if within.size:
            found += list(solver.dense_output()(within).T)
            at += within.size
    return np.asarray(found)


def stepped_states(field: Field, start: Array, times: Array, step: float, told: Callable[[float], None]) -> Array:
    """The same by classical Runge-Kutta steps of this size; the times are multiples of it, to rounding."""
    found, theta, taken = [start], start, 0
    for t in times[1:]:
        goal = round(t / step)
        if 4 * goal > MOST_EVALUATIONS:
            break
        for _ in range(goal - taken):
            theta = theta + step * _slope(field, theta, step)
            told(taken * step)
            taken += 1
        found.append(theta)
    return np.asarray(found)


def _slope(field: Field, theta: Array, h: float) -> Array:
    """The mean velocity over one classical Runge-Kutta step."""
    first = field(0.0, theta)
    second = field(0.0, theta + 0.5 * h * first)
    third = field(0.0, theta + 0.5 * h * second)
    return (first + 2.0 * (second + third) + field(0.0, theta + h * third)) / 6.0
