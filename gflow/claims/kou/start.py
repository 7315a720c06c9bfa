"""Claims of Kou et al., Appendix B, on a Gaussian start, with probability 1 - delta."""

from __future__ import annotations

from math import log

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.claim import Claim, Conclusion, Hypothesis, at_least, below, condition
from gflow.claims.kou.setting import DELTA, balanced, judged, setting_of
from gflow.scenario import parse_scenario


def _gaussian(run: AnalyzedRun) -> Hypothesis:
    """Does the scenario draw the start from a normal distribution, with sigma_0 > 0?"""
    kind = getattr(parse_scenario(run.trajectory.scenario_resolved).init, "kind", "")
    return condition("Gaussian start, sigma_0 > 0", kind == "gaussian" and setting_of(run).W0_rms > 0.0)


def _probably(statement: str) -> str:
    return f"{statement}, with probability {1.0 - DELTA:g}"


def initial_norms(run: AnalyzedRun) -> Claim:
    """sigma_0 is measured: the root mean square of the entries of W(0)."""
    setting, d = setting_of(run), run.problem.X.shape[1]
    sizes = setting.W0_norms**2 / max(setting.W0_rms**2 * d, 1e-300)
    wide = at_least(f"d >= C log(m n / {DELTA:g}), C taken as 1", float(d), log(setting.m * setting.sizes.n / DELTA))
    low, high = float(sizes.min()), float(sizes.max())
    conclusion = Conclusion(low >= 0.5 and high <= 1.5, high, 1.5, min(1.5 / max(high, 1e-300), low / 0.5))
    statement = _probably("sigma_0^2 d / 2 <= |w_jr(0)|^2 <= 3 sigma_0^2 d / 2 for all neurons (sigma_0 measured)")
    return judged("kou.lemB1.norm", statement, "start", (_gaussian(run),), conclusion, (wide,))


def initial_projections(run: AnalyzedRun) -> Claim:
    """Lemma B.1: the size beta of the pre-activations at the start."""
    setting = setting_of(run)
    factor = float(np.sqrt(2.0 * log(8.0 * setting.m * setting.sizes.n / DELTA)))
    conclusion = below(setting.beta, factor * setting.W0_rms * setting.sizes.Rmax)
    statement = _probably(f"beta = max |<w_jr(0), x_i>| <= sqrt(2 log(8 m n / {DELTA:g})) sigma_0 Rmax")
    return judged("kou.lemB1.beta", statement, "start", (_gaussian(run),), conclusion)


def initial_sets(run: AnalyzedRun) -> Claim:
    """Lemma B.2: S_i(0) has about half of the neurons of its sign."""
    setting = setting_of(run)
    wide = at_least(f"m >= 50 log(2 n / {DELTA:g})", setting.m, 50.0 * log(2.0 * setting.sizes.n / DELTA))
    conclusion = below(float(np.abs(setting.active_part - 0.5).max()), 0.1)
    hypotheses = (_gaussian(run), balanced(setting), wide)
    statement = _probably("0.4 m <= |S_i(0)| <= 0.6 m for all i (largest | |S_i(0)|/m - 0.5 |)")
    return judged("kou.lemB2", statement, "start", hypotheses, conclusion)


CLAIMS = (
    initial_norms,
    initial_projections,
    initial_sets,
)
