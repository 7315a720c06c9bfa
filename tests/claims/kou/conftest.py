"""The run that several files look at, made once for each activation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from tests.claims.kou.runs import RELU, run


@pytest.fixture(scope="session", params=[0.3, 0.0], ids=["leaky", "relu"])
def explicit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnalyzedRun]:
    """A run that meets the explicit hypotheses of Lemma G.1."""
    overrides = () if request.param else (RELU,)
    yield run(tmp_path_factory.mktemp("explicit"), *overrides)
