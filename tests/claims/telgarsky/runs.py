"""Small runs on parity, of the scalar network and on cones, and what doctored copies of them are said of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import h5py
import numpy as np
from numpy.typing import NDArray

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import Along, along
from gflow.claims.claim import Claim
from gflow.claims.telgarsky import CLAIMS, applies
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory
from tests.analysis.runs import file_of

Array = NDArray[np.float64]

PARITY = """
gflow: 1
name: parity
seed: 0
data: {kind: parity, n: 16, d: 6}
model: {kind: two_layer, width: 16, activation: {kind: relu}, outer: {train: true}}
init: {kind: gaussian, std: inverse_sqrt_inputs, outer: {std: inverse_sqrt_width}}
loss: logistic
flow: {until: {log_time: 8.0}}
record: {times: {spacing: log, count: 30}}
"""
SCALAR = """
gflow: 1
name: scalar
seed: 0
data: {kind: parity, n: 4, d: 2, seed: 3}
model: {kind: scalar, width: 1900, activation: {kind: relu}}
init: {kind: balanced}
loss: exponential
flow: {until: {log_time: 12.0}}
record: {times: {spacing: log, count: 25}}
"""
CONES = """
gflow: 1
name: cones
seed: 1
data: {{kind: file, path: {data}}}
model: {{kind: two_layer, width: 400, activation: {{kind: relu}}, outer: {{train: true}}}}
init: {{kind: gaussian, std: inverse_sqrt_inputs, outer: {{std: inverse_sqrt_width}}}}
loss: exponential
flow: {{until: {{log_time: 12.0}}}}
record: {{times: {{spacing: log, count: 40}}}}
"""


def on_circle(degrees: list[float]) -> Array:
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def made(folder: Path, text: str, *overrides: str) -> AnalyzedRun:
    return AnalyzedRun.of(gflow.simulate(parse_scenario(text, overrides=overrides), out=folder / "run"))


def judged(run: AnalyzedRun) -> dict[str, Claim]:
    return {claim.id: claim for claim in (judge(run) for judge in CLAIMS)}


def verdicts(run: AnalyzedRun) -> dict[str, str]:
    assert applies(run)
    return {name: claim.verdict for name, claim in judged(run).items()}


def with_rows(run: AnalyzedRun, change: Callable[[Along], Along]) -> AnalyzedRun:
    """The same run with other numbers along its rows, and none of the running extremes."""
    other = AnalyzedRun(run.trajectory, run.problem)
    vars(other)["along"] = change(along(run))
    object.__setattr__(other, "extreme", lambda name: None)
    return other


def of(X: Array, y: Array) -> AnalyzedRun:
    """A run for claims on the data alone."""
    network = Network(np.ones(3), 0.0, trains_outer=True)
    return AnalyzedRun(cast(Trajectory, None), Problem.of(X, y, network, LOSSES["exponential"]))


IDENTITIES = {"tel.grad.ident", "tel.euler", "tel.gradp", "tel.balance", "tel.ratio", "tel.avnorm", "tel.lemB2"}
MONOTONE = {"tel.lemA4", "tel.LL.mono"}


def edited(run: AnalyzedRun, folder: Path, edit: Callable[[h5py.File], None]) -> dict[str, Claim]:
    copy = folder / "trajectory.h5"
    copy.write_bytes(file_of(run).path.read_bytes())
    with h5py.File(copy, "r+") as file:
        edit(file)
    return judged(AnalyzedRun.of(gflow.open_trajectory(copy)))
