"""Telgarsky, Lemma A.3 and the first gradient of Theorem 2.1: what the kernel's margin is worth at and near the start.

The map theta is that of Proposition 1.5 (2) for separable data, which moves the outer layer: gradients in a_j do not
depend on a_j, so the lemma, stated for a ~ N(0, 1), speaks of the network's a_j too, taken times sqrt(m).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.arrays import Array
from gflow.claims.claim import Checked, Claim, Conclusion, Hypothesis, Judge, above, condition
from gflow.claims.telgarsky.data import ntk_of_outer_map, separation, separator
from gflow.claims.telgarsky.setting import DELTA, ROUNDING, probably, relu, standard_start, two_layers, unit_inputs

TRUNCATED = 2.0  # theta(w) = 0 beyond this |w|


def _assumed(run: AnalyzedRun) -> tuple[Hypothesis, ...]:
    separable = condition("linearly separable data", separation(run)[0] > 0.0)
    return (two_layers(run), separable, standard_start(run), relu(run), unit_inputs(run))


def theta_bar(run: AnalyzedRun) -> Array:
    """theta(sqrt(m) a_j, v_j) / sqrt(m) (m,), of the weights at the start: sgn<u, v_j> / sqrt(m), 0 where |w_j| > 2."""
    start, m = run.state(0).parameters, run.problem.network.width
    size = np.hypot(np.sqrt(m) * start.outer, np.linalg.norm(run.trajectory.W_initial, axis=1))
    sides = np.sign(start.U @ separator(run.problem.y, run.problem.span.C))
    return np.asarray(np.where(size <= TRUNCATED, sides, 0.0) / np.sqrt(m))


def gains(run: AnalyzedRun, inner: Iterable[Array]) -> Array:
    """min_i <theta_bar, grad M_i> (k,) at k inner layers U (m, r): min_i sum_j theta_bar_j y_i relu(z_ji)."""
    theta, problem = theta_bar(run), run.problem
    return np.array([(problem.y * (theta @ np.maximum(problem.preactivations(U), 0.0))).min() for U in inner])


def _due(run: AnalyzedRun) -> float:
    """gamma_ntk sqrt(m) - sqrt(32 log(n/delta)), with the gamma_ntk of the map."""
    gamma = separation(run)[0] * ntk_of_outer_map(run.problem.X.shape[1])
    spread = np.sqrt(32.0 * np.log(run.problem.samples / DELTA))
    return float(gamma * np.sqrt(run.problem.network.width) - spread)


def _claim(run: AnalyzedRun, id: str, statement: str, checked: Checked, conclusion: Conclusion | None) -> Claim:
    return Claim(id, probably(1, statement), checked, _assumed(run), conclusion)


def _known(run: AnalyzedRun) -> bool:
    return run.problem.network.directions is None and separation(run)[0] > 0.0


def lemma_a3_start(run: AnalyzedRun) -> Claim:
    """The margin at the start of the linearized network along theta."""
    conclusion = None
    if _known(run):
        start = run.trajectory.read("inner", 0)
        conclusion = above(float(gains(run, [start])[0]), _due(run), rounding=ROUNDING)
    statement = "min_i <theta, grad M_i(W_0)> >= gamma_ntk sqrt(m) - sqrt(32 log(n/delta)), theta of Proposition 1.5."
    return _claim(run, "tel.lemA3.1", statement, "start", conclusion)


def lemma_a3_near(run: AnalyzedRun) -> Claim:
    """The same near the start, with the constants in the proof and r_1 = 1, r_2 = 0."""
    conclusion = None
    if _known(run):
        rows = along(run)
        values = gains(run, run.values("inner")) + 4.0 * rows.distance
        worst = int(values.argmin())
        conclusion = above(float(values[worst]), _due(run) - 4.0, float(rows.v[worst]), ROUNDING)
    statement = (
        "min_i <theta, grad M_i(W)> + 4 |W - W_0| >= gamma_ntk sqrt(m) - sqrt(32 log(n/delta)) - 4 at every W, theta "
        "of Proposition 1.5; the value is the least left side."
    )
    return _claim(run, "tel.lemA3.2", statement, "rows", conclusion)


def first_gradient(run: AnalyzedRun) -> Claim:
    """Theorem 2.1: one step of its largest size leaves the ball of the kernel."""
    conclusion = None
    if _known(run):
        conclusion = above(float(along(run).sample_norms[0].min()), 0.5 * _due(run), 0.0, ROUNDING)
    statement = "at the start |grad M_i| >= (gamma_ntk sqrt(m) - sqrt(32 log(n/delta)))/2 for all i; the least."
    return _claim(run, "tel.thm2.1.exit", statement, "start", conclusion)


CLAIMS: tuple[Judge, ...] = (
    lemma_a3_start,
    lemma_a3_near,
    first_gradient,
)
