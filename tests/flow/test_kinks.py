"""Kinks at the edge: neutral and dependent ones, the origin, and sizes at the ends of float64; answers by hand.

What can happen at one surface, and at several at once, is in test_event_catalogue.
"""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from gflow.field.branch import Tolerances
from gflow.field.dual import DualBranch
from gflow.field.transition import EventKind
from gflow.flow.dual import dual_engine
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, until_log_time, until_time
from tests.reference.setting import drawn

Array = NDArray[np.float64]
RIGHT, UP = [1.0, 0.0], [0.0, 1.0]
THREE = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])


def problem(X: ArrayLike, y: ArrayLike, outer: ArrayLike, slope: float, loss: str = "logistic") -> Problem:
    inputs, labels, a = (np.asarray(part, dtype=float) for part in (X, y, outer))
    return Problem.of(inputs, labels, Network(a, slope), LOSSES[loss])


def weights(result: Result) -> Array:
    """The weights (m, d) of a run whose samples span everything the weights have."""
    return np.asarray(result.state.U @ result.engine.problem.span.B)


def one_sample_margin(p0: float, k: float, t: float) -> float:
    """M + e^M = p0 + e^p0 + k t (logistic)."""
    c = p0 + exp(p0) + k * t
    low, high = p0, max(p0, 1.0) + log(1.0 + k * t) + 1.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if middle + exp(middle) < c else (low, middle)
    return low


def test_a_start_on_a_neutral_kink() -> None:
    """The same sample with both labels and equal pulls: no jump, so the third sample alone decides the side."""
    X = [RIGHT, RIGHT, [0.5, 1.0]]
    result = flow(problem(X, [1, -1, 1], [1.0, -1.0], 0.0), np.array([UP, UP]), until_time(0.01))
    assert result.state.side.tolist() == [[1, 1], [-1, 1]]
    asleep = flow(problem(X, [1, -1, 1], [1.0, -1.0], 0.0), -np.array([UP, UP]), until_time(5.0))
    assert asleep.state.side.tolist() == [[0, -1], [0, -1]]
    assert weights(asleep) == pytest.approx(-np.array([UP, UP]), abs=1e-15)


def test_relu_stays_at_zero_weights() -> None:
    result = flow(problem(np.eye(3), [1, -1, 1], [0.5, -0.5], 0.0), np.zeros((2, 3)), until_log_time(100.0))
    assert not result.state.U.any()
    assert not result.state.side.any()
    assert result.events == []
    assert result.state.log_loss == pytest.approx(log(log(2.0)))


def test_a_dead_relu_neuron_rests_on_its_kink() -> None:
    W = np.array([[0.0, -1.0], [-1.0, 0.0]])
    result = flow(problem([RIGHT, UP], [1, 1], [1.0, -1.0], 0.0), W, until_log_time(50.0))
    assert result.state.side.tolist() == [[0, -1], [-1, 0]]
    assert (weights(result) == W).all()


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_neuron_without_an_outer_weight_stays(slope: float) -> None:
    W = np.array([[0.0, -1.0], [1.0, 0.5]])
    result = flow(problem([RIGHT, UP], [1, 1], [0.0, 1.0], slope), W, until_time(5.0), rtol=1e-11)
    assert (weights(result)[0] == W[0]).all()
    assert result.state.p == pytest.approx([one_sample_margin(p, 0.5, 5.0) for p in (1.0, 0.5)], abs=1e-9)
    alone = flow(problem([RIGHT, UP], [1, 1], [0.0, 0.0], slope), W, until_time(5.0))
    assert (weights(alone) == W).all()


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("kind", ["generic", "degenerate", "plane"])
def test_duplicated_neurons_stay_identical(kind: str, slope: float) -> None:
    s, half = drawn(kind, slope, "logistic", seed=2, width=4)
    P = Problem.of(s.X, s.y, Network(np.tile(s.outer, 2), slope), LOSSES["logistic"])
    result = flow(P, np.vstack([half, half]), until_time(20.0))
    assert (result.state.U[:4] == result.state.U[4:]).all()
    assert (result.state.side[:4] == result.state.side[4:]).all()
    assert len(result.events) > 2
    assert {(e.v, e.neuron + 4, e.surface, e.kind) for e in result.events if e.neuron < 4} == {
        (e.v, e.neuron, e.surface, e.kind) for e in result.events if e.neuron >= 4
    }


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("start", [[0.0, -1.0, 0.0], [0.05, -1.0, 0.0]])
def test_the_jump_of_a_resting_neuron_changes_sign(start: list[float], loss: str) -> None:
    """One sample with both labels: f there rises through 0, so the kink of neuron 0 turns from trapping to pushing.

    No other sample is active on it: its least velocity is 0 before and after, so it rests, in every digit.
    """
    X = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])
    W = np.array([start, [0.1, 1.0, 0.0], [1.0, 1.0, 0.0]])
    result = flow(problem(X, [1, -1, 1], [-1, 1, -1], 0.0, loss), W, until_time(200.0))
    assert result.rows[0].state.p[0] < 0.0 < result.state.p[0]
    assert result.state.side[0].tolist() == [0, -1]
    assert EventKind.LEAVE_UP not in {e.kind for e in result.events if e.neuron == 0}


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_one_input(slope: float) -> None:
    """d = 1: a neuron of the wrong sign is driven to 0; ReLU stops, leaky goes through with slope lk."""
    positive = problem([[2.0]], [-1.0], [1.0], slope)
    result = flow(positive, np.array([[0.3]]), until_time(20.0), rtol=1e-11)
    met = (0.0 + 1.0) - (-0.6 + exp(-0.6))  # p from -0.6 to 0 at k = 4
    assert [e.v for e in result.events] == pytest.approx([log(1.0 + met / 4.0)], abs=1e-10)
    exact = one_sample_margin(0.0, 4.0 * slope**2, 20.0 - met / 4.0) if slope else 0.0
    assert result.state.p[0] == pytest.approx(exact, abs=1e-9)
    assert result.state.side.tolist() == [[-1 if slope else 0]]


