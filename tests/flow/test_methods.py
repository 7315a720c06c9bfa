"""Methods agree with each other, deliver the tolerance asked for, and stay within a bound on work."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.dual import DualBranch
from gflow.flow.state import Outcome
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import Result, flow, problem_of, relative_gap, until_log_time, until_time
from tests.reference.setting import drawn

Array = NDArray[np.float64]


@cache
def reference_case(slope: float, rtol: float) -> tuple[Array, Result]:
    """Gaussian data n = 20, d = 400, m = 64, seed 0, logistic loss, until t = 20: weights at the end, and the run."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 400)), rng.choice([-1.0, 1.0], size=20)
    outer = np.where(np.arange(64) < 32, 1.0, -1.0) / 8.0
    W = rng.normal(size=(64, 400)) * np.sqrt(2.0 / 464.0)
    result = flow(Problem.of(X, y, Network(outer, slope), LOSSES["logistic"]), W, until_time(20.0), rtol=rtol)
    return result.weights(W), result


@pytest.mark.sample("*-1e-08", "*-1e-10")
@pytest.mark.parametrize("rtol", [1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("slope", [0.1, 0.0])
def test_the_error_delivered_is_below_the_tolerance(slope: float, rtol: float) -> None:
    """Relative error of the matrix, and of every neuron on its own: none hides behind the others."""
    (W, result), (exact, reference) = reference_case(slope, rtol), reference_case(slope, 1e-12)
    assert relative_gap(W, exact) < rtol
    assert (np.linalg.norm(W - exact, axis=1) / np.linalg.norm(exact, axis=1)).max() < rtol
    assert len(result.events) == len(reference.events)
    np.testing.assert_array_equal(result.state.side, reference.state.side)


@pytest.mark.parametrize("slope", [0.1, 0.0])
def test_steps_are_bounded_by_events(slope: float) -> None:
    _, result = reference_case(slope, 1e-8)
    assert 300 < len(result.events) < 400
    assert result.steps < 1.1 * len(result.events) + 20


def test_field_calls_are_bounded_by_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, plain = [0], DualBranch.field

    def counted(self: DualBranch, t: float, y: Array) -> Array:
        calls[0] += 1
        return plain(self, t, y)

    monkeypatch.setattr(DualBranch, "field", counted)
    setting, W = drawn("wide", 0.2, "logistic", seed=2)
    result = flow(problem_of(setting), W, until_time(12.0), method="DOP853")
    assert result.events
    # 12 stages and 3 for the dense output, the first of a stretch, and trials that were rejected.
    assert calls[0] < 25 * result.steps


@pytest.mark.parametrize("method", ["RK45", "Radau", "dopri5", "auto"])
@pytest.mark.parametrize("case", [("wide", 0.2, "logistic", 2), ("degenerate", 0.0, "exponential", 1)])
def test_all_methods_give_one_flow(case: tuple[str, float, str, int], method: str) -> None:
    setting, W = drawn(*case)
    problem, until = problem_of(setting), until_time(12.0)
    exact = flow(problem, W, until, rtol=1e-12, method="DOP853")
    result = flow(problem, W, until, rtol=1e-8, method=method)
    assert relative_gap(result.weights(W), exact.weights(W)) < 1e-8
    ours, theirs = ([(e.neuron, e.surface, e.kind) for e in run.events] for run in (result, exact))
    assert ours == theirs
    np.testing.assert_allclose([e.v for e in result.events], [e.v for e in exact.events], rtol=0.0, atol=1e-5)


def test_methods_agree_far_out_where_the_flow_is_stiff() -> None:
    setting, W = drawn("wide", 0.2, "logistic", seed=2)
    problem, until = problem_of(setting), until_log_time(30.0)
    automatic, implicit = (flow(problem, W, until, rtol=1e-9, method=name) for name in ("auto", "Radau"))
    assert automatic.finish.outcome is implicit.finish.outcome is Outcome.LOG_TIME
    assert relative_gap(automatic.weights(W), implicit.weights(W)) < 1e-8
    assert automatic.steps < 4 * len(automatic.events) + 100
