"""Claims on a random start, with high probability: Telgarsky, Lemmas A.2 and C.1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.potential import Features, cones, parity_features
from gflow.claims.claim import Claim, Hypothesis, Judge, above, below, condition
from gflow.claims.telgarsky.setting import (
    DELTA,
    log_width,
    probably,
    random_directions,
    standard_start,
    unit_inputs,
    wide,
)
from gflow.problem.span import row_norms


def _lemma_a2(
    part: str, uses: int, statement: str, value_and_bound: Callable[[AnalyzedRun, float], tuple[float, float]]
) -> Judge:
    def judge(run: AnalyzedRun) -> Claim:
        value, bound = value_and_bound(run, np.log(1.0 / DELTA))
        hypotheses = (standard_start(run), unit_inputs(run))
        return Claim(f"tel.lemA2.{part}", probably(uses, statement), "start", hypotheses, below(value, float(bound)))

    return judge


def _outputs_bound(run: AnalyzedRun, log_delta: float) -> tuple[float, float]:
    p = run.state(0).p
    return float(np.abs(p).max()), 4.0 * (np.log(p.size) + log_delta)


lemma_a2_outer = _lemma_a2(
    "outer",
    1,
    "|a(0)| <= 1 + sqrt(2 log(1/delta)/m).",
    lambda s, log: (
        float(np.linalg.norm(s.state(0).parameters.outer)),
        1.0 + np.sqrt(2.0 * log / s.problem.network.width),
    ),
)
lemma_a2_inner = _lemma_a2(
    "inner",
    1,
    "|V(0)|_F <= sqrt(m) + sqrt(2 log(1/delta)/d).",
    lambda s, log: (
        float(np.linalg.norm(s.trajectory.W_initial)),
        np.sqrt(s.problem.network.width) + np.sqrt(2.0 * log / s.problem.X.shape[1]),
    ),
)
lemma_a2_outputs = _lemma_a2("outputs", 4, "every |f(x_i)| <= 4 log(n/delta) at the start.", _outputs_bound)


def _features(run: AnalyzedRun) -> tuple[Features, float] | None:
    """Reference neurons of the data with the eps of Lemma C.1 that their theorem asks for."""
    known = parity_features(run.problem)
    if known is not None:
        return known, 0.5 * known.margin
    found = cones(run.problem)
    return None if found is None else (found.features, found.eps)


def lemma_c1(run: AnalyzedRun) -> Claim:
    """Every beta_k has a neuron at distance eps in direction: cosine >= 1 - eps^2 / 2."""
    known = _features(run)
    statement = probably(1, "every reference direction beta_k has a neuron with cosine >= 1 - eps^2/2; worst cosine.")
    if known is None:
        return Claim("tel.lemC1", statement, "start", (_known_features(run),), None)
    (features, eps), directions = known, run.problem.network.directions
    W = run.trajectory.W_initial
    norms = row_norms(W)
    units = directions if directions is not None else W / np.where(norms > 0.0, norms, 1.0)[:, None]
    worst = float((features.beta @ units.T).max(axis=1).min())
    width = wide(run, log_width(eps, features.beta.shape[1], features.alpha.size))
    conclusion = above(worst, float(1.0 - 0.5 * eps**2))
    hypotheses = (_known_features(run), random_directions(run), width)
    return Claim("tel.lemC1", statement, "start", hypotheses, conclusion)


def _known_features(run: AnalyzedRun) -> Hypothesis:
    return condition("reference directions are known (parity or disjoint cones)", _features(run) is not None)


CLAIMS: tuple[Judge, ...] = (
    lemma_a2_outer,
    lemma_a2_inner,
    lemma_a2_outputs,
    lemma_c1,
)
