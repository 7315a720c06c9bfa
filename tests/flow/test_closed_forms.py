"""Orthogonal data: the whole trajectory, kinks included, by the logarithm and the Wright omega function.

With orthogonal inputs z_ji is a piecewise linear function of Phi_i = (1/n) int g_i dt with one breakpoint, so M_i is a
piecewise linear function of Phi_i, and on each piece dM_i/dt = k g(M_i) has a closed form (claims 3.D).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import wrightomega

from gflow.field.transition import EventKind
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, until_time

Array = NDArray[np.float64]
TIMES = [0.05, 0.4, 2.0, 10.0, 60.0, 1000.0]


def kou(slope: float, loss: str, seed: int = 0, n: int = 5, half: int = 8, d: int = 9) -> tuple[Problem, Array]:
    """Kou scaling (outer +-1/half), orthogonal samples of norms 0.7 to 1.5 turned by a random rotation."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
    X = np.linspace(0.7, 1.5, n)[:, None] * rotation[:n]
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    outer = np.repeat([1.0, -1.0], half) / half
    return Problem.of(X, y, Network(outer, slope), LOSSES[loss]), 0.3 * rng.normal(size=(2 * half, d))


@dataclass(frozen=True)
class OneSample:
    """M_i against time: breakpoints (t, M) and the slopes k of the pieces that start there; who breaks when."""

    loss: str
    t: list[float]
    M: list[float]
    k: list[float]
    breaks: list[tuple[float, int]]

    def margin(self, time: float) -> float:
        """M_i at `time`."""
        piece = max(i for i, start in enumerate(self.t) if start <= time)
        M, gain = self.M[piece], self.k[piece] * (time - self.t[piece])
        if self.loss == "exponential":
            return log(exp(M) + gain)
        return log(float(wrightomega(M + exp(M) + gain)))


def one_sample(P: Problem, W: Array, i: int) -> OneSample:
    """The pieces of sample i, by hand from z_ji(0)."""
    z = W @ P.X[i]
    rate = P.network.outer * P.y[i] * (P.X[i] @ P.X[i])  # dz / dPhi at slope 1
    slope = np.where(z > 0.0, 1.0, P.network.slope)
    later = np.where(z > 0.0, P.network.slope, 1.0)
    meets = z * rate < 0.0
    with np.errstate(divide="ignore"):
        at = np.where(meets & (slope > 0.0), np.abs(z / np.where(slope > 0.0, slope, 1.0) / rate), inf)
    pull = P.network.outer * P.y[i]
    t, M, breaks = [0.0], [float(pull @ (slope * z))], []
    k = [float(pull @ (slope**2 * rate)) / P.samples]
    phi = 0.0
    for j in np.argsort(at)[: int(np.isfinite(at).sum())]:
        end = M[-1] + k[-1] * P.samples * float(at[j] - phi)
        t.append(t[-1] + (_potential(P.loss.name, end) - _potential(P.loss.name, M[-1])) / k[-1])
        M.append(end)
        breaks.append((t[-1], int(j)))
        slope[j], phi = later[j], float(at[j])
        k.append(float(pull @ (slope**2 * rate)) / P.samples)
    return OneSample(P.loss.name, t, M, k, breaks)


def _potential(loss: str, M: float) -> float:
    """The integral of 1 / g."""
    return exp(M) if loss == "exponential" else M + exp(M)


