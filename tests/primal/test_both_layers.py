"""Both layers trained: exact identities of the two-homogeneous flow through kinks (claims 2.5, 3.A, 3.F)."""

from __future__ import annotations

from functools import cache
from math import log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import gflow
from gflow.flow.state import Outcome
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, loglog_slope, until_log_time, until_time
from tests.primal.driver import DEVICES, event_list, parity, primal, slides

Array = NDArray[np.float64]
SEEDS = (0, 1)


@cache
def run(seed: int, rtol: float, end: float = 30.0, slope: float = 0.0, method: str = "DOP853") -> Result:
    problem, W = parity(24, 10, 32, seed, slope)
    return primal(problem, W, until_time(end), rtol=rtol, rows=16, method=method)


def imbalance(result: Result, row: int) -> Array:
    """a_j^2 - |u_j|^2 (m,); the part of w_j outside the span never moves."""
    parameters = result.rows[row].state.parameters
    return np.asarray(parameters.outer**2 - (parameters.U**2).sum(axis=1))


def drift(result: Result) -> float:
    """Largest change of a_j^2 - |w_j|^2 over all neurons and rows."""
    return max(float(np.abs(imbalance(result, k) - imbalance(result, 0)).max()) for k in range(len(result.rows)))


def squared_norm(result: Result, row: int) -> float:
    parameters = result.rows[row].state.parameters
    return float((parameters.U**2).sum() + (parameters.outer**2).sum())


@pytest.mark.sample("*-DOP853")
@pytest.mark.parametrize(
    ("seed", "slope", "method"),
    [(0, 0.0, "DOP853"), (1, 0.0, "DOP853"), (0, 0.2, "DOP853"), (1, 0.2, "DOP853"), (0, 0.0, "dopri5")],
)
def test_balancedness_is_conserved_through_all_events(seed: int, slope: float, method: str) -> None:
    result = run(seed, 1e-9, 30.0, slope, method)
    assert len(result.events) > 45
    assert slides(result) > 15
    assert drift(result) < 1e-8


@pytest.mark.slow
def test_what_is_lost_of_balancedness_falls_with_the_tolerance() -> None:
    rtols = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
    drifts = [drift(run(0, rtol)) for rtol in rtols]
    assert 0.8 < loglog_slope(rtols, drifts) < 1.3
    assert all(lost < 10.0 * rtol for lost, rtol in zip(drifts, rtols, strict=True))


@pytest.mark.sample("0")
@pytest.mark.parametrize("seed", SEEDS)
def test_the_loss_never_rises_and_norm_and_margin_grow_once_it_is_low(seed: int) -> None:
    """L always; |theta| and smoothed margin / |theta|^2 once L < l(0) / n (Lyu and Li)."""
    problem, W = parity(24, 10, 32, seed)
    result = primal(problem, W, until_log_time(40.0), rtol=1e-8, rows=40)
    losses = np.array([row.state.log_loss for row in result.rows])
    assert (np.diff(losses) <= 1e-12).all()
    late = np.flatnonzero(losses < log(log(2.0)) - log(problem.samples))
    assert late.size > 15
    norms = np.array([squared_norm(result, int(k)) for k in late])
    smoothed = np.array([problem.loss.smoothed_margin(result.rows[k].state.p) for k in late])
    assert (np.diff(norms) > 0.0).all()
    assert (np.diff(smoothed / norms) >= -1e-9 * (smoothed / norms)[1:]).all()


@pytest.mark.parametrize("device", DEVICES)
def test_euler_the_norm_grows_by_twice_the_weighted_margins(device: str) -> None:
    """<theta, d theta/dt> = (2 / n) sum_i g_i p_i, with sliding neurons in the state; dt = e^v dv."""
    problem, W = parity(24, 10, 32, 0)
    result = primal(problem, W, until_time(10.0), rows=8, device=device)
    assert (result.state.side == 0).any()
    for row in result.rows[1:]:
        if (row.state.side != result.state.side).any():
            continue
        stretch = result.engine.stretch(row.state)
        y = stretch.branch.y0
        rate = stretch.branch.system.field(0.0, y)
        g = 1.0 / (1.0 + np.exp(row.state.p))
        half_growth = y[:-1] @ rate[:-1] / (rate[-1] * np.exp(y[-1]))
        assert half_growth == pytest.approx(2.0 * np.mean(g * row.state.p), abs=1e-12)


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_one_sample_and_one_neuron_is_a_scalar_flow(loss: str) -> None:
    """v parallel to x and a = |v|: p = a^2 |x|, dp/dt = 2 |x| p g(p) (claims 3.F)."""
    x, size = np.array([[0.6, 0.8, 1.2]]), float(np.linalg.norm([0.6, 0.8, 1.2]))
    a = 0.3
    problem = Problem.of(x, np.ones(1), Network(np.array([a]), 0.0, trains_outer=True), LOSSES[loss])
    times = np.array([0.5, 2.0, 10.0, 200.0])
    result = primal(problem, a * x / size, until_time(200.0), rtol=1e-11, rows=[float(np.log1p(t)) for t in times])

    def rate(_: float, p: Array) -> Array:
        return np.asarray(2.0 * size * p * (1.0 / (1.0 + np.exp(p)) if loss == "logistic" else np.exp(-p)))

    exact = solve_ivp(rate, (0.0, 200.0), [a * a * size], "DOP853", times, rtol=1e-13, atol=1e-15).y[0]
    assert [float(row.state.p[0]) for row in result.rows[1:]] == pytest.approx(exact, rel=1e-9)
    assert result.state.parameters.outer[0] ** 2 * size == pytest.approx(exact[-1], rel=1e-9)
    assert result.events == []


