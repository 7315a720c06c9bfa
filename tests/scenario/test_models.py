"""Networks, starts and data of the primal engine: what is legal, and every disagreement refused with its place."""

# ruff: noqa: E501  (one case a line reads as a table)
from __future__ import annotations

from typing import Any

import pytest
import yaml

from gflow.errors import ScenarioError
from gflow.scenario import Scenario, parse_scenario, resolved_yaml, sha256
from gflow.scenario.schema import (
    BalancedInit,
    ClustersData,
    DigitsData,
    GaussianInit,
    Init,
    Model,
    OuterInit,
    ParityData,
    ScalarModel,
    TwoLayerModel,
)
from gflow.scenario.schema.network import HuberizedRelu, SmoothLeakyRelu

from .test_load import ODD, paths_of

# Telgarsky's standard network: both layers trained, on 2-sparse parity.
TELGARSKY = """\
gflow: 1
name: telgarsky
data:
  {kind: parity, n: 64, d: 20}
model:
  kind: two_layer
  width: 16
  activation: {kind: relu}
  outer: {train: true}
init:
  kind: gaussian
  std: inverse_sqrt_inputs
  outer: {std: inverse_sqrt_width}
loss: logistic
flow:
  engine: auto
  until: {log_time: 10}
"""
# Chatterji et al.: a smooth activation with biases, outer weights +-1, on the XOR of Gaussians.
CHATTERJI = """\
gflow: 1
name: chatterji
data:
  kind: clusters
  n: 128
  means_plus: [[0.7, -0.7], [-0.7, 0.7]]
  means_minus: [[0.7, 0.7], [-0.7, -0.7]]
  std: 0.1
model:
  kind: two_layer
  width: 200
  activation: {kind: huberized_relu}
  outer: {scale: one}
  bias: true
init: {kind: gaussian, std: 0.0236, bias: same}
loss: logistic
flow: {until: {time: 100}}
"""
# Telgarsky, Theorem 3.3: directions frozen.
SCALAR = """\
gflow: 1
name: scalar
data: {kind: parity, n: 4, d: 2}
model:
  kind: scalar
  width: 1900
  activation: {kind: relu}
init:
  kind: balanced
loss: exponential
flow: {until: {time: 1e5}}
"""
# Softmax: K = 3 classes of digits.
SOFTMAX = """\
gflow: 1
name: softmax
data:
  kind: digits
  classes: [3, 5, 8]
model:
  kind: two_layer
  width: 8
  outputs: 3
  activation: {kind: leaky_relu, slope: 0.1}
  outer: {train: true}
init:
  kind: gaussian
  std: 0.01
  outer: {std: tensorflow}
loss: logistic
flow:
  engine: auto
  until: {time: 20}
"""
BASES = {"telgarsky": TELGARSKY, "chatterji": CHATTERJI, "scalar": SCALAR, "softmax": SOFTMAX}


def two_layer(scenario: Scenario) -> TwoLayerModel:
    assert isinstance(scenario.model, TwoLayerModel)
    return scenario.model


def test_the_standard_network_of_telgarsky() -> None:
    scenario = parse_scenario(TELGARSKY)
    assert scenario.data == ParityData(kind="parity", n=64, d=20)
    assert (two_layer(scenario).outer.train, two_layer(scenario).outputs, two_layer(scenario).bias) == (True, 1, False)
    init = scenario.init
    assert isinstance(init, GaussianInit)
    assert (init.std, init.bias, init.outer) == ("inverse_sqrt_inputs", "zero", OuterInit(std="inverse_sqrt_width"))


def test_the_xor_of_chatterji() -> None:
    scenario = parse_scenario(CHATTERJI)
    assert isinstance(scenario.data, ClustersData)
    assert scenario.data.means_plus == ((0.7, -0.7), (-0.7, 0.7)) and scenario.data.std == 0.1
    model = two_layer(scenario)
    assert model.activation == HuberizedRelu(kind="huberized_relu", h="inverse_half_width") and model.bias
    given = two_layer(parse_scenario(CHATTERJI, overrides=["model.activation.h=0.01"])).activation
    assert given == HuberizedRelu(kind="huberized_relu", h=0.01)
    assert isinstance(scenario.init, GaussianInit) and (scenario.init.bias, scenario.init.outer) == ("same", None)


