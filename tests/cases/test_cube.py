"""Corners of a cube: all margins are 1 in the limit, the features are dependent, and multipliers are not unique."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.freezing import freezing
from gflow.analysis.limit import limit
from gflow.field.mode import DualMode
from gflow.limit.hard_margin import hard_margin
from tests.cases.runs import simulated

Array = NDArray[np.float64]


def test_the_limit_is_where_the_mode_integrated_alone_goes(tmp_path: Path) -> None:
    """Nothing is pending there; the vertex that the hard-margin solver finds first lies far away."""
    run = AnalyzedRun.of(simulated("cube-39", tmp_path / "run"))
    found, frozen = limit(run), freezing(run)
    assert frozen.verdict == "proved" and frozen.pending == 0
    assert found.on_margin == 8 and found.unique is False and "one of several" in found.summary
    K, p = DualMode(run.problem, run.last.side).K, run.last.p
    q = softmax(solve_ivp(lambda _, x: K @ softmax(x), (0.0, 1e4), p, method="LSODA", rtol=1e-10, atol=1e-10).y[:, -1])
    assert found.multipliers is not None
    dual = found.multipliers / found.multipliers.sum()
    assert np.abs(dual - q).max() <= 1e-6
    assert np.abs(K @ found.multipliers - 1.0).max() <= 1e-12
    vertex = hard_margin(K)
    assert vertex is not None and not vertex.unique and np.abs(vertex.dual - q).max() > 0.01


def softmax(p: Array) -> Array:
    return np.asarray(np.exp(-p - np.logaddexp.reduce(-p)))