@pytest.mark.parametrize("outer, start", [(1.0, 0.3), (1.0, -0.3), (-1.0, -0.3)])
def test_one_sample_one_neuron(outer: float, start: float) -> None:
    result = flow(problem([[2.0]], [1.0], [outer], 0.5), np.array([[start]]), until_time(3.0), rtol=1e-11)
    branch = 1.0 if start > 0 else 0.5
    p0 = outer * branch * 2.0 * start
    if outer * start > 0:
        assert result.state.p[0] == pytest.approx(one_sample_margin(p0, 4.0 * branch**2, 3.0), abs=1e-9)
    assert result.state.log_loss < result.rows[0].state.log_loss


@pytest.mark.parametrize("slope, sides", [(0.0, [0, 0, 0]), (0.3, [-1, -1, -1])])
def test_a_neuron_driven_into_the_origin(slope: float, sides: list[int]) -> None:
    """Three samples in a plane around the neuron's own line; it arrives at w = 0 on three dependent kinks at once.

    ReLU: past the origin nothing is active, so it stops.  Leaky: the field there points on, so it goes through.
    """
    X = np.array([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]])
    result = flow(problem(X, [1, 1, 1], [-1, 1], slope), np.array([[0.5, 0.0], [1.0, 0.0]]), until_time(50.0))
    own = [e for e in result.events if e.neuron == 0]
    assert [e.surface for e in own] == [0, 1, 2]
    assert np.ptp([e.v for e in own]) < 1e-12
    assert result.state.side[0].tolist() == sides
    assert np.abs(weights(result)[0, 1]) < 1e-14
    assert (weights(result)[0, 0] < -0.1) if slope else (np.abs(weights(result)[0]).max() < 1e-14)


def test_a_neuron_held_at_the_origin_leaves_when_the_hull_lets_go() -> None:
    """Samples at 120 degrees, the first of half the length, all pushing home; slope 1/4.

    The way out is along -x_1, where the rates are (q_2 - q_1 / 8) along x_1: it stays while q_2 > q_1 / 8.
    """
    X = THREE * np.array([[0.5], [1.0], [1.0]])
    P = problem(X, [1, 1, 1], [1.0, 1.0, -1e-3], 0.25)
    W = np.array([THREE[1], THREE[2], [0.0, 0.0]])
    result = flow(P, W, until_time(1000.0), rtol=1e-10)
    leaving = [e for e in result.events if e.neuron == 2][:3]
    assert [(e.surface, e.kind) for e in leaving] == [
        (0, EventKind.LEAVE_DOWN), (1, EventKind.LEAVE_UP), (2, EventKind.LEAVE_UP)
    ]  # fmt: skip
    at = flow(P, W, Until(leaving[0].v, Outcome.TIME, None), rtol=1e-10).state
    assert np.abs(at.U[2]).max() < 1e-15
    log_g = P.loss.log_slope(at.p)
    assert log_g[1] - log_g[0] == pytest.approx(-log(8.0), abs=1e-7)


