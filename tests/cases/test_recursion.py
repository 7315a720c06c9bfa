"""Samples that are almost parallel: the cells around a neuron on all their kinks are decided without a recursion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.field.hull import cells
from gflow.flow.state import Outcome
from tests.cases.runs import INPUTS, simulated


def test_the_cells_of_its_samples_are_few() -> None:
    """Six of its ten samples lie within 1e-5 of one line: every set of them has an arrangement."""
    X = np.load(INPUTS / "recursion-407-data.npz")["X"]
    normals = X / np.linalg.norm(X, axis=1, keepdims=True)
    almost_one = [1, 3, 4, 5, 6, 7]
    for chosen in (almost_one, [*almost_one, 8, 9], list(range(10))):
        found = cells(normals[chosen])
        assert found is None or (found != 0).all()


@pytest.mark.sample("overrides2")
@pytest.mark.parametrize("overrides", [
    (), ("model.activation={kind: relu}",), ("loss=exponential",), ("flow.engine=primal",),
])  # fmt: skip
def test_the_run_has_an_outcome(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """RecursionError before; now a named end, and findings of all analyzers."""
    run = simulated("recursion-407", tmp_path, "flow.until={log_time: 5}", "flow.budget={steps: 400}", *overrides)
    assert run.outcome in {Outcome.LOG_TIME.value, Outcome.BUDGET.value, Outcome.STATIONARY.value}
    found = gflow.analyze(run)
    assert found.failed == ()
    assert found["kkt"].verdict in ("not applicable", "undecided", "holds")
