"""The door for arrays: the flow of a scenario to the last bit, for every network, without a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gflow
from gflow.errors import GflowError, ScenarioError
from gflow.scenario import parse_scenario

RNG = np.random.default_rng(5)
N, D, M, K = 6, 8, 6, 3
X, W = RNG.standard_normal((N, D)), 0.3 * RNG.standard_normal((M, D))
Y = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
A = np.array([0.5, -0.5, 0.5, -0.5, 0.5, -0.5])
BIAS, MANY = 0.1 * RNG.standard_normal(M), 0.4 * RNG.standard_normal((K, M))
UNIT = RNG.standard_normal((M, D))
UNIT /= np.linalg.norm(UNIT, axis=1, keepdims=True)
UNIT /= np.linalg.norm(UNIT, axis=1, keepdims=True)

Told = dict[str, Any]  # Any: keywords of integrate
Arrays = dict[str, np.ndarray]

# By name: what `integrate` is told beside X, the arrays of the files, and the model of the scenario.
LEAKY = "activation: {kind: leaky_relu, slope: 0.1}"
NETWORKS: dict[str, tuple[Told, Arrays, str]] = {
    "relu": ({"activation": "relu"}, {}, "activation: {kind: relu}"),
    "leaky": ({"activation": "leaky_relu", "slope": 0.1}, {}, LEAKY),
    "linear": ({"activation": "linear"}, {}, "activation: {kind: linear}"),
    "smooth": (
        {"activation": "smooth_leaky_relu", "slope": 0.3},
        {},
        "activation: {kind: smooth_leaky_relu, slope: 0.3}",
    ),
    "huberized": (
        {"activation": "huberized_relu", "bandwidth": 0.5},
        {},
        "activation: {kind: huberized_relu, h: 0.5}",
    ),
    "both layers": (
        {"activation": "leaky_relu", "slope": 0.1, "train_outer": True},
        {},
        LEAKY + ", outer: {train: true}",
    ),
    "bias": ({"activation": "leaky_relu", "slope": 0.1, "bias": BIAS}, {"b": BIAS}, LEAKY + ", bias: true"),
    "classes": (
        {"activation": "leaky_relu", "slope": 0.1, "a": MANY, "y": np.arange(N) % K},
        {"a": MANY, "y": np.arange(N) % K},
        f"{LEAKY}, outputs: {K}",
    ),
    "scalar": (
        {"activation": "relu", "directions": UNIT, "W": np.abs(A)},
        {"v": UNIT, "b": np.abs(A)},
        "activation: {kind: relu}",
    ),
}


def by_file(folder: Path, name: str) -> gflow.Trajectory:
    """The same flow by a scenario whose data and start are files."""
    _, arrays, model = NETWORKS[name]
    start: Told = {"W": W, "a": A} | {key: value for key, value in arrays.items() if key != "y"}
    if name == "scalar":
        del start["W"]
    np.savez(folder / "data.npz", X=X, y=arrays.get("y", Y))
    np.savez(folder / "start.npz", **start)
    kind = "scalar" if name == "scalar" else "two_layer"
    text = f"""