def test_frozen_directions() -> None:
    scenario = parse_scenario(SCALAR)
    assert isinstance(scenario.model, ScalarModel) and scenario.model.width == 1900
    assert scenario.init == BalancedInit(kind="balanced", size="inverse_fourth_root_width")
    sized = parse_scenario(SCALAR, overrides=["init.size=0.5", "model.activation={kind: leaky_relu, slope: 0.5}"])
    assert isinstance(sized.init, BalancedInit) and sized.init.size == 0.5
    assert parse_scenario(SCALAR, overrides=["init={kind: file, path: v.npz}"]).init.kind == "file"


def test_several_outputs() -> None:
    scenario = parse_scenario(SOFTMAX)
    assert isinstance(scenario.data, DigitsData) and scenario.data.classes == (3, 5, 8)
    assert (two_layer(scenario).outputs, two_layer(scenario).outer.positive) == (3, None)
    files = parse_scenario(SOFTMAX, overrides=["data={kind: file, path: x.csv}", "init={kind: file, path: w.npz}"])
    assert two_layer(files).outputs == 3
    assert two_layer(parse_scenario(SOFTMAX, overrides=["model.outer.train=false"])).outer.train is False


def test_a_smooth_leaky_relu() -> None:
    scenario = parse_scenario(SOFTMAX, overrides=["model.activation.kind=smooth_leaky_relu"])
    assert two_layer(scenario).activation == SmoothLeakyRelu(kind="smooth_leaky_relu", slope=0.1)


def test_an_override_turns_one_network_into_another() -> None:
    scenario = parse_scenario(TELGARSKY, overrides=["model.kind=scalar", "init.kind=balanced"])
    assert isinstance(scenario.model, ScalarModel) and isinstance(scenario.init, BalancedInit)


@pytest.mark.parametrize("text", BASES.values(), ids=BASES)
@pytest.mark.parametrize(
    "method", ["DOP853", "RK45", "Radau", "dopri5", "dopri8", "bosh3", "adaptive_heun", "fehlberg2"]
)
def test_every_method_drives_every_network(text: str, method: str) -> None:
    assert parse_scenario(text, overrides=[f"flow.method={method}", "flow.engine=primal"]).flow.method == method


@pytest.mark.parametrize("activation", ["{kind: relu}", "{kind: leaky_relu, slope: 0.3}", "{kind: linear}"])
def test_the_dual_engine_takes_biases_and_kinks(activation: str) -> None:
    overrides = ["model.outer.train=false", f"model.activation={activation}", "model.bias=true", "flow.engine=dual"]
    assert parse_scenario(TELGARSKY, overrides=overrides).flow.engine == "dual"


@pytest.mark.parametrize("text", BASES.values(), ids=BASES)
def test_the_resolved_text_reads_back_to_the_same_scenario(text: str) -> None:
    scenario = parse_scenario(text)
    resolved = resolved_yaml(scenario)
    assert parse_scenario(resolved) == scenario and resolved_yaml(parse_scenario(resolved)) == resolved
    assert sha256(parse_scenario(resolved)) == sha256(scenario) and hash(scenario) == hash(parse_scenario(resolved))


