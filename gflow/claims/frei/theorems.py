"""Frei et al., Section 3: gradient flow of leaky ReLU networks on nearly orthogonal data, all theorems together."""

from __future__ import annotations

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.claim import Claim, Conclusion, Judge, below, condition
from gflow.claims.data import sizes_of
from gflow.claims.frei import convergence, fitting, items, linear
from gflow.claims.frei.setting import both_signs, is_leaky, near_orthogonal, setting_of, standard_gaussian
from gflow.claims.known_limit import limit_known

applies = is_leaky


def corollary_35(run: AnalyzedRun) -> Claim:
    """Corollary 3.5: from any start, the limit of the flow is the point of Theorem 3.2."""
    judged = [item(run).conclusion for item in (*items.ITEMS, *linear.CLAIMS)]
    setting = setting_of(run)
    failed = sum(1 for conclusion in judged if conclusion is None or not conclusion.holds)
    hypotheses = (near_orthogonal(setting), both_signs(setting), limit_known(run))
    known = hypotheses[1].holds and hypotheses[2].holds
    statement = "the flow converges in direction to the point of items 1 to 7, from any start: parts that fail"
    return Claim("frei.cor3.5", statement, "limit", hypotheses, below(float(failed), 0.0) if known else None)


def _concentration(run: AnalyzedRun, part: str, statement: str, deviation: float) -> Claim:
    """A deviation that is a constant times sqrt(log n / d) for independent inputs N(0, Sigma), tr Sigma = d."""
    n, d = run.problem.samples, setting_of(run).input_dimension
    hypothesis = condition("several inputs, drawn from N(0, I_d)", n > 1 and standard_gaussian(run))
    constant = deviation / np.sqrt(np.log(n) / d) if n > 1 else None
    conclusion = Conclusion(True, deviation, constant=float(constant)) if constant is not None else None
    return Claim(f"frei.lem3.3.{part}", statement, "data", (hypothesis,), conclusion)


def lemma_33_norms(run: AnalyzedRun) -> Claim:
    """Concentration of the norms."""
    d, sizes = setting_of(run).input_dimension, sizes_of(run)
    deviation = max(abs(sizes.Rmax**2 / d - 1.0), abs(sizes.Rmin**2 / d - 1.0))
    statement = "max_i ||x_i|^2 / d - 1| = O(sqrt(log n / d)), for inputs N(0, Sigma) with tr Sigma = d"
    return _concentration(run, "norms", statement, deviation)


def lemma_33_coherence(run: AnalyzedRun) -> Claim:
    """Concentration of the inner products."""
    deviation = sizes_of(run).coherence / setting_of(run).input_dimension
    statement = "max_ik |<x_i, x_k>| / d = O(sqrt(log n / d)), for inputs N(0, Sigma) with tr Sigma = d"
    return _concentration(run, "coherence", statement, deviation)


CLAIMS: tuple[Judge, ...] = (
    *convergence.CLAIMS,
    *items.CLAIMS,
    *linear.CLAIMS,
    lemma_33_norms,
    lemma_33_coherence,
    *fitting.CLAIMS,
    corollary_35,
    linear.xor,
)