def codimension(k: int, size: float) -> tuple[Problem, Array]:
    """e_1 .. e_k with label +1 hold the neuron (outer -size); x_0 = (1/2, .., 1/2, 1) with label -1 pushes up."""
    X = np.zeros((k + 1, k + 1))
    X[:k, :k] = np.eye(k)
    X[k] = np.append(np.full(k, 0.5), 1.0)
    W = np.zeros((1, k + 1))
    W[0, k] = 0.1
    return problem(X, np.append(np.ones(k), -1.0), [-size], 0.2), W


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-12, 1e-100])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sliding_velocity_by_hand(k: int, size: float) -> None:
    """On e_1 .. e_k only the last coordinate moves, at rate |a| q_0: pulls of e_i are 1 and 1/5, of x_0 1/2."""
    P, W = codimension(k, size)
    engine = dual_engine(P, W, Tolerances(1e-9, 1e-11))
    state, notes = engine.start()
    stretch = engine.stretch(state)
    assert notes.conservative == 0
    assert state.side.tolist() == [[0] * k + [1]]
    assert isinstance(stretch.branch, DualBranch)
    q = stretch.branch.dual(stretch.branch.y0)
    neuron = np.array([0])
    drift = stretch.branch.mode.drift(stretch.branch.push(stretch.branch.y0, neuron), neuron)
    rate = stretch.branch.mode.project(drift, neuron) @ P.span.B
    assert rate == pytest.approx(np.append(np.zeros(k), size * q[k])[None], abs=1e-15 * size)


@pytest.mark.sample("*-1.0", "1-1e-12", "2-1e-06", "3-1e-100")
@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-12, 1e-100])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sliding_in_time_by_hand(k: int, size: float) -> None:
    """dp_0/dt = size^2 g(p_0) / n until the push, g(p_0) / 2, falls to the - branch, 1 / 10: at p_0 = log 4."""
    P, W = codimension(k, size)
    W = W / size
    leave = (log(4.0) + 4.0 - 0.1 - exp(0.1)) * (k + 1)
    early = Until(float(np.logaddexp(0.0, log(0.5 * leave) - 2.0 * log(size))), Outcome.TIME, None)
    held = flow(P, W, early, rtol=1e-11)
    assert held.events == []
    assert held.state.p[k] == pytest.approx(one_sample_margin(0.1, 1.0 / (k + 1), 0.5 * leave), abs=1e-9)
    assert np.abs(weights(held)[0, :k]).max() < 1e-14 / size
    late = Until(float(np.logaddexp(0.0, log(1.1 * leave) - 2.0 * log(size))), Outcome.TIME, None)
    events = flow(P, W, late, rtol=1e-11).events
    assert [(e.surface, e.kind) for e in events[:k]] == [(h, EventKind.LEAVE_DOWN) for h in range(k)]
    log_t = [e.v + log(-np.expm1(-e.v)) for e in events[:k]]
    assert log_t == pytest.approx([log(leave) - 2.0 * log(size)] * k, abs=1e-8)


@pytest.mark.parametrize("ahead", [60.0, 80.0])
def test_a_force_that_grows_out_of_rounding_takes_a_neuron_off_its_kink(ahead: float) -> None:
    """Neuron 0 lies on the kink of x_0, which has no weight at first: x_1 is more wrong by `ahead`, and orthogonal to
    it but for its rounding.  As p_1 rises, q_0 grows like e^(rate tau), which never outgrows its own derivative:
    the neuron leaves to the side that -x_0 pulls it to, once q_0 is more than rounding of q_1."""
    s = 0.5**0.5
    X, W = np.array([[s, s - 2.0**-53], [-s, s]]), np.array([[-ahead, ahead], [1.0, 1.0 + ahead], [2.0, 2.0 + ahead]])
    two = problem(X, [-1.0, -1.0], np.ones(3), 0.5, "exponential")
    found = flow(two, W, Until(None, Outcome.LOG_LOSS, log_loss=-3.0))
    assert found.finish.outcome is Outcome.LOG_LOSS and found.steps < 1000
    first = next(event for event in found.events if event.neuron == 0)
    assert first.kind in (EventKind.LEAVE_DOWN, EventKind.LEAVE_UP)
    z = weights(found) @ X.T
    assert found.state.p == pytest.approx(-np.maximum(z, 0.5 * z).sum(axis=0), abs=1e-9)