# id, base, overrides that disagree, and what the message holds.  An override is a line of its own to the reader.
CASES: list[tuple[str, str, str, str]] = [
    ("two outputs", SOFTMAX, "model.outputs=2", "model.outputs = 2: is not used for two classes; use labels -1/+1 with outputs: 1"),
    ("no output", SOFTMAX, "model.outputs=0", "model.outputs = 0: must be at least 1"),
    ("outputs is a list", SOFTMAX, "model.outputs=[3]", "model.outputs = [3]: must be an integer"),
    ("outputs is a float", SOFTMAX, "model.outputs=3.0", "model.outputs = 3.0: must be an integer (write 3)"),
    ("softmax loss", SOFTMAX, "loss=exponential", "loss = exponential: is not available with outputs = 3; use logistic"),
    ("softmax data", SOFTMAX, "data={kind: gaussian, n: 9, d: 3}", "data.kind = gaussian: has labels -1 and +1"),
    ("softmax cancer", SOFTMAX, "data={kind: breast_cancer}", "data.kind = breast_cancer: has labels -1 and +1, and outputs = 3 needs classes 0, ..., 2"),
    ("too few classes", SOFTMAX, "data.classes=[3, 5]", "data.classes = [3, 5]: names 2 classes, and model.outputs = 3 needs 3"),
    ("too many classes", SOFTMAX, "data.classes=[0, 1, 2, 3]", "data.classes = [0, 1, 2, 3]: names 4 classes"),
    ("three classes, one output", TELGARSKY, "data={kind: digits, classes: [1, 2, 3]}", "data.classes = [1, 2, 3]: names 3 classes, and one output tells two apart"),
    ("three classes, scalar", SCALAR, "data={kind: digits, classes: [1, 2, 3]}", "data.classes = [1, 2, 3]: names 3 classes"),
    ("no outer start", SOFTMAX, "init.outer=null", "s.yaml:12: init: has no `outer`, which outputs = 3 needs; add for example `outer: {std: tensorflow}`"),
    ("values of several outputs", SOFTMAX, "model.outer.values=[1, 1, 1, 1, 1, 1, 1, 1]", "model.outer.values = [1, 1, 1, 1, 1, 1, 1, 1]: has no meaning with outputs = 3; remove it"),
    ("signs of several outputs", SOFTMAX, "model.outer.positive=4", "model.outer.positive = 4: has no meaning with outputs = 3"),
    ("scale of several outputs", SOFTMAX, "model.outer.scale=one", "model.outer.scale = one: has no meaning with outputs = 3"),
    ("values and draws", TELGARSKY, "model.outer.values=[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", "lists the outer layer, and init.outer draws it"),
    ("outer init", SOFTMAX, "init.outer={}", "init.outer.std is missing; std is the standard deviation of each outer weight"),
    ("outer init name", SOFTMAX, "init.outer.std=inverse_sqrt_inputs", "init.outer.std = inverse_sqrt_inputs: is not available; did you mean `inverse_sqrt_width`?"),
    ("outer init number", SOFTMAX, "init.outer.std=-1", "init.outer.std = -1: must be at least 0"),
    ("outer init word", SOFTMAX, "init.outer=tensorflow", "init.outer = tensorflow: must be a mapping"),
    ("outer init boolean", SOFTMAX, "init.outer.std=true", "init.outer.std = true: has the wrong type"),
    ("std name", TELGARSKY, "init.std=inverse_sqrt_width", "init.std = inverse_sqrt_width: is not available; did you mean `inverse_sqrt_inputs`? Available: inverse_sqrt_inputs or a number"),
    ("std and unit", TELGARSKY, "init.relative_to=pytorch", "init.relative_to = pytorch: belongs to `scale`"),
    ("std and scale", TELGARSKY, "init.scale=1", "init: `std` and `scale` are both given"),
    ("bias start", TELGARSKY, "init.bias=same", "init.bias = same: draws biases, and the network has none; set `model.bias: true`"),
    ("bias start name", CHATTERJI, "init.bias=one", "init.bias = one: is not available; use one of zero, same"),
    ("balanced start", TELGARSKY, "init={kind: balanced}", "init.kind = balanced: is for model.kind scalar; use gaussian or uniform (or file) for two_layer"),
    ("gaussian start", SCALAR, "init={kind: gaussian, std: 1}", "init.kind = gaussian: does not fit model.kind scalar; use balanced"),
    ("size 0", SCALAR, "init.size=0", "init.size = 0: must be at least 1e-150"),
    ("size name", SCALAR, "init.size=inverse_sqrt_width", "init.size = inverse_sqrt_width: is not available; did you mean `inverse_fourth_root_width`?"),
    ("std of balanced", SCALAR, "init.std=1", "init.std = 1: unknown key; did you mean `seed`? Known for kind balanced: kind, size, seed"),
    ("scalar outer", SCALAR, "model.outer={train: true}", "model.outer: unknown key; remove it. Known for kind scalar: kind, width, activation"),
    ("scalar bias", SCALAR, "model.bias=true", "model.bias = true: unknown key"),
    ("scalar outputs", SCALAR, "model.outputs=3", "model.outputs = 3: unknown key"),
    ("scalar activation", SCALAR, "model.activation={kind: linear}", "model.activation.kind = linear: is not available; did you mean `leaky_relu`? Available: relu, leaky_relu"),
    ("scalar width", SCALAR, "model.width=0", "model.width = 0: must be at least 1"),
    ("model kind", SCALAR, "model.kind=scaler", "model.kind = scaler: is not available; did you mean `scalar`? Available: two_layer, scalar"),
    ("slope 0", SOFTMAX, "model.activation={kind: smooth_leaky_relu, slope: 0}", "model.activation.slope = 0: must be above 0"),
    ("slope 1", SOFTMAX, "model.activation={kind: smooth_leaky_relu, slope: 1}", "model.activation.slope = 1: must be below 1"),
    ("no slope", SOFTMAX, "model.activation={kind: smooth_leaky_relu}", "model.activation.slope is missing"),
    ("h 0", CHATTERJI, "model.activation.h=0", "model.activation.h = 0: must be at least 1e-150"),
    ("h infinite", CHATTERJI, "model.activation.h=.inf", "model.activation.h = .inf: must be a finite number"),
    ("h name", CHATTERJI, "model.activation.h=inverse_width", "model.activation.h = inverse_width: is not available; did you mean `inverse_half_width`?"),
    ("h by default, odd width", CHATTERJI, "model.width=201", "model.activation.h (by default): needs an even width, not 201"),
    ("h, odd width", CHATTERJI.replace("200", "201"), "model.activation.h=inverse_half_width", "model.activation.h = inverse_half_width: needs an even width, not 201"),
    ("dual, trained", TELGARSKY, "flow.engine=dual", "flow.engine = dual: does not apply to a trained outer layer (model.outer.train); use auto or primal"),
    ("dual, smooth", CHATTERJI, "flow.engine=dual", "flow.engine = dual: does not apply to the smooth activation huberized_relu"),
    ("dual, scalar", SCALAR, "flow.engine=dual", "flow.engine = dual: does not apply to model.kind scalar"),
    ("dual, softmax", SOFTMAX.replace("train: true", "train: false"), "flow.engine=dual", "flow.engine = dual: does not apply to several outputs (model.outputs = 3)"),
    ("method", TELGARSKY, "flow.method=rk4", "flow.method = rk4: is not available; did you mean `RK45`?"),
    ("parity in one dimension", TELGARSKY, "data.d=1", "data.d = 1: must be at least 2"),
    ("parity of nothing", TELGARSKY, "data.n=0", "data.n = 0: must be at least 1"),
    ("parity labels", TELGARSKY, "data.labels=balanced", "data.labels = balanced: unknown key"),
    ("ragged means", CHATTERJI, "data.means_plus=[[1, 0], [0]]", "data.means_plus[1] = [0]: has length 1, and means_plus[0] has 2"),
    ("means of two lengths", CHATTERJI, "data.means_minus=[[1, 0, 0]]", "data.means_minus[0] = [1, 0, 0]: has length 3, and means_plus[0] has 2"),
    ("no means", CHATTERJI, "data.means_minus=[]", "data.means_minus = []: must have at least 1"),
    ("empty mean", CHATTERJI, "data.means_minus=[[]]", "data.means_minus[0] = []: must have at least 1"),
    ("flat means", CHATTERJI, "data.means_minus=[1]", "data.means_minus[0] = 1: must be a list (write [1])"),
    ("text in a mean", CHATTERJI, "data.means_minus=[[1, x]]", "data.means_minus[0][1] = x: must be a number"),
    ("NaN in a mean", CHATTERJI, "data.means_minus=[[1, .nan]]", "data.means_minus[0][1] = .nan: must be a finite number"),
    ("huge mean", CHATTERJI, "data.means_minus=[[1, 1e151]]", "data.means_minus[0][1] = 1e151: must be at most 1e+150"),
    ("negative spread", CHATTERJI, "data.std=-0.1", "data.std = -0.1: must be at least 0"),
]  # fmt: skip


