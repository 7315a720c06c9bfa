"""Scenario files that are right: values, defaults, places of relative paths, overrides, and the way back to YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gflow.errors import ScenarioError
from gflow.scenario import load_scenario, parse_scenario, resolved_yaml, sha256
from gflow.scenario.schema import (
    FileData,
    FileInit,
    GaussianData,
    GaussianInit,
    GaussianMixtureData,
    GivenTimes,
    GramData,
    LeakyRelu,
    OnesMean,
    Outer,
    Relu,
    Scenario,
    SpacedTimes,
    TwoLayerModel,
)

# The example of the scenario contract, word for word.
EXAMPLE = """\
gflow: 1
name: example              # also the default folder: outputs/<name>
seed: 0
data:                      # kind: file | one of the generators of claims.md | a bundled real data set
  kind: file
  path: data.npz           # arrays X (n, d) float, y (n,) in {-1, +1}; .csv: last column is the label
model:
  kind: two_layer
  width: 64
  activation: {kind: leaky_relu, slope: 0.1}   # relu, leaky_relu, smooth_leaky_relu, huberized_relu, linear
  outer: {train: false, values: signs, scale: inverse_sqrt_width}   # see claims.md for each paper's convention
  bias: false
init:                      # kind: gaussian (std, or scale relative to a named default) | file
  kind: file
  path: init.npz           # W (m, d), a (m,) and, with bias, b (m,); its `a` is the outer layer, also when fixed
loss: logistic             # logistic | exponential
flow:
  engine: auto             # auto | dual | primal
  method: auto             # auto | dopri5, dopri8, bosh3, ... (torchdiffeq) | DOP853, Radau, ... (scipy)
  rtol: 1.0e-8
  atol: 1.0e-10
  until: {time: 20.0}      # time t | log_time v (t = e^v) | log_loss | certified: true ; several: the first to come
record:
  times: {spacing: log, count: 200}    # or {at: [0.0, 1.0, 20.0]} ; the start and the end are always rows
  events: true
