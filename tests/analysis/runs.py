"""Small runs on disk for the analyzers, made once a session."""

from __future__ import annotations

from pathlib import Path

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory

GAUSSIAN = """
gflow: 1
name: small
seed: {seed}
data: {{kind: gaussian, n: 6, d: 14}}
model: {{kind: two_layer, width: 10, activation: {{kind: leaky_relu, slope: {slope}}}}}
init: {{kind: gaussian, scale: 1.0, relative_to: tensorflow}}
loss: logistic
flow: {{until: {{log_time: {log_time}}}}}
record: {{times: {{spacing: loglog, count: 40}}}}
"""


def gaussian(folder: Path, log_time: float, seed: int = 0, slope: float = 0.1, *overrides: str) -> AnalyzedRun:
    """Six Gaussian samples in R^14, ten neurons."""
    return simulated(folder, GAUSSIAN.format(seed=seed, slope=slope, log_time=log_time), *overrides)


def simulated(folder: Path, text: str, *overrides: str) -> AnalyzedRun:
    """A scenario's run, with its problem."""
    return AnalyzedRun.of(gflow.simulate(parse_scenario(text, overrides=overrides), out=folder, overwrite=True))


def file_of(run: AnalyzedRun) -> Trajectory:
    """The file that a run is about."""
    assert isinstance(run.trajectory, Trajectory)
    return run.trajectory