gflow: 1
name: by-file
data: {{kind: file, path: data.npz}}
model: {{kind: {kind}, width: {M}, {model}}}
init: {{kind: file, path: start.npz}}
loss: logistic
flow: {{until: {{log_time: 4.0}}}}
record: {{times: {{count: 8, spacing: loglog}}}}
"""
    return gflow.simulate(parse_scenario(text, folder=folder), out=folder / "run")


def by_arrays(name: str, **more: Any) -> gflow.Flow:  # Any: keywords of integrate
    start: Told = {"y": Y, "W": W, "a": A, "until": gflow.log_time(4.0), "rows": 8, "spacing": "loglog"}
    return gflow.integrate(X, **(start | NETWORKS[name][0] | more))


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_flow_of_the_scenario_to_the_last_bit(tmp_path: Path, name: str) -> None:
    flow, file = by_arrays(name), by_file(tmp_path, name)
    assert flow.n_rows == file.n_rows and flow.n_events == file.n_events and flow.outcome == file.outcome
    assert flow.form == file.form
    variables = [v.name for v in (*file.form.rows, *file.form.resume)] + [f"series/{each}" for each in file.form.series]
    for variable in variables:
        np.testing.assert_array_equal(flow.read(variable), file.read(variable), err_msg=variable)
    for field in ("log1p_time", "neuron", "sample", "kind"):
        np.testing.assert_array_equal(getattr(flow.events, field), getattr(file.events, field))
    for row in (0, -1):
        np.testing.assert_array_equal(flow.weights(row), file.weights(row))
    np.testing.assert_array_equal(flow.t, np.expm1(file.log1p_time))


def test_it_becomes_the_tables_of_its_file(tmp_path: Path) -> None:
    flow, file = by_arrays("both layers"), by_file(tmp_path, "both layers")
    assert flow.to_pandas().equals(file.to_pandas())
    ours, theirs = flow.to_xarray(), file.to_xarray()
    assert ours.groups == theirs.groups
    for path in ours.groups:
        assert ours[path].to_dataset(inherit=False).equals(theirs[path].to_dataset(inherit=False)), path
    assert repr(flow) == f"<Flow (a flow in memory): 8 rows to log(1 + t) = 4.01815, {flow.n_events} events, log_time>"


def test_no_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flow = by_arrays("relu")
    assert gflow.analyze(flow)["freezing"].summary
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["leaky", "both layers"])
def test_it_is_analysed_as_its_file_is(tmp_path: Path, name: str) -> None:
    flow, file = by_arrays(name), by_file(tmp_path, name)
    assert gflow.analyze(flow).to_json() == gflow.analyze(file).to_json()


def test_ends_and_rows() -> None:
    """The first of several ends counts; rows may be given as times."""
    flow = by_arrays("leaky", until=gflow.time(3.0) | gflow.log_loss(-100.0), rows=[0.5, 1.0])
    assert flow.outcome == "time" and flow.t == pytest.approx([0.0, 0.5, 1.0, 3.0], rel=1e-12)
    assert by_arrays("leaky", until=gflow.log_loss(-2.0) | gflow.time(1e6)).outcome == "log_loss"
    assert by_arrays("leaky", until=gflow.certified()).outcome == "certified"
    assert by_arrays("leaky", budget={"steps": 3}).outcome == "budget"


def test_late_times_are_infinite_only_as_t() -> None:
    flow = by_arrays("leaky", until=gflow.log_time(1e4), rows=3)
    assert flow.t[-1] == np.inf and flow.log1p_time[-1] == 1e4


def test_what_is_read_is_a_copy() -> None:
    flow = by_arrays("leaky")
    flow.margins[...] = 0.0
    flow.X[...] = 0.0
    assert flow.margins.any() and flow.X.any()


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"y": Y[:-1]}, "X has 6 samples and y has 5 labels"),
        ({"y": 2.0 * Y}, "sample 0: the label is 2"),
        ({"W": W.T}, r"W has shape \(8, 6\); it must be \(width, d\) = \(6, 8\)"),
        ({"W": np.full_like(W, np.nan)}, r"W\[0, 0\] is nan"),
        ({"W": [[1.0], [1.0, 2.0]]}, "W is no array"),
        ({"W": W.astype(str)}, "W has dtype"),
        ({"a": 1.0}, r"a has shape \(\)"),
        ({"a": A[:2]}, r"W has shape \(6, 8\)"),
        ({"slope": None}, "model.activation.slope is missing"),
        ({"slope": 1.5}, "model.activation.slope = 1.5"),
        ({"activation": "tanh"}, "model.activation.kind = tanh: is not available"),
        ({"loss": "hinge"}, "loss = hinge"),
        ({"rtol": 1e-17}, "flow.rtol = 1e-17: must be at least 1e-13"),
        ({"rows": 1}, "record.times.count = 1"),
        ({"rows": [2.0, 1.0]}, r"record.times.at\[1\] = 1"),
        ({"until": gflow.time(-1.0)}, "flow.until.time = -1"),
        ({"until": 20.0}, r"until is 20.0; use gflow.time\(t\)"),
        ({"rows": 2.5}, "record.times.count = 2.5: must be an integer"),
        ({"rows": "many"}, "record.times.count = many: must be an integer"),
        ({"rows": [1.0, "late"]}, "rows = 'late': must be a number"),
        ({"budget": {"disk": 1e6}}, "budget names disk, and nothing is written"),
        ({"budget": {"moves": 3}}, "flow.budget.moves = 3: unknown key"),
        ({"train_outer": True, "engine": "dual"}, "flow.engine = dual: does not apply"),
        ({"W": None}, "W has dtype object"),
        ({"a": None}, r"a has shape \(\)"),
        ({"W": torch.tensor(W, requires_grad=True)}, r"W is no array: .*detach\(\)"),
        ({"W": np.ma.masked_greater(W, 0.0)}, "W has masked entries"),
        ({"directions": UNIT, "W": np.abs(A), "bias": BIAS}, "bias given; a network with directions has no bias"),
        ({"directions": UNIT, "W": np.abs(A), "output_bias": [1.0]}, "output_bias given; a network with directions"),
        ({"budget": 3}, "flow.budget = 3: must be a mapping"),
        ({"rows": np.array([[1.0], [2.0]])}, r"rows = \[1.0\]: must be a number"),
        ({"rows": b"ab"}, "record.times.count = b'ab': must be an integer"),
        ({"train_outer": "yes"}, r"model.outer.train = yes: must be true or false.* \(the argument train_outer\)$"),
        ({"rows": 0}, r"record.times.count = 0: .* \(the argument rows\)$"),
        (
            {"activation": "huberized_relu", "slope": None, "bandwidth": -1.0},
            r"activation.h = -1.0: .*the argument bandwidth\)$",
        ),
        ({"bias": BIAS[:2]}, r"b has shape \(2,\).* \(the argument bias\)$"),
        ({"output_bias": [1.0]}, r"c holds biases.* \(the argument output_bias\)$"),
        ({"directions": 2.0 * UNIT, "W": np.abs(A)}, r"v\[0\] has norm 2.* \(the argument directions\)$"),
        ({"directions": UNIT, "W": np.abs(A)[:2]}, r"b has shape \(2,\).* \(the argument W\)$"),
        ({"y": 3.0 * Y}, r"sample 0: the label is 3; it must be -1 or \+1$"),
    ],
)
def test_what_does_not_fit_is_told_in_words(wrong: Told, words: str) -> None:
    with pytest.raises(ScenarioError, match=f"gflow.integrate: .*{words}"):
        by_arrays("leaky", **wrong)


@pytest.mark.parametrize("end", [gflow.time, gflow.log_time, gflow.log_loss])
@pytest.mark.parametrize("value", ["late", "20", True, None, 1j, [1.0]])
def test_an_end_that_is_no_number(end: Callable[[Any], object], value: object) -> None:  # Any: what a user may give
    with pytest.raises(ScenarioError, match=f"= {re.escape(repr(value))}: must be a number"):
        end(value)


def test_an_end_beyond_float64() -> None:
    with pytest.raises(ScenarioError, match="log_t: must be a finite number of float64"):
        gflow.log_time(10**400)


@pytest.mark.parametrize("join", [lambda: gflow.time(1.0) | 3.0, lambda: gflow.certified | gflow.time(1.0)])
def test_an_end_is_joined_with_ends_only(join: Callable[[], object]) -> None:
    with pytest.raises(ScenarioError, match="until joins an end with .*; use gflow.time"):
        join()


def test_a_loss_that_the_start_is_below_already() -> None:
    with pytest.raises(ScenarioError, match=r"log_loss: 10: the loss at the start is already log L = "):
        by_arrays("leaky", until=gflow.log_loss(10.0))


@pytest.mark.parametrize(
    "more, plain",
    [
        ({"rows": np.int64(5)}, {"rows": 5}),
        ({"rows": np.array(5)}, {"rows": 5}),
        ({"rows": torch.tensor([0.5, 1.0], dtype=torch.float64)}, {"rows": [0.5, 1.0]}),
        ({"slope": np.float64(0.3)}, {"slope": 0.3}),
        ({"train_outer": np.bool_(True)}, {"train_outer": True}),
        ({"budget": {"steps": np.int64(3)}}, {"budget": {"steps": 3}}),
        ({"until": gflow.time(np.float64(2.0))}, {"until": gflow.time(2.0)}),
    ],
)
def test_numbers_of_numpy_and_torch_are_numbers(more: Told, plain: Told) -> None:
    one, other = by_arrays("leaky", **more), by_arrays("leaky", **plain)
    np.testing.assert_array_equal(one.margins, other.margins)
    np.testing.assert_array_equal(one.log1p_time, other.log1p_time)


def test_arrays_that_memory_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gflow.assembly.capacity.physical_memory", lambda: 1000)
    with pytest.raises(ScenarioError, match="data with n = 6, d = 8 and model.width: 6 need at least"):
        by_arrays("leaky")


@pytest.mark.parametrize("judge", [gflow.verify, lambda flow: gflow.compare(flow, [0.1])])
def test_what_needs_a_run_folder_says_so(judge: Callable[[Any], object]) -> None:  # Any: no trajectory
    with pytest.raises(GflowError, match="a flow in memory has no run folder; give the trajectory that gflow.simulate"):
        judge(by_arrays("leaky"))


@pytest.mark.parametrize("function", [gflow.analyze, gflow.verify, lambda path: gflow.compare(path, [0.1])])
def test_what_is_no_trajectory_is_told_in_words(function: Callable[[Any], object]) -> None:  # Any: no trajectory
    with pytest.raises(GflowError, match=r"str is no trajectory; use the one of gflow.open_trajectory\(path\)"):
        function("outputs/run")


def test_what_is_no_scenario_is_told_in_words() -> None:
    with pytest.raises(ScenarioError, match=r"str is no scenario; use gflow.load_scenario\(path\)"):
        gflow.simulate("scenarios/parity-16.yaml")  # type: ignore[arg-type]


def test_one_analyzer_may_be_named_alone() -> None:
    assert list(gflow.analyze(by_arrays("leaky"), "limit")) == ["limit"]


def test_a_row_that_is_not_there() -> None:
    with pytest.raises(IndexError, match="row 9 of a flow in memory, which has 8"):
        by_arrays("leaky").weights(9)


def test_an_end_named_twice() -> None:
    with pytest.raises(ScenarioError, match="names time twice"):
        gflow.time(1.0) | gflow.time(2.0)


@pytest.mark.parametrize("ask", [lambda flow: flow.read("momentum"), lambda flow: flow.whole("margins")])
def test_names_that_are_not_there(ask: Callable[[gflow.Flow], object]) -> None:
    with pytest.raises(GflowError, match="of this flow"):
        ask(by_arrays("leaky"))
