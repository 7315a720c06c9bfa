"""The names of the engine and of the method that integrate the flow of a scenario."""

from __future__ import annotations

from gflow.flow.choice import method_for
from gflow.scenario import Scenario
from gflow.scenario.schema import SmoothActivation, TwoLayerModel
from gflow.scenario.schema.agreement import without_series


def engine_name(scenario: Scenario) -> str:
    """`dual` where it applies (fixed outer layer, one output, no smooth activation) unless primal is asked for."""
    model = scenario.model
    if not isinstance(model, TwoLayerModel) or isinstance(model.activation, SmoothActivation):
        return "primal"
    applies = model.outputs == 1 and not model.outer.train
    return "dual" if applies and scenario.flow.engine != "primal" else "primal"


def method_name(scenario: Scenario) -> str:
    """The method asked for; `auto` is the Taylor engine where it knows the network, else the steppers."""
    return method_for(scenario.flow.method, without_series(scenario.model) is None)
