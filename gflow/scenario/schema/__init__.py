"""The frozen, validated parts of a scenario: one small class for each mapping of the YAML file."""

from gflow.scenario.schema.data import (
    BreastCancerData,
    Data,
    DigitsData,
    FileData,
    GaussianData,
    GaussianMean,
    GaussianMixtureData,
    GramData,
    OnesMean,
    OrthogonalData,
)
from gflow.scenario.schema.network import (
    FileInit,
    GaussianInit,
    LeakyRelu,
    Linear,
    Outer,
    Relu,
    TwoLayerModel,
)
from gflow.scenario.schema.run import Descent, DescentUntil, Flow, GivenTimes, SpacedTimes, Until
from gflow.scenario.schema.scenario import AnalysisName, Origin, Record, Scenario, json_schema

__all__ = [
    "AnalysisName",
    "BreastCancerData",
    "Data",
    "Descent",
    "DescentUntil",
    "DigitsData",
    "FileData",
    "FileInit",
    "Flow",
    "GaussianData",
    "GaussianInit",
    "GaussianMean",
    "GaussianMixtureData",
    "GivenTimes",
    "GramData",
    "LeakyRelu",
    "Linear",
    "OnesMean",
    "Origin",
    "OrthogonalData",
    "Outer",
    "Record",
    "Relu",
    "Scenario",
    "SpacedTimes",
    "TwoLayerModel",
    "Until",
    "json_schema",
]
