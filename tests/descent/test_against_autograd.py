"""Every network, loss and set of coordinates against plain autograd in W-space, 1000 steps."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gflow.descent import Constant, Coordinates, DescentRun, GivenBatches, Iterate, Options
from gflow.problem.problem import Problem
from tests.descent.cases import BOTH, DEVICES, KINDS, Case, Plain, allowed, case, gap, rows

STEPS, ETA = 1000, 0.1


@cache
def plain_run(kind: str, loss: str, batch: int | None, d: int) -> Plain:
    plain = Plain(case(kind, loss, d=d))
    chosen = given(batch)
    for k in range(STEPS):
        plain.step(ETA, slice(None) if chosen is None else chosen.indices[k].tolist())
    return plain


def given(batch: int | None) -> GivenBatches | None:
    if batch is None:
        return None
    return GivenBatches(np.random.default_rng(7).integers(9, size=(STEPS, batch)))


def agrees(last: Iterate, plain: Plain, kind: str, loss: str, d: int) -> None:
    chosen = case(kind, loss, d=d)
    assert last.step == STEPS
    assert gap(chosen.inner_at(last), plain.inner) < 1e-12
    assert gap(last.outer, plain.outer) < 1e-12
    if plain.bias is not None:
        assert last.output_bias is not None
        assert gap(last.output_bias, plain.bias) < 1e-12
    assert last.log_loss == pytest.approx(float(plain.loss().log().detach()), abs=1e-11)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("coordinates", BOTH)
@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("kind", KINDS)
def test_full_batches(kind: str, loss: str, coordinates: Coordinates, device: str) -> None:
    chosen = case(kind, loss)
    run = DescentRun(chosen.weights(), Constant(ETA), np.array([0, 500, STEPS]))
    options = Options(coordinates=allowed(chosen, coordinates), device=device)
    found = rows(chosen, run, options=options)
    assert [(row.step, row.t) for row in found] == [(0, 0.0), (500, 50.0), (1000, 100.0)]
    agrees(found[-1], plain_run(kind, loss, None, 14), kind, loss, 14)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("coordinates", BOTH)
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_given_batches(kind: str, batch: int, coordinates: Coordinates, device: str) -> None:
    """Batches with repeated samples among them: a repeated sample counts as often as it is there."""
    chosen, batches = case(kind, "logistic"), given(batch)
    assert batches is not None
    run = DescentRun(chosen.weights(), Constant(ETA), np.array([0, STEPS]), batches)
    options = Options(coordinates=allowed(chosen, coordinates), device=device)
    last = rows(chosen, run, options=options)[-1]
    agrees(last, plain_run(kind, "logistic", batch, 14), kind, "logistic", 14)


@pytest.mark.parametrize("coordinates", BOTH)
def test_fewer_inputs_than_samples(coordinates: Coordinates) -> None:
    """r = d < n: the coefficients R are not unique, the weights are."""
    chosen = case("relu", "logistic", d=4)
    last = rows(
        chosen,
        DescentRun(chosen.weights(), Constant(ETA), np.array([0, STEPS])),
        options=Options(coordinates=coordinates),
    )
    agrees(last[-1], plain_run("relu", "logistic", None, 4), "relu", "logistic", 4)


def test_the_comparison_can_fail() -> None:
    """Negative control: a step size off by 1e-9 is seen."""
    chosen = case("leaky", "logistic")
    last = rows(chosen, DescentRun(chosen.weights(), Constant(ETA * (1.0 + 1e-9)), np.array([0, STEPS])))[-1]
    assert gap(chosen.inner_at(last), plain_run("leaky", "logistic", None, 14).inner) > 1e-11


def test_the_number_of_inputs_changes_nothing() -> None:
    """Inputs embedded in 100 times as many dimensions: the same margins, coordinates and patterns."""
    chosen = case("leaky", "logistic")
    Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(1400, 14)))
    problem = chosen.problem
    wide = Case(Problem.of(problem.X @ Q.T, problem.y, problem.network, problem.loss), chosen.inner @ Q.T, chosen.phi)
    near, far = (rows(c, DescentRun(c.weights(), Constant(ETA), np.array([0, STEPS])))[-1] for c in (chosen, wide))
    assert near.U.shape == far.U.shape
    assert far.p == pytest.approx(near.p, rel=1e-12)
    assert gap(wide.inner_at(far) @ Q, chosen.inner_at(near)) < 1e-12
    assert np.array_equal(near.pattern, far.pattern)