@pytest.mark.parametrize("text, override, fragment", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_parts_that_disagree_are_refused(text: str, override: str, fragment: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "s.yaml", overrides=[override])
    assert fragment in str(caught.value)
    assert str(caught.value).startswith(("s.yaml:", "--set "))


# The same complaints from a file: id, base, what is replaced, by what, and how the message begins.
PLACES: list[tuple[str, str, str, str, str]] = [
    ("two outputs", SOFTMAX, "outputs: 3", "outputs: 2", "s.yaml:9: model.outputs = 2"),
    ("classes", SOFTMAX, "[3, 5, 8]", "[3, 5]", "s.yaml:5: data.classes = [3, 5]"),
    ("kind of data", SOFTMAX, "digits\n  classes: [3, 5, 8]", "breast_cancer", "s.yaml:4: data.kind = breast_cancer"),
    ("loss", SOFTMAX, "logistic", "exponential", "s.yaml:16: loss = exponential"),
    ("engine", SOFTMAX, "engine: auto", "engine: dual", "s.yaml:18: flow.engine = dual"),
    ("start", SOFTMAX, "  outer: {std: tensorflow}\n", "", "s.yaml:12: init: has no `outer`"),
    ("start of biases", TELGARSKY, "loss", "  bias: same\nloss", "s.yaml:14: init.bias = same"),
    ("start of scalar", SCALAR, "balanced", "gaussian\n  std: 1", "s.yaml:9: init.kind = gaussian"),
    ("start of two layers", TELGARSKY, TELGARSKY[TELGARSKY.index("  kind: gaussian") : TELGARSKY.index("loss")], "  kind: balanced\n", "s.yaml:11: init.kind = balanced"),
]  # fmt: skip


@pytest.mark.parametrize("text, old, new, begins", [case[1:] for case in PLACES], ids=[case[0] for case in PLACES])
def test_a_disagreement_points_at_the_line_to_change(text: str, old: str, new: str, begins: str) -> None:
    assert text.count(old) == 1
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text.replace(old, new), "s.yaml")
    assert str(caught.value).startswith(begins)


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_no_odd_value_of_any_key_causes_another_error(value: str) -> None:
    for text in BASES.values():
        for path in paths_of(yaml.safe_load(resolved_yaml(parse_scenario(text))))[1:]:
            try:
                scenario = parse_scenario(text, "s.yaml", overrides=[f"{'.'.join(path)}={value}"])
            except ScenarioError as error:
                assert str(error).startswith(("s.yaml", "--set ")), error
            else:
                assert parse_scenario(resolved_yaml(scenario)) == scenario


