"""Every malformed scenario is refused with its place, its value, what is wrong, and the nearest known key."""

# ruff: noqa: E501  (one case a line reads as a table)
from __future__ import annotations

import time
from pathlib import Path

import pytest

from gflow.errors import ScenarioError
from gflow.scenario import load_scenario, parse_scenario

BASE = """\
gflow: 1
name: example
seed: 0
data:
  kind: gaussian
  n: 20
  d: 50
model:
  kind: two_layer
  width: 8
  activation: {kind: leaky_relu, slope: 0.1}
  outer: {train: false}
  bias: false
init:
  kind: gaussian
  std: 0.01
loss: logistic
flow:
  rtol: 1e-8
  until: {time: 20.0}
record:
  times: {spacing: log, count: 200}
analyses: all
descent: {eta: [0.1, 0.01]}
"""
DATA = "  kind: gaussian\n  n: 20\n  d: 50\n"  # lines 5 to 7
ODD = BASE[BASE.index("  width") : BASE.index("  bias")]  # lines 10 to 12
MEAN = "  kind: gaussian_mixture\n  n: 20\n  d: 50\n"
GRAM = "  kind: gram\n  n: 3\n  norms: 1.0\n  coherence: 0.1\n"  # lines 5 to 8

# id, what is replaced in BASE, by what, and what the message holds
CASES: list[tuple[str, str, str, list[str]]] = [
    # the YAML itself
    ("tab", "  n: 20", "\tn: 20", ["s.yaml:6: not valid YAML", "spaces"]),
    ("bracket", "{time: 20.0}", "{time: 20.0", ["s.yaml:21: not valid YAML", "brackets"]),
    ("indent", "  n: 20", "   n: 20", ["s.yaml:6: not valid YAML"]),
    ("control character", "example", "exa\x07mple", ["s.yaml:2: character '\\x07'", "not allowed"]),
    ("duplicate at the root", "seed: 0", "name: twice", ["s.yaml:3: name is given twice, first on line 2"]),
    ("duplicate below", "  d: 50", "  n: 30", ["s.yaml:7: n is given twice, first on line 6"]),
    ("duplicate in flow style", "{train: false}", "{train: false, train: false}", ["s.yaml:12: train is given"]),
    ("two documents", "seed: 0", "---\nseed: 0", ["s.yaml:3: not valid YAML", "one scenario a file"]),
    ("python tag", "name: example", "name: !!python/object/apply:os.getcwd []", ["s.yaml:2: the tag", "refused"]),
    ("custom tag", "std: 0.01", "std: !small 0.01", ["s.yaml:16: the tag '!small' is refused"]),
    ("float tag", "std: 0.01", "std: !!float 1", ["s.yaml:16: the tag 'tag:yaml.org,2002:float' is refused"]),
    ("unknown alias", "std: 0.01", "std: *small", ["s.yaml:16: not valid YAML", "undefined alias"]),
    ("alias to itself", "{train: false}", "&a {train: *a}", ["s.yaml:12: is nested", "holds itself"]),
    ("nested too deep", "std: 0.01", "std: " + 40 * "[" + 40 * "]", ["s.yaml:16: is nested over 30 levels"]),
    ("nested far too deep", "std: 0.01", "std: " + 5000 * "[" + 5000 * "]", ["s.yaml: is nested"]),
    ("merge key", "{train: false}", "{<<: {train: false}}", ["s.yaml:12: model.outer.<<", "merge keys"]),
    ("key that is a list", "seed: 0", "? [a, b]\n: 0", ["s.yaml:3: a key must be plain text"]),
    # the root
    ("root is a list", BASE, "- gflow: 1\n", ["s.yaml:1: the scenario = [{gflow: 1}]: must be a mapping"]),
    ("root is a word", BASE, "hello\n", ["s.yaml:1: the scenario = hello: must be a mapping"]),
    ("no version", "gflow: 1\n", "", ["s.yaml:1: gflow is missing", "version 1"]),
    ("other version", "gflow: 1", "gflow: 2", ["s.yaml:1: gflow = 2: is not available; use 1"]),
    ("version is a boolean", "gflow: 1", "gflow: true", ["s.yaml:1: gflow = true: must be the integer 1"]),
    ("version is a float", "gflow: 1", "gflow: 1.0", ["s.yaml:1: gflow = 1.0: must be the integer 1"]),
    ("unknown root key", "loss: logistic", "los: logistic", ["s.yaml:17: los = logistic", "did you mean `loss`?", "analyses, descent"]),
    ("missing root key", "loss: logistic\n", "", ["s.yaml:1: loss is missing", "`exponential`"]),
    ("empty mapping", DATA, "", ["s.yaml:4: data = nothing: must be a mapping", "the samples"]),
    # names
    ("name leaves the folder", "name: example", "name: ../x", ["s.yaml:2: name = ../x", "without '..'"]),
    ("name with a slash", "name: example", "name: a/b", ["s.yaml:2: name = a/b", "letters, digits"]),
    ("name with a backslash", "name: example", "name: a\\b", ["s.yaml:2: name = a\\b", "letters, digits"]),
    ("name with two dots", "name: example", "name: a..b", ["s.yaml:2: name = a..b: is no usable name"]),
    ("hidden name", "name: example", "name: .ssh", ["s.yaml:2: name = .ssh: is no usable name"]),
    ("absolute name", "name: example", "name: /etc/x", ["s.yaml:2: name = /etc/x: is no usable name"]),
    ("empty name", "name: example", 'name: ""', ["s.yaml:2: name = ''", "letters, digits"]),
    ("name ends a line", "name: example", 'name: "a\\n"', ["s.yaml:2: name = 'a\\n'", "is no usable name"]),
    ("long name", "name: example", f"name: {101 * 'a'}", ["s.yaml:2: name", "has 101 characters; use at most 100"]),
    ("name is a number", "name: example", "name: 2024", ["s.yaml:2: name = 2024: must be text", '"2024"']),
    # numbers
    ("negative seed", "seed: 0", "seed: -1", ["s.yaml:3: seed = -1: must be at least 0"]),
    ("seed beyond 2^63", "seed: 0", f"seed: {2**63}", ["s.yaml:3: seed", "must be below 9.22337e+18"]),
    ("seed of 5000 digits", "seed: 0", f"seed: {5000 * '9'}", ["s.yaml:3: seed", "must be an integer"]),
    ("seed is a float", "seed: 0", "seed: 1e3", ["s.yaml:3: seed = 1e3: must be an integer (write 1000)"]),
    ("seed is a boolean", "seed: 0", "seed: true", ["s.yaml:3: seed = true: must be an integer"]),
    ("no samples", "n: 20", "n: 0", ["s.yaml:6: data.n = 0: must be at least 1", "the number of samples"]),
    ("no inputs", "d: 50", "d: 0", ["s.yaml:7: data.d = 0: must be at least 1"]),
    ("n is a fraction", "n: 20", "n: 2.5", ["s.yaml:6: data.n = 2.5: must be an integer"]),
    ("n is missing", "  n: 20\n", "", ["s.yaml:4: data.n is missing", "an integer >= 1"]),
    ("n with underscores", "n: 20", "n: 1_000", ["s.yaml:6: data.n = 1_000: must be an integer (write 1000)"]),
    ("width 0", "width: 8", "width: 0", ["s.yaml:10: model.width = 0: must be at least 1"]),
    ("rtol below eps", "rtol: 1e-8", "rtol: 1e-17", ["s.yaml:19: flow.rtol = 1e-17: must be at least 1e-13"]),
    ("rtol is text", "rtol: 1e-8", 'rtol: "1e-8"', ["s.yaml:19: flow.rtol = '1e-8': must be a number (write 1e-8)"]),
    ("rtol is empty", "rtol: 1e-8", "rtol:", ["s.yaml:19: flow.rtol = nothing: must be a number"]),
    ("rtol is a boolean", "rtol: 1e-8", "rtol: true", ["s.yaml:19: flow.rtol = true: must be a number"]),
    ("std is NaN", "std: 0.01", "std: .nan", ["s.yaml:16: init.std = .nan: must be a finite number"]),
    ("std is infinite", "std: 0.01", "std: .inf", ["s.yaml:16: init.std = .inf: must be a finite number"]),
    ("std overflows", "std: 0.01", "std: 1e400", ["s.yaml:16: init.std = 1e400: must be a finite number"]),
    ("std is the word nan", "std: 0.01", "std: nan", ["s.yaml:16: init.std = nan: is not available; use inverse_sqrt_inputs or a number"]),
    ("std is text", "std: 0.01", "std: '0.01'", ["s.yaml:16: init.std = '0.01': must be a number (write 0.01) or inverse_sqrt_inputs"]),
    ("negative std", "std: 0.01", "std: -0.01", ["s.yaml:16: init.std = -0.01: must be at least 0"]),
    ("end before the start", "time: 20.0", "time: -1", ["s.yaml:20: flow.until.time = -1: must be above 0"]),
    ("no end", "{time: 20.0}", "{}", ["s.yaml:20: flow.until: names no end", "`log_time`"]),
    ("atol 0", "rtol: 1e-8", "atol: 0", ["s.yaml:19: flow.atol = 0: must be above 0", "at most 1e-2"]),
    # booleans and words
    ("train: no", "train: false", "train: no", ["s.yaml:12: model.outer.train = no: must be true or false", "as text"]),
    ("train: 0", "train: false", "train: 0", ["s.yaml:12: model.outer.train = 0: must be true or false"]),
    ("bias: off", "bias: false", "bias: off", ["s.yaml:13: model.bias = off: must be true or false", "as text"]),
    ("bias: 1", "bias: false", "bias: 1", ["s.yaml:13: model.bias = 1: must be true or false"]),
    ("events: on", "record:", "record:\n  events: on", ["s.yaml:22: record.events = on: must be true or false", "as text"]),
    ("loss", "logistic", "logistc", ["s.yaml:17: loss = logistc: is not available; did you mean `logistic`?"]),
    ("engine", "rtol: 1e-8", "engine: prime", ["s.yaml:19: flow.engine = prime", "did you mean `primal`?"]),
    ("method", "rtol: 1e-8", "method: dop835", ["s.yaml:19: flow.method = dop835", "did you mean `DOP853`?"]),
    ("certified: yes", "{time: 20.0}", "{certified: yes}", ["s.yaml:20: flow.until.certified = yes: must be true or false", "as text"]),
    ("certified: false alone", "{time: 20.0}", "{certified: false}", ["s.yaml:20: flow.until: names no end of the run", "`certified: true`"]),
    ("certified, primal", "rtol: 1e-8\n  until: {time: 20.0}", "engine: primal\n  until: {certified: true}", ["flow.until.certified = true: needs the dual engine, and has engine: primal"]),
    # keys and kinds
    ("mistyped key", "rtol: 1e-8", "rtoll: 1e-8", ["s.yaml:19: flow.rtoll = 1e-8: unknown key; did you mean `rtol`?"]),
    ("key of another kind", "  d: 50", "  d: 50\n  path: x", ["s.yaml:8: data.path", "Known for kind gaussian: n, d,"]),
    ("unlike any key", "seed: 0", "xyzzy: 0", ["s.yaml:3: xyzzy = 0: unknown key; remove it. Known here: gflow,"]),
    ("mistyped kind", "kind: gaussian\n  n", "kind: gausian\n  n", ["s.yaml:5: data.kind = gausian", "`gaussian`"]),
    ("kind is missing", "  kind: gaussian\n  n", "  n", ["s.yaml:4: data.kind is missing", "orthogonal"]),
    ("kind is a list", "kind: gaussian\n  n", "kind: [a]\n  n", ["s.yaml:5: data.kind = [a]: is not available"]),
    ("activation", "leaky_relu", "leakyrelu", ["s.yaml:11: model.activation.kind", "did you mean `leaky_relu`?"]),
    ("later activation", "leaky_relu", "tanh", ["s.yaml:11: model.activation.kind = tanh", "use one of relu,"]),
    ("activation is a word", "{kind: leaky_relu, slope: 0.1}", "relu", ["s.yaml:11: model.activation = relu: must be a mapping"]),
    ("model kind", "two_layer", "three_layer", ["s.yaml:9: model.kind = three_layer", "did you mean `two_layer`?"]),
    ("slope 1", "slope: 0.1", "slope: 1.0", ["s.yaml:11: model.activation.slope = 1.0: must be below 1", "linear"]),
    ("no slope", ", slope: 0.1", "", ["s.yaml:11: model.activation.slope is missing"]),
    ("slope of relu", "leaky_relu", "relu", ["s.yaml:11: model.activation.slope = 0.1: unknown key", "for kind relu"]),
    # the outer layer
    ("too few values", "train: false", "values: [1, 2]", ["s.yaml:12: model.outer.values = [1, 2]: has 2 entries"]),
    ("value NaN", "train: false", "values: [1, .nan]", ["s.yaml:12: model.outer.values[1] = .nan: must be a finite"]),
    ("values are a word", "train: false", "values: sign", ["s.yaml:12: model.outer.values = sign", "`signs`?"]),
    ("values are a number", "train: false", "values: 1", ["s.yaml:12: model.outer.values = 1: has the wrong type"]),
    ("more signs than neurons", "train: false", "positive: 9", ["s.yaml:12: model.outer.positive = 9: exceeds width = 8"]),
    ("signs and values", "train: false", "positive: 1, values: [1]", ["s.yaml:12: model.outer.positive = 1: needs"]),
    ("scale 0", "train: false", "scale: 0", ["s.yaml:12: model.outer.scale = 0: must be above 0"]),
    ("scale", "train: false", "scale: inverse_sqr_width", ["s.yaml:12: model.outer.scale", "`inverse_sqrt_width`?"]),
    ("odd width", ODD, ODD.replace("8", "7").replace("train: false", "scale: inverse_half_width"), ["s.yaml:12: model.outer.scale = inverse_half_width: needs an even width, not 7"]),
    # generators
    ("labels", "  d: 50", "  d: 50\n  labels: balance", ["s.yaml:8: data.labels = balance", "did you mean `balanced`?"]),
    ("no mean", DATA, MEAN, ["s.yaml:4: data.mean is missing", "the cluster mean"]),
    ("two sizes of the mean", DATA, MEAN + "  mean: {kind: ones, norm: 1, power: 0.26}\n", ["s.yaml:8: data.mean: `norm` and `power` are both"]),
    ("mean without size", DATA, MEAN + "  mean: {kind: ones}\n", ["s.yaml:8: data.mean: neither `norm` nor `power`"]),
    ("label noise", DATA, MEAN + "  label_noise: 0.5\n  mean: {kind: ones, norm: 1}\n", ["s.yaml:8: data.label_noise = 0.5: must be below 0.5"]),
    ("n > d", "kind: gaussian\n  n: 20", "kind: orthogonal\n  n: 51", ["s.yaml:6: data.n = 51: exceeds d = 50"]),
    ("gram d < n", DATA, GRAM + "  d: 2\n", ["s.yaml:9: data.d = 2: is below n = 3"]),
    ("gram norms", DATA, GRAM.replace("1.0", "[1, 2, 3, 4]"), ["s.yaml:7: data.norms = [1, 2, 3, 4]: has 4 entries"]),
    ("gram low > high", DATA, GRAM.replace("1.0", "[2, 1]"), ["s.yaml:7: data.norms = [2, 1]: is [low, high]"]),
    ("gram norm 0", DATA, GRAM.replace("1.0", "[1, 0, 1]"), ["s.yaml:7: data.norms[1] = 0: must be at least 1e-150"]),
    ("gram norms text", DATA, GRAM.replace("1.0", "unit"), ["s.yaml:7: data.norms = unit: has the wrong type"]),
    ("gram coherence", DATA, GRAM.replace("0.1", "-0.1"), ["s.yaml:8: data.coherence = -0.1: must be at least 0"]),
    ("gram alone", DATA, GRAM.replace("3", "1"), ["s.yaml:8: data.coherence = 0.1: must be 0 with n = 1"]),
    ("gram n wrong", DATA, GRAM.replace("3", "x"), ["s.yaml:6: data.n = x: must be an integer; n is the number"]),
    ("same digits", DATA, "  kind: digits\n  classes: [3, 3]\n", ["s.yaml:6: data.classes = [3, 3]: names one digit"]),
    ("same digits of three", DATA, "  kind: digits\n  classes: [3, 5, 3]\n", ["s.yaml:6: data.classes = [3, 5, 3]: names one digit"]),
    ("one digit", DATA, "  kind: digits\n  classes: [3]\n", ["s.yaml:6: data.classes = [3]: must have at least 2 entries, not 1"]),
    ("digit 10", DATA, "  kind: digits\n  classes: [3, 10]\n", ["s.yaml:6: data.classes[1] = 10: must be at most 9"]),
    ("empty path", DATA, "  kind: file\n  path: ''\n", ["s.yaml:6: data.path = '': must not be empty"]),
    # initialisation
    ("two sizes", "std: 0.01", "std: 1\n  scale: 1", ["s.yaml:14: init: `std` and `scale` are both given"]),
    ("no size", "  std: 0.01\n", "", ["s.yaml:14: init: neither `std` nor `scale` is given"]),
    ("scale of what", "std: 0.01", "scale: 0.02", ["s.yaml:16: init.scale = 0.02: has no unit", "tensorflow"]),
    ("unit of std", "std: 0.01", "std: 1\n  relative_to: pytorch", ["s.yaml:17: init.relative_to = pytorch", "remove it"]),
    # rows, analyses, descent
    ("one row", "count: 200", "count: 1", ["s.yaml:22: record.times.count = 1: must be at least 2"]),
    ("spacing", "spacing: log", "spacing: lin", ["s.yaml:22: record.times.spacing = lin", "did you mean `linear`?"]),
    ("times not sorted", "{spacing: log, count: 200}", "{at: [0, 2, 2]}", ["s.yaml:22: record.times.at[2] = 2: is not above"]),
    ("no times", "{spacing: log, count: 200}", "{at: []}", ["s.yaml:22: record.times.at = []: must have at least 1"]),
    ("negative time", "{spacing: log, count: 200}", "{at: [-1, 0]}", ["s.yaml:22: record.times.at[0] = -1: must be at least 0"]),
    ("infinite time", "{spacing: log, count: 200}", "{at: [0, .inf]}", ["s.yaml:22: record.times.at[1] = .inf: must be a finite"]),
    ("spacing and at", "{spacing: log, count: 200}", "{at: [1], count: 2}", ["s.yaml:22: record.times.count = 2: excludes `at`"]),
    ("mistyped at", "{spacing: log, count: 200}", "{att: [1]}", ["s.yaml:22: record.times.att = [1]: unknown key; did you mean `at`?"]),
    ("times are a list", "{spacing: log, count: 200}", "[1, 2]", ["s.yaml:22: record.times = [1, 2]: has the wrong type"]),
    ("analysis", "analyses: all", "analyses: [kkt, rnak]", ["s.yaml:23: analyses[1] = rnak", "did you mean `rank`?"]),
    ("analysis twice", "analyses: all", "analyses: [kkt, kkt]", ["s.yaml:23: analyses[1] = kkt: is listed twice"]),
    ("analyses", "analyses: all", "analyses: al", ["s.yaml:23: analyses = al: is not available; did you mean `all`?"]),
    ("one step size", "[0.1, 0.01]", "0.1", ["s.yaml:24: descent.eta = 0.1: must be a list (write [0.1])"]),
    ("no step size", "[0.1, 0.01]", "[]", ["s.yaml:24: descent.eta = []: must have at least 1"]),
    ("step size 0", "[0.1, 0.01]", "[0.1, 0]", ["s.yaml:24: descent.eta[1] = 0: must be above 0"]),
    ("step size twice", "[0.1, 0.01]", "[0.1, 0.10]", ["s.yaml:24: descent.eta[1] = 0.10: is listed twice"]),
    ("descent is a list", "descent: {eta: [0.1, 0.01]}", "descent: [0.1]", ["s.yaml:24: descent = [0.1]: must be a mapping"]),
]  # fmt: skip


