"""Sizes of neurons, and the balance a_j^2 - |w_j|^2, which training both layers conserves."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.arrays import Array
from gflow.flow.state import FlowState
from gflow.problem.span import row_norms


def conserves_balance(run: AnalyzedRun) -> bool:
    """Are both layers trained, and is the activation homogeneous?"""
    return run.problem.network.trains_outer and run.problem.network.smoothing is None


def balance_drift(run: AnalyzedRun) -> tuple[float, float]:
    """Largest drift of a_j^2 - |w_j|^2 over the rows, relative to the largest a_j^2 + |w_j|^2, and what is allowed.

    Each step may move a neuron by rtol of its size, so the allowance is 2 rtol times the steps.
    """
    series, facts = run.trajectory.series, run.trajectory.facts
    drifts = np.asarray(series["balancedness_drift"])
    sizes = [float(_neuron_squares(run, run.state(row)).max()) for row in (0, -1)]
    steps = max(float(series["steps"][-1]), 1.0)
    return float(drifts.max() / max(*sizes, np.finfo(float).tiny)), 2.0 * steps * float(facts["rtol"])


def _neuron_squares(run: AnalyzedRun, state: FlowState) -> Array:
    """a_j^2 + |w_j|^2 (m,)."""
    return np.asarray(np.sum(np.atleast_2d(state.parameters.outer) ** 2, axis=0) + inner_norms(run, state) ** 2)


def inner_norms(run: AnalyzedRun, state: FlowState) -> Array:
    """|w_j| (m,), outside the span too."""
    return np.asarray(np.hypot(row_norms(state.U), run.outside_norms))


def neuron_norms(run: AnalyzedRun, state: FlowState) -> Array:
    """|a_j w_j| (m,)."""
    return np.asarray(np.linalg.norm(np.atleast_2d(state.parameters.outer), axis=0) * inner_norms(run, state))