def choices() -> list[tuple[Any, ...]]:  # Any: pytest's parameters
    return [
        (model, init, engine)
        for model in ("two_layer", "trained", "huberized", "scalar")
        for init in ("{kind: gaussian, std: 1}", "{kind: balanced}", "{kind: file, path: x.npz}")
        for engine in ("auto", "dual", "primal")
    ]


@pytest.mark.parametrize("model, init, engine", choices())
def test_the_table_of_networks_starts_and_engines(model: str, init: str, engine: str) -> None:
    """Which triples are legal, from the rules alone."""
    networks = {
        "two_layer": "{kind: two_layer, width: 4, activation: {kind: relu}}",
        "trained": "{kind: two_layer, width: 4, activation: {kind: relu}, outer: {train: true}}",
        "huberized": "{kind: two_layer, width: 4, activation: {kind: huberized_relu}}",
        "scalar": "{kind: scalar, width: 4, activation: {kind: relu}}",
    }
    fits = ("balanced" not in init) if model != "scalar" else ("gaussian" not in init)
    legal = fits and (engine != "dual" or model == "two_layer")
    overrides = [f"model={networks[model]}", f"init={init}", f"flow.engine={engine}"]
    try:
        scenario = parse_scenario(TELGARSKY, "s.yaml", overrides=overrides)
    except ScenarioError:
        assert not legal
    else:
        assert legal and isinstance(scenario.model, Model) and isinstance(scenario.init, Init)