@pytest.mark.parametrize("old, new, fragments", [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_malformed_scenario_is_refused_with_its_place(old: str, new: str, fragments: list[str]) -> None:
    assert BASE.count(old) >= 1
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(BASE.replace(old, new, 1), "s.yaml")
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_errors_are_reported_by_line_and_counted() -> None:
    text = BASE.replace("rtol: 1e-8", "rtol: 1").replace("n: 20", "n: 0").replace("width: 8", "width: 0")
    with pytest.raises(ScenarioError, match=r"^s.yaml:6: data.n = 0: .* \(and 2 more\)$"):
        parse_scenario(text, "s.yaml")


def test_one_mistyped_required_key_is_one_complaint() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(BASE.replace("loss:", "lss:"), "s.yaml")
    assert "more)" not in str(caught.value)


def test_an_alias_bomb_is_refused_fast() -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12)]  # 10^12 values
    start = time.perf_counter()
    with pytest.raises(ScenarioError, match="with aliases .* written out"):
        parse_scenario("\n".join(layers), "s.yaml")
    assert time.perf_counter() - start < 5.0


FILES: list[tuple[str, bytes | None, str]] = [
    ("empty", b"", "is empty"),
    ("only a comment", b"# nothing\n", "is empty"),
    ("only a document mark", b"---\n", "must be a mapping"),
    ("not UTF-8", b"gflow: 1\nname: \xff\n", "byte 15 is not UTF-8"),
    ("UTF-16", BASE.encode("utf-16"), "not UTF-8"),
    ("binary", bytes(range(128)), "not allowed in YAML"),
    ("too large", b"#" * 1_000_001, "has 1000001 bytes, and a scenario has at most 1000000"),
    ("missing", None, "no such file"),
]