analyses: all
descent: {eta: [0.1, 0.01], until: {time: 20.0}}      # optional; `gflow compare` can set it
"""
SHORT = """\
gflow: 1
name: short
data: {kind: gaussian, n: 20, d: 400}
model: {kind: two_layer, width: 5, activation: {kind: relu}}
init: {kind: gaussian, scale: 0.02, relative_to: tensorflow}
loss: exponential
flow: {until: {log_time: 1e4, log_loss: -50}}
"""
GENERATORS = [
    "{kind: gaussian, n: 3, d: 4, std: 2, labels: balanced, seed: 7}",
    "{kind: gaussian_mixture, n: 3, d: 4, mean: {kind: ones, power: 0.26}, label_noise: 0.15}",
    "{kind: gaussian_mixture, n: 3, d: 4, mean: {kind: gaussian, std: 0.01}, std: 0.5}",
    "{kind: orthogonal, n: 3, d: 4}",
    "{kind: orthogonal, n: 5, d: 4, replacement: true}",
    "{kind: gram, n: 3, norms: 1, coherence: 1e-6}",
    "{kind: gram, n: 3, d: 9, norms: [1, 2], coherence: 0}",
    "{kind: gram, n: 3, norms: [1, 2, 3], coherence: .1}",
    "{kind: parity, n: 3, d: 4, seed: 7}",
    "{kind: clusters, n: 3, means_plus: [[1, 0], [0, 1]], means_minus: [[1, 1]], std: 0.1}",
    "{kind: digits, classes: [3, 5], n: 50, scaling: unit}",
    "{kind: breast_cancer}",
    "{kind: gaussian, n: 3, d: 4, test: 5}",
    "{kind: parity, n: 3, d: 4, label_noise: 0.1, test: 5}",
    "{kind: clusters, n: 3, means_plus: [[1, 0]], means_minus: [[1, 1]], std: 0.1, norm: 1, label_noise: 0.1}",
    "{kind: digits, classes: [[3, 1], [5]], n: 50, test: 9}",
    "{kind: mnist, path: mnist, classes: [3, 5], n: 50, test: all}",
    "{kind: cifar10, path: cifar, classes: [[0, 1, 8, 9], [2, 3, 4, 5, 6, 7]], test: 100, seed: 2}",
    "{kind: cones, n: 3, d: 4, cones: 3, margin: 0.8, eps: 0.05}",
    "{kind: two_cones, n: 3, angle: 150, alpha: 0.1}",
    "{kind: xor, n: 3, d: 4, norm: 2, label_noise: 0.1, test: 5}",
    "{kind: teacher, n: 3, d: 4, width: 5, std: 2}",
    "{kind: file, path: d.npz, test: 3}",
    "{kind: file, path: d.npz, test: t.csv, seed: 1}",
]


def outer_of(scenario: Scenario) -> Outer:
    assert isinstance(scenario.model, TwoLayerModel)
    return scenario.model.outer


def changed(*overrides: str) -> Scenario:
    return parse_scenario(SHORT, overrides=overrides)


def test_the_example_of_the_contract_is_read() -> None:
    scenario = parse_scenario(EXAMPLE)
    assert scenario.data == FileData(kind="file", path="data.npz")
    assert scenario.init == FileInit(kind="file", path="init.npz")
    assert scenario.model.activation == LeakyRelu(kind="leaky_relu", slope=0.1)
    assert (scenario.model.width, outer_of(scenario).positive) == (64, 32)
    assert (scenario.flow.rtol, scenario.flow.atol, scenario.flow.until.time) == (1e-8, 1e-10, 20.0)
    assert scenario.record.times == SpacedTimes(spacing="log", count=200)
    assert scenario.analyses == "all"
    assert scenario.descent is not None and scenario.descent.eta == (0.1, 0.01)


def test_defaults_are_filled_in() -> None:
    scenario = parse_scenario(SHORT)
    assert isinstance(scenario.data, GaussianData) and isinstance(scenario.init, GaussianInit)
    assert (scenario.seed, scenario.data.std, scenario.data.labels, scenario.data.seed) == (0, 1.0, "rademacher", None)
    outer = outer_of(scenario)
    assert (outer.train, outer.values, outer.positive, outer.scale) == (False, "signs", 3, "inverse_sqrt_width")
    assert (scenario.flow.engine, scenario.flow.method) == ("auto", "auto")
    assert (scenario.flow.rtol, scenario.flow.atol) == (1e-8, 1e-10)
    assert scenario.record.times == SpacedTimes(spacing="log", count=200) and scenario.record.events
    assert (scenario.analyses, scenario.descent) == ("all", None)


def test_defaults_that_follow_from_other_keys() -> None:
    listed = outer_of(changed("model.outer.values=[1, -1, 2, 0, -0.5]"))
    assert (listed.values, listed.scale, listed.positive) == ((1.0, -1.0, 2.0, 0.0, -0.5), "one", None)
    gram = changed("data={kind: gram, n: 4, norms: 1, coherence: 0.1}").data
    assert isinstance(gram, GramData) and gram.d == 4


@pytest.mark.parametrize(
    "text, value",
    [
        ("1e-6", 1e-6),
        ("1E-5", 1e-5),
        ("1.e-3", 1e-3),
        (".5e-2", 5e-3),
        ("+1e-4", 1e-4),
        ("1e-0004", 1e-4),
        ("1.0e-8", 1e-8),
        ("0.001", 1e-3),
    ],
)
def test_spellings_of_floats(text: str, value: float) -> None:
    assert changed(f"flow.rtol={text}").flow.rtol == value
    assert parse_scenario(SHORT.replace("flow: {", f"flow: {{rtol: {text}, ")).flow.rtol == value


@pytest.mark.parametrize("text, value", [("7", 7), ("+7", 7), ("007", 7), ("0x1F", 31), ("0o17", 15)])
def test_spellings_of_integers(text: str, value: int) -> None:
    assert changed(f"seed={text}").seed == value


def test_integers_serve_as_floats() -> None:
    scenario = changed("flow.until.log_time=20", "model.outer.values=[1, 2, 3, 4, 5]")
    assert isinstance(scenario.flow.until.log_time, float)
    assert all(isinstance(value, float) for value in outer_of(scenario).values)


def test_anchors_are_written_out() -> None:
    text = SHORT + "descent: {eta: &steps [0.1, 0.01], until: {time: 3}}\n"
    text = text.replace("gflow: 1\n", "gflow: 1\nrecord: {times: {at: &t [1, 2]}}\n").replace("[0.1, 0.01]", "[0.1]")
    assert parse_scenario(text).descent is not None
    again = text.replace("&steps [0.1]", "*t")
    descent = parse_scenario(again).descent
    assert descent is not None and descent.eta == (1.0, 2.0)


def test_several_ends_and_given_times() -> None:
    scenario = changed("flow.until.time=1e300", "record.times={at: [0, 1e-150, 20]}", "analyses=[kkt, rank]")
    assert (scenario.flow.until.time, scenario.flow.until.log_time, scenario.flow.until.log_loss) == (1e300, 1e4, -50)
    assert scenario.record.times == GivenTimes(at=(0.0, 1e-150, 20.0))
    assert scenario.analyses == ("kkt", "rank")
    assert changed("flow.until.log_time=null").flow.until.log_time is None


@pytest.mark.parametrize("generator", GENERATORS)
def test_every_generator_is_read_and_written(generator: str) -> None:
    scenario = changed(f"data={generator}")
    assert parse_scenario(resolved_yaml(scenario)) == scenario


def test_an_override_may_change_a_kind() -> None:
    scenario = parse_scenario(EXAMPLE, overrides=["model.activation.kind=relu"])
    assert scenario.model.activation == Relu(kind="relu")
    overrides = ["data.n=4", "data.d=6", "data.kind=gaussian", "init.kind=gaussian", "init.std=0.1"]
    scenario = parse_scenario(EXAMPLE, overrides=overrides)
    assert isinstance(scenario.data, GaussianData) and (scenario.data.n, scenario.data.d) == (4, 6)
    assert isinstance(scenario.init, GaussianInit) and scenario.init.std == 0.1
    overrides = ["data.kind=gaussian_mixture", "data.mean={kind: ones, power: 0.26}"]
    data = changed(*overrides).data
    assert isinstance(data, GaussianMixtureData) and data.mean == OnesMean(kind="ones", power=0.26)
    assert data.n == 20  # a key that both kinds have stays


def test_a_typing_error_of_the_old_kind_still_shows() -> None:
    with pytest.raises(ScenarioError, match="s.yaml:3: data.stdd = 2"):
        parse_scenario(SHORT.replace("d: 400", "d: 400, stdd: 2"), "s.yaml", overrides=["data.kind=orthogonal"])


def test_the_last_override_wins_and_mappings_are_made() -> None:
    scenario = changed("record.times.count=5", "record.times.count=6", "name='new'")
    assert scenario.record.times == SpacedTimes(spacing="log", count=6)
    assert (scenario.name, scenario.origin.overrides[-1]) == ("new", "name='new'")


def test_origin_and_folder(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("\ufeff" + SHORT, encoding="utf-8")
    scenario = load_scenario(str(path), ["seed=3"])
    assert (scenario.origin.path, scenario.origin.overrides, scenario.folder) == (path, ("seed=3",), tmp_path)
    assert scenario.origin.text == "\ufeff" + SHORT
    assert scenario == changed("seed=3")  # where it came from is no part of a scenario
    assert parse_scenario(SHORT).folder == Path.cwd()
    assert parse_scenario(SHORT, folder=tmp_path).folder == tmp_path


@pytest.mark.parametrize("name", ["'1e5'", "'true'", "'007'", "no", "v1.2-x_y"])
def test_the_resolved_text_reads_back_to_the_same_scenario(name: str) -> None:
    for text in (SHORT, EXAMPLE):
        scenario = parse_scenario(text, overrides=[f"name={name}", "flow.atol=1e-300"])
        resolved = resolved_yaml(scenario)
        assert parse_scenario(resolved) == scenario
        assert resolved_yaml(parse_scenario(resolved)) == resolved


def test_the_resolved_text_has_the_defaults() -> None:
    resolved = resolved_yaml(parse_scenario(SHORT))
    for line in ("rtol: 1.0e-08", "count: 200", "positive: 3", "labels: rademacher", "events: true"):
        assert line in resolved
    assert list(yaml.safe_load(resolved)["data"])[0] == "kind"


def test_the_fingerprint_ignores_form_and_sees_content() -> None:
    scenario = parse_scenario(SHORT)
    lines = SHORT.splitlines()
    other_form = "# a comment\n" + "\n".join(reversed(lines)).replace("1e4", "10000.0").replace("0.02", "2.0e-2")
    assert sha256(parse_scenario(other_form)) == sha256(scenario)
    assert sha256(parse_scenario(resolved_yaml(scenario))) == sha256(scenario)
    prints = {sha256(changed(override)) for override in ("seed=1", "flow.rtol=1e-9", "name=other", "data.n=21")}
    assert len(prints | {sha256(scenario)}) == 5
    assert len(sha256(scenario)) == 64


def test_the_fingerprint_is_the_same_on_every_machine() -> None:
    # A resume compares fingerprints.  When a new key with a default changes this value on purpose, saved runs of
    # the version before can no longer be resumed; write that down where the version is raised, and pin anew.
    assert sha256(parse_scenario(EXAMPLE)) == "0ec3c95b7806914c0d4e73d319cd26a349e7490b2948be024b66af4268746639"


def paths_of(content: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:  # Any: a YAML document
    if not isinstance(content, dict):
        return [path]
    return [path, *(below for key, value in content.items() for below in paths_of(value, (*path, key)))]


ODD = [
    "null",
    "[]",
    "{}",
    "[[1]]",
    "{a: 1}",
    "true",
    "-1",
    "1e400",
    ".nan",
    "''",
    "abc",
    "9" * 400,
    '"\\0"',
    "[a, 1, {}]",
]


@pytest.mark.sample("0", "1", "4", "8", "9")
@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_no_odd_value_of_any_key_causes_another_error(value: str) -> None:
    texts = [SHORT, EXAMPLE]
    texts += [SHORT.replace("{kind: gaussian, n: 20, d: 400}", generator) for generator in GENERATORS]
    for text in texts:
        for path in paths_of(yaml.safe_load(resolved_yaml(parse_scenario(text))))[1:]:
            try:
                scenario = parse_scenario(text, "s.yaml", overrides=[f"{'.'.join(path)}={value}"])
            except ScenarioError as error:
                assert str(error).startswith(("s.yaml", "--set ")), error
            else:
                assert parse_scenario(resolved_yaml(scenario)) == scenario
