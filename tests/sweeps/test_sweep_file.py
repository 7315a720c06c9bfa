"""The sweep file: which runs it asks for, and what is refused, with the line and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gflow
from gflow.errors import ScenarioError
from gflow.scenario import parse_scenario, scenario_of, sha256
from gflow.scenario.tree import plain
from gflow.sweeps.plan.plan import plan_of, steps_at, tree_at
from gflow.sweeps.plan.sweep_file import load_sweep, sweep_of
from tests.sweeps.small import AXES, BASE, sweep_file


def contents(folder: Path, text: str, base: str = BASE) -> list[dict[str, Any]]:
    """The scenarios of all runs."""
    plan = plan_of(load_sweep(sweep_file(folder, text, base)))
    return [plan.content(point) for point in range(len(plan.ids))]


def column(folder: Path, axis: str, key: str) -> list[Any]:
    """The values of a key of the scenario along one axis."""
    found = []
    for content in contents(folder, f"base: base.yaml\naxes: {{{axis}}}\n"):
        value: Any = content
        for part in key.split("."):
            value = value[part]
        found.append(value)
    return found


def test_a_grid_is_every_combination_and_the_last_axis_changes_fastest(tmp_path: Path) -> None:
    made = contents(tmp_path, AXES)
    pairs = [(each["model"]["activation"]["slope"], each["seed"]) for each in made]
    assert pairs == [(slope, seed) for slope in (0.0, 0.1, 0.5) for seed in range(4)]


def test_a_run_has_the_scenario_that_overrides_would_give_and_its_id_is_the_hash_of_it(tmp_path: Path) -> None:
    plan = plan_of(load_sweep(sweep_file(tmp_path)))
    by_hand = parse_scenario(BASE, overrides=["model.activation.slope=0.1", "seed=2"])
    point = 4 + 2
    assert sha256(scenario_of(plan.content(point), "run")) == sha256(by_hand)
    other = plan_of(load_sweep(sweep_file(tmp_path, "base: base.yaml\naxes: {seeds: [2]}\n")))
    assert other.ids == (plan.ids[point],)  # the slope of the base is 0.1: the same run, whatever the axes
    assert len(set(plan.ids)) == 12
    kept = plan_of(load_sweep(sweep_file(tmp_path, AXES + "keep: rows\n")))
    assert not set(kept.ids) & set(plan.ids)


@pytest.mark.parametrize(
    ("axis", "key", "values"),
    [
        ("seeds: 3..6", "seed", [3, 4, 5, 6]),
        ("seed: [7, 1]", "seed", [7, 1]),
        ("init.std: 0..1..5", "init.std", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("init.std: 0.5..1..3", "init.std", [0.5, 0.75, 1.0]),
        ("model.width: 4..16..4", "model.width", [4, 8, 12, 16]),
        ("model.width: {log: [4, 32], count: 4}", "model.width", [4, 8, 16, 32]),
        ("init.std: {linear: [1.0, 2.0], count: 3}", "init.std", [1.0, 1.5, 2.0]),
        ("init.std: {log: [1e-3, 1.0], count: 4}", "init.std", [1e-3, 1e-2, 1e-1, 1.0]),
        ("loss: [logistic, exponential]", "loss", ["logistic", "exponential"]),
        ("init: [{kind: gaussian, std: 0.2}]", "init.std", [0.2]),
    ],
)
def test_axes(tmp_path: Path, axis: str, key: str, values: list[Any]) -> None:
    found = column(tmp_path, axis, key)
    if key == "init.std":
        assert found == pytest.approx(values, rel=1e-14) and (found[0], found[-1]) == (values[0], values[-1])
    else:
        assert found == values and all(type(one) is type(other) for one, other in zip(found, values, strict=True))


def test_a_kind_on_an_axis_takes_the_keys_of_the_other_kind_along(tmp_path: Path) -> None:
    made = contents(tmp_path, "base: base.yaml\naxes: {model.activation.kind: [relu, leaky_relu]}\n")
    assert [each["model"]["activation"] for each in made] == [{"kind": "relu"}, {"kind": "leaky_relu", "slope": 0.1}]


def test_zipped_keys_move_together(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {seeds: 0..1}\nzip: {data.n: [4, 6], data.d: [8, 12]}\n"
    pairs = [(each["seed"], each["data"]["n"], each["data"]["d"]) for each in contents(tmp_path, text)]
    assert pairs == [(0, 4, 8), (0, 6, 12), (1, 4, 8), (1, 6, 12)]
    groups = "base: base.yaml\nzip:\n  - {data.n: [4, 6], data.d: [8, 12]}\n  - {init.std: [0.1, 0.2], seeds: 0..1}\n"
    assert len(contents(tmp_path, groups)) == 4


RANDOM = "base: base.yaml\nrandom: {{count: {count}, seed: {seed}, keys: {{init.std: {{log: [1e-3, 1]}}{more}}}}}\n"


def test_random_draws(tmp_path: Path) -> None:
    def stds(**how: Any) -> list[float]:
        return [each["init"]["std"] for each in contents(tmp_path, RANDOM.format(**{"more": "", "seed": 0} | how))]

    many = stds(count=400)
    assert all(1e-3 <= std <= 1.0 for std in many)
    assert np.mean(np.log10(many)) == pytest.approx(-1.5, abs=4 * (3 / np.sqrt(12)) / 20)  # 4 standard errors
    assert stds(count=10) == many[:10]  # more draws keep the earlier ones
    assert stds(count=10, more=", seeds: 0..9, model.width: [3, 5]") == many[:10]  # so does another key
    assert stds(count=10, seed=1) != many[:10]
    with_seeds = contents(tmp_path, RANDOM.format(count=200, seed=0, more=", seeds: 0..3, model.width: [3, 5]"))
    assert {each["seed"] for each in with_seeds} == {0, 1, 2, 3}
    assert {each["model"]["width"] for each in with_seeds} == {3, 5}


def test_analyses_and_descent_of_the_sweep_replace_those_of_the_base(tmp_path: Path) -> None:
    (made,) = contents(tmp_path, "base: base.yaml\naxes: {seeds: [0]}\nanalyses: [rank]\ndescent: {eta: [0.1]}\n")
    assert made["analyses"] == ["rank"] and made["descent"]["eta"] == [0.1]


def test_a_program_gives_the_same_under_the_same_keys(tmp_path: Path) -> None:
    path = sweep_file(tmp_path)
    from_file = plan_of(load_sweep(path)).ids
    axes = {"model.activation.slope": [0.0, 0.1, 0.5], "seeds": "0..3"}
    for base in (gflow.load_scenario(tmp_path / "base.yaml"), tmp_path / "base.yaml", str(tmp_path / "base.yaml")):
        assert plan_of(sweep_of({"base": base, "axes": axes})).ids == from_file
    with pytest.raises(ScenarioError, match=r"gflow.sweep: init.sdt = 1.0: unknown key; did you mean `std`"):
        plan_of(sweep_of({"base": tmp_path / "base.yaml", "axes": {"init.sdt": [1.0]}}))


def test_steps_are_counted_as_arrays_are(tmp_path: Path) -> None:
    dimensions = load_sweep(sweep_file(tmp_path)).dimensions
    assert [steps_at(dimensions, point) for point in range(12)] == [(k // 4, k % 4) for k in range(12)]


FORMS = {"AXES ": "base: base.yaml\naxes:\n  ", "SEEDS ": "base: base.yaml\naxes: {seeds: 0..1}\n"}
BAD = {
    "": "sweep.yaml: is empty; begin with `base:`",
    "axes: {seeds: 0..1}": "has no base; add `base:`",
    "base: base.yaml": "has no axes; add `axes: {seeds: 0..9}`",
    "base: other.yaml\naxes: {seeds: 0..1}": "no such file",
    "base: 3\naxes: {seeds: 0..1}": "sweep.yaml:1: base = 3: must be the path of a scenario file",
    "base: sweep.yaml\naxes: {seeds: 0..1}": "sweep.yaml:1: base = sweep.yaml: is a sweep itself",
    "base: base.yaml\naxis: {seeds: 0..1}": "sweep.yaml:2: axis: unknown key; did you mean `axes`?",
    "SEEDS keep: row": "sweep.yaml:3: keep = row: did you mean `rows`? use one of",
    "AXES init.sdt: [1.0]": "sweep.yaml:3: init.sdt = 1.0: unknown key; did you mean `std`?",
    "AXES init.std: [1.0, x]": "sweep.yaml:3: init.std = x: is not available; use inverse_sqrt_inputs or a number",
    "AXES model.width: [2.5]": "sweep.yaml:3: model.width = 2.5: must be an integer",
    "AXES init.std: 1.0": "sweep.yaml:3: axes.init.std = 1.0: is no axis (write [1.0]",
    "AXES init.std: []": "sweep.yaml:3: axes.init.std = []: has no entries",
    "AXES init.std: [1.0, 1.0]": "sweep.yaml:3: axes.init.std = 1.0: is listed twice",
    "AXES init.std: {log: [0, 1], count: 3}": "must be above 0; use linear",
    "AXES init.std: {log: [1, 2]}": "and a count; write {log: [low, high], count: n}",
    "AXES init.std: {lin: [1, 2], count: 3}": "axes.init.std.lin = [1, 2]: unknown key; did you",
    "AXES seeds: 4..1": "sweep.yaml:3: axes.seeds = 4..1: runs down; write 1..4",
    "AXES seeds: 0..9999999999": "has 10000000000 values; an axis has 1 to 1000000",
    "AXES seeds: 0..1\n  seed: [0, 1]": "sweep.yaml:4: seed: is an axis twice (",
    "AXES init: [{kind: gaussian, std: 1.0}]\n  init.std: [1.0]": "init.std: clashes with the axis init",
    "AXES name: [a, b]": "sweep.yaml:3: name = [a, b]: is no axis",
    "AXES seeds: 0..999\n  init.std: 1..2..1000\n  flow.rtol: 1e-9..1e-8..1000": "asks for 1000000000 runs",
    "base: base.yaml\nzip: {data.n: [4, 6], data.d: [8]}": "zip.data.d: has 1 values, and data.n has 2",
    "base: base.yaml\nzip: {data.n: [4, 6]}": "a single one belongs in `axes`",
    "base: base.yaml\nrandom: {keys: {init.std: {log: [1, 2]}}}": "random: has no count",
    "base: base.yaml\nrandom: {count: 3, keys: {init.std: 5}}": "is nothing to draw from",
    "SEEDS series: [stable_rnk]": "series = stable_rnk: did you mean `stable_rank`?",
    "SEEDS series: {names: [stable_rank]}": "needs names, and at or steps",
    "SEEDS series: {names: [stable_rank], steps: [1.5]}": "must be an integer from 0",
    "SEEDS name: a/b": "must be a name for a folder",
    "base: base.yaml\naxes: {data.kind: [file]}": "data.path is missing",
    "base: base.yaml\naxes: {'data': [{kind: file, path: none.npz}]}": "none.npz: cannot be read",
    "base: {gflow: 1}\naxes: {seeds: 0..1}": "sweep.yaml:1: name is missing",
    "SEEDS analyses: [rnk]": "sweep.yaml:3: analyses[0] = rnk: is not available",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: " ".join(text.split())[:60] or "empty")
def test_bad_sweeps_are_refused_in_one_line_and_nothing_is_written(tmp_path: Path, text: str) -> None:
    form = next((form for form in FORMS if text.startswith(form)), "")
    path = sweep_file(tmp_path, FORMS.get(form, "") + text.removeprefix(form))
    with pytest.raises(ScenarioError) as caught:
        gflow.sweep(path, tmp_path / "out", workers=0)
    assert BAD[text] in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2
    assert {each.name for each in tmp_path.iterdir()} == {"base.yaml", "sweep.yaml"}


def test_the_file_on_the_page_about_sweeps_is_one(tmp_path: Path) -> None:
    page = (Path(gflow.__file__).parent / "sweeps" / "README.md").read_text(encoding="utf-8")
    text = page.split("```yaml\n")[1].split("```")[0]
    spec = load_sweep(sweep_file(tmp_path, text))
    assert {each.name: len(each) for each in spec.dimensions} == {
        "model.activation.slope": 4,
        "init.std": 10,
        "seed": 25,
        "data.n": 2,
        "draw": 100,
    }
    assert spec.name == "phase" and spec.wanted.at == (1.0, 20.0)
    for point in (0, 4 * 10 * 25 * 2 * 100 - 1):
        scenario_of(plain(tree_at(spec, point)), "run")
