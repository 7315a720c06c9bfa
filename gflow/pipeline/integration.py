"""A flow from arrays, without files: the door for notebooks, tests and loops over many problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from gflow.assembly import (
    Setup,
    assembled,
    build_account,
    build_choice,
    build_engine,
    build_rows,
    build_until,
    completed,
)
from gflow.errors import ScenarioError
from gflow.field.branch import Measure
from gflow.flow.simulate import flow_items
from gflow.flow.state import Event, Finish, FlowRow
from gflow.pipeline.flow_file import header
from gflow.pipeline.recording import Recording
from gflow.problem.data_files import float_array
from gflow.problem.dataset import checked_dataset
from gflow.problem.initialisation import scalar_start_of, start_of
from gflow.scenario import Scenario, scenario_of
from gflow.scenario.schema import TwoLayerModel
from gflow.trajectory import EventEntry, Flow, Row
from gflow.trajectory.flow import ended
from gflow.trajectory.rows import Fact

Array = NDArray[Any]  # Any: whatever the caller gave, until it is checked
Content = dict[str, Any]  # Any: nested values of a scenario

ASKED = "gflow.integrate"
"""Who asks, for messages."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a flow ends; `|` of two is whichever comes first."""

    time: float | None = None
    log_time: float | None = None
    log_loss: float | None = None
    certified: bool | None = None

    def __or__(self, other: End) -> End:
        one, two = asdict(self), asdict(other)
        if both := [name for name in one if one[name] is not None and two[name] is not None]:
            raise ScenarioError(f"{ASKED}: until names {both[0]} twice; keep one of them")
        return End(**{name: two[name] if one[name] is None else one[name] for name in one})


def time(t: float) -> End:
    """The flow ends at time t > 0."""
    return End(time=_number(t, "time"))


def log_time(log_t: float) -> End:
    """The flow ends at time t = e^log_t, log_t > 0; e^log_t itself may lie far beyond float64."""
    return End(log_time=_number(log_t, "log_time"))


def log_loss(value: float) -> End:
    """The flow ends when the logarithm of the mean loss has fallen to `value`."""
    return End(log_loss=_number(value, "log_loss"))


def certified() -> End:
    """The flow ends when its activation pattern is proved to stay for ever (fixed outer layer, one output)."""
    return End(certified=True)


def integrate(
    X: ArrayLike,  # noqa: N803 (the matrices of the literature)
    y: ArrayLike,
    W: ArrayLike,  # noqa: N803
    a: ArrayLike,
    *,
    until: End,
    activation: str = "relu",
    slope: float | None = None,
    bandwidth: float | None = None,
    train_outer: bool = False,
    bias: ArrayLike | None = None,
    output_bias: ArrayLike | None = None,
    directions: ArrayLike | None = None,
    loss: str = "logistic",
    rtol: float = 1e-8,
    atol: float = 1e-10,
    engine: str = "auto",
    method: str = "auto",
    rows: int | Sequence[float] = 200,
    spacing: str = "log",
    budget: Mapping[str, float] | None = None,
) -> Flow:
    """Integrate the gradient flow of f(x) = sum_j a_j phi(<w_j, x> + b_j) from arrays; nothing is written.

    X (n, d); y (n,) in {-1, +1}, or classes 0, ..., K - 1; W (m, d) at the start; a (m,), or (K, m) for K >= 3 outputs
    with softmax cross-entropy.  activation: relu, leaky_relu (slope in [0, 1)), linear, smooth_leaky_relu (slope in
    (0, 1)) or huberized_relu (bandwidth > 0).  bias (m,): of the neurons, trained with W, whose last column they are.
    output_bias (K,): of several outputs.  directions (m, d), unit rows v_j: the network is sum_j a_j phi(b_j <v_j, x>)
    with W = b (m,), a and b trained, |a_j| = |b_j| (Telgarsky, Theorem 3.3).  loss: logistic or exponential.

    until: `time(20.0)`, `log_time(100.0)`, `log_loss(-10.0)`, `certified()`, or several joined by `|`.  rows: how many,
    spread by spacing (log, loglog or linear in time), or their times t.  rtol, atol, engine, method and budget are
    those of `flow` in a scenario, except for a budget of `disk`.  The flow is that of `simulate` to the last bit.
    Raises ScenarioError for whatever does not fit.
    """
    _check(until, budget)
    weights = {"b": bias, "c": output_bias} if directions is None else {"b": W, "v": directions}
    arrays = {name: _real(given, name) for name, given in ({"a": a} | weights).items() if given is not None}
    if directions is None:
        arrays["W"] = _real(W, "W")
    phi = {"kind": activation} | _given(slope=slope, h=bandwidth)
    flow = _given(engine=engine, method=method, rtol=rtol, atol=atol, until=_given(**asdict(until)), budget=budget)
    scenario = _scenario(_model(arrays, phi, train_outer), loss, flow, _times(rows, spacing))
    with threadpool_limits(limits=1):  # small matrices, as in a run
        return _followed(scenario, _setup(scenario, _real(X, "X"), _real(y, "y"), arrays))