@pytest.mark.slow
def test_log_time_two_hundred_is_reached_on_parity() -> None:
    """L ~ 1 / (t log t), up to a factor that tends to a constant."""
    problem, W = parity(64, 20, 16, seed=1)
    result = primal(problem, W, until_log_time(200.0), rtol=1e-6, rows=5)
    assert result.finish.outcome is Outcome.LOG_TIME
    assert result.state.v == pytest.approx(200.0, abs=1e-12)
    excess = [-row.state.log_loss - row.state.v - log(row.state.v) for row in result.rows[2:]]
    assert np.ptp(excess) < 1.0
    assert (np.diff([row.state.log_loss for row in result.rows]) < 0.0).all()


def test_a_neuron_at_rest_stays_so() -> None:
    """a_j = 0 and w_j = 0: no velocity, no event; the others do not notice it."""
    problem, W = parity(12, 6, 6, 3)
    outer = np.append(problem.network.outer, 0.0)
    wider = Problem.of(problem.X, problem.y, Network(outer, 0.0, trains_outer=True), problem.loss)
    one = primal(problem, W, until_time(20.0), rtol=1e-10)
    other = primal(wider, np.vstack([W, np.zeros(6)]), until_time(20.0), rtol=1e-10)
    assert (other.state.U[-1] == 0.0).all()
    assert other.state.parameters.outer[-1] == 0.0
    assert other.state.U[:-1] == pytest.approx(one.state.U, abs=1e-9)
    assert event_list(other) == event_list(one)


def test_an_outer_layer_that_is_fixed_is_the_dual_flow() -> None:
    problem, W = parity(24, 10, 32, 0)
    fixed = Problem.of(problem.X, problem.y, Network(problem.network.outer, 0.0), problem.loss)
    until = until_time(30.0)
    one, other = flow(fixed, W, until, rtol=1e-10), primal(fixed, W, until, rtol=1e-10)
    assert other.state.U == pytest.approx(one.state.U, abs=1e-8)
    assert (other.state.parameters.outer == problem.network.outer).all()
    assert event_list(other) == event_list(one)


def test_a_neuron_stays_on_its_kink_however_long_it_slides() -> None:
    """Labels that contradict each other 4e-6 apart: what moves it along its kink is a millionth of what is balanced
    across it, for tau = 1e5; a_j^2 - |w_j|^2 and z = 0 hold all the same."""
    X = np.array([[4.496272, 1.751542], [4.496273, 1.751538], [-1.611578, 0.760895]])
    flow = gflow.integrate(
        X,
        [1.0, -1.0, 1.0],
        [[1e-8, 1e-8]],
        [3.0],
        train_outer=True,
        until=gflow.log_time(14.0),
        rows=2,
    )
    w, a = flow.weights(-1)[0], float(flow.outer_at(-1)[0])
    assert flow.read("pattern", -1)[0, 1] == 0
    assert a**2 - w @ w == pytest.approx(9.0, abs=1e-7)
    assert abs(w @ X[1]) < 1e-14 * np.linalg.norm(w) * np.linalg.norm(X[1])


def test_the_loss_never_rises_beside_neurons_of_norm_1e8() -> None:
    """Antipodal samples whose margins are sums of terms of 1e8: errors of rtol |w_j| would move them by 1e8 rtol."""
    X = np.array([[1.4676, 5.8137, -2.7923, -4.7178], [-1.4676, -5.8137, 2.7923, 4.7178], [5.51, 1.92, -3.99, -4.02]])
    W = 1e8 * np.array([[-1.0, 0.3, 0.03, 0.04], [-0.53, 1.12, 0.21, 0.78], [1.13, 1.8, 2.32, 0.24]])
    flow = gflow.integrate(
        X,
        np.ones(3),
        W,
        [-0.84, 1.593, -2.279],
        activation="leaky_relu",
        slope=0.01,
        train_outer=True,
        until=gflow.time(20.0),
        rows=2,
        budget={"steps": 60},
    )
    assert flow.series["steps"][-1] == 60.0 and flow.series["sup_loss_rise"][-1] < 1e-9
