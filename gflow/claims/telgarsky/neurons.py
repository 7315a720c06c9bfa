"""Claims on single neurons: the laws of their growth at any parameters, and what the paper observes of them on
parity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gflow.analysis.alignment import turning
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import point_of
from gflow.analysis.neurons import neuron_norms
from gflow.arrays import Array
from gflow.claims.claim import GRAIN, Claim, Conclusion, Hypothesis, Judge, below, condition, worst_row
from gflow.claims.telgarsky.setting import chosen_rows, parity, two_layers
from gflow.problem.span import row_norms


@dataclass(frozen=True, slots=True)
class NodeRates:
    """Rates per tau of every neuron at one row, all fields (m,): squared (m,) is the rate of a_j^2 + |v_j|^2, product
    (m,) that of |a_j v_j|.

    Without suffix: from the velocity of the flow; `_expected` (m,): by the formulas of the paper; `_rounding` (m,): the
    rounding error of either, since both may be small sums of large terms.
    """

    squared: Array
    squared_expected: Array
    squared_rounding: Array
    product: Array
    product_expected: Array
    product_rounding: Array


def node_rates(run: AnalyzedRun, row: int) -> NodeRates:
    """Rates of |w_j|^2 = a_j^2 + |v_j|^2 and of |a_j v_j|; the latter 0 for neurons with a_j = 0 or v_j = 0."""
    state = run.state(row)
    point, a = point_of(run.problem, state), state.parameters.outer
    velocity = point.velocity
    assert velocity.outer is not None, "applies() was not asked"
    outward, inward = a * velocity.outer[0], np.sum(state.U * velocity.inner, axis=1)
    norms = np.hypot(row_norms(state.U), run.outside_norms)
    carried = point.hidden @ (point.q * run.problem.y)  # sum_i q_i y_i relu(<v_j, x_i>)
    whole = (a != 0.0) & (norms > 0.0)
    safe_a, safe = np.where(whole, np.abs(a), 1.0), np.where(whole, norms, 1.0)
    terms = GRAIN * run.problem.terms(state.U) @ point.q  # at least |w_j| |x_i| to the rounding of z_ji
    product = (outward * safe**2 + safe_a**2 * inward) / (safe_a * safe)
    expected = (safe_a**2 + safe**2) * np.sign(a) * carried / safe
    return NodeRates(
        2.0 * (outward + inward),
        4.0 * a * carried,
        4.0 * np.abs(a) * terms,
        np.where(whole, product, 0.0),
        np.where(whole, expected, 0.0),
        (safe_a**2 + safe**2) * terms / safe,
    )


def _node_claim(name: str, statement: str, parts: Callable[[NodeRates], tuple[Array, Array, Array]]) -> Judge:
    def judge(run: AnalyzedRun) -> Claim:
        chosen = chosen_rows(run)
        gaps = []
        for row in chosen:
            found, expected, rounding = parts(node_rates(run, int(row)))
            scale = float(np.abs(expected).max())
            gap = float(np.maximum(np.abs(found - expected) - rounding, 0.0).max())
            gaps.append(gap / scale if scale > 0.0 else 0.0)
        value, when = worst_row(np.array(gaps), run.log1p_time[chosen], least=False)
        return Claim(name, f"{statement} at {chosen.size} rows.", "rows", (), below(value, 1e-8, when))

    return judge


ratio = _node_claim(
    "tel.ratio",
    "d|w_j|^2/dt = (4/n) sum_i g_i p_i(w_j) for every neuron, hence the law of the ratios; largest relative gap",
    lambda rates: (rates.squared, rates.squared_expected, rates.squared_rounding),
)
product_norm = _node_claim(
    "tel.avnorm",
    "d|a_j v_j|/dt = (|w_j|^2/n) sum_i g_i y_i sgn(a_j) relu(<v_j/|v_j|, x_i>); largest relative gap",
    lambda rates: (rates.product, rates.product_expected, rates.product_rounding),
)


def _observed() -> Hypothesis:
    """A hypothesis that is never firm: the paper reports one experiment (d = 20, n = 64, m = 16 and 256), which is no
    theorem that a run could violate."""
    return condition("the paper's observation of one experiment", True, firm=False)


def rotation(run: AnalyzedRun) -> Claim:
    """Neurons that turn more carry more, on parity: rank correlation of 1 - cosine with |a_j v_j| above 0."""
    turned = turning(run)
    correlation = turned.norm_correlation
    conclusion = None
    if correlation is not None:
        conclusion = Conclusion(correlation > 0.0, correlation, 0.0, None, turned.median, float(run.log1p_time[-1]))
    return Claim(
        "tel.obs.rotation",
        "Neurons that rotate more have the larger |a_j v_j| (rank correlation); the constant is the median cosine.",
        "last row",
        (
            parity(run),
            two_layers(run),
            condition("rotations and norms differ", correlation is not None),
            _observed(),
        ),
        conclusion,
    )


def imbalance(run: AnalyzedRun) -> Claim:
    """The median |a_j v_j| over the largest, as a constant: small where few neurons carry the network."""
    strength = neuron_norms(run, run.last)
    share = float(np.median(strength) / strength.max()) if strength.any() else 1.0
    return Claim(
        "tel.obs.imbalance",
        "The norms |a_j v_j| are more unequal in wider networks; the constant is the median over the largest.",
        "last row",
        (
            parity(run),
            two_layers(run),
            condition("another width to compare with: one run decides nothing", False),
        ),
        Conclusion(True, constant=share, log1p_time=float(run.log1p_time[-1])),
    )


LAWS: tuple[Judge, ...] = (ratio, product_norm)
OBSERVED: tuple[Judge, ...] = (rotation, imbalance)
