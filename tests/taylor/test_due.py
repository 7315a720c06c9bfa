"""When a neuron is due: a bound on the earliest time at which one of its pairs can reach its kink."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest

from gflow.field.branch import Tolerances
from gflow.field.transition import EventKind
from gflow.flow import taylor_dual
from gflow.flow.choice import SWITCHING, Choice
from gflow.flow.dual import dual_engine
from gflow.flow.simulate import flow_items
from gflow.flow.state import Event
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.taylor.guards import used_up
from gflow.taylor.model import GUARDS, SHARE_LOOKS, STEPS
from tests.flow.driver import flow, until_log_time


def by_decimals(spare: float, inward: float, growth: float) -> float:
    """The positive root of spare - inward t - growth t^2, with 60 digits."""
    with localcontext() as context:
        context.prec = 60
        c, b, a = Decimal(spare), Decimal(inward), Decimal(growth)
        return float((-b + (b * b + 4 * a * c).sqrt()) / (2 * a))


@pytest.mark.parametrize("inward", [-1.0, -1e-9, 0.0, 1e-9, 1.0])
@pytest.mark.parametrize("spare", [1.0, 1e-8, 1e-17, 1e-120])
@pytest.mark.parametrize("growth", [1e3, 1e-3, 1e-20])
def test_it_is_the_root_to_rounding(spare: float, inward: float, growth: float) -> None:
    assert used_up(spare, inward, growth) == pytest.approx(by_decimals(spare, inward, growth), rel=1e-14)


def test_a_pair_that_just_left_its_kink_is_due_again() -> None:
    """It moves away from it, with a room of rounding, and comes back as soon as q can have turned its rate.

    Control: the form for pairs that come nearer divides by a difference that is 0 here, as if they never came back.
    """
    spare, inward, growth = 1e-17, -1.0, 0.5
    assert inward + np.sqrt(inward * inward + 4.0 * growth * spare) == 0.0
    assert used_up(spare, inward, growth) == pytest.approx(2.0)


def test_the_ends() -> None:
    assert used_up(0.0, 0.0, 1.0) == used_up(0.0, 1.0, 0.0) == 0.0
    assert used_up(1.0, -1.0, np.inf) == used_up(0.0, 0.0, np.inf) == 0.0
    assert used_up(1.0, 0.5, 0.0) == 2.0
    assert used_up(1.0, -1.0, 0.0) == used_up(1.0, 0.0, 0.0) == np.inf


def test_shares_that_nothing_moves_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """ReLU on orthonormal inputs: what slides is held by a share of 0 whatever q does, at an end of its room for ever.

    Hundreds of steps with a hundred sliding pairs: looks and guards are of the order of events, not of their product.
    """
    rng, m, n = np.random.default_rng(0), 60, 8
    a = np.where(np.arange(m) % 2 == 0, 1.0, -1.0) / np.sqrt(m)
    problem = Problem.of(np.eye(n), np.where(np.arange(n) % 2 == 0, 1.0, -1.0), Network(a, 0.0), LOSSES["logistic"])
    models, made = [], taylor_dual.DualAhead.__init__

    def noted(self: taylor_dual.DualAhead, *arguments: object) -> None:
        made(self, *arguments)  # type: ignore[arg-type]  # whatever it is given
        models.append(self.model)

    monkeypatch.setattr(taylor_dual.DualAhead, "__init__", noted)
    engine = dual_engine(problem, 0.1 * rng.standard_normal((m, n)), Tolerances(1e-8, 1e-10))
    items = list(flow_items(engine, until_log_time(3.0), iter(()), Choice("taylor")))
    events = sum(isinstance(item, Event) for item in items)
    (counts,) = (model.counts for model in models)
    assert events > 80 and counts[STEPS] > events
    assert counts[SHARE_LOOKS] < 5 * events and counts[GUARDS] < 10 * events


@pytest.mark.parametrize("seed", [12, 44])
def test_terms_that_cancel_now_may_not_cancel_later(seed: int) -> None:
    """Two points with both labels each, outputs of 1e-7: what their samples push a slide with cancels at first.

    A share that nothing seems to move is then no guard; the slide ends all the same, as the steppers find.
    """
    rng, m = np.random.default_rng(seed), 6
    points, labels = rng.standard_normal((3, 3)), rng.choice([-1.0, 1.0], 3)
    a = np.where(np.arange(m) % 2 == 0, 1.0, -1.0) / np.sqrt(m)
    X, y = np.vstack([points, points[:2]]), np.append(labels, -labels[:2])
    problem, W = Problem.of(X, y, Network(a, 0.0), LOSSES["logistic"]), 1e-7 * rng.standard_normal((m, 3))
    ours, theirs = (flow(problem, W, until_log_time(3.0), method=method) for method in ("taylor", SWITCHING))
    lists = [[(e.neuron, e.surface, e.kind) for e in each.events] for each in (ours, theirs)]
    assert lists[0] == lists[1] and lists[0][-1][2] in (EventKind.LEAVE_UP, EventKind.LEAVE_DOWN)
    # From one tolerance to the next the steppers' own times of the last event of seed 44 differ by 4e-6.
    assert [e.v for e in ours.events] == pytest.approx([e.v for e in theirs.events], rel=1e-5)
