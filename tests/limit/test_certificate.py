"""`proved` is never wrong: proved modes are followed on for a thousand times the log time, and nothing happens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.field.mode import DualMode
from gflow.flow.certified import foreseen
from gflow.flow.state import Event, Finish, FlowState, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.limit.certificate import Finding
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from tests.flow.driver import flow, problem_of, until_log_time
from tests.reference.setting import Setting, drawn

Array = NDArray[np.float64]
TOLERANCES = Tolerances(1e-8, 1e-10)
CERTIFIED = Until(float(np.logaddexp(0.0, 1e7)), Outcome.LOG_TIME, None, certified=True)


@dataclass(frozen=True)
class Followed:
    """How a stretch of flow ended, and what happened in it."""

    finish: Finish
    events: list[Event]


def follow(problem: Problem, W: Array, until: Until, origin: FlowState | None = None) -> Followed:
    events: list[Event] = []
    for said in steps(problem, W, until, Manner("dual", tolerances=TOLERANCES), origin=origin):
        if isinstance(said, Event):
            events.append(said)
        elif isinstance(said, Finish):
            return Followed(said, events)
    raise AssertionError("the flow ended without saying how")


def found(problem: Problem, state: FlowState) -> Finding:
    return foreseen(problem, state.side, state.U)[0]


def separable(kind: str, slope: float, loss: str, seed: int) -> tuple[Setting, Array]:
    """A setting with d > n, which every mode with enough active neurons separates."""
    return drawn(kind, slope, loss, seed, width=8, size=0.3)


@pytest.mark.sample("0-*", "1-*", "2-*")
@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_proved_modes_stay(loss: str, slope: float, seed: int) -> None:
    setting, W = separable("generic" if seed % 2 else "wide", slope, loss, seed)
    problem = problem_of(setting)
    run = follow(problem, W, CERTIFIED)
    assert run.finish.outcome is Outcome.CERTIFIED, found(problem, run.finish.state).reason
    state = run.finish.state
    later = Until(1e3 * max(state.v, 10.0), Outcome.LOG_TIME, None)
    ahead = follow(problem, W, later, state)
    assert ahead.finish.outcome is Outcome.LOG_TIME
    assert ahead.events == []
    _, here = foreseen(problem, state.side, state.U)
    _, there = foreseen(problem, ahead.finish.state.side, ahead.finish.state.U)
    assert here is not None and there is not None
    assert there.multipliers == pytest.approx(here.multipliers, rel=1e-9)
    wandering = found(problem, state).wandering
    assert wandering is not None
    assert off_ray(ahead.finish.state.U, here.U) <= off_ray(state.U, here.U) + wandering


def off_ray(U: Array, limit: Array) -> float:
    """Distance of U from the line through the limit."""
    unit = limit / np.linalg.norm(limit)
    return float(np.linalg.norm(U - np.sum(U * unit) * unit))


@pytest.mark.parametrize("slope", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(4))
def test_no_row_before_an_event_is_called_proved(slope: float, seed: int) -> None:
    """Negative control in bulk: whatever is still going to change must not be called frozen."""
    setting, W = separable("generic", slope, "exponential", 10 + seed)
    problem = problem_of(setting)
    run = flow(problem, W, until_log_time(1e4), rows=list(np.geomspace(0.01, 9e3, 60)))
    last = run.events[-1].v
    before = [row.state for row in run.rows if row.state.v < last]
    assert before
    findings = [found(problem, state) for state in before]
    assert not any(finding.proved for finding in findings)
    assert any(len(finding.pending) for finding in findings)


def test_the_bound_of_wandering_holds() -> None:
    """|W - W_0 - kappa (tau - tau_0) W*| stays below the bound, and comes within two orders of it."""
    setting, W = separable("wide", 0.1, "exponential", 3)
    problem = problem_of(setting)
    state = follow(problem, W, CERTIFIED).finish.state
    finding, point = foreseen(problem, state.side, state.U)
    assert finding.wandering is not None and point is not None and finding.hard is not None
    largest = 0.0
    for factor in (1.1, 1.5, 3.0, 30.0, 300.0):
        on = follow(problem, W, Until(factor * state.v, Outcome.LOG_TIME, None), state).finish.state
        moved = on.U - state.U - finding.hard.kappa * (on.tau - state.tau) * point.U
        largest = max(largest, float(np.linalg.norm(moved)))
    assert largest <= finding.wandering
    assert largest >= 1e-3 * finding.wandering


def test_refused_where_the_mode_does_not_separate() -> None:
    """Two samples at one place with opposite labels: the loss has a floor."""
    setting, W = drawn("wide", 0.2, "logistic", 0)
    X, y = setting.X.copy(), setting.y.copy()
    X[1], y[0], y[1] = X[0], 1.0, -1.0
    problem = problem_of(Setting(X, y, setting.outer, setting.slope, setting.loss))
    state = flow(problem, W, until_log_time(5.0)).state
    finding = found(problem, state)
    assert not finding.proved and finding.hard is None and "does not go to 0" in finding.reason


def test_refused_while_logistic_margins_are_small() -> None:
    """A mode with nothing pending can be seen before the logistic loss is close to the exponential one."""
    setting, W = drawn("wide", 0.5, "logistic", 1)
    problem = Problem.of(np.eye(6), setting.y, Network(setting.outer, 0.5), LOSSES["logistic"])
    states = [row.state for row in flow(problem, W[:, :6], until_log_time(40.0), rows=100).rows]
    quiet = [each for each in (found(problem, state) for state in states) if not len(each.pending)]
    assert "too small" in quiet[0].reason and not quiet[0].proved
    assert quiet[-1].proved


def test_a_share_on_a_sample_that_nobody_is_active_on() -> None:
    """ReLU neurons can slide on a sample of constant margin; its pull outgrows all others, so that they stay."""
    setting, W = separable("wide", 0.0, "exponential", 0)
    problem = problem_of(setting)
    run = follow(problem, W, CERTIFIED)
    state = run.finish.state
    mode = DualMode(problem, state.side)
    assert ((mode.side == 0) & ~mode.live).any()  # what this test is about
    assert run.finish.outcome is Outcome.CERTIFIED


def test_duplicated_samples_count_as_one() -> None:
    """The same limit as with weights on the samples, and a proof although K is singular."""
    setting, W = separable("wide", 0.1, "exponential", 3)
    doubled = Setting(
        np.vstack([setting.X, setting.X[:2]]), np.append(setting.y, setting.y[:2]), setting.outer, 0.1, "exponential"
    )
    problem = problem_of(doubled)
    run = follow(problem, W, CERTIFIED)
    assert run.finish.outcome is Outcome.CERTIFIED
    state = run.finish.state
    _, point = foreseen(problem, state.side, state.U)
    assert point is not None
    assert point.multipliers[:2] == pytest.approx(point.multipliers[6:])
    assert point.margins == pytest.approx(np.ones(8), rel=1e-9)


def test_a_kink_that_dead_samples_push_apart_is_pending() -> None:
    """Three dead samples on one kink, of both labels: their pull outgrows all others, and the neuron must leave."""
    X = np.array([[3.0, 0.0], [-1.0, 0.0], [-0.5, 0.0], [0.8, 1.0]])
    y = np.array([-1.0, 1.0, -1.0, 1.0])
    problem = problem_of(Setting(X, y, np.ones(1), 0.0, "exponential"))
    W = np.array([[0.0, 0.1]])
    run = flow(problem, W, until_log_time(3.0), rows=40)
    assert run.events
    before = [row.state for row in run.rows if row.state.v < run.events[0].v]
    assert before and not any(found(problem, state).proved for state in before)
    assert len(found(problem, before[-1]).pending)


def test_resting_on_dependent_kinks_is_not_pending() -> None:
    """Three samples at 120 degrees: the neuron rests at w = 0, inside its hull; no share of its own can be judged."""
    angles = np.array([0.0, 2.0, 4.0]) * np.pi / 3.0
    X = np.array([1.0, 1.1, 0.9])[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    outer = np.array([-1.0, 1.0, 1.0, 1.0])
    problem = problem_of(Setting(X, np.ones(3), outer, 0.1, "exponential"))
    W = np.vstack([[[0.05, 0.03]], 0.5 * X])
    state = flow(problem, W, until_log_time(50.0)).state
    assert (state.side[0] == 0).all()
    finding = found(problem, state)
    assert len(finding.pending) == 0 and "dependent kinks" in finding.reason and not finding.proved


def test_a_state_beside_its_mode_is_refused() -> None:
    setting, W = separable("wide", 0.1, "exponential", 3)
    problem = problem_of(setting)
    state = follow(problem, W, CERTIFIED).finish.state
    finding, _ = foreseen(problem, -state.side, state.U)
    assert not finding.proved


def test_networks_without_kinks_stay_trivially() -> None:
    """Also where the multipliers are not unique, or margins small."""
    X = np.array([[1.0, 0.2], [-1.0, -0.2], [0.3, 1.0]])
    problem = problem_of(Setting(X, np.array([1.0, -1.0, 1.0]), np.array([1.0, -1.0]), 1.0, "logistic"))
    U = 0.1 * np.ones((2, 2)) @ problem.span.B.T
    finding, _ = foreseen(problem, np.ones((2, problem.surfaces.count), dtype=np.int8), U)
    assert finding.proved and not len(finding.pending)


@pytest.mark.sample("22", "53")
@pytest.mark.parametrize("seed", [22, 32, 52, 53])
def test_the_kernel_keeps_its_digits_through_turns(seed: int) -> None:
    """Outer weights of four orders of magnitude: what a large neuron leaves behind must not drown the small ones."""
    rng = np.random.default_rng(seed)
    setting, W = separable("wide", 0.0, "exponential", seed)
    outer = setting.outer * 10.0 ** rng.uniform(0.0, 4.0, setting.outer.size)
    problem = problem_of(Setting(setting.X, setting.y, outer, 0.0, "exponential"))
    result = flow(problem, W, until_log_time(20.0))
    fresh = DualMode(problem, result.state.side).K
    assert np.abs(result.kernel - fresh).max() <= 1e-11 * np.abs(fresh).max()


def test_lengths_of_many_orders_of_magnitude() -> None:
    """The bound of wandering is a number, and holds, where samples differ in length by four orders."""
    setting, W = separable("wide", 0.1, "exponential", 3)
    X = setting.X * 10.0 ** np.array([0.0, -1.0, 2.0, -2.0, 1.0, 0.0])[:, None]
    problem = problem_of(Setting(X, setting.y, setting.outer, 0.1, "exponential"))
    state = follow(problem, W, CERTIFIED).finish.state
    finding, point = foreseen(problem, state.side, state.U)
    assert finding.proved and finding.wandering is not None and point is not None and finding.hard is not None
    on = follow(problem, W, Until(30.0 * state.v, Outcome.LOG_TIME, None), state).finish.state
    moved = on.U - state.U - finding.hard.kappa * (on.tau - state.tau) * point.U
    assert float(np.linalg.norm(moved)) <= finding.wandering + 1e-6 * float(np.linalg.norm(on.U))
