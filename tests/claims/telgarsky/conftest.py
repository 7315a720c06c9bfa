"""Runs that several files look at, made once."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.analysis.analyzed_run import AnalyzedRun
from tests.claims.telgarsky.runs import CONES, PARITY, SCALAR, made, on_circle


@pytest.fixture(scope="session")
def parity(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return made(tmp_path_factory.mktemp("parity"), PARITY)


@pytest.fixture(scope="session")
def scalar(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    return made(tmp_path_factory.mktemp("scalar"), SCALAR)


@pytest.fixture(scope="session")
def two_cones(tmp_path_factory: pytest.TempPathFactory) -> AnalyzedRun:
    folder = tmp_path_factory.mktemp("cones")
    np.savez(folder / "data.npz", X=on_circle([-6.0, 6.0, 175.0, 183.0]), y=np.array([1.0, 1.0, -1.0, -1.0]))
    return made(folder, CONES.format(data=folder / "data.npz"))
