"""Claims of Frei et al., Section 4, on a random start: with probability 1 - delta, or up to an absolute constant."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.claim import CHANCE, Claim, Conclusion, Hypothesis, Judge, below
from gflow.claims.frei.setting import setting_of, start_std

DELTA = CHANCE


def _drawn(run: AnalyzedRun) -> Hypothesis:
    """The start has independent entries N(0, w_init^2), w_init > 0."""
    std = start_std(run)
    return Hypothesis("entries of W(0) drawn from N(0, w_init^2)", std is not None and std > 0.0, std)


def _spread(run: AnalyzedRun) -> float:
    """sqrt(m) + sqrt(d)."""
    setting = setting_of(run)
    return float(np.sqrt(setting.m) + np.sqrt(setting.input_dimension))


def stable_rank(run: AnalyzedRun) -> Claim:
    """The stable rank of a Gaussian matrix."""
    setting = setting_of(run)
    measured = float(run.trajectory.read("series/stable_rank", 0))
    constant = measured * _spread(run) ** 2 / (setting.m * setting.input_dimension)
    conclusion = Conclusion(True, measured, constant=constant)
    statement = "SR(W(0)) = Theta(m d / (sqrt(m) + sqrt(d))^2): the factor, which tends to 1"
    return Claim("frei.init.SR", statement, "start", (_drawn(run),), conclusion)


def lemma_e1_spectral(run: AnalyzedRun) -> Claim:
    """The spectral norm of a Gaussian matrix."""
    hypothesis, scale = _drawn(run), setting_of(run).scale
    measured = scale * float(run.trajectory.read("series/spectral_norm", 0))
    known = hypothesis.holds and hypothesis.value is not None
    constant = measured / (hypothesis.value * _spread(run)) if known and hypothesis.value is not None else None
    conclusion = Conclusion(True, measured, constant=constant) if constant is not None else None
    statement = "|W(0)|_2 <= C0 w_init (sqrt(m) + sqrt(d)): the least C0"
    return Claim("frei.lemE1", statement, "start", (hypothesis,), conclusion)


def _probable(run: AnalyzedRun, part: str, statement: str, value: float, bound: Callable[[float], float]) -> Claim:
    """value <= bound(w_init) with probability 1 - DELTA."""
    hypothesis = _drawn(run)
    conclusion = below(value, bound(hypothesis.value)) if hypothesis.value is not None else None
    words = f"{statement}, with probability {1.0 - DELTA:g}"
    return Claim(f"frei.lemE1.{part}", words, "start", (hypothesis,), conclusion)


def _log(run: AnalyzedRun) -> float:
    return float(np.log(4.0 * setting_of(run).m / DELTA))


def lemma_e1_norms(run: AnalyzedRun) -> Claim:
    """The norms of the neurons."""
    setting = setting_of(run)
    inner = run.trajectory.read("inner", 0)
    squares = setting.scale**2 * (run.outside_norms**2 + (inner**2).sum(axis=1))
    statement = "|w_j(0)|^2 <= 5 w_init^2 d log(4 m / delta) for all j"

    def bound(std: float) -> float:
        return 5.0 * std**2 * setting.input_dimension * _log(run)

    return _probable(run, "norms", statement, float(squares.max()), bound)


def lemma_e1_along_mu(run: AnalyzedRun) -> Claim:
    """The components of the neurons along mu."""
    setting = setting_of(run)
    size = float(np.linalg.norm(setting.mu))
    unit = setting.mu / size if size > 0.0 else setting.mu
    along = setting.scale * run.trajectory.read("inner", 0) @ unit
    statement = "|<w_j(0), mu / |mu|>| <= 2 w_init sqrt(log(4 m / delta)) for all j"

    def bound(std: float) -> float:
        return 2.0 * std * float(np.sqrt(_log(run)))

    return _probable(run, "mu", statement, float(np.abs(along).max()), bound)


CLAIMS: tuple[Judge, ...] = (stable_rank, lemma_e1_spectral, lemma_e1_norms, lemma_e1_along_mu)
