"""Neurons on dependent kinks beside the compiled loop: balls inside their hulls, and runs that need not judge these."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.spatial import ConvexHull

from gflow.arrays import Index
from gflow.field.held import alike
from gflow.field.hull import span_basis, velocities
from gflow.field.kink import Kink
from gflow.field.mode import DualMode
from gflow.flow.one_stretch import one_stretch
from gflow.flow.taylor_hulls import Hulls, basis_of, central_weights, depth_of
from gflow.flow.taylor_judge import HullJudge
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
    found = depth_of(points)
    assert found <= max(exact, 0.0) + 1e-12
    assert found > 0.0 if exact > 1e-6 else found <= 0.0
    assert depth_of(points + 2.0 * np.abs(points).max()) == 0.0
    assert depth_of(1e-200 * points) == pytest.approx(1e-200 * found, rel=1e-6)


def test_a_hull_without_an_inside_has_no_ball() -> None:
    """A square in the plane has one, with half its side as radius at most; in space it is flat."""
    square = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert depth_of(square) == pytest.approx(0.5, rel=1e-9)
    assert depth_of(np.column_stack([square, np.zeros(4)])) == 0.0
    assert depth_of(np.zeros((4, 2))) == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_central_weights_are_those_of_greatest_product(seed: int) -> None:
    """Beside a linear programme, which says whether there are positive weights at all, and finds some."""
    rng = np.random.default_rng(seed)
    r = int(rng.integers(2, 6))
    points = rng.standard_normal((int(rng.integers(r + 2, 40)), r)) + rng.choice([0.0, 0.5, 2.0])
    points /= np.linalg.norm(points, axis=1).max()
    weights, others = central_weights(points), positive_weights(points)
    assert (weights is None) == (others is None)
    if weights is not None and others is not None:
        assert (weights > 0.0).all() and weights.sum() == pytest.approx(1.0, rel=1e-12)
        assert np.abs(weights @ points).max() < 1e-10
        for share in (0.5, 1.0):
            assert np.log(weights).sum() >= np.log((1.0 - share) * weights + share * others).sum() - 1e-9


def positive_weights(points: Array) -> Array | None:
    """Weights (c,) of sum 1, all as large as can be, with weights @ points = 0; None where they are not positive."""
    count, ones = len(points), np.ones(len(points))
    equations = np.vstack([np.column_stack([points.T, points.sum(axis=0)]), np.append(ones, count)])
    right, gain = np.append(np.zeros(points.shape[1]), 1.0), np.append(0.0 * ones, -1.0)
    found = linprog(gain, A_eq=equations, b_eq=right, bounds=(0.0, None), method="highs")
    return None if found.x is None or found.x[-1] < 1e-9 else np.asarray(found.x[:-1] + found.x[-1])


def holds_0(points: Array) -> bool:
    """Does the hull of these points (c, k) contain 0, by a linear programme?"""
    equations = np.vstack([points.T / np.abs(points).max(), np.ones(len(points))])
    right = np.append(np.zeros(points.shape[1]), 1.0)
    return bool(linprog(np.zeros(len(points)), A_eq=equations, b_eq=right, bounds=(0.0, None)).status == 0)


def on_cube(slope: float) -> DualMode:
    """Three neurons on the kinks of all corners of a cube in four dimensions, two on those of half of them."""
    X = np.array(list(product((-1.0, 1.0), repeat=4)))
    outer = np.array([1.0, -0.5, 0.0, 2.0, 1.0])
    problem = Problem.of(X, X[:, 0] * X[:, 1], Network(outer, slope), LOSSES["logistic"])
    side = np.zeros((5, problem.surfaces.count), dtype=np.int8)
    others = problem.surfaces.of_sample[X[:, 0] != X[:, 1]]
    side[3, others], side[4, others] = 1, -1
    return DualMode(problem, side)


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_neurons_with_the_same_sides_have_the_same_hull(slope: float) -> None:
    """Beside the velocities that decide kinks, neuron by neuron; who never moves has none.  Control: two neurons on
    the same kinks have other hulls where their other sides differ."""
    mode = on_cube(slope)
    groups = alike(mode, mode.problem.network.outer != 0.0, common=True)
    assert [group.neurons.tolist() for group in groups] == [[0, 1], [3], [4]]
    q, y = np.random.default_rng(0).dirichlet(np.ones(16)), mode.problem.y
    for group in groups:
        for j in group.neurons:
            cells, on = mode.dependent[int(j)], np.flatnonzero(mode.side[j] == 0)
            assert cells is not None
            theirs = velocities(kink_at(mode, int(j), on, q), cells)
            ours = group.velocities.at(mode.problem.network.outer[j] * y * q)
            assert ours @ span_basis(mode.problem.surfaces.normals[on]) == pytest.approx(theirs, abs=1e-14)
    first, second = (group.velocities.at(y * q) for group in groups[1:])
    assert slope > 0.0 or np.abs(first - second).max() > 1e-3


def kink_at(mode: DualMode, j: int, on: Index, q: Array) -> Kink:
    """The local problem of neuron j, sample by sample."""
    problem, nothing = mode.problem, np.zeros(on.size)
    drift, jump = np.zeros(problem.span.rank), np.zeros(on.size)
    for i in range(16):
        h, alpha = problem.surfaces.of_sample[i], problem.surfaces.alpha[i]
        push = problem.network.outer[j] * problem.y[i] * q[i]
        low = problem.network.slope
        if h in on:  # on the - branch, and what + adds
            drift += push * (low if alpha > 0.0 else 1.0) * problem.span.C[i]
            jump[on == h] += (1.0 - low) * push * abs(alpha)
        else:
            drift += push * (1.0 if mode.side[j, h] * alpha > 0.0 else low) * problem.span.C[i]
    still = np.zeros_like(drift)
    return Kink(problem.surfaces.normals[on], drift, still, jump, nothing, nothing.astype(np.int8), 0.0, 0.0)


@pytest.mark.parametrize("seed", range(10))
def test_hulls_hold_in_all_of_their_room(seed: int) -> None:
    """Beside a linear programme at q as far away as allowed, in the 2-norm or relatively.  Control: some do not hold
    at q far beyond."""
    rng, mode = np.random.default_rng(seed), on_cube(0.0)
    hulls, q = Hulls.of(mode, mode.problem.network.outer != 0.0), rng.dirichlet(20.0 * np.ones(16))
    room = hulls.room(q)
    assert room.path > 0.0 and room.relative > 0.0 and hulls.hold(q[None], np.zeros(3))
    lost, none = 0, np.zeros(len(hulls.groups))
    for _ in range(20):
        way = rng.standard_normal(16)
        near = q + room.path * way / np.linalg.norm(way), q * np.exp(room.relative * rng.choice([-1.0, 1.0], 16))
        far = rng.dirichlet(0.1 * np.ones(16))
        for each in (*near, far):
            held = all(holds_0(group.velocities.at(mode.problem.y * each)) for group in hulls.groups)
            assert hulls.hold(each[None], none) == held
            assert held or each is far
            lost += not held
            if not held:
                missed = hulls.gaps(each)
                assert hulls.hold(each[None], 0.6 * missed) and not hulls.hold(each[None], 0.4 * missed)
        assert hulls.hold(np.array([q, *near, far]), none) == held, "all q are looked at"
    assert lost > 0


def test_a_basis_is_one_clearly() -> None:
    normals = np.array([[1.0, 0.0], [np.sqrt(0.5), np.sqrt(0.5)], [0.0, 1.0]])
    basis = basis_of(normals)
    assert basis is not None and basis.size == 2 and np.linalg.matrix_rank(normals[basis]) == 2
    nearly = np.array([[1.0, 0.0], [1.0, 1e-6]])
    assert basis_of(nearly / np.linalg.norm(nearly, axis=1)[:, None]) is None


def hypercube() -> tuple[Problem, Array]:
    """Corners of a cube in four dimensions, labelled by their first two signs: neurons lie on many dependent kinks."""
    rng, X = np.random.default_rng(0), np.array(list(product((-1.0, 1.0), repeat=4)))
    outer = rng.choice([-1.0, 1.0], size=20) / np.sqrt(20)
    return Problem.of(X, X[:, 0] * X[:, 1], Network(outer, 0.0), LOSSES["logistic"]), 0.1 * rng.standard_normal((20, 4))


def followed(monkeypatch: pytest.MonkeyPatch) -> tuple[Result, int]:
    """The run, and how many stretches of it the compiled loop left to the steppers."""
    stretches = [0]

    def counted(*arguments: Any) -> Iterator[Any]:  # Any: as `one_stretch`
        stretches[0] += 1
        return one_stretch(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("gflow.flow.taylor.one_stretch", counted)
        return flow(*hypercube(), until_log_time(5.0), method="taylor"), stretches[0]


def test_the_compiled_loop_goes_on_beside_dependent_kinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: where no hull is judged to contain 0, more is left to the steppers."""
    ours, few = followed(monkeypatch)
    theirs = flow(*hypercube(), until_log_time(5.0))
    assert ours.engine.mode.side.shape == (20, theirs.state.side.shape[1]) and len(theirs.events) > 40
    assert [(e.neuron, e.surface, e.kind) for e in ours.events] == [
        (e.neuron, e.surface, e.kind) for e in theirs.events
    ]
    assert float(np.abs(ours.state.U - theirs.state.U).max()) < 1e-7
    monkeypatch.setattr(HullJudge, "grants", lambda *_: False)
    _, many = followed(monkeypatch)
    assert 2 * few < many, "arrivals at dependent kinks are left to the steppers, little else"
