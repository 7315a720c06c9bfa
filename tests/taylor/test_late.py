"""Late times: the implicit method by itself, and flows to log t = 1e4 beside the loop of the steppers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.taylor.radau import (
    BACK,
    DENSE,
    LEFT_PAIR,
    LEFT_REAL,
    NODES,
    PAIR,
    REAL,
    A,
    begin_at,
    implicit,
    implicit_step,
)
from tests.flow.driver import flow, loglog_slope, until_log_time

Array = NDArray[np.float64]
EVERYONE = np.ones(3, dtype=np.int64)


def gaussian(slope: float, n: int = 6, d: int = 20, m: int = 8) -> tuple[Problem, Array]:
    """Gaussian data, Glorot-sized start, logistic loss."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, d)), rng.choice([-1.0, 1.0], size=n)
    a = np.where(np.arange(m) < m // 2, 1.0, -1.0) / np.sqrt(m)
    W = np.sqrt(2.0 / (m + d)) * rng.standard_normal((m, d))
    return Problem.of(X, y, Network(a, slope), LOSSES["logistic"]), W


def test_the_tableau_satisfies_its_conditions() -> None:
    """B(5) and C(3) of collocation at the Radau points, and the decoupling of A^-1."""
    for k in range(1, 6):
        assert A[2] @ NODES ** (k - 1) == pytest.approx(1.0 / k, rel=1e-14)
    for k in range(1, 4):
        np.testing.assert_allclose(A @ NODES ** (k - 1), NODES**k / k, rtol=1e-13, atol=1e-15)
    inverse = np.linalg.inv(A)
    np.testing.assert_allclose(LEFT_REAL @ inverse, REAL * LEFT_REAL, rtol=1e-12)
    np.testing.assert_allclose(LEFT_PAIR @ inverse, PAIR * LEFT_PAIR, rtol=1e-12)
    np.testing.assert_allclose(BACK @ [LEFT_REAL, LEFT_PAIR.real, LEFT_PAIR.imag], np.eye(3), atol=1e-13)
    stages = NODES**2 - 2.0 * NODES
    np.testing.assert_allclose(DENSE @ stages, [-2.0, 1.0, 0.0], atol=1e-13)


def stepped(K: Array, p: Array, h: float, end: float, scale: float = 1e-8) -> Array:
    """Margins and clock at tau = end by implicit steps of size h."""
    v, work = 0.0, implicit(3)
    for _ in range(round(end / h)):
        begin_at(K, p, EVERYONE, True, v, work)
        work.scale[:] = scale
        assert np.isfinite(implicit_step(K, p, EVERYONE, True, v, h, work)[0])
        p, v = p + K @ work.stages[2, :3], v + work.stages[2, 3]
    return np.append(p, v)


def test_the_implicit_method_has_order_five() -> None:
    B = np.random.default_rng(3).standard_normal((3, 3))
    K, p = B @ B.T, np.array([0.3, -0.2, 0.5])
    sizes = [1.0 / 4.0, 1.0 / 8.0, 1.0 / 16.0]
    exact = stepped(K, p, 1.0 / 64.0, 1.0)[:3]
    errors = [float(np.abs(stepped(K, p, h, 1.0)[:3] - exact).max()) for h in sizes]
    assert 4.8 < loglog_slope(sizes, errors) < 5.2, errors


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_late_flows_agree_with_tight_ones_of_the_steppers(slope: float) -> None:
    """At rtol 1e-8, to log t = 1e4, beside 1e-11 by the other loop: all events in order, weights to 1e-12."""
    problem, W = gaussian(slope)
    ours = flow(problem, W, until_log_time(1e4), method="taylor")
    theirs = flow(problem, W, until_log_time(1e4), rtol=1e-11)
    for one, two in zip(ours.events, theirs.events, strict=True):
        assert (one.neuron, one.surface, one.kind) == (two.neuron, two.surface, two.kind)
        assert one.v == pytest.approx(two.v, rel=1e-9)
    np.testing.assert_allclose(ours.state.U, theirs.state.U, rtol=0.0, atol=1e-12 * float(np.abs(theirs.state.U).max()))
    assert ours.steps < 200


def test_late_rows_leave_the_flow_as_it_is() -> None:
    """Steps, events and the end are the same to the bit however many rows lie in the strides."""
    problem, W = gaussian(0.1)
    few, many = (flow(problem, W, until_log_time(1e4), method="taylor", rows=rows) for rows in (2, 60))
    assert [(e.v, e.neuron, e.surface) for e in few.events] == [(e.v, e.neuron, e.surface) for e in many.events]
    np.testing.assert_array_equal(few.state.U, many.state.U)
    assert few.steps == many.steps
    theirs = flow(problem, W, until_log_time(1e4), rtol=1e-11, rows=60)
    assert [row.state.v for row in many.rows] == [row.state.v for row in theirs.rows]
    for one, two in zip(many.rows, theirs.rows, strict=True):
        np.testing.assert_allclose(one.state.U, two.state.U, rtol=0.0, atol=1e-11 * float(np.abs(two.state.U).max()))
