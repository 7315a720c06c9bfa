"""Scenarios of the KKT tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.analyzed_run import AnalyzedRun
from tests.analysis.runs import simulated

Array = NDArray[np.float64]

# Kinks with interior slopes: 9 pairs slide in the limit of seed 0, none of seed 5.
GAUSSIAN = """
gflow: 1
name: gaussian
seed: {seed}
data: {{kind: gaussian, n: 8, d: 60}}
model: {{kind: two_layer, width: 16, activation: {{kind: leaky_relu, slope: 0.1}}}}
init: {{kind: gaussian, scale: 1.0, relative_to: tensorflow}}
loss: logistic
flow: {{until: {{certified: true, log_time: 1.0e5}}}}
record: {{times: {{count: 5}}}}
"""
GIVEN = """
gflow: 1
name: given
data: {{kind: file, path: {path}}}
model: {{kind: two_layer, width: 4, activation: {activation}}}
init: {{kind: gaussian, std: 0.3}}
loss: exponential
flow: {{until: {{{until}}}}}
record: {{times: {{count: 20}}}}
"""
BOTH_LAYERS = """
gflow: 1
name: both
seed: {seed}
data: {{kind: gaussian, n: 5, d: 6}}
model: {{kind: two_layer, width: 6, activation: {{kind: leaky_relu, slope: 0.1}}, outer: {{train: true}}}}
init: {{kind: gaussian, std: 0.4, outer: {{std: 0.5}}}}
loss: logistic
flow: {{until: {{log_time: 50.0}}}}
record: {{times: {{count: 20}}}}
"""


def given(
    folder: Path, X: Array, y: Array, slope: float, until: str = "log_time: 500.0", activation: str = ""
) -> AnalyzedRun:
    """The run of four leaky neurons with outer weights +-1/2 on these data."""
    np.savez(folder / "data.npz", X=X, y=y)
    kind = activation or f"{{kind: leaky_relu, slope: {slope}}}"
    text = GIVEN.format(path=folder / "data.npz", activation=kind, until=until)
    return simulated(folder / "run", text)
