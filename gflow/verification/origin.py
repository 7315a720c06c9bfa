"""The check of the start: data and weights are drawn again from the seeds of the scenario."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np

from gflow.assembly import build_setup
from gflow.errors import ScenarioError
from gflow.scenario import Scenario, sha256
from gflow.scenario.schema import Cifar10Data, FileData, FileInit, MnistData
from gflow.trajectory import Trajectory
from gflow.verification.check import Check, bounded, not_applicable

GROUP, NAME = "rows", "scenario"

# Random generators give the same bits on every machine, but matrix products of other libraries may round differently.
ROUNDING = 1e-12


def origin(trajectory: Trajectory, scenario: Scenario) -> Check:
    """X, y and the start are those that the scenario draws, and its fingerprint is that of the file."""
    if trajectory.scenario_sha256 != sha256(scenario):
        return Check(GROUP, NAME, "fail", None, None, "the scenario in the file has another fingerprint than is stored")
    if isinstance(scenario.data, FileData | MnistData | Cifar10Data) or isinstance(scenario.init, FileInit):
        return not_applicable(GROUP, NAME, "data or start came from a file, which may have gone since")
    try:
        setup = build_setup(scenario)
    except ScenarioError as error:
        return not_applicable(GROUP, NAME, f"the start cannot be drawn here: {error}")
    drawn = [setup.problem.X, setup.problem.y, setup.W_initial, setup.problem.network.outer]
    stored = [trajectory.X, trajectory.y, trajectory.W_initial, trajectory.outer_at(0)]
    drawn += [] if setup.test is None else [setup.test.X, setup.test.y]
    stored += [each for each in (trajectory.X_test, trajectory.y_test) if each is not None]
    gap = 0.0
    for ours, theirs in zip_longest(stored, drawn, fillvalue=np.empty(0)):
        if ours.shape != theirs.shape:
            return Check(GROUP, NAME, "fail", None, ROUNDING, "the scenario draws arrays of other shapes")
        gap = max(gap, float(np.abs(ours - theirs).max()) / max(float(np.abs(theirs).max()), np.finfo(float).tiny))
    sentence = "samples, labels and starting weights, drawn anew from the scenario and its seeds, relative"
    return bounded(GROUP, NAME, gap, ROUNDING, sentence)
