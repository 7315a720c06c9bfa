"""Corners of cubes: multipliers are not unique, ties are exact, and modes are proved to stay over all of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.mode import DualMode
from gflow.flow.certified import finding_at, foreseen
from gflow.flow.state import FlowState, Outcome
from gflow.flow.stopping import Until
from gflow.limit.certificate import Finding, ModeLimit
from gflow.problem.problem import Problem
from tests.flow.driver import problem_of
from tests.limit.test_certificate import follow
from tests.reference.setting import Setting

Array = NDArray[np.float64]
CERTIFIED = Until(1e4, Outcome.LOG_TIME, None, certified=True)


def points(kind: str) -> Array:
    """Samples (n, d), of which the first coordinate is the label."""
    if kind == "box":
        return np.array(list(product([-1.0, 1.0], [-1.0, 0.0, 1.0, 2.0])))
    X = np.array(list(product([-1.0, 1.0], repeat=4 if kind == "cube-4" else 3)))
    return np.vstack([X, X[:2], X[:1]]) if kind == "repeated" else X


def tied(kind: str, slope: float, loss: str, width: int, seed: int) -> tuple[Problem, Array]:
    """Every sample has margin 1 in the limit of the modes that sort them, and there are more of them than features."""
    rng, X = np.random.default_rng(seed), points(kind)
    outer = np.resize([1.0, -1.0], width)
    W = 0.2 * rng.standard_normal((width, X.shape[1]))
    W[:, 0] += 0.25 * outer
    return problem_of(Setting(X, X[:, 0].copy(), outer, slope, loss)), W


CASES = [
    ("cube-3", 0.0, "exponential", 3, 0),
    ("cube-3", 0.1, "logistic", 5, 1),
    ("cube-3", 0.5, "exponential", 7, 2),
    ("cube-3", 0.0, "logistic", 8, 3),
    ("repeated", 0.1, "exponential", 5, 1),
    ("repeated", 0.5, "logistic", 7, 2),
    ("cube-4", 0.1, "exponential", 4, 0),
    ("box", 0.1, "exponential", 6, 1),
]
MORE = [
    (kind, slope, loss, 3 + seed, seed)
    for kind in ("cube-3", "repeated", "cube-4")
    for slope in (0.0, 0.1, 0.5)
    for loss in ("exponential", "logistic")
    for seed in (4, 5)
]


@pytest.mark.parametrize(
    ("kind", "slope", "loss", "width", "seed"),
    [*CASES, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)],
)
def test_proved_modes_stay_a_thousand_times_as_long(kind: str, slope: float, loss: str, width: int, seed: int) -> None:
    problem, W = tied(kind, slope, loss, width, seed)
    run = follow(problem, W, CERTIFIED)
    state = run.finish.state
    assert run.finish.outcome is Outcome.CERTIFIED, foreseen(problem, state.side, state.U)[0].reason
    on = follow(problem, W, Until(1e3 * max(state.v, 10.0), Outcome.LOG_TIME, None), state)
    assert on.finish.outcome is Outcome.LOG_TIME and on.events == []
    here, there = (foreseen(problem, each.side, each.U)[1] for each in (state, on.finish.state))
    assert here is not None and there is not None
    assert not here.unique or kind == "box"
    assert there.multipliers == pytest.approx(here.multipliers, rel=1e-9)
    finding = foreseen(problem, state.side, state.U)[0]
    assert finding.wandering is not None and finding.hard is not None
    moved = on.finish.state.U - state.U - finding.hard.kappa * (on.finish.state.tau - state.tau) * here.U
    assert np.linalg.norm(moved) <= finding.wandering + 1e-7 * np.linalg.norm(on.finish.state.U)


def late(X: Array) -> Finding:
    """What is known of the mode of cube-3, far along its limit, with these samples in place of its own."""
    problem, state, W = proved_on_a_cube()
    outer = problem.network.outer
    other = problem_of(Setting(X, problem.y, outer, problem.network.slope, "exponential"))
    U = 1e3 * W @ other.span.B.T
    side = np.sign(U @ other.surfaces.normals.T).astype(np.int8)
    return finding_at(ModeLimit(other, DualMode(other, side)), U)


def proved_on_a_cube() -> tuple[Problem, FlowState, Array]:
    """A problem, a state on a proved mode, and the weights W (m, d) of its limit."""
    problem, W = tied("cube-3", 0.1, "exponential", 5, 1)
    state = follow(problem, W, CERTIFIED).finish.state
    point = foreseen(problem, state.side, state.U)[1]
    assert point is not None
    return problem, state, point.U @ problem.span.B


def test_ties_that_are_broken_have_no_proof() -> None:
    """By a part of 1e-12, or by one rounding: the flow tends to other multipliers, after such a time."""
    X = points("cube-3")
    # 1e3 |W*| along the limit, all margins are alike: only what ties say can stand in the way.
    problem, _, W = proved_on_a_cube()
    assert late(X).proved
    for factor in (1.0 + 1e-12, 1.0 - 1e-12, 1.0 + 2.3e-16):
        changed = X.copy()
        changed[2] *= factor
        assert not late(changed).proved, factor
        changed = X.copy()
        changed[2, 0] *= factor
        assert not late(changed).proved, factor


@pytest.mark.parametrize("apart", [1e-12, 4.5e-16])
def test_samples_that_almost_coincide_have_no_proof(apart: float) -> None:
    """Their margins part in the end, and one of them loses its mass."""
    problem, _, W = proved_on_a_cube()
    X, y = points("cube-3"), problem.y
    for factor, proved in ((1.0, True), (1.0 + apart, False)):
        setting = Setting(np.vstack([X, factor * X[:1]]), np.append(y, y[0]), problem.network.outer, 0.1, "exponential")
        other = problem_of(setting)
        U = 1e3 * W @ other.span.B.T
        side = np.sign(U @ other.surfaces.normals.T).astype(np.int8)
        finding = finding_at(ModeLimit(other, DualMode(other, side)), U)
        assert finding.proved is proved, finding.reason


@pytest.mark.parametrize(("loss", "width"), [("logistic", 7), ("exponential", 8)])
def test_neurons_at_rest_keep_their_shares_where_one_sample_outweighs_the_other(loss: str, width: int) -> None:
    """ReLU neurons at w = 0 slide on the kink of x and -x with a room of q_i: it falls below rounding of the sum of
    both, and never to 0."""
    rng, X = np.random.default_rng(4), np.array(list(product([-1.0, 1.0], repeat=2)))
    y, outer = rng.choice([-1.0, 1.0], size=4), rng.choice([-1.0, 1.0], size=width)
    outer[:2] = [1.0, -1.0]
    problem = problem_of(Setting(X, y, outer, 0.0, loss))
    state = follow(problem, 0.3 * rng.standard_normal((width, 2)), CERTIFIED).finish.state
    assert (state.side == 0).all(axis=1).any()
    on = follow(problem, state.U @ problem.span.B, Until(1e4, Outcome.LOG_TIME, None), state)
    assert on.finish.outcome is Outcome.LOG_TIME and on.events == []
    p = problem.margins(on.finish.state.U, problem.sample_sides(on.finish.state.side))
    assert np.ptp(p) > 40.0
