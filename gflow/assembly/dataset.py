"""The data set that a scenario describes, drawn or read from files."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array
from gflow.assembly.capacity import check_memory, known_sizes
from gflow.assembly.named_files import named_by
from gflow.assembly.streams import DATA_STREAM, stream
from gflow.problem import data
from gflow.problem.dataset import Dataset
from gflow.scenario import Scenario
from gflow.scenario.schema import (
    BreastCancerData,
    ClustersData,
    DigitsData,
    FileData,
    GaussianData,
    GaussianMixtureData,
    GramData,
    OnesMean,
    OrthogonalData,
    ParityData,
    TwoLayerModel,
)


def build_dataset(scenario: Scenario, flow: bool = True) -> Dataset:
    """X (n, d) and y (n,); flow: for a flow, which needs more memory than descent.

    Raises ScenarioError for unusable files and for more than memory holds."""
    sizes = known_sizes(scenario)
    if sizes is not None:
        check_memory(scenario, *sizes, flow)
    dataset = _dataset(scenario)
    n, d = dataset.X.shape
    check_memory(scenario, n, d, flow)
    return dataset


def _dataset(scenario: Scenario) -> Dataset:
    spec, model = scenario.data, scenario.model
    outputs = model.outputs if isinstance(model, TwoLayerModel) else 1
    bias = isinstance(model, TwoLayerModel) and model.bias
    if isinstance(spec, FileData):
        with named_by(scenario, "data", spec.path):
            return data.read_file(scenario.folder / spec.path, outputs, bias)
    rng = stream(spec.seed, scenario, DATA_STREAM)
    match spec:
        case GaussianData():
            return data.gaussian(spec.n, spec.d, spec.std, spec.labels, rng)
        case GaussianMixtureData():
            mean = _mean(spec, rng)
            return data.gaussian_mixture(spec.n, mean, spec.std, spec.label_noise, spec.labels, rng)
        case OrthogonalData():
            return data.orthogonal(spec.n, spec.d, spec.replacement, spec.norm, spec.labels, rng)
        case GramData():
            return data.gram(spec.n, spec.d, spec.norms, spec.coherence, spec.labels, rng)
        case ParityData():
            return data.parity(spec.n, spec.d, rng)
        case ClustersData():
            return data.clusters(spec.n, spec.means_plus, spec.means_minus, spec.std, rng, bias)
        case DigitsData():
            return data.digits(spec.classes, spec.n, spec.scaling, rng, as_classes=outputs > 1)
        case BreastCancerData():
            return data.breast_cancer(spec.n, spec.scaling, rng)


def _mean(spec: GaussianMixtureData, rng: np.random.Generator) -> Array:
    mean = spec.mean
    if not isinstance(mean, OnesMean):
        return data.gaussian_mean(spec.d, mean.std, rng)
    if mean.norm is not None:
        return data.ones_mean(spec.d, mean.norm)
    assert mean.power is not None
    return data.ones_mean(spec.d, float(spec.d) ** mean.power)
