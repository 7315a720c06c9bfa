"""A problem and its start made from arrays, with the same checks as for a scenario and its files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gflow.arrays import Array
from gflow.assembly import Setup, assembled, check_memory, completed
from gflow.errors import ScenarioError
from gflow.pipeline.ends import WAYS, End, number_list, plain_list, plain_value
from gflow.problem.activation import SMOOTHINGS, numbers_of
from gflow.problem.data_files import float_array
from gflow.problem.dataset import Split, check_same_inputs, checked_dataset
from gflow.problem.initialisation import checked_array, scalar_start_of, start_of
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.problem.sizes import check_products
from gflow.scenario import Scenario, scenario_of
from gflow.scenario.schema import TwoLayerModel

Raw = NDArray[Any]  # Any: whatever the caller gave, until it is checked
Content = dict[str, Any]  # Any: nested values of a scenario
Samples = tuple[ArrayLike, ArrayLike]
"""X (n, d) and y (n,) as a caller gives them."""

# What numpy raises for values that are no array, and torch for tensors that have no array or require a gradient.
NO_ARRAY = (ValueError, TypeError, RuntimeError, OverflowError)
# The arguments behind keys of scenarios, and behind the names that arrays have in files, where they have other names.
ARGUMENTS = {
    "model.activation.kind": "activation",
    "model.activation.h": "bandwidth",
    "model.outer.train": "train_outer",
    "model.width": "a",
    "model.outputs": "a",
    "record.times.count": "rows",
    "record.times.at": "rows",
    "b": "bias",
    "c": "output_bias",
}
OF_SCALAR = ARGUMENTS | {"b": "W", "v": "directions"}
KEYS = {"bandwidth": "h"}  # what scenarios call the numbers of activations, where it is another name


def from_arrays(
    X: ArrayLike,  # noqa: N803 (the matrices of the literature)
    y: ArrayLike,
    W: ArrayLike,  # noqa: N803
    a: ArrayLike,
    *,
    activation: str = "relu",
    slope: float | None = None,
    bandwidth: float | None = None,
    train_outer: bool = False,
    bias: ArrayLike | None = None,
    output_bias: ArrayLike | None = None,
    directions: ArrayLike | None = None,
    loss: str = "logistic",
) -> tuple[Problem, Array]:
    """The learning problem of arrays and the start of its flow, for `gflow.steps` and `gflow.descend`.

    All arguments are those of `integrate`.  The start is W (m, d), with the biases as last column where there are some,
    or b (m, 1) of the scalar network.  Raises ScenarioError for whatever does not fit.
    """
    asked, options = "gflow.from_arrays", NetworkOptions(activation, slope, bandwidth, train_outer)
    arrays = arrays_of(asked, W, a, bias, output_bias, directions)
    scenario = scenario_for(asked, options.model(asked, arrays), loss, {"until": {"time": 1.0}}, {"count": 2})
    setup = setup_of(asked, scenario, (X, y), arrays, flow=False)
    return setup.problem, setup.inner


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The words and numbers by which a caller describes a network, beside its arrays."""

    activation: str
    slope: float | None
    bandwidth: float | None
    train_outer: bool

    def model(self, asked: str, arrays: Mapping[str, Raw]) -> Content:
        """The network that these arrays are the start of, as a scenario says it.

        asked: the function called, for messages, here and below.  Raises ScenarioError.
        """
        a, phi = arrays["a"], {"kind": self.activation} | given(slope=self.slope, h=self.bandwidth)
        if a.ndim not in (1, 2):
            raise ScenarioError(f"{asked}: a has shape {a.shape}; it must be (m,), or (K, m) for K outputs")
        if "v" in arrays:
            return {"kind": "scalar", "width": a.shape[-1], "activation": phi}
        model = {"kind": "two_layer", "width": a.shape[-1], "activation": phi, "bias": "b" in arrays}
        model["outer"] = {"train": plain_value(self.train_outer)}
        return model | ({"outputs": len(a)} if a.ndim == 2 else {})