@pytest.mark.parametrize("content, fragment", [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_an_unreadable_file_is_refused_with_its_name(tmp_path: Path, content: bytes | None, fragment: str) -> None:
    path = tmp_path / "s.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert str(caught.value).startswith(str(path))
    assert fragment in str(caught.value)


def test_a_folder_and_an_impossible_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is a folder"):
        load_scenario(tmp_path)
    with pytest.raises(ScenarioError):
        load_scenario("a\0b")
    with pytest.raises(ScenarioError):
        load_scenario(tmp_path / (5000 * "x"))


OVERRIDES = [
    ("flow.rtol", "not of the form key.path=value"),
    ("=3", "not of the form key.path=value"),
    ("flow..rtol=3", "not of the form key.path=value"),
    ("flow.rtol=", "--set flow.rtol: has no value"),
    ("flow.rtol={", "--set flow.rtol: not valid YAML"),
    ("flow.rtol=1e-17", "--set flow.rtol: flow.rtol = 1e-17: must be at least 1e-13"),
    ("flow.rtoll=1e-9", "--set flow.rtoll: flow.rtoll = 1e-9: unknown key; did you mean `rtol`?"),
    ("model.activation.kind=rely", "--set model.activation.kind: model.activation.kind = rely"),
    ("loss.kind=logistic", "--set loss.kind: the path leads through logistic (s.yaml:17), which is not a mapping"),
    ("data={kind: gaussian, n: 3, n: 4}", "--set data: n is given twice"),
    ("data={kind: gaussian, n: 3}", "--set data: data.d is missing"),
    ("name=../x", "--set name: name = ../x: is no usable name"),
]


@pytest.mark.parametrize("override, fragment", OVERRIDES)
def test_a_malformed_override_is_refused_by_its_name(override: str, fragment: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(BASE, "s.yaml", overrides=[override])
    assert fragment in str(caught.value)
