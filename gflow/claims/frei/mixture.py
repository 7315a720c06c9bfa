"""Frei et al., Section 5, on data in two clusters x = y mu + N(0, I_d): the absolute constants, as measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.claims.claim import Claim, Conclusion, Judge, condition
from gflow.claims.data import sizes_of
from gflow.claims.frei.bounds import applies
from gflow.claims.frei.setting import scenario_of, setting_of
from gflow.scenario.schema import GaussianMixtureData, OnesMean


def _mixture(run: AnalyzedRun, part: str, statement: str, size: Callable[[float], float]) -> Claim:
    """Section 5 on two clusters with noise N(0, I_d): size is what is at most C, from |mu|^2."""
    data = scenario_of(run).data
    square = None
    if isinstance(data, GaussianMixtureData) and isinstance(data.mean, OnesMean) and data.std == 1.0:
        norm, power = data.mean.norm, data.mean.power
        square = norm**2 if norm is not None else float(setting_of(run).input_dimension) ** (2.0 * (power or 0.0))
    hypothesis = condition("x = y mu + N(0, I_d), all entries of mu equal", square is not None)
    conclusion = None if square is None else Conclusion(True, constant=size(square))
    return Claim(f"frei.sec5.gmm.{part}", statement, "data", (hypothesis,), conclusion)


def norms(run: AnalyzedRun) -> Claim:
    """Norms of the samples of two clusters."""
    d, sizes = setting_of(run).input_dimension, sizes_of(run)
    statement = "|x_i|^2 / (d + |mu|^2) is in [1/C, C] for all i: the least C"

    def size(square: float) -> float:
        return max(sizes.Rmax**2 / (d + square), (d + square) / sizes.Rmin**2)

    return _mixture(run, "norms", statement, size)


def coherence(run: AnalyzedRun) -> Claim:
    """Inner products of the samples of two clusters."""
    d, sizes = setting_of(run).input_dimension, sizes_of(run)
    statement = "|<x_i, x_k>| <= C (|mu|^2 + sqrt(d)) for all i != k: the least C"
    return _mixture(run, "coherence", statement, lambda square: sizes.coherence / (square + float(np.sqrt(d))))


CLAIMS: tuple[Judge, ...] = (norms, coherence)
__all__ = ["CLAIMS", "applies"]
