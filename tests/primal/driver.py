"""Problems with every kind of network, and runs of the primal engine on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.flow.steps import Manner, engine_of
from gflow.flow.stopping import Until
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, followed

Array = NDArray[np.float64]

cuda = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))
DEVICES = ["cpu", cuda]


def primal(
    problem: Problem,
    inner: Array,
    until: Until,
    *,
    rtol: float = 1e-8,
    method: str = "DOP853",
    rows: int | Sequence[float] = 2,
    device: str = "cpu",
) -> Result:
    """Run from W (m, d), or b (m, 1) of the scalar network; atol is rtol / 100, rows as for `flow`."""
    manner = Manner("primal", method, Tolerances(rtol, rtol / 100.0), device)
    return followed(engine_of(problem, inner, manner), until, method, rows)


def parity(n: int, d: int, m: int, seed: int, slope: float = 0.0, loss: str = "logistic") -> tuple[Problem, Array]:
    """2-sparse parity on {+-1/sqrt d}^d, both layers trained from N(0, 1/m) and N(0, 1/d) (Telgarsky, Fig. 1)."""
    rng = np.random.default_rng(seed)
    X = rng.choice([-1.0, 1.0], size=(n, d)) / np.sqrt(d)
    y = d * X[:, 0] * X[:, 1]
    a, W = rng.normal(size=m) / np.sqrt(m), rng.normal(size=(m, d)) / np.sqrt(d)
    return Problem.of(X, y, Network(a, slope, trains_outer=True), LOSSES[loss]), W


def event_list(result: Result) -> list[tuple[int, int, int]]:
    """(neuron, surface, kind) in the order in which they happened."""
    return [(e.neuron, e.surface, int(e.kind)) for e in result.events]


def slides(result: Result) -> int:
    """How many events begin to slide."""
    return sum(e.kind.name == "SLIDE" for e in result.events)
