"""Telgarsky, Theorem 3.3: networks with frozen directions, in which every neuron is two numbers."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import along
from gflow.analysis.neurons import balance_drift
from gflow.analysis.potential import Features, nodes, parity_features, potential_rows
from gflow.claims.claim import (
    Claim,
    Conclusion,
    Hypothesis,
    Judge,
    at_most,
    below,
    condition,
    covered,
    worst_row,
)
from gflow.claims.telgarsky.potential import certified, growth, margin_by_now
from gflow.claims.telgarsky.setting import (
    ROUNDING,
    exponential,
    log_width,
    parity,
    probably,
    random_directions,
    relu,
    scalar,
    unit_inputs,
    wide,
)
from gflow.reference.margins import hidden


def _scalar_network(run: AnalyzedRun) -> tuple[Hypothesis, ...]:
    return (scalar(run), parity(run), relu(run), unit_inputs(run))


def theorem_3_3(run: AnalyzedRun) -> Claim:
    """Normalised smoothed margin >= gamma_gl / 4 for all large t: half of what any network reaches."""
    features, rows = parity_features(run.problem), along(run)
    statement = probably(3, "with frozen directions the normalised smoothed margin is >= gamma_gl/4 for all large t.")
    if features is None:
        return Claim("tel.thm3.3", statement, "last row", _scalar_network(run), None)
    r, d = features.beta.shape
    decided, conclusion = margin_by_now(rows, 0.25 * features.margin, _forced(run, features))
    width = wide(run, log_width(0.5 * features.margin, d, r, signs=True))
    start = (_balanced_start(run), random_directions(run))
    hypotheses = (*_scalar_network(run), *start, exponential(run), width, decided)
    return Claim("tel.thm3.3", statement, "last row", hypotheses, conclusion)


def _forced(run: AnalyzedRun, features: Features) -> float | None:
    """The margin that the potential forces by the last row, its rate being that of the neurons that stand for beta_k.

    With a_k^2 = b_k^2, dPhi/dtau = (1/2) sum_i q_i y_i sum_k alpha_k relu(sgn(b_k) <v_k, x_i>), of which the least over
    q is (1/2) min_i: gamma_gl / 4 at least, and more as the neurons are nearer to beta_k.
    """
    known, chosen = potential_rows(run), nodes(run, features)
    directions, start = run.problem.network.directions, run.state(0).parameters
    if known is None or known[0] != "3.3" or chosen is None or directions is None:
        return None
    z = np.sign(start.U[chosen]) * directions[chosen] @ run.problem.X.T
    reached = run.problem.y * (features.alpha @ np.maximum(z, 0.0))
    return certified(along(run), run.trajectory.tau, known[1], 0.5 * float(reached.min()))


def _balanced_start(run: AnalyzedRun) -> Hypothesis:
    """a_j and b_j = +-m^(-1/4) at the start."""
    start, m = run.state(0).parameters, run.problem.network.width
    sizes = np.abs(np.concatenate([start.outer.ravel(), start.U.ravel()]))
    return condition("|a_j| = |b_j| = m^(-1/4) at the start", bool(np.abs(sizes * m**0.25 - 1.0).max() < ROUNDING))


def _same_sizes(run: AnalyzedRun) -> Hypothesis:
    """|a_j| = |b_j| at the start."""
    if run.problem.network.directions is None:
        return condition("|a_j| = |b_j| at the start", False)
    a, b = np.abs(run.trajectory.outer[0]), np.abs(run.trajectory.inner[0, :, 0])
    gap = float(np.abs(a - b).max() / max(float(a.max()), np.finfo(float).tiny))
    return covered(at_most("|a_j| = |b_j| at the start: largest relative difference", gap, 0.0, ROUNDING))


def scalar_balance(run: AnalyzedRun) -> Claim:
    """|a_j| = |b_j|, and neither ever changes sign."""
    if run.problem.network.directions is None:
        return Claim("tel.thm3.3.balance", "a_j^2 = b_j^2 for all t.", "rows", (scalar(run),), None)
    a, b = run.trajectory.outer, run.trajectory.inner[..., 0]
    largest = np.maximum(np.maximum(a**2, b**2).max(axis=1), np.finfo(float).tiny)
    value, when = worst_row(np.abs(a**2 - b**2).max(axis=1) / largest, run.log1p_time, least=False)
    kept = bool((np.sign(a) == np.sign(a[0])).all() and (np.sign(b) == np.sign(b[0])).all())
    allowed = balance_drift(run)[1]
    return Claim(
        "tel.thm3.3.balance",
        "a_j^2 = b_j^2 for all t and no sign changes; the value is the largest relative gap.",
        "rows",
        (scalar(run), _same_sizes(run)),
        below(value, allowed, when) if kept else Conclusion(False, value, allowed, log1p_time=when),
    )


def node_growth(run: AnalyzedRun) -> Claim:
    """dPhi / dtau >= gamma_gl / 4 for the potential of Theorem 3.3."""
    features = parity_features(run.problem)
    own = condition(
        "every reference direction has its own neuron",
        features is not None and nodes(run, features) is not None,
    )
    bound = 0.0 if features is None else 0.25 * features.margin
    return growth(run, "3.3", bound, (*_scalar_network(run), own, _same_sizes(run)))


def reduction(run: AnalyzedRun) -> Claim:
    """log(|a_j(t)| / |a_j(0)|) = sum_i F_ji Lambda_i with sum_i Lambda_i = tau: n numbers move all m neurons."""
    if run.problem.network.directions is None:
        return Claim("tel.thm3.3.reduction", "n numbers move all neurons.", "rows", (scalar(run),), None)
    problem, start = run.problem, run.state(0).parameters
    z = np.sign(start.U) * problem.coordinates()[..., 0]
    F = problem.y * np.sign(start.outer)[:, None] * hidden(problem.network, z)
    grown = np.log(np.abs(run.trajectory.outer) / np.abs(start.outer))
    masses = np.linalg.lstsq(F, grown.T, rcond=None)[0]
    scale = np.maximum(np.abs(grown).max(axis=1), 1e-6)
    gap = np.abs(F @ masses - grown.T).max(axis=0) / scale
    value, when = worst_row(gap, run.log1p_time, least=False)
    return Claim(
        "tel.thm3.3.reduction",
        "log(a_j(t)/a_j(0)) = sum_i F_ji Lambda_i: n numbers for all m neurons; the value is the relative residual.",
        "rows",
        (scalar(run), condition("no a_j is 0", bool((start.outer != 0.0).all()))),
        below(value, balance_drift(run)[1] + 1e-6, when),
    )


CLAIMS: tuple[Judge, ...] = (
    theorem_3_3,
    scalar_balance,
    node_growth,
    reduction,
)