def _check(until: object, budget: Mapping[str, float] | None) -> None:
    """Raise ScenarioError for what no scenario could tell of."""
    if not isinstance(until, End):
        remedy = "gflow.time(t), gflow.log_time(v), gflow.log_loss(value), gflow.certified(), or several joined by |"
        raise ScenarioError(f"{ASKED}: until is {until!r}; use {remedy}")
    if "disk" in (budget or {}):
        raise ScenarioError(f"{ASKED}: budget names disk, and nothing is written; remove it")


def _scenario(model: Content, loss: str, flow: Content, times: Content) -> Scenario:
    """The scenario whose data and start are these arrays."""
    arrays = {"kind": "file", "path": "arrays"}
    words = {"gflow": 1, "name": "arrays", "data": arrays, "model": model, "init": arrays, "loss": loss, "flow": flow}
    return scenario_of(words | {"record": {"times": times}}, ASKED)


def _model(arrays: Mapping[str, Array], activation: Content, train_outer: bool) -> Content:
    """The network that these arrays are the start of, as a scenario says it."""
    a = arrays["a"]
    if a.ndim not in (1, 2):
        raise ScenarioError(f"{ASKED}: a has shape {a.shape}; it must be (m,), or (K, m) for K outputs")
    if "v" in arrays:
        return {"kind": "scalar", "width": a.shape[-1], "activation": activation}
    model = {"kind": "two_layer", "width": a.shape[-1], "activation": activation, "bias": "b" in arrays}
    return model | {"outer": {"train": train_outer}} | ({"outputs": len(a)} if a.ndim == 2 else {})


def _times(rows: int | Sequence[float], spacing: str) -> Content:
    """Which rows are recorded, as a scenario says it."""
    if isinstance(rows, Sequence | np.ndarray) and not isinstance(rows, str):
        return {"at": [_number(t, "rows") for t in rows]}
    return {"count": rows, "spacing": spacing}


def _number(value: float, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"{ASKED}: {name} = {value!r}: must be a number") from error


def _given(**values: Any) -> Content:  # Any: values of a scenario
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _real(values: ArrayLike, name: str) -> Array:
    """As an array that holds numbers; which, is checked where it is used."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ScenarioError(f"{ASKED}: {name} is no array: {error}") from error


def _setup(scenario: Scenario, X: Array, y: Array, arrays: Mapping[str, Array]) -> Setup:
    """The problem and its start, checked as those of files are."""
    model, both = scenario.model, {"X": X, "y": y}
    X, y = (float_array(both, name, ASKED) for name in both)
    if not isinstance(model, TwoLayerModel):
        dataset = checked_dataset(X, y, ASKED)
        return assembled(scenario, dataset, scalar_start_of(arrays, model.width, X.shape[1], ASKED))
    dataset = checked_dataset(X, y, ASKED, None, model.outputs, model.bias)
    start = start_of(arrays, model.width, X.shape[1], model.outputs, model.bias, ASKED)
    return assembled(scenario, dataset, completed(model, start))


def _followed(scenario: Scenario, setup: Setup) -> Flow:
    """The flow to its end, in memory."""
    until, recording = build_until(scenario), Recording(setup)
    rows, events, outcome = list[Row](), list[EventEntry](), dict[str, Fact]()
    engine, account = build_engine(scenario, setup, "cpu"), build_account(scenario)
    for item in flow_items(engine, until, build_rows(scenario, until), build_choice(scenario), account=account):
        match item:
            case Event():
                events.append(recording.event(item))
            case FlowRow():
                rows.append(recording.row(item))
            case Measure():
                recording.measure(item)
            case Finish():
                outcome = ended(item.outcome.value, item.sentence)
    return Flow(header(scenario, setup), rows, events, outcome)
