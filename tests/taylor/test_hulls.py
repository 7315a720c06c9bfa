"""Neurons on dependent kinks beside the compiled loop: balls inside their hulls, and runs that need not judge these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from gflow.flow.one_stretch import one_stretch
from gflow.flow.taylor_hulls import Hulls, basis_of, depth_of
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, until_log_time

Array = NDArray[np.float64]


@pytest.mark.parametrize("seed", range(20))
def test_the_ball_lies_inside_the_hull(seed: int) -> None:
    """Beside the distance of the nearest facet, by qhull; it is found wherever 0 lies well inside."""
    rng = np.random.default_rng(seed)
    r = int(rng.integers(2, 5))
    points = rng.standard_normal((int(rng.integers(r + 2, 20)), r)) + 0.3 * rng.standard_normal(r)
    exact = float((-ConvexHull(points).equations[:, -1]).min())
    found = depth_of(points, np.eye(r))
    assert found <= max(exact, 0.0) + 1e-12
    assert found > 0.0 if exact > 1e-6 else found <= 0.0
    assert depth_of(points + 2.0 * np.abs(points).max(), np.eye(r)) <= 0.0
    assert depth_of(1e-200 * points, np.eye(r)) == pytest.approx(1e-200 * found, rel=1e-6)


def test_a_hull_is_measured_in_the_span_of_its_normals() -> None:
    """A square in a plane of space: the ball has half its side as radius; by the bound, a part of that."""
    square = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])
    plane = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [np.sqrt(0.5), np.sqrt(0.5), 0.0]])
    assert depth_of(square, plane) == pytest.approx(0.5, rel=1e-9)
    assert depth_of(square, np.eye(3)) <= 0.0, "in space it has no inside"


def test_a_basis_is_one_clearly() -> None:
    normals = np.array([[1.0, 0.0], [np.sqrt(0.5), np.sqrt(0.5)], [0.0, 1.0]])
    basis = basis_of(normals)
    assert basis is not None and basis.size == 2 and np.linalg.matrix_rank(normals[basis]) == 2
    nearly = np.array([[1.0, 0.0], [1.0, 1e-6]])
    assert basis_of(nearly / np.linalg.norm(nearly, axis=1)[:, None]) is None


def hypercube() -> tuple[Problem, Array]:
    """Corners of a cube in four dimensions: neurons that die lie on many dependent kinks."""
    rng = np.random.default_rng(0)
    X, y = rng.choice([-1.0, 1.0], size=(12, 4)), rng.choice([-1.0, 1.0], size=12)
    outer = rng.choice([-1.0, 1.0], size=20) / np.sqrt(20)
    return Problem.of(X, y, Network(outer, 0.0), LOSSES["logistic"]), 0.3 * rng.standard_normal((20, 4))


def followed(monkeypatch: pytest.MonkeyPatch) -> tuple[Result, int]:
    """The run, and how many stretches of it the compiled loop left to the steppers."""
    stretches = [0]

    def counted(*arguments: Any) -> Iterator[Any]:  # Any: as `one_stretch`
        stretches[0] += 1
        return one_stretch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("gflow.flow.taylor.one_stretch", counted)
        return flow(*hypercube(), until_log_time(8.0), method="taylor"), stretches[0]


def test_the_compiled_loop_goes_on_beside_dependent_kinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: where no hull is known to contain 0, nearly every stretch is left to the steppers."""
    ours, few = followed(monkeypatch)
    theirs = flow(*hypercube(), until_log_time(8.0))
    assert ours.engine.mode.side.shape == (20, theirs.state.side.shape[1]) and len(theirs.events) > 40
    assert [(e.neuron, e.surface, e.kind) for e in ours.events] == [
        (e.neuron, e.surface, e.kind) for e in theirs.events
    ]
    assert float(np.abs(ours.state.U - theirs.state.U).max()) < 1e-7
    monkeypatch.setattr(Hulls, "room", lambda *_: None)
    _, many = followed(monkeypatch)
    assert 4 * few < many