def arrays_of(
    asked: str,
    W: ArrayLike,  # noqa: N803
    a: ArrayLike,
    bias: ArrayLike | None,
    output_bias: ArrayLike | None,
    directions: ArrayLike | None,
) -> dict[str, Raw]:
    """The arrays of a start by the names that they have in a file.  Raises ScenarioError."""
    biases = {name: array for name, array in {"bias": bias, "output_bias": output_bias}.items() if array is not None}
    if directions is not None and biases:
        raise ScenarioError(f"{asked}: {' and '.join(biases)} given; a network with directions has no bias, remove it")
    start = {"a": a, "W": W} if directions is None else {"a": a, "b": W, "v": directions}
    start |= given(b=bias, c=output_bias)
    return {name: _real(asked, array, name) for name, array in start.items()}


def scenario_for(
    asked: str, model: Content, loss: str, flow: Content, times: Content, tested: bool = False
) -> Scenario:
    """The scenario whose data and start are arrays; tested: as test samples are.  Raises ScenarioError."""
    arrays = {"kind": "file", "path": "arrays"}
    data = arrays | ({"test": "arrays"} if tested else {})
    words = {"gflow": 1, "name": "arrays", "data": data, "model": model, "init": arrays, "loss": loss, "flow": flow}
    with named_as_given(asked, ARGUMENTS):
        return scenario_of(words | {"record": {"times": times}}, asked)


@contextmanager
def named_as_given(asked: str, arguments: Mapping[str, str]) -> Iterator[None]:
    """ScenarioErrors raised inside about one of these names get its argument behind them: `... (the argument rows)`."""
    try:
        yield
    except ScenarioError as error:
        about = str(error).removeprefix(f"{asked}: ")
        argument = next((arguments[name] for name in arguments if re.match(rf"{re.escape(name)}\b", about)), None)
        if argument is None:
            raise
        raise ScenarioError(f"{error} (the argument {argument})") from None


def scenario_around(
    asked: str, problem: Problem, start: ArrayLike, until: Content, times: Content, flow: bool = True
) -> tuple[Scenario, Setup]:
    """The scenario of a problem that is there already, and both with a start; flow: not for descent alone.

    Raises ScenarioError."""
    network, d = problem.network, problem.X.shape[1]
    shape = (network.width, d if network.directions is None else 1)
    inner = checked_array({"start": np.array(_real(asked, start, "start"))}, "start", shape, asked)
    scenario = scenario_for(asked, _model_of(network), problem.loss.name, until, times)
    check_memory(scenario, problem.samples, d, flow)
    check_products(problem, inner)
    return scenario, Setup(problem, inner)


def _model_of(network: Network) -> Content:
    """A network as a scenario says it."""
    kinked: dict[float, Content] = {0.0: {"kind": "relu"}, 1.0: {"kind": "linear"}}
    phi: Content = kinked.get(network.slope, {"kind": "leaky_relu", "slope": network.slope})
    if network.directions is not None:
        return {"kind": "scalar", "width": network.width, "activation": phi}
    if network.smoothing is not None:
        kind = next(name for name, smooth in SMOOTHINGS.items() if isinstance(network.smoothing, smooth))
        phi = {"kind": kind} | {KEYS.get(name, name): value for name, value in numbers_of(network.smoothing).items()}
    model = {"kind": "two_layer", "width": network.width, "activation": phi, "outer": {"train": network.trains_outer}}
    return model | ({"outputs": network.outputs} if network.outputs > 1 else {})


def both_or_none(asked: str, X_test: ArrayLike | None, y_test: ArrayLike | None) -> Samples | None:  # noqa: N803
    """The test samples of a caller.  Raises ScenarioError for one of the two arrays without the other."""
    if (X_test is None) != (y_test is None):
        there, missing = ("y_test", "X_test") if X_test is None else ("X_test", "y_test")
        raise ScenarioError(f"{asked}: {there} is given without {missing}; give both, or leave both away")
    return None if X_test is None or y_test is None else (X_test, y_test)


