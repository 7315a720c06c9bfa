"""The data that a scenario describes, drawn or read from files: samples to train on, and to test on if asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gflow.arrays import Array
from gflow.assembly.capacity import check_memory, known_sizes
from gflow.assembly.named_files import named_by
from gflow.assembly.streams import DATA_STREAM, TEST_STREAM, stream
from gflow.problem import data, geometric_data, real_data
from gflow.problem.dataset import Dataset, Split, check_same_inputs
from gflow.problem.geometric_data import Teacher
from gflow.problem.image_files import Images, read_cifar10, read_mnist
from gflow.problem.real_data import HeldOut
from gflow.scenario import Scenario
from gflow.scenario.schema import (
    BreastCancerData,
    Cifar10Data,
    ClustersData,
    ConesData,
    Data,
    DigitsData,
    FileData,
    GaussianData,
    GaussianMixtureData,
    GramData,
    MnistData,
    OnesMean,
    OrthogonalData,
    ParityData,
    TeacherData,
    TwoConesData,
    TwoLayerModel,
    XorData,
)

Lawful = (
    GaussianData | GaussianMixtureData | OrthogonalData | ParityData | ClustersData | ConesData | XorData | TeacherData
)
"""Data that are drawn by a law, of which further samples can be drawn."""
Drawn = Lawful | GramData | TwoConesData
"""Data that are drawn, and not chosen from a finite set."""


def build_data(scenario: Scenario, flow: bool = True) -> Split:
    """X (n, d) and y (n,), and test samples; flow: for a flow, which needs more memory than descent.

    Raises ScenarioError for unusable files and for more than memory holds."""
    sizes = known_sizes(scenario)
    if sizes is not None:
        n, d, test = sizes
        check_memory(scenario, n, d, flow, test)
    split = _drawn_split(scenario) if isinstance(scenario.data, Drawn) else _chosen_split(scenario)
    n, d = split.train.X.shape
    check_memory(scenario, n, d, flow, 0 if split.test is None else split.test.y.size)
    return split


def _drawn_split(scenario: Scenario) -> Split:
    """The test samples come from a stream of their own: they leave the training samples as they are."""
    spec = scenario.data
    assert isinstance(spec, Drawn)
    rng = stream(spec.seed, scenario, DATA_STREAM)
    match spec:
        case GramData():
            return Split(data.gram(spec.n, spec.d, spec.norms, spec.coherence, spec.labels, rng))
        case TwoConesData():
            return Split(geometric_data.two_cones(spec.n, spec.angle, spec.spread, spec.alpha, rng))
    draw = _law(spec, isinstance(scenario.model, TwoLayerModel) and scenario.model.bias, rng)
    train = draw(spec.n, rng)
    return Split(train, None if spec.test is None else draw(spec.test, stream(spec.seed, scenario, TEST_STREAM)))


def _law(spec: Lawful, bias: bool, rng: np.random.Generator) -> Callable[[int, np.random.Generator], Dataset]:
    """The law, as a function that draws n samples; what all its samples have in common is drawn here, once."""
    match spec:
        case GaussianData():
            return lambda n, g: data.gaussian(n, spec.d, spec.std, spec.labels, g)
        case GaussianMixtureData():
            mean = _mean(spec, rng)
            return lambda n, g: data.gaussian_mixture(n, mean, spec.std, spec.label_noise, spec.labels, g)
        case OrthogonalData():
            return lambda n, g: data.orthogonal(n, spec.d, spec.replacement, spec.norm, spec.labels, g)
        case ParityData():
            return lambda n, g: data.parity(n, spec.d, g, spec.label_noise or 0.0)
        case ClustersData():
            plus, minus, noise = spec.means_plus, spec.means_minus, spec.label_noise or 0.0
            return lambda n, g: data.clusters(n, plus, minus, spec.std, g, bias, spec.norm, noise)
        case ConesData():
            return lambda n, g: geometric_data.cones(n, spec.d, spec.cones, spec.margin, spec.eps, g)
        case XorData():
            return lambda n, g: geometric_data.xor(n, spec.d, spec.norm, spec.std, spec.label_noise, g)
        case TeacherData():
            teacher = Teacher.drawn(spec.width, spec.d, rng)
            return lambda n, g: geometric_data.taught(n, teacher, spec.std, spec.label_noise, g)


def _chosen_split(scenario: Scenario) -> Split:
    """Samples of a finite set; those to test on are chosen by a stream of their own from what is left of it."""
    spec, model = scenario.data, scenario.model
    outputs = model.outputs if isinstance(model, TwoLayerModel) else 1
    bias = isinstance(model, TwoLayerModel) and model.bias
    assert not isinstance(spec, Drawn)
    test, rng = _held_out(spec, scenario), stream(spec.seed, scenario, DATA_STREAM)
    match spec:
        case FileData():
            return _read(scenario, spec, outputs, bias, test)
        case DigitsData():
            return real_data.digits(spec.classes, spec.n, spec.scaling, rng, outputs > 1, test)
        case BreastCancerData():
            return real_data.breast_cancer(spec.n, spec.scaling, rng, test)
        case MnistData() | Cifar10Data():
            train, others = _images(scenario, spec, test is not None)
            return real_data.images(train, others, spec.classes, spec.n, spec.scaling, rng, outputs > 1, test)


def _images(scenario: Scenario, spec: MnistData | Cifar10Data, tested: bool) -> tuple[Images, Images | None]:
    """All images of the training files, and of the test files where they are needed."""
    folder = scenario.folder / spec.path
    with named_by(scenario, "data.path", spec.path):
        if isinstance(spec, MnistData):
            return read_mnist(folder, "train"), read_mnist(folder, "t10k") if tested else None
        return read_cifar10(folder, test=False), read_cifar10(folder, test=True) if tested else None


def _held_out(spec: Data, scenario: Scenario) -> HeldOut | None:
    """How many samples are held out; None: none, or a file has them."""
    assert not isinstance(spec, Drawn)
    if spec.test is None or (isinstance(spec, FileData) and isinstance(spec.test, str)):
        return None
    count = spec.test if isinstance(spec.test, int) else None
    return HeldOut(count, stream(spec.seed, scenario, TEST_STREAM))


def _read(scenario: Scenario, spec: FileData, outputs: int, bias: bool, held: HeldOut | None) -> Split:
    with named_by(scenario, "data.path", spec.path):
        split = real_data.read_file(scenario.folder / spec.path, outputs, bias, held)
    if not isinstance(spec.test, str):
        return split
    with named_by(scenario, "data.test", spec.test):
        test = real_data.read_file(scenario.folder / spec.test, outputs, bias).train
        check_same_inputs(test, split.train.X.shape[1], str(scenario.folder / spec.test))
    return Split(split.train, test)


def _mean(spec: GaussianMixtureData, rng: np.random.Generator) -> Array:
    mean = spec.mean
    if not isinstance(mean, OnesMean):
        return data.gaussian_mean(spec.d, mean.std, rng)
    if mean.norm is not None:
        return data.ones_mean(spec.d, mean.norm)
    assert mean.power is not None
    return data.ones_mean(spec.d, float(spec.d) ** mean.power)
