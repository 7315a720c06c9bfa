"""The name of the engine that integrates the flow of a scenario."""

from __future__ import annotations

from gflow.scenario import Scenario
from gflow.scenario.schema import SmoothActivation, TwoLayerModel


def engine_name(scenario: Scenario) -> str:
    """`dual` where it applies (fixed outer layer, one output, no smooth activation) unless primal is asked for."""
    model = scenario.model
    if not isinstance(model, TwoLayerModel) or isinstance(model.activation, SmoothActivation):
        return "primal"
    applies = model.outputs == 1 and not model.outer.train
    return "dual" if applies and scenario.flow.engine != "primal" else "primal"