def setup_of(
    asked: str,
    scenario: Scenario,
    train: Samples,
    arrays: Mapping[str, Raw],
    test: Samples | None = None,
    flow: bool = True,
) -> Setup:
    """The problem and its start, and test samples, checked as those of files are; flow: for a flow, which needs more
    memory.  Raises ScenarioError.
    """
    model, of_test = scenario.model, f"{asked}, X_test and y_test"
    data, held = _numbers(asked, *train), None if test is None else _numbers(of_test, *test)
    if data[0].ndim == 2:
        n, d = data[0].shape
        check_memory(scenario, n, d, flow, 0 if held is None else held[1].size)
    split = _split_of(asked, scenario, data, of_test, held)
    d = split.train.X.shape[1]
    if not isinstance(model, TwoLayerModel):
        with named_as_given(asked, OF_SCALAR):
            return assembled(scenario, split, scalar_start_of(arrays, model.width, d, asked))
    with named_as_given(asked, ARGUMENTS):
        start = start_of(arrays, model.width, d, model.outputs, model.bias, asked)
    return assembled(scenario, split, completed(model, start))


def _numbers(asked: str, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:  # noqa: N803
    both = {"X": _real(asked, X, "X"), "y": _real(asked, y, "y")}
    return float_array(both, "X", asked), float_array(both, "y", asked)


def _split_of(
    asked: str, scenario: Scenario, data: tuple[Array, Array], of_test: str, held: tuple[Array, Array] | None
) -> Split:
    """Checked samples; of_test: names those of the test in messages."""
    model = scenario.model
    outputs, bias = (model.outputs, model.bias) if isinstance(model, TwoLayerModel) else (1, False)
    train = checked_dataset(*data, asked, None, outputs, bias)
    if held is None:
        return Split(train)
    test = checked_dataset(*held, of_test, None, outputs, bias)
    check_same_inputs(test, train.X.shape[1], of_test)
    return Split(train, test)


def flow_of(
    asked: str, until: object, engine: str, method: str, rtol: float, atol: float, budget: Mapping[str, float] | None
) -> Content:
    """How a flow is to be integrated, as a scenario says it.  Raises ScenarioError for what no scenario could tell."""
    if not isinstance(until, End):
        raise ScenarioError(f"{asked}: until is {until!r}; use {WAYS}")
    limits = {key: plain_value(value) for key, value in budget.items()} if isinstance(budget, Mapping) else budget
    if isinstance(limits, dict) and "disk" in limits:
        raise ScenarioError(f"{asked}: budget names disk, and nothing is written; remove it")
    return given(engine=engine, method=method, rtol=rtol, atol=atol, until=given(**asdict(until)), budget=limits)


def times_of(asked: str, rows: int | Sequence[float] | Array, spacing: str) -> Content:
    """Which rows are recorded, as a scenario says it.  Raises ScenarioError for times that are no numbers."""
    times = plain_list(rows)
    if isinstance(times, Sequence) and not isinstance(times, str | bytes):
        return {"at": number_list(times, f"{asked}: rows")}
    return {"count": times, "spacing": spacing}


def given(**values: Any) -> Content:  # Any: values of a scenario
    """The values that are not None, as Python's own."""
    return {name: plain_value(value) for name, value in values.items() if value is not None}


def _real(asked: str, values: ArrayLike, name: str) -> Raw:
    """The values as an array of numbers; their range is checked where they are used.  Raises ScenarioError."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ScenarioError(f"{asked}: {name} has masked entries; leave out what is not known")
    try:
        return np.asarray(values)
    except NO_ARRAY as error:
        raise ScenarioError(f"{asked}: {name} is no array: {error}") from error
