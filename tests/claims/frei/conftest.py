"""Runs that several files look at, made once."""

from __future__ import annotations

import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from tests.claims.frei.runs import simulated

SMOOTH = (
    "model.activation={kind: smooth_leaky_relu, slope: 0.5}",
    "data.coherence=2.0e-5",
    "init={kind: gaussian, std: 1.0e-3}",
    "flow.until={time: 2000.0}",
)
CROWDED = ("data={kind: gaussian, n: 6, d: 8}", "flow.until={log_time: 100.0}", "record.times.count=200")
NEARLY_42 = ("data.coherence=2.0e-5", "init={kind: gaussian, std: 1.0e-3}", "loss=logistic")


@pytest.fixture(scope="session")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return simulated(tmp_path_factory.mktemp("leaky"))


@pytest.fixture(scope="session")
def smooth(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return simulated(tmp_path_factory.mktemp("smooth"), *SMOOTH)


@pytest.fixture(scope="session")
def nearly(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    """Leaky ReLU where NO42 and the conditions on the start hold too."""
    return simulated(tmp_path_factory.mktemp("nearly"), *NEARLY_42)


@pytest.fixture(scope="session")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return simulated(tmp_path_factory.mktemp("crowded"), *CROWDED)
