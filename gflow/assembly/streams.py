"""Random streams of one seed, kept apart so that drawing the start or the test samples differently does not change the
data, nor the reverse."""

from __future__ import annotations

import numpy as np

from gflow.scenario import Scenario

DATA_STREAM, INIT_STREAM, TEST_STREAM = 0, 1, 2


def stream(seed: int | None, scenario: Scenario, number: int) -> np.random.Generator:
    """The stream with this number of the given seed; None: of the scenario's seed."""
    return np.random.default_rng([scenario.seed if seed is None else seed, number])
