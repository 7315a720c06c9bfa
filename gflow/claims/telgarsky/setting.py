"""The setting of Telgarsky: what the theorems ask of network, data and start, and the rows that claims look at."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along
from gflow.analysis.neurons import conserves_balance
from gflow.analysis.potential import parity_features
from gflow.arrays import Array, Index
from gflow.claims.claim import CHANCE, Hypothesis, at_least, at_most, condition, covered
from gflow.problem.span import row_norms
from gflow.scenario import parse_scenario
from gflow.scenario.schema import BalancedInit, GaussianInit

MOST_USES = 15  # conclusions hold with probability 1 - k delta, k = 1, 3, 4, 7 or 15
DELTA = CHANCE / MOST_USES
ROUNDING = 1e-9
FEW_ROWS = 5
LARGEST_EXPONENT = 700.0


def applies(run: AnalyzedRun) -> bool:
    """Is this one output with both layers trained and a homogeneous activation (the scalar network included)?"""
    return conserves_balance(run) and run.homogeneous and run.problem.network.outputs == 1


def relu(run: AnalyzedRun) -> Hypothesis:
    """The paper has ReLU networks."""
    return condition("ReLU", run.problem.network.slope == 0.0)


def unit_inputs(run: AnalyzedRun) -> Hypothesis:
    """|x_i| <= 1, as the paper has throughout."""
    return covered(at_most("largest norm of an input", float(row_norms(run.problem.X).max()), 1.0, ROUNDING))


def exponential(run: AnalyzedRun) -> Hypothesis:
    """The loss of the claims on the smoothed margin."""
    return condition("exponential loss", run.problem.loss.name == "exponential")


def scalar(run: AnalyzedRun) -> Hypothesis:
    """The network of Theorem 3.3."""
    return condition("scalar network, frozen directions", run.problem.network.directions is not None)


def two_layers(run: AnalyzedRun) -> Hypothesis:
    """The network of Theorem 3.2."""
    return condition("two layers of weights", run.problem.network.directions is None)


def parity(run: AnalyzedRun) -> Hypothesis:
    """The data of Proposition 1.6 and Theorem 3.3."""
    return condition("2-sparse parity of the first two inputs", parity_features(run.problem) is not None)


def wide(run: AnalyzedRun, log_bound: float) -> Hypothesis:
    """m >= e^log_bound, with the exponent capped at 700."""
    bound = float(np.exp(min(log_bound, LARGEST_EXPONENT)))
    return at_least("width m", float(run.problem.network.width), bound)


def probably(uses: int, statement: str) -> str:
    """The statement with its probability 1 - uses * delta."""
    return f"With probability {1.0 - uses * DELTA:.5g} over the start: {statement}"


def log_width(eps: float, d: int, r: int, signs: bool = False) -> float:
    """log of 2 (2/eps)^(d - 1) log(r/delta): the width by which every beta_k has a neuron at distance eps.

    As the proof of Lemma C.1 has it; the print has (2/eps)^d, which is more.  signs: of either sign of a_j, of which
    there are m/4 neurons at least; four times as many suffice, and no more than in print as eps <= 1/2.
    """
    log_r = float(np.log(np.log(r / DELTA)))
    return float(np.log(8.0 if signs else 2.0) + (d - 1) * np.log(2.0 / eps)) + log_r


def standard_start(run: AnalyzedRun) -> Hypothesis:
    """Does the scenario draw a ~ N(0, 1/m) and V ~ N(0, 1/d)?"""
    init = parse_scenario(run.trajectory.scenario_resolved).init
    m, d = run.trajectory.W_initial.shape
    drawn = False
    if isinstance(init, GaussianInit) and init.outer is not None and not run.trajectory.facts.get("bias"):
        inner = init.std == "inverse_sqrt_inputs" or _same(init.std, d**-0.5)
        drawn = inner and (init.outer.std == "inverse_sqrt_width" or _same(init.outer.std, m**-0.5))
    return condition("a(0) drawn from N(0, 1/m), V(0) from N(0, 1/d)", drawn)


def _same(given: object, wanted: float) -> bool:
    return isinstance(given, float) and abs(given - wanted) <= ROUNDING * wanted


def random_directions(run: AnalyzedRun) -> Hypothesis:
    """Does the scenario draw the directions of the neurons uniformly from the sphere?"""
    init = parse_scenario(run.trajectory.scenario_resolved).init
    gaussian = isinstance(init, GaussianInit) and not run.trajectory.facts.get("bias")
    drawn = isinstance(init, BalancedInit) or (gaussian and bool(run.trajectory.W_initial.any()))
    return condition("directions of the neurons drawn uniformly", drawn)


def chosen_rows(run: AnalyzedRun) -> Index:
    """The numbers (k,) of a few rows, spread from the first to the last."""
    count = run.trajectory.n_rows
    return np.unique(np.linspace(0, count - 1, min(FEW_ROWS, count)).round().astype(np.intp))


def normalized(rows: Along) -> Array:
    """Smoothed margin over |theta|^2 (T,), 0 at theta = 0."""
    return np.divide(rows.smoothed, rows.size**2, out=np.zeros_like(rows.size), where=rows.size > 0.0)
