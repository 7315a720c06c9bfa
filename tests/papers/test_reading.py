"""Files of experiments: what they say, the two sizes, and what is refused, with file:line and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gflow.errors import ScenarioError
from gflow.papers.experiment import TrendStatement, ValueStatement
from gflow.papers.listing import chosen, experiment_files
from gflow.papers.reading import axes_of, load_experiment
from gflow.sweeps.plan.plan import plan_of
from tests.papers.small import NEEDY, TINY, experiments, tiny

KNOWN = ["frei/fig1", "frei/fig4", "kou/fig5"]


def test_what_a_file_says(tmp_path: Path) -> None:
    quick, full = tiny(tmp_path), tiny(tmp_path, size="full")
    assert quick.name == "nobody/fig1" and quick.states == "Margins grow with the slope." and not quick.needs
    assert [len(plan_of(each.sweeps["slopes"]).ids) for each in (quick, full)] == [4, 30]
    assert axes_of(quick.sweeps["slopes"])["model.activation.slope"].values == (0.1, 0.9)
    panels = quick.figures[0].panels
    assert [panel.x for panel in panels] == ["model.activation.slope", "t", "neurons", "step"]
    assert panels[2].where == {"model.activation.slope": 0.9} and str(panels[3].lines["descent"]).endswith("_rank - 1")
    first, second, _ = (each.what for each in quick.statements)
    assert isinstance(first, ValueStatement) and first.within == (0.8, 1.25) and first.direction is None
    assert isinstance(second, TrendStatement) and not second.rises


def test_all_shipped_experiments_are_readable_in_both_sizes() -> None:
    files = experiment_files()
    assert {name.partition("/")[0] for name in files} == {"chatterji", "findings", "frei", "kou", "telgarsky"}
    for path in files.values():
        quick, full = load_experiment(path, "quick"), load_experiment(path, "full")
        assert bool(quick.needs) != bool(quick.sweeps and quick.figures and quick.statements)
        counts = [[len(plan_of(spec).ids) for spec in each.sweeps.values()] for each in (quick, full)]
        assert all(small <= large for small, large in zip(*counts, strict=True)), path


def test_the_page_of_the_shipped_experiments_names_them_all() -> None:
    text = (next(iter(experiment_files().values())).parents[1] / "README.md").read_text(encoding="utf-8")
    assert [name for name in experiment_files() if f"## `{name}`" not in text] == []


def test_names() -> None:
    assert chosen(["all"], KNOWN) == KNOWN
    assert chosen(["kou", "frei/fig4"], KNOWN) == ["frei/fig4", "kou/fig5"]
    with pytest.raises(ScenarioError, match="'frey': is no paper and no experiment; did you mean frei"):
        chosen(["frey"], KNOWN)
    with pytest.raises(ScenarioError, match="did you mean kou/fig5"):
        chosen(["kou", "kou/fig55"], KNOWN)
    with pytest.raises(ScenarioError, match="'zzz': .* the papers are frei, kou"):
        chosen(["zzz"], KNOWN)


REFUSED = {
    "a key": ("title: The", "titel: The", r"fig1.yaml:1: titel.*did you mean `title`"),
    "no title": ("title: The margin grows with the slope\n", "", "has no title"),
    "neither sweeps nor needs": ("sweeps:", "figures_:", "unknown key"),
    "both": ("unstated: All of it.", "needs: MNIST", "must have either `sweeps`, or `needs`"),
    "a scenario": ("width: 4", "width: -4", r"fig1.yaml:13: model.width = -4"),
    "an axis of a trend": ("falls_along: model.activation.slope", "falls_along: slope", "falls_along = slope: "),
    "a value of no axis": ("at: {model.activation.slope: 0.1}", "at: {model.activation.slope: 0.2}", "0.1, 0.9"),
    "no value of an axis": (
        "    at: {model.activation.slope: 0.1}\n",
        "",
        "must name a value of model.activation.slope",
    ),
    "bounds": ("within: [0.8, 1.25]", "within: [0.8]", r"must be \[least, most\]"),
    "no bounds": ("    within: [0.8, 1.25]\n", "", "has no bounds"),
    "a quantity": ("value: series.loss@5", "value: a / b / c", "spaces around the sign"),
    "two kinds": ("value: series.loss@5", "value: loss\n    share: a = b", "must have one of value and share"),
    "no word": ("share: freezing.verdict = nonsense", "share: freezing.verdict", "must be a column and a word"),
    "steps of the flow": (
        "lines: {descent: descent.stable_rank - 1}",
        "lines: {flow: stable_rank}",
        "only descent has",
    ),
    "a clock": ("x: t\n", "x: time\n", "x = time: "),
    "log": ("log: xy", "log: z", "must be x, y or xy"),
    "steps": ("steps: [5, 10]", "steps: [-1]", "must be an integer from 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    old, new, message = REFUSED[name]
    assert old in TINY
    with pytest.raises(ScenarioError, match=message):
        tiny(tmp_path, TINY.replace(old, new))


def test_a_sweep_that_must_be_named(tmp_path: Path) -> None:
    second = TINY.replace("figures:", "  other:\n    base: none.yaml\n    axes: {seeds: 0..1}\nfigures:")
    with pytest.raises(ScenarioError, match=r"none.yaml: no such file"):
        tiny(tmp_path, second)
    (tmp_path / "experiments" / "nobody" / "none.yaml").write_text("gflow: 1\n")
    with pytest.raises(ScenarioError, match="none.yaml"):
        tiny(tmp_path, second)


def test_data_that_are_not_there(tmp_path: Path) -> None:
    path = experiments(tmp_path, fig2=NEEDY) / "nobody" / "fig2.yaml"
    assert load_experiment(path, "full").needs == "MNIST"
    path.write_text("")
    with pytest.raises(ScenarioError, match="is empty"):
        load_experiment(path, "full")
