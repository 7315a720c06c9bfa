"""What the flow says of itself at each instant, against the formulas on the weights of rows; when it says it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.branch import Measure, Tolerances
from gflow.flow.items import Item
from gflow.flow.state import Event, FlowProgress, FlowRow, FlowState
from gflow.flow.steps import AS_USUAL, Manner, steps
from gflow.flow.stopping import Until, spaced
from gflow.problem.activation import SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.definitions import plain_measure
from tests.flow.driver import problem_of, until_log_time, until_time
from tests.reference.plain_network import PlainNetwork, Weights, leaky, soft_leaky
from tests.reference.setting import Setting, drawn

Array = NDArray[np.float64]
ENGINES = ["dual", "primal"]
FINE = Tolerances(1e-10, 1e-12)
CASES = [("wide", 0.2, "logistic"), ("wide", 0.0, "exponential"), ("degenerate", 0.0, "logistic")]


def said(problem: Problem, W: Array, until: Until, rows: int, manner: Manner = AS_USUAL) -> list[Item]:
    """All that a run hands over."""
    return list(steps(problem, W, until, manner, spaced("log", rows, until), advances=True))


def run(kind: str, slope: float, loss: str, engine: str, rows: int = 40) -> tuple[Setting, Array, list[Item]]:
    setting, W = drawn(kind, slope, loss, seed=3)
    until = until_time(8.0)
    manner = Manner(engine, "auto" if engine == "dual" else "DOP853", FINE)
    return setting, W, said(problem_of(setting), W, until, rows, manner)


def measured_rows(items: list[Item]) -> list[tuple[Measure, FlowState]]:
    """Each row with the last measure before it."""
    return [(measure_before(items, k), item.state) for k, item in enumerate(items) if isinstance(item, FlowRow)]


def measure_before(items: list[Item], place: int) -> Measure:
    return next(item for item in items[place::-1] if isinstance(item, Measure))


def measure_after(items: list[Item], place: int) -> Measure:
    return next(item for item in items[place:] if isinstance(item, Measure))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_a_measure_is_what_the_weights_of_its_row_say(case: tuple[str, float, str], engine: str) -> None:
    setting, W0, items = run(*case, engine)
    span = problem_of(setting).span
    rows = measured_rows(items)
    assert any((state.side == 0).any() for _, state in rows)  # some of them slide
    for measure, state in rows:
        W = W0 + (state.U - W0 @ span.B.T) @ span.B
        expected = plain_measure(setting, W, state)
        assert measure.v == state.v  # not merely one before
        for field in fields(Measure):
            value = getattr(expected, field.name)
            assert getattr(measure, field.name) == pytest.approx(value, rel=1e-9, abs=1e-9), field.name


@pytest.mark.parametrize("engine", ENGINES)
def test_every_step_and_both_sides_of_every_event_are_measured(engine: str) -> None:
    _, _, items = run("wide", 0.0, "logistic", engine)
    assert isinstance(items[0], Measure) and items[0].v == 0.0
    times = [item.v for item in items if isinstance(item, Measure)]
    assert times == sorted(times)
    events = [k for k, item in enumerate(items) if isinstance(item, Event)]
    assert len(events) > 10
    for k in events:
        before, at, after = measure_before(items, k), items[k], measure_after(items, k)
        assert isinstance(at, Event) and before.v == at.v == after.v
        assert after.p == pytest.approx(before.p, abs=1e-9) and after.norm == pytest.approx(before.norm, rel=1e-9)
    progress = [k for k, item in enumerate(items) if isinstance(item, FlowProgress)]
    for earlier, later in zip(progress, progress[1:], strict=False):
        assert any(isinstance(item, Measure) for item in items[earlier:later])


def test_a_kink_changes_rates_at_once() -> None:
    """Negative control for the test before: one of the two sides would not do."""
    _, _, items = run("wide", 0.0, "logistic", "dual")
    jumps = [
        float(np.abs(measure_after(items, k).margin_rates - measure_before(items, k).margin_rates).max())
        for k, item in enumerate(items)
        if isinstance(item, Event)
    ]
    assert max(jumps) > 1e-2


@pytest.mark.parametrize("kind", ["both layers", "smooth", "classes with biases"])
def test_measures_of_other_networks(kind: str) -> None:
    """|grad L| from the plain network, and the rates of the margins by differences along the flow."""
    rng = np.random.default_rng(5)
    X, W = rng.normal(size=(6, 9)), 0.5 * rng.normal(size=(8, 9))
    y, a, bias = rng.choice([-1.0, 1.0], size=6), rng.normal(size=8), None
    if kind == "classes with biases":
        y, a, bias = np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0]), rng.normal(size=(3, 8)), np.array([0.1, 0.0, -0.3])
    smoothing = SmoothLeaky(0.3) if kind == "smooth" else None
    network = Network(a, 0.2, trains_outer=kind != "smooth", smoothing=smoothing, output_bias=bias)
    problem = Problem.of(X, y, network, LOSSES["logistic"])
    plain = PlainNetwork(X, y, leaky(0.2) if smoothing is None else soft_leaky(0.3), network.trains_outer)
    measure = said(problem, W, until_time(0.1), 2, Manner("primal", "DOP853"))[0]
    assert isinstance(measure, Measure)
    weights = Weights(W, a, bias)
    gradient = plain.gradient(weights)
    parts = [gradient.W] + ([gradient.a] if network.trains_outer else []) + ([] if bias is None else [gradient.c])
    trained = [W] + ([a] if network.trains_outer else []) + ([] if bias is None else [bias])
    speed = np.sqrt(sum(float(np.sum(np.asarray(part) ** 2)) for part in parts))
    assert measure.speed * np.exp(measure.log_clock) == pytest.approx(speed, rel=1e-12)
    assert measure.norm == pytest.approx(np.sqrt(sum(float(np.sum(part**2)) for part in trained)), rel=1e-14)
    assert measure.log_loss == pytest.approx(np.log(plain.loss(weights)), abs=1e-12)
    assert np.exp(measure.log_clock) == pytest.approx(np.mean(1.0 / (1.0 + np.exp(measure.p))), rel=1e-12)
    h = 1e-5
    ahead, behind = (margins(problem, plain.descend(weights, eta, 1)) for eta in (h, -h))
    rates = (ahead - behind) / (2.0 * h)
    assert measure.margin_rates * np.exp(measure.log_clock) == pytest.approx(rates, rel=1e-7, abs=1e-8)


def margins(problem: Problem, w: Weights) -> Array:
    """Margins of full weights that lie on no kink."""
    U = w.W @ problem.span.B.T
    pattern = np.where(w.W @ problem.X.T > 0.0, 1, -1).astype(np.int8)
    return problem.margins(U, pattern, w.a, w.c)


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_nothing_underflows_late(loss: str) -> None:
    """At log t = 1e6 the gradient is e^-1e6; its ratio to mean g, and the rates per tau, are still numbers near 1."""
    setting, W = drawn("wide", 0.2, loss, seed=3)
    measures = [item for item in said(problem_of(setting), W, until_log_time(1e6), 5) if isinstance(item, Measure)]
    last = measures[-1]
    assert last.v == 1e6 and last.log_clock == pytest.approx(-1e6, rel=1e-4)
    # Late, every margin grows at the rate kappa = |grad L|^2 / (mean g)^2, and |W|^2 = kappa tau^2.
    assert last.margin_rates == pytest.approx(np.full(last.p.size, last.speed**2), rel=1e-4)
    assert last.p.min() / last.norm == pytest.approx(last.speed, rel=1e-3)


def test_a_run_that_rests_is_measured_at_its_rows() -> None:
    """Nothing reaches the one sample (its neuron is inactive), so only the clock moves, and every row shows it."""
    X, W = np.array([[1.0, 0.0]]), np.array([[-1.0, 0.5]])
    problem = Problem.of(X, np.array([1.0]), Network(np.array([1.0]), 0.0), LOSSES["logistic"])
    items = said(problem, W, until_time(5.0), 4)
    rows = measured_rows(items)
    assert [measure.v for measure, _ in rows] == [state.v for _, state in rows]
    assert rows[-1][0] == replace(rows[-1][0], v=float(np.log1p(5.0)))
    assert rows[-1][0].speed == 0.0 and (rows[-1][0].margin_rates == 0.0).all()
