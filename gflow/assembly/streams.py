"""Random streams of one seed: the data do not change when the start is drawn differently, nor the reverse."""

from __future__ import annotations

import numpy as np

from gflow.scenario import Scenario

DATA_STREAM, INIT_STREAM = 0, 1


def stream(seed: int | None, scenario: Scenario, number: int) -> np.random.Generator:
    """A stream of the seed given, or of the scenario's."""
    return np.random.default_rng([scenario.seed if seed is None else seed, number])
