"""The modified loss: its flow is followed to second order by descent, the plain flow to first only."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gflow.descent import Constant, DescentRun, ModifiedFlow
from gflow.errors import ScenarioError
from tests.descent.cases import Case, Plain, case, gap, rows

Array = NDArray[np.float64]
HORIZON = 4.0
ETAS = np.array([0.2, 0.1, 0.05])


def flowed(flow: ModifiedFlow, chosen: Case) -> Array:
    """theta at t = HORIZON, to 1e-12."""
    theta = flow.pack(chosen.weights())
    done = solve_ivp(flow, (0.0, HORIZON), theta, "DOP853", rtol=1e-12, atol=1e-13)
    return np.asarray(done.y[:, -1])


def order(chosen: Case, modified: bool) -> float:
    """Slope of log gap against log eta between descent and a flow."""
    gaps = []
    for eta in ETAS:
        steps = round(HORIZON / eta)
        last = rows(chosen, DescentRun(chosen.weights(), Constant(float(eta)), np.array([0, steps])))[-1]
        flow = ModifiedFlow(chosen.problem, float(eta) if modified else 0.0)
        weights = flow.unpack(flowed(flow, chosen))
        difference = [last.U - weights.U, last.outer - weights.outer]
        if last.output_bias is not None and weights.output_bias is not None:
            difference.append(last.output_bias - weights.output_bias)
        gaps.append(np.linalg.norm(np.concatenate([part.ravel() for part in difference])))
    return float(np.polyfit(np.log(ETAS), np.log(gaps), 1)[0])


@pytest.mark.parametrize("loss", ["logistic", "exponential"])
@pytest.mark.parametrize("kind", ["smooth", "both smooth"])
@pytest.mark.parametrize("modified, expected", [(True, 2.0), (False, 1.0)])
def test_order_of_the_gap(kind: str, loss: str, modified: bool, expected: float) -> None:
    assert order(case(kind, loss), modified) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("kind", ["smooth", "both smooth", "huberized"])
@pytest.mark.parametrize("loss", ["logistic", "exponential"])
def test_with_eta_zero_it_is_the_gradient_flow(kind: str, loss: str) -> None:
    """-grad L of plain autograd, to all digits."""
    chosen = case(kind, loss)
    flow, plain = ModifiedFlow(chosen.problem, 0.0), Plain(chosen)
    before = [leaf.detach().clone().numpy() for leaf in (plain.inner, plain.outer)]
    plain.step(1.0)
    moved = [(leaf.detach().numpy() - old) for leaf, old in zip((plain.inner, plain.outer), before, strict=True)]
    weights = flow.unpack(flow(0.0, flow.pack(chosen.weights())))
    assert gap(weights.U @ chosen.problem.span.B, moved[0]) < 1e-12
    if chosen.problem.network.trains_outer:
        assert gap(weights.outer, moved[1]) < 1e-12


@pytest.mark.parametrize("kind", ["smooth", "both smooth"])
def test_the_field_is_minus_the_gradient_of_the_modified_loss(kind: str) -> None:
    """Central differences of L + (eta / 4) |grad L|^2 along random directions."""
    chosen = case(kind, "logistic")
    flow = ModifiedFlow(chosen.problem, 0.7)
    theta = flow.pack(chosen.weights())
    field = flow(0.0, theta)
    for seed in range(3):
        along = np.random.default_rng(seed).normal(size=theta.size)
        ahead, behind = (flow.modified_loss(theta + s * 1e-5 * along) for s in (1.0, -1.0))
        assert (ahead - behind) / 2e-5 == pytest.approx(-field @ along, rel=1e-7)
    assert flow.modified_loss(theta) > ModifiedFlow(chosen.problem, 0.0).modified_loss(theta)


def test_weights_survive_packing() -> None:
    chosen = case("both smooth", "logistic")
    flow = ModifiedFlow(chosen.problem, 0.1)
    weights = flow.unpack(flow.pack(chosen.weights()))
    assert np.array_equal(weights.U, chosen.weights().U)
    assert np.array_equal(weights.outer, chosen.problem.network.outer)


@pytest.mark.parametrize("kind", ["relu", "leaky", "scalar"])
def test_kinks_are_refused(kind: str) -> None:
    with pytest.raises(ScenarioError, match="smooth activation"):
        ModifiedFlow(case(kind, "logistic").problem, 0.1)
