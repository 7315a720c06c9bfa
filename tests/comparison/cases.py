"""Small runs to compare, and the same things worked out without the code under test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import gflow
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.scenario import parse_scenario
from tests.flow.driver import flow, until_time

Array = NDArray[np.float64]

KINKED = """
gflow: 1
name: small
seed: {seed}
data: {{kind: gaussian, n: 6, d: 12}}
model: {{kind: two_layer, width: 8, activation: {{kind: leaky_relu, slope: {slope}}}}}
init: {{kind: gaussian, scale: 1.0, relative_to: tensorflow}}
loss: {loss}
flow: {{until: {{time: 4.0}}}}
record: {{times: {{spacing: log, count: 10}}}}
"""
CROWDED = KINKED.replace("n: 6, d: 12", "n: 8, d: 4")
SMOOTH = KINKED.replace("leaky_relu", "smooth_leaky_relu")
HUBERIZED = KINKED.replace("{{kind: leaky_relu, slope: {slope}}}", "{{kind: huberized_relu, h: 0.3}}")


def simulated(
    folder: Path, text: str = KINKED, seed: int = 0, slope: float = 0.1, loss: str = "logistic"
) -> gflow.Trajectory:
    """The run of a small scenario; slope 0 is the ReLU."""
    filled = text.format(seed=seed, slope=slope, loss=loss).replace("{kind: leaky_relu, slope: 0.0}", "{kind: relu}")
    return gflow.simulate(parse_scenario(filled), out=folder, overwrite=True)


def flow_weights(trajectory: gflow.Trajectory, times: Array) -> list[Array]:
    """W (m, d) of the flow at times t > 0, increasing, from a run of its own in which they are rows."""
    facts = trajectory.facts
    network = Network(trajectory.outer, float(facts["slope"]))
    problem = Problem.of(trajectory.X, trajectory.y, network, LOSSES[str(facts["loss"])])
    W = trajectory.W_initial
    found = flow(problem, W, until_time(float(times[-1])), rtol=1e-10, rows=np.log1p(times[:-1]).tolist())
    return [found.weights(W, row) for row in range(1, len(found.rows))]
