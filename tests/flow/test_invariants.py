"""Exact identities of the flow (claims 3.A), stretch by stretch on the modes the engine went through."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import nnls

from gflow.field.branch import Tolerances
from gflow.field.clock import dual_variables
from gflow.field.mode import DualMode, Mode
from gflow.flow.items import Advance
from gflow.flow.state import Finish, FlowState
from gflow.flow.steps import Manner, steps
from gflow.flow_time import log1p_of_time
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, problem_of, relative_gap, until_time
from tests.reference.setting import Setting, drawn

Array = NDArray[np.float64]
T = 8.0
CASES = [
    ("generic", 0.2, "logistic"), ("generic", 0.0, "exponential"), ("degenerate", 0.2, "exponential"),
    ("degenerate", 0.0, "logistic"), ("plane", 0.2, "logistic"), ("line", 0.0, "logistic"),
    ("wide", 0.5, "exponential"),
]  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    problem: Problem
    states: list[FlowState]  # at the starts of stretches, and at the end
    kernels: list[Array]


@cache
def recorded(kind: str, slope: float, loss: str) -> Recorded:
    setting, W = drawn(kind, slope, loss, seed=3)
    P = problem_of(setting)
    states, kernels = list[FlowState](), list[Array]()
    for item in steps(P, W, until_time(T), Manner("dual", tolerances=Tolerances(1e-11, 1e-13))):
        if isinstance(item, Advance) and (not states or item.stretch.state is not states[-1]):
            assert isinstance(item.stretch.branch.mode, DualMode)
            states.append(item.stretch.state)
            kernels.append(item.stretch.branch.mode.K.copy())
        if isinstance(item, Finish):
            states.append(item.state)
    return Recorded(P, states, kernels)


def velocity(P: Problem, mode: Mode, p: Array) -> tuple[Array, float]:
    """dU/dtau (m, r) from the gradient formula, each neuron projected off its kinks, and mean g."""
    q, log_total = dual_variables(P.loss, p, mode.live)
    V = (mode.minus * (P.network.outer[:, None] * P.y * q)) @ P.span.C
    for j in np.flatnonzero((mode.side == 0).any(axis=1)):
        N = P.surfaces.normals[mode.side[j] == 0]
        V[j] -= N.T @ np.linalg.lstsq(N.T, V[j], rcond=1e-10)[0]
    return V, float(np.exp(log_total)) / P.samples


@pytest.mark.parametrize("case", CASES)
def test_each_segment_again_and_the_loss_falls_by_the_squared_gradient(case: tuple[str, float, str]) -> None:
    """Primal weights, time and energy along each mode by scipy: the engine's next state, and dL = -|grad|^2 dt."""
    run = recorded(*case)
    P, spent = run.problem, 0.0
    for start, end in zip(run.states[:-1], run.states[1:], strict=True):
        mode = Mode(P, start.side)
        pattern = P.sample_sides(start.side)

        def rates(_: float, y: Array, mode: Mode = mode, pattern: NDArray[np.int8] = pattern) -> Array:
            V, mean_g = velocity(P, mode, P.margins(y[:-2].reshape(mode.side.shape[0], -1), pattern))
            return np.concatenate([V.ravel(), [1.0 / mean_g, mean_g * float((V**2).sum())]])

        y0 = np.concatenate([start.U.ravel(), [np.expm1(start.v), 0.0]])
        done = solve_ivp(rates, (start.tau, end.tau), y0, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
        assert np.abs(done[:-2] - end.U.ravel()).max() < 1e-9
        assert done[-2] == pytest.approx(np.expm1(end.v), abs=1e-8)
        fallen = np.exp(start.log_loss) - np.exp(end.log_loss)
        assert fallen == pytest.approx(done[-1], abs=1e-10)
        assert end.log_loss <= start.log_loss + 1e-14
        spent += done[-1]
    first, last = np.exp(run.states[0].log_loss), np.exp(run.states[-1].log_loss)
    assert first - last == pytest.approx(spent, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_moves_the_margins(case: tuple[str, float, str]) -> None:
    """dM/dtau = K q and |dU/dtau|^2 = q^T K q with the engine's incremental K, against the gradient itself."""
    run = recorded(*case)
    P = run.problem
    for state, K in zip(run.states[:-1], run.kernels, strict=True):
        V, _ = velocity(P, Mode(P, state.side), state.p)
        q, _ = dual_variables(P.loss, state.p, Mode(P, state.side).live)
        pattern = P.sample_sides(state.side)
        slopes = np.where(pattern > 0, 1.0, np.where(pattern < 0, P.network.slope, 0.0))
        rates = P.y * (P.network.outer @ (slopes * (V @ P.span.C.T)))
        assert K @ q == pytest.approx(rates, abs=1e-12 * np.abs(K).max())
        assert q @ K @ q == pytest.approx((V**2).sum(), abs=1e-12 * np.abs(K).max())
        assert K == pytest.approx(DualMode(P, state.side).K, abs=1e-12 * np.abs(K).max())


@pytest.mark.parametrize("case", CASES)
def test_the_norm_grows_by_the_weighted_margins(case: tuple[str, float, str]) -> None:
    """d/dtau |W|^2 / 2 = sum_i q_i p_i (homogeneity 1)."""
    run = recorded(*case)
    P = run.problem
    for state in run.states[:-1]:
        V, _ = velocity(P, Mode(P, state.side), state.p)
        q, _ = dual_variables(P.loss, state.p, Mode(P, state.side).live)
        assert (state.U * V).sum() == pytest.approx(q @ state.p, abs=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_weights_leave_their_start_in_the_cone_of_the_samples(case: tuple[str, float, str]) -> None:
    """sign(a_j) (w_j - w_j(0)) is a nonnegative combination of the y_i x_i, whatever the kinks did."""
    run = recorded(*case)
    P = run.problem
    generators = (P.y[:, None] * P.span.C).T
    for state in run.states:
        moved = np.sign(P.network.outer[:, None]) * (state.U - run.states[0].U)
        for row in moved:
            assert nnls(generators, row, maxiter=1000)[1] < 1e-10 * (1.0 + np.linalg.norm(row))


def test_outside_the_span_nothing_moves_and_margins_are_those_of_the_full_weights() -> None:
    setting, W = drawn("wide", 0.2, "logistic", seed=4)
    result = flow(problem_of(setting), W, until_time(T), rows=4)
    _, _, Vt = np.linalg.svd(setting.X)
    outside = Vt[setting.X.shape[0] :]
    for k, row in enumerate(result.rows):
        full = result.weights(W, k)
        assert (full - W) @ outside.T == pytest.approx(np.zeros((8, outside.shape[0])), abs=1e-13)
        z = full @ setting.X.T
        assert row.state.p == pytest.approx(setting.y * (setting.outer @ np.maximum(z, setting.slope * z)), abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_loss_never_rises(case: tuple[str, float, str]) -> None:
    setting, W = drawn(*case, seed=6)
    rows = flow(problem_of(setting), W, until_time(100.0), rows=40).rows
    losses = np.array([row.state.log_loss for row in rows])
    assert (np.diff(losses) <= 1e-14).all()


def end_weights(setting: Setting, W: Array, time: float = T) -> tuple[Array, Result]:
    result = flow(problem_of(setting), W, until_time(time), rtol=1e-11)
    return result.weights(W), result


def sequence(result: Result) -> list[tuple[int, int, int]]:
    return [(e.neuron, e.surface, int(e.kind)) for e in result.events]


SETTINGS = [("generic", 0.2), ("generic", 0.0), ("degenerate", 0.2), ("degenerate", 0.0)]


@pytest.mark.parametrize("kind, slope", SETTINGS)
class TestSymmetries:
    """The flow of a transformed problem is the transformed flow, with the same events."""

    def test_rotation(self, kind: str, slope: float) -> None:
        s, W = drawn(kind, slope, "logistic", seed=5)
        Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(W.shape[1], W.shape[1])))
        plain, result = end_weights(s, W)
        turned, other = end_weights(Setting(s.X @ Q, s.y, s.outer, slope, s.loss), W @ Q)
        assert relative_gap(turned, plain @ Q) < 1e-9
        assert sequence(other) == sequence(result)

    def test_permutation_of_neurons(self, kind: str, slope: float) -> None:
        s, W = drawn(kind, slope, "logistic", seed=5)
        order = np.random.default_rng(2).permutation(W.shape[0])
        plain, result = end_weights(s, W)
        permuted, other = end_weights(Setting(s.X, s.y, s.outer[order], slope, s.loss), W[order])
        assert relative_gap(permuted, plain[order]) < 1e-9
        assert len(other.events) == len(result.events)

    def test_global_flip(self, kind: str, slope: float) -> None:
        s, W = drawn(kind, slope, "logistic", seed=5)
        plain, result = end_weights(s, W)
        flipped, other = end_weights(Setting(s.X, -s.y, -s.outer, slope, s.loss), W)
        assert relative_gap(flipped, plain) < 1e-9
        assert sequence(other) == sequence(result)

    def test_the_data_set_twice(self, kind: str, slope: float) -> None:
        """The mean risk is the same, hence the same flow at the same time."""
        s, W = drawn(kind, slope, "logistic", seed=5)
        plain, result = end_weights(s, W)
        double = Setting(np.vstack([s.X, s.X]), np.append(s.y, s.y), s.outer, slope, s.loss)
        twice, other = end_weights(double, W)
        assert relative_gap(twice, plain) < 1e-9
        assert sequence(other) == sequence(result)

    @pytest.mark.parametrize("scale", [1e-3, 7.0, 1e4])
    def test_input_scale(self, kind: str, slope: float, scale: float) -> None:
        """x -> s x, W -> W / s, t -> t / s^2 leaves the margins."""
        s, W = drawn(kind, slope, "logistic", seed=5)
        plain, result = end_weights(s, W)
        scaled = Setting(scale * s.X, s.y, s.outer, slope, s.loss)
        other = flow(problem_of(scaled), W / scale, until_time(T / scale**2), rtol=1e-11)
        assert relative_gap(other.weights(W / scale), plain / scale) < 1e-8
        assert other.state.p == pytest.approx(result.state.p, abs=1e-8)

    def test_kou_and_frei_scaling(self, kind: str, slope: float) -> None:
        """W_Frei(c^2 t) = c W_Kou(t) with c = sqrt(2 / m), 2m neurons."""
        s, W = drawn(kind, slope, "exponential", seed=5)
        half = W.shape[0] // 2
        c = np.sqrt(2.0 / half)
        kou = Setting(s.X, s.y, np.sign(s.outer) / half, slope, s.loss)
        frei = Setting(s.X, s.y, np.sign(s.outer) / np.sqrt(2.0 * half), slope, s.loss)
        ours, _ = end_weights(kou, W, T)
        theirs, _ = end_weights(frei, c * W, c**2 * T)
        assert relative_gap(theirs, c * ours) < 1e-9


def test_the_order_of_samples_does_not_matter() -> None:
    s, W = drawn("degenerate", 0.0, "logistic", seed=7)
    order = np.random.default_rng(3).permutation(s.y.size)
    plain, _ = end_weights(s, W)
    other, _ = end_weights(Setting(s.X[order], s.y[order], s.outer, 0.0, s.loss), W)
    assert relative_gap(other, plain) < 1e-9


@pytest.mark.parametrize("method", ["DOP853", "Radau", "RK45"])
def test_methods_agree(method: str) -> None:
    s, W = drawn("generic", 0.2, "logistic", seed=9)
    plain, _ = end_weights(s, W)
    result = flow(problem_of(s), W, until_time(T), rtol=1e-7, method=method)
    assert relative_gap(result.weights(W), plain) < 1e-5
    assert result.state.v == log1p_of_time(T)
