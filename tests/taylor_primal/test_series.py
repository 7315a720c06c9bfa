"""The series of trained outer layers against closed forms and autograd, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.flow.choice import SWITCHING
from gflow.flow.state import Checkpoint
from gflow.flow.steps import Manner, engine_of
from gflow.flow.taylor_ahead import Ends, Leave
from gflow.flow.taylor_primal import PrimalAhead, PrimalSeries
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.taylor.loop import CLOCK_PASSED
from gflow.taylor.model import CAP, DEGREE, END, SIZE
from gflow.taylor.primal import step
from gflow.taylor.primal.series import grow, grow_duals, start
from tests.both_loops import Way, way
from tests.flow.driver import until_log_time
from tests.primal.driver import parity

Array = NDArray[np.float64]


def begun(problem: Problem, W: Array) -> PrimalAhead:
    """The arrays at the start, before any step."""
    engine = engine_of(problem, W, Manner("primal", "taylor", Tolerances(1e-8, 1e-10)))
    state, _ = engine.start()
    return PrimalSeries(engine).ahead(engine.stretch(state), Checkpoint(state, engine.inexact), False)


def expanded(problem: Problem, W: Array, degree: int, h: float) -> PrimalAhead:
    """The series of the start to this degree, for a step h."""
    ahead = begun(problem, W)
    start(ahead.model, h)
    for N in range(1, degree):
        grow_duals(ahead.model, N)
        grow(ahead.model, N, h)
    return ahead


Field = Callable[[torch.Tensor], torch.Tensor]


def along(field: Field, function: Field, y: torch.Tensor) -> torch.Tensor:
    """The derivative of a function along the field, at y (p,)."""
    rate: torch.Tensor = torch.autograd.functional.jvp(  # type: ignore[no-untyped-call]
        function, y, field(y), create_graph=True
    )[1]
    return rate


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("trains", [True, False])
def test_coefficients_are_derivatives_of_the_field(loss: str, slope: float, trains: bool) -> None:
    """The field of the steppers, differentiated along itself by torch: theta^(k) = (theta^(k - 1))' f."""
    problem, W = parity(7, 4, 3, seed=3, slope=slope, loss=loss)
    problem = Problem.of(problem.X, problem.y, replace(problem.network, trains_outer=trains), problem.loss)
    engine = engine_of(problem, W, Manner("primal", "taylor"))
    state, _ = engine.start()
    field = engine.stretch(state).branch.tensor_field  # type: ignore[attr-defined]  # of a primal branch
    y = torch.as_tensor(engine.stretch(state).branch.y0)
    h, degree, fields = 0.01, 4, [field]
    for _ in range(degree - 1):
        fields.append(partial(along, field, fields[-1]))
    model = expanded(problem, W, degree, h).model
    size, factor = state.U.size, 1.0
    for k in range(1, degree + 1):
        factor *= h / k / engine.stretch(state).branch.unit
        expected = fields[k - 1](y).detach().numpy() * factor
        np.testing.assert_allclose(model.neurons.W[:, k].ravel(), expected[:size], rtol=1e-10, atol=1e-13 * h)
        if trains:
            np.testing.assert_allclose(model.neurons.a[:, k, 0], expected[size:-1], rtol=1e-10, atol=1e-13 * h)


def test_one_balanced_neuron_in_closed_form() -> None:
    """a = |w| on one sample of length 1, exponential loss: p = a^2 and dp/dt = 2 p e^-p, so that t is an integral."""
    problem = Problem.of(np.array([[1.0]]), np.array([1.0]), Network(np.array([0.5]), 0.0, True), LOSSES["exponential"])
    result = way(problem, np.array([[0.5]]), until_log_time(30.0), rows=12)
    s, weights = np.polynomial.legendre.leggauss(60)
    for row in result.rows[1:]:
        p, total = float(row.state.p[0]), 0.0
        edges = np.linspace(0.25, p, 200)
        for low, high in zip(edges[:-1], edges[1:], strict=True):
            x = 0.5 * (high + low) + 0.5 * (high - low) * s
            total += 0.5 * (high - low) * float(weights @ (np.exp(x) / (2.0 * x)))
        assert np.log1p(total) == pytest.approx(row.clock, rel=1e-9)
        assert row.state.parameters.outer[0] == pytest.approx(row.state.U[0, 0], rel=1e-15)


def drift(result: Way, problem: Problem, W: Array) -> float:
    """How far a_j^2 - |w_j|^2 has moved, over the largest |theta_j|^2."""
    parameters = result.finish.state.parameters
    now, outer = (parameters.U**2).sum(axis=1), parameters.outer**2
    then = problem.network.outer**2 - (W**2).sum(axis=1) + (problem.span.outside(W) ** 2).sum(axis=1)
    return float(np.abs(outer - now - then).max() / (outer + now).max())


def test_neurons_stay_balanced_to_rounding() -> None:
    """Through slides and leaves, on data in general position: the loop never needs the steppers, which drift."""
    rng = np.random.default_rng(0)
    X, y, a, W = rng.normal(size=(16, 9)), rng.choice([-1.0, 1.0], size=16), rng.normal(size=8), rng.normal(size=(8, 9))
    problem = Problem.of(X, y, Network(a, 0.0, True), LOSSES["logistic"])
    ours = way(problem, W, until_log_time(200.0))
    assert len(ours.events) > 20 and {3, 4, 5} & {kind for _, _, kind in ours.events}
    assert drift(ours, problem, W) < 1e-14
    assert drift(way(problem, W, until_log_time(5.0), SWITCHING), problem, W) > 1e-12


def test_terms_alone_would_let_the_balance_drift() -> None:
    """The series is cut off, and what is left out shows, as long as nothing is done about it."""
    problem, W = parity(6, 3, 3, seed=1)
    ahead = begun(problem, W)
    neurons = ahead.model.neurons
    ahead.model.now[CAP] = 1.0
    assert step.attempt(ahead.model) == -1
    u, N = 1.5 * ahead.end, int(ahead.model.tried[DEGREE])
    powers = u ** np.arange(N + 1.0)
    W, a = np.einsum("jkr,k->jr", neurons.W[:, : N + 1], powers), neurons.a[:, : N + 1, 0] @ powers
    assert np.abs(a**2 - (W**2).sum(axis=1) - neurons.balance).max() > 1e-13
    shown = ahead._parameters(u)
    ahead.model.step[END] = u
    step.take_step(ahead.model)
    for inner, outer in ((shown.U, shown.outer), (neurons.W[:, 0], neurons.a[:, 0, 0])):
        np.testing.assert_allclose(outer**2 - (inner**2).sum(axis=1), neurons.balance, rtol=0.0, atol=1e-15)


def test_a_step_holds_what_its_tolerance_says() -> None:
    """Two steps of half the size end where one step does."""
    problem, W = parity(9, 5, 4, seed=2)
    ahead = begun(problem, W)
    assert ahead.go(-np.inf, Ends(np.inf, -np.inf), Leave(10, 10)) == CLOCK_PASSED
    whole = ahead._parameters(ahead.end)
    tau = ahead.end * float(ahead.model.step[SIZE])
    other = begun(problem, W)
    for _ in range(2):
        start(other.model, 0.5 * tau)
        for N in range(1, 16):
            grow_duals(other.model, N)
            grow(other.model, N, 0.5 * tau)
        other.model.tried[DEGREE], other.model.step[END] = 16, 1.0
        step.take_step(other.model)
    np.testing.assert_allclose(other.model.neurons.W[:, 0], whole.U, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(other.model.neurons.a[:, 0, 0], whole.outer, rtol=1e-11, atol=1e-12)
