"""A sample that occurs with both labels: the flow comes to rest where f is 0 there, which may be on a kink itself.

With orthogonal inputs and |x_1| = 1 let s be the integral of (g_1 - g_4) / 4, the part of the two at x_1.  A ReLU
neuron has z_j1 = max(z_j1(0) + a_j s, 0) where it starts active, so f(x_1) is a function of s that never falls, and
s' = (g(f) - g(-f)) / 4 = -tanh(f / 2) / 4: one ordinary differential equation, with its zero where f is 0.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import expit

from gflow.field.transition import EventKind
from gflow.flow.state import Outcome
from gflow.flow_time import log1p_of_log_time
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import flow, until_log_time

Array = NDArray[np.float64]
OUTER = np.array([1.0, 1.0, -1.0])
LOG_TIMES = [-2.0, 0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 8.0, 10.0]


def twins() -> Problem:
    """I_3 with labels +1, and its first row again with the label -1; three ReLU neurons."""
    X = np.vstack([np.eye(3), np.eye(3)[:1]])
    return Problem.of(X, np.array([1.0, 1.0, 1.0, -1.0]), Network(OUTER, 0.0), LOSSES["logistic"])


def moved(z: Array, s: float) -> float:
    """f at a sample from z (3,) at the start, after s."""
    active = z > 0.0
    return float(OUTER[active] @ np.maximum(z[active] + OUTER[active] * s, 0.0))


def output(z: Array, contradicted: bool, times: Array) -> Array:
    """f at one sample at the times, (T,), by the equation for s alone."""

    def rate(_: float, s: Array) -> Array:
        f = moved(z, float(s[0]))
        return np.array([0.25 * (expit(-f) - contradicted * expit(f))])

    found = solve_ivp(rate, (0.0, times[-1]), [0.0], "LSODA", times, rtol=1e-11, atol=1e-13)
    assert found.success
    return np.array([moved(z, s) for s in found.y[0]])


@pytest.mark.sample("1-*", "2-*", "4-*", "5-*", "0-1e-08")
@pytest.mark.parametrize("rtol", [1e-8, 1e-10])
@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5, 7])
def test_margins_are_those_of_one_equation_per_sample_to_the_end(seed: int, rtol: float) -> None:
    """Random starts; the late rows, at which f(x_1) is 0 to rounding, are reached."""
    W = np.random.default_rng(seed).standard_normal((3, 3))
    v = [log1p_of_log_time(log_time) for log_time in LOG_TIMES]
    result = flow(twins(), W, until_log_time(12.0), rtol=rtol, atol=1e-12, rows=v)
    assert result.finish.outcome is Outcome.LOG_TIME, result.finish.sentence
    p = np.array([row.state.p for row in result.rows])
    times = np.concatenate([[0.0], np.exp(LOG_TIMES), [np.exp(12.0)]])
    for i in range(3):
        assert np.allclose(p[:, i], output(W[:, i], i == 0, times), rtol=0.0, atol=20.0 * rtol), f"sample {i}"
    assert np.array_equal(p[:, 3], -p[:, 0])


@pytest.mark.parametrize("rtol", [1e-8, 1e-10])
@pytest.mark.parametrize("z", [2.0, 0.3])
def test_the_only_active_neuron_closes_in_on_its_kink_in_closed_form(z: float, rtol: float) -> None:
    """z' = -tanh(z / 2) / 4, so sinh(z / 2) falls like e^{-t / 8}: to the kink, which it meets to rounding only."""
    W = np.array([[z, 1.0, 0.5], [-1.0, -1.0, 0.7], [-1.0, -1.0, -1.0]])
    v = [log1p_of_log_time(log_time) for log_time in LOG_TIMES]
    result = flow(twins(), W, until_log_time(12.0), rtol=rtol, atol=1e-12, rows=v)
    assert result.finish.outcome is Outcome.LOG_TIME, result.finish.sentence
    exact = 2.0 * np.arcsinh(np.sinh(0.5 * z) * np.exp(-np.exp(LOG_TIMES) / 8.0))
    found = np.array([row.state.p[0] for row in result.rows[1:-1]])
    assert np.allclose(found, exact, rtol=0.0, atol=100.0 * rtol)
    assert abs(result.state.p[0]) <= rtol and abs(result.state.U @ result.engine.problem.span.C[0])[0] <= rtol
    # Held where it is, once: it does not fall off, and does not arrive again and again.
    assert [(e.neuron, e.kind) for e in result.events if e.neuron == 0] in ([], [(0, EventKind.SLIDE)])
    assert len(result.events) <= 1
