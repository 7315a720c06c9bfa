"""Steps that follow the loss, against plain descent; their guard where the formula has no meaning; late phases."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.descent import Constant, DescentRun, Iterate, LogSquared, Options, descend
from gflow.errors import ScenarioError
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from tests.descent.cases import BOTH, DEVICES, Plain, allowed, case, gap, rows


def plain_sizes(plain: Plain, schedule: LogSquared, steps: int) -> list[float]:
    """Plain descent with the formula spelled out; the sizes taken."""
    sizes = []
    for k in range(steps):
        loss = float(plain.loss().detach())
        formula = schedule.factor * np.log(1.0 / loss) ** 2
        sizes.append(schedule.first if k == 0 or loss >= schedule.loss_guard else formula)
        plain.step(sizes[-1])
    return sizes


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["huberized", "relu", "classes"])
def test_log_squared(kind: str, device: str) -> None:
    """eta_k = factor log^2(1 / L_k) after an explicit first step; t is the sum of the steps."""
    chosen, schedule = case(kind, "logistic"), LogSquared(0.05, 0.2)
    plain = Plain(chosen)
    sizes = plain_sizes(plain, schedule, 400)
    assert len(set(sizes)) > 300
    for coordinates in BOTH:
        options = Options(coordinates=allowed(chosen, coordinates), device=device)
        found = rows(chosen, DescentRun(chosen.weights(), schedule, np.array([0, 1, 100, 400])), options=options)
        assert [row.t for row in found] == pytest.approx([0.0, 0.05, sum(sizes[:100]), sum(sizes)], rel=1e-12)
        assert gap(chosen.inner_at(found[-1]), plain.inner) < 1e-11


def test_the_guard_of_the_formula() -> None:
    """From a loss above 1 the first step is repeated, as long as the loss is above it, and no longer."""
    chosen = case("leaky", "exponential")
    far = Parameters(4.0 * chosen.weights().U, chosen.problem.network.outer)
    schedule = LogSquared(0.05, 3.0)
    found = rows(chosen, DescentRun(far, schedule, np.arange(400)))
    loss = np.exp([row.log_loss for row in found[:-1]])
    sizes = np.diff([row.t for row in found])
    guarded = loss >= 1.0
    assert guarded[:5].all() and not guarded[-5:].any()
    assert sizes[guarded] == pytest.approx(0.05, rel=1e-12)
    assert sizes[~guarded] == pytest.approx(3.0 * np.log(loss[~guarded]) ** 2, rel=1e-9)


def test_runs_with_different_schedules_of_one_kind() -> None:
    chosen = case("huberized", "logistic")
    schedules = [LogSquared(0.05, 0.2), LogSquared(0.5, 0.1, 0.5)]
    together = rows(chosen, *(DescentRun(chosen.weights(), s, np.array([0, 50])) for s in schedules))
    for number, schedule in enumerate(schedules):
        plain = Plain(chosen)
        total = sum(plain_sizes(plain, schedule, 50))
        last = [row for row in together if row.run == number][-1]
        assert last.t == pytest.approx(total, rel=1e-12)
        assert gap(chosen.inner_at(last), plain.inner) < 1e-12


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_constant_steps_give_exact_times(loss: str) -> None:
    found = rows(case("leaky", loss), DescentRun(case("leaky", loss).weights(), Constant(0.1), np.array([0, 3, 7])))
    assert [row.t for row in found] == [0.0, 0.1 * 3, 0.1 * 7]


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e8])
def test_huge_margins_do_not_overflow(loss: str, size: float) -> None:
    """Margins of +-1e8: log L and the step stay finite for the logistic loss, on either side of zero.

    One sample, one neuron in its + half-space: p = y a z, the gradient is -g y a x, and log L is known.
    """
    problem = Problem.of(np.array([[1.0]]), np.array([1.0]), Network(np.array([1.0]), 0.5), LOSSES[loss])
    found = rows_of(problem, size)
    assert found[-1].p == pytest.approx([size], rel=1e-12)
    assert found[-1].log_loss == pytest.approx(-size, rel=1e-12)
    assert found[-1].t == pytest.approx(1.0 + 9 * 1e-3 * size**2, rel=1e-9)
    if loss == "logistic":
        against = Problem.of(np.array([[1.0]]), np.array([-1.0]), Network(np.array([1.0]), 0.5), LOSSES[loss])
        wrong = rows_of(against, size)
        assert wrong[-1].p == pytest.approx([-size + 10.0], rel=1e-12), "g = 1: ten guarded steps of 1"
        assert wrong[-1].log_loss == pytest.approx(np.log(size - 10.0), rel=1e-12)


def rows_of(problem: Problem, size: float) -> list[Iterate]:
    run = DescentRun(Parameters.of(problem, np.array([[size]])), LogSquared(1.0, 1e-3), np.array([0, 10]))
    return [item for item in descend(problem, [run]) if isinstance(item, Iterate)]


@pytest.mark.parametrize("bad", [0.0, -1.0, float("inf"), float("nan")])
def test_sizes_are_positive_and_finite(bad: float) -> None:
    with pytest.raises(ScenarioError, match="positive finite"):
        Constant(bad)
    with pytest.raises(ScenarioError, match="positive finite"):
        LogSquared(0.1, bad)