def run(P: Problem, W: Array, rtol: float) -> Result:
    return flow(P, W, until_time(TIMES[-1]), rtol=rtol, rows=[float(np.log1p(t)) for t in TIMES[:-1]])


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_margins_through_all_kinks(seed: int, slope: float, loss: str) -> None:
    P, W = kou(slope, loss, seed)
    result = run(P, W, rtol=1e-11)
    for i in range(P.samples):
        exact = one_sample(P, W, i)
        ours = [float(row.state.p[i]) for row in result.rows[1:]]
        assert ours == pytest.approx([exact.margin(t) for t in TIMES], abs=1e-9)


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5])
def test_every_kink_is_met_once_and_on_time(slope: float, loss: str) -> None:
    """Leaky: a crossing towards sign(a_j y_i); ReLU: absorption.  Order, pairs and times."""
    P, W = kou(slope, loss)
    result = run(P, W, rtol=1e-11)
    expected = sorted((t, j, i) for i in range(P.samples) for t, j in one_sample(P, W, i).breaks if t < TIMES[-1])
    assert len(expected) > 15
    assert [(e.neuron, e.surface) for e in result.events] == [(j, i) for _, j, i in expected]
    assert [e.v for e in result.events] == pytest.approx([float(np.log1p(t)) for t, _, _ in expected], abs=1e-9)
    for event in result.events:
        up = P.network.outer[event.neuron] * P.y[event.surface] > 0.0
        crossing = EventKind.CROSS_UP if up else EventKind.CROSS_DOWN
        assert event.kind == (crossing if slope > 0.0 else EventKind.SLIDE)


@pytest.mark.parametrize("rtol", [1e-6, 1e-8, 1e-10])
def test_the_error_follows_the_tolerance(rtol: float) -> None:
    P, W = kou(0.1, "logistic")
    result = run(P, W, rtol)
    errors = [abs(float(result.state.p[i]) - one_sample(P, W, i).margin(TIMES[-1])) for i in range(P.samples)]
    assert max(errors) < 100.0 * rtol


def test_relu_neurons_of_the_wrong_class_stop_exactly_at_zero() -> None:
    """Absorbed pairs are zero to rounding and stay; inactive ones never move; nobody leaves."""
    P, W = kou(0.0, "logistic")
    result = run(P, W, rtol=1e-10)
    z = W @ P.X.T
    wrong = (P.network.outer[:, None] * P.y < 0.0) & (z > 0.0)
    final = result.state
    absorbed = final.side == 0
    late = {(e.neuron, e.surface) for e in result.events}
    assert absorbed[wrong].mean() > 0.5
    assert {(int(j), int(i)) for j, i in np.argwhere(absorbed)} == late
    assert not (absorbed & ~wrong).any()
    zeta = final.U @ P.surfaces.normals.T
    assert np.abs(zeta[absorbed]).max() < 1e-14
    assert final.U @ P.span.C.T == pytest.approx(np.where(z < 0.0, z, final.U @ P.span.C.T), abs=1e-14)
    assert (final.side[z < 0.0] == -1).all()
    for row in result.rows:
        gone = [(e.neuron, e.surface) for e in result.events if e.v < row.state.v]
        assert all(row.state.side[j, i] == 0 for j, i in gone)


def test_after_the_last_kink_the_closed_form_needs_one_piece() -> None:
    """Frozen leaky network: N2 = m (1 + lk^2), k_i = |x_i|^2 (1 + lk^2) / (n m)."""
    P, W = kou(0.3, "logistic")
    for i in range(P.samples):
        k = float(P.X[i] @ P.X[i]) * (1.0 + 0.3**2) / (P.samples * 8)
        assert one_sample(P, W, i).k[-1] == pytest.approx(k, rel=1e-13)


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_leaky_from_zero_weights(loss: str) -> None:
    """W(0) = 0 is on every kink; the minimum norm takes lk everywhere, so the neuron moves to the side of a_j y_i."""
    P, W = kou(0.2, loss)
    result = flow(P, np.zeros_like(W), until_time(30.0), rtol=1e-11)
    wanted = np.sign(P.network.outer[:, None] * P.y)
    assert (result.state.side == wanted).all()
    for i in range(P.samples):
        k = float(P.X[i] @ P.X[i]) * (1.0 + 0.2**2) / (P.samples * 8)
        exact = OneSample(loss, [0.0], [0.0], [k], [])
        assert result.state.p[i] == pytest.approx(exact.margin(30.0), abs=1e-9)
