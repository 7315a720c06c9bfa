"""Runs that several tests look at, made once."""

from __future__ import annotations

import pytest

from gflow.trajectory import Trajectory
from tests.verification.runs import run


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    return run(tmp_path_factory.mktemp("clean"), log_time=3.0)


@pytest.fixture(scope="session")
def both_layers(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    return run(tmp_path_factory.mktemp("both"), "model.outer={train: true}", log_time=2.0)
