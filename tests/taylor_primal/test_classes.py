"""Several outputs with softmax by the series: coefficients, events, weights and measures are those of the steppers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gflow.field.branch import Measure, Tolerances
from gflow.flow.choice import SWITCHING
from gflow.flow.items import FlowRow
from gflow.flow.steps import Manner, engine_of, steps
from gflow.flow.stopping import spaced
from gflow.flow.taylor_primal import PrimalAhead
from gflow.problem.parameters import Layout
from gflow.problem.problem import Problem
from gflow.taylor.primal import outputs, series
from tests.both_loops import Made, apart, check, compare_all, together, way
from tests.flow.driver import until_log_time
from tests.primal.test_classes import drawn
from tests.taylor_primal.test_series import along, expanded

Array = NDArray[np.float64]
Posed = tuple[Problem, Array]


def posed(K: int, trains: bool, biased: bool, slope: float = 0.1, seed: int = 0) -> Posed:
    """Twelve samples, K classes; the outer layer trained or not, with an output bias or without one."""
    problem, W = drawn(K, seed, slope)
    bias = problem.network.output_bias if biased else None
    network = replace(problem.network, trains_outer=trains, output_bias=bias)
    return Problem.of(problem.X, problem.y, network, problem.loss), W


def coefficients(ahead: PrimalAhead, problem: Problem, k: int) -> Array:
    """Those of degree k, laid out as the state of the steppers."""
    model, layout = ahead.model, Layout.of(problem)
    parts = [model.neurons.W[:, k].ravel()]
    if layout.outer is not None:
        parts.append(model.neurons.a[:, k].T.ravel())
    if layout.bias is not None:
        parts.append(model.outputs.bias[k])
    return np.concatenate(parts)


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("trains, biased", [(True, True), (True, False), (False, True), (False, False)])
def test_coefficients_are_derivatives_of_the_field(K: int, trains: bool, biased: bool) -> None:
    """The field of the steppers, differentiated along itself by torch."""
    problem, W = posed(K, trains, biased)
    engine = engine_of(problem, W, Manner("primal", "taylor"))
    state, _ = engine.start()
    branch = engine.stretch(state).branch
    field = branch.tensor_field  # type: ignore[attr-defined]  # of a primal branch
    y, h, degree, fields = torch.as_tensor(branch.y0), 0.01, 4, [field]
    for _ in range(degree - 1):
        fields.append(partial(along, field, fields[-1]))
    ahead, factor = expanded(problem, W, degree, h), 1.0
    for k in range(1, degree + 1):
        factor *= h / k / branch.unit
        expected = fields[k - 1](y).detach().numpy()[:-1] * factor
        np.testing.assert_allclose(coefficients(ahead, problem, k), expected, rtol=1e-9, atol=1e-12 * h)


@pytest.mark.sample("4-*", "2-*")
@pytest.mark.parametrize("K, seed, slope", [(2, 0, 0.0), (3, 1, 0.0), (4, 2, 0.2), (10, 3, 0.0)])
def test_it_finds_what_the_steppers_find(K: int, seed: int, slope: float) -> None:
    """Both layers and the output bias, with neurons that slide."""
    problem, W = drawn(K, seed, slope)
    ours, theirs = (
        way(problem, W, until_log_time(6.0), method, rtol) for method, rtol in (("taylor", 1e-9), (SWITCHING, 1e-12))
    )
    assert together(ours, theirs) and len(theirs.events) > 5
    assert apart(ours, theirs) < 1e-9
    bias, other = (each.finish.state.parameters.output_bias for each in (ours, theirs))
    assert bias is not None and other is not None
    np.testing.assert_allclose(bias, other, rtol=0.0, atol=1e-9)


def test_what_turns_with_the_classes_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: shares of the classes that were taken to stand still give another flow."""
    problem, W = drawn(3, 1)
    theirs = way(problem, W, until_log_time(2.0), SWITCHING, 1e-10)
    ours = way(problem, W, until_log_time(2.0))
    assert apart(ours, theirs) < 1e-8

    def frozen(out: outputs.Outputs, y: Array, N: int, p: Array) -> None:
        outputs.grow_margins(out, y, N, p)
        out.R[N] = 0.0

    monkeypatch.setattr(series, "grow_margins", frozen)
    monkeypatch.setattr("gflow.flow.taylor_primal.advance", series_alone)
    assert apart(way(problem, W, until_log_time(2.0)), theirs) > 1e-6


def series_alone(*arguments: object) -> int:
    """The compiled loop as Python runs it."""
    from gflow.taylor.primal.advance import advance

    return int(advance.function(*arguments))


def test_neurons_stay_balanced_to_rounding() -> None:
    """|A_j|^2 - |w_j|^2 through a run."""
    problem, W = drawn(3, 1)
    ours = way(problem, W, until_log_time(30.0))
    parameters, network = ours.finish.state.parameters, problem.network
    outside = (problem.span.outside(W) ** 2).sum(axis=1)
    then = (network.outer**2).sum(axis=0) - (W**2).sum(axis=1) + outside
    now = (parameters.outer**2).sum(axis=0) - (parameters.U**2).sum(axis=1)
    assert np.abs(now - then).max() < 1e-13 * (parameters.outer**2).sum(axis=0).max()


def measured(problem: Problem, W: Array, method: str) -> list[Measure]:
    """The measures at the rows of a run to log t = 2."""
    until = until_log_time(2.0)
    last, found = None, []
    manner = Manner("primal", method, Tolerances(1e-11, 1e-13))
    for item in steps(problem, W, until, manner, spaced("log", 6, until)):
        last = item if isinstance(item, Measure) else last
        if isinstance(item, FlowRow) and last is not None:
            found.append(last)
    return found


@pytest.mark.parametrize("trains", [True, False])
def test_measures_are_those_of_the_steppers(trains: bool) -> None:
    problem, W = posed(3, trains, biased=True)
    ours, theirs = measured(problem, W, "taylor"), measured(problem, W, "DOP853")
    assert len(ours) == len(theirs) == 6
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.margin_rates, two.margin_rates, rtol=1e-7, atol=1e-9)
        for name in ("v", "log_loss", "norm", "speed", "log_clock", "rounding"):
            assert getattr(one, name) == pytest.approx(getattr(two, name), rel=1e-7), name


def made(kind: str, seed: int) -> Made:
    """The problem of a seed: two to five classes, with a kink or a leak, both layers or the inner one."""
    K = 2 + seed % 4
    problem, W = posed(K, kind != "inner", biased=seed % 3 > 0, slope=(0.0, 0.0, 0.1, 0.3)[seed // 4 % 4], seed=seed)
    return problem, W, 20.0 if kind == "late" else 3.0


@pytest.mark.sample("both-0")
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("kind", ["both", "inner", "late"])
def test_both_loops_find_the_same(kind: str, part: int) -> None:
    """144 problems."""
    check(compare_all(kind, range(part * 6, (part + 1) * 6), made, "primal"))
