"""The frozen, validated parts of a scenario: one small class for each mapping of the YAML file."""

from gflow.scenario.schema.data import (
    ClustersData,
    Data,
    GaussianData,
    GaussianMean,
    GaussianMixtureData,
    GramData,
    OnesMean,
    OrthogonalData,
    ParityData,
)
from gflow.scenario.schema.descent import Descent, DescentUntil, LogSquaredSchedule, Watch
from gflow.scenario.schema.geometric_data import ConesData, TeacherData, TwoConesData, XorData
from gflow.scenario.schema.init import BalancedInit, FileInit, GaussianInit, Init, OuterInit, UniformInit
from gflow.scenario.schema.network import (
    LeakyRelu,
    Linear,
    Model,
    Outer,
    Relu,
    ScalarModel,
    SmoothActivation,
    TwoLayerModel,
)
from gflow.scenario.schema.real_data import BreastCancerData, Cifar10Data, DigitsData, FileData, MnistData
from gflow.scenario.schema.run import Budget, Commit, Flow, GivenTimes, SpacedTimes, Until
from gflow.scenario.schema.scenario import Origin, Record, Scenario, json_schema

__all__ = [
    "BalancedInit",
    "BreastCancerData",
    "Budget",
    "Cifar10Data",
    "ClustersData",
    "Commit",
    "ConesData",
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
    "Init",
    "LeakyRelu",
    "Linear",
    "LogSquaredSchedule",
    "MnistData",
    "Model",
    "OnesMean",
    "Origin",
    "OrthogonalData",
    "Outer",
    "OuterInit",
    "ParityData",
    "Record",
    "Relu",
    "ScalarModel",
    "Scenario",
    "SmoothActivation",
    "SpacedTimes",
    "TeacherData",
    "TwoConesData",
    "TwoLayerModel",
    "UniformInit",
    "Until",
    "Watch",
    "XorData",
    "json_schema",
]
