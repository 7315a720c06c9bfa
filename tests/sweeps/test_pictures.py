"""Pictures of a sweep: their numbers against the table, and the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gflow
from gflow.errors import SweepError
from gflow.report.page.figures.drawing import style
from gflow.report.page.figures.sweep import MOST_TICKS, _edges, _line_scale, _map_scale, drawing_of
from gflow.report.sweep_picture import Axis, picture_of
from gflow.sweeps.opened import Sweep
from gflow.sweeps.run.columns import Row

SLOPES, SCALES, SEEDS = [0.0, 0.1, 0.3, 0.9], [1e-3, 1e-2, 1e-1], list(range(5))


def dimension(key: str, values: list[Any]) -> dict[str, Any]:
    return {"name": key, "keys": [key], "steps": [[value] for value in values]}


def value_at(slope: float, std: float, seed: int) -> float:
    return float(2.0 - slope + np.log10(std) * 0.1 + 0.01 * seed**2)


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """A sweep with numbers that are known; one run failed, one has no value, and all of one place are missing."""
    dimensions = [dimension("model.activation.slope", SLOPES), dimension("init.std", SCALES), dimension("seed", SEEDS)]
    rows: dict[str, Row] = {}
    ids = []
    for slope in SLOPES:
        for std in SCALES:
            for seed in SEEDS:
                run = f"{slope}-{std}-{seed}"
                ids.append(run)
                verdict = "proved" if seed < 2 else "pending"
                rows[run] = {"failure": None, "value": value_at(slope, std, seed), "freezing.verdict": verdict}
    rows["0.0-0.001-0"] = {"failure": "of itself"}
    rows["0.0-0.001-1"]["value"] = None
    for seed in SEEDS:
        del rows[f"0.9-0.1-{seed}"]
    manifest = {"name": "made", "dimensions": dimensions, "ids": ids}
    return Sweep(tmp_path, manifest, rows)


def test_a_map_has_the_mean_of_the_runs_at_each_place(sweep: Sweep) -> None:
    picture = picture_of(sweep, "slope", "std", None, "value", "seed", "mean,band")
    assert picture.center.shape == (1, 3, 4) and picture.low is None  # a map has no band
    for k, std in enumerate(SCALES):
        for j, slope in enumerate(SLOPES):
            expected = np.mean([value_at(slope, std, seed) for seed in SEEDS])
            if (slope, std) == (0.0, 1e-3):
                expected = np.mean([value_at(slope, std, seed) for seed in SEEDS[2:]])
            if (slope, std) == (0.9, 1e-1):
                assert np.isnan(picture.center[0, k, j])
            else:
                assert picture.center[0, k, j] == pytest.approx(expected, rel=1e-14)
    assert (picture.runs, picture.failed, picture.lacking) == (60 - 5 - 2, 1, 1)
    assert picture.statistic == "mean over seed"


def test_a_line_has_its_statistic_and_the_middle_of_the_runs(sweep: Sweep) -> None:
    picture = picture_of(sweep, "std", None, "slope", "value", None, "median,band")
    values = [value_at(0.3, 1e-2, seed) for seed in SEEDS]
    assert picture.low is not None and picture.high is not None
    assert picture.center[2, 0, 1] == np.median(values)
    assert (picture.low[2, 0, 1], picture.high[2, 0, 1]) == (np.quantile(values, 0.1), np.quantile(values, 0.9))
    for stat, function in (("mean", np.mean), ("min", np.min), ("max", np.max), ("sd", np.std)):
        picture = picture_of(sweep, "std", None, "slope", "value", None, stat)
        assert picture.center[2, 0, 1] == pytest.approx(function(values)) and picture.low is None


def test_the_share_of_runs_with_a_word(sweep: Sweep) -> None:
    picture = picture_of(sweep, "slope", None, None, "freezing.verdict=proved", None, "mean")
    assert picture.center[0, 0, 1] == pytest.approx(2 / 5) and picture.label == "share of runs"
    assert picture.value == "share of runs with freezing.verdict = proved"


REFUSED = [
    ({"x": "slop"}, "column 'slop': did you mean `model.activation.slope`"),
    ({"x": "value"}, "--x value: is no axis of this sweep; its axes are model.activation.slope, init.std, seed"),
    ({"x": "std", "y": "std"}, "must be different axes"),
    ({"value": "freezing.verdict"}, "holds words; give one of them, for example --value freezing.verdict=pending"),
    ({"over": "std"}, "the axis seed is left; give it as --y or --by, or add it to --over"),
    ({"over": "slope"}, "model.activation.slope is no axis that is left; left are init.std, seed"),
    ({"stat": "average"}, "--stat average: give one of mean, median, min, max, sd, and `band`"),
    ({"stat": "mean,median"}, "give one of"),
    ({"out": "a.jpeg"}, "its ending must be one of .svg, .png, .pdf"),
    ({"out": "/none/a.svg"}, "cannot be written: No such file or directory"),
]


@pytest.mark.parametrize(("wrong", "told"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_drawn_is_said_in_one_line(sweep: Sweep, wrong: dict[str, str], told: str) -> None:
    asked: dict[str, Any] = {"x": "slope", "value": "value"} | wrong
    with pytest.raises(SweepError) as caught:
        gflow.plot_sweep(sweep, **asked)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_nothing_to_draw(tmp_path: Path) -> None:
    empty = Sweep(tmp_path, {"name": "made", "dimensions": [dimension("seed", SEEDS)], "ids": ["a"] * 5}, {})
    with pytest.raises(SweepError, match="no run has ended yet"):
        gflow.plot_sweep(empty, x="seed", value="value")


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_files(sweep: Sweep, tmp_path: Path, form: str) -> None:
    path = gflow.plot_sweep(sweep, x="slope", y="std", value="value", out=tmp_path / f"map.{form}")
    content = path.read_bytes()
    assert content.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[form])
    again = gflow.plot_sweep(sweep, x="slope", y="std", value="value", out=tmp_path / f"again.{form}")
    assert again.read_bytes() == content  # the same bytes for the same content


def test_every_axis_and_the_statistic_are_labelled(sweep: Sweep) -> None:
    path = gflow.plot_sweep(sweep, x="slope", y="std", value="value", over="seed")
    assert path.name == "value-over-slope-std.svg"
    text = path.read_text()
    for words in ("model.activation.slope", "init.std", "value (mean over seed)", "grey: no value"):
        assert f">{words}<" in text
    text = gflow.plot_sweep(sweep, x="std", by="slope", value="value").read_text()
    for words in ("init.std", "model.activation.slope", "0.3", "band: 8 in 10 runs", "0.001"):
        assert f">{words}<" in text
    text = gflow.plot_sweep(sweep, x="slope", y="std", by="seed", value="freezing.verdict=proved").read_text()
    assert text.count(">seed = ") == 5 and ">share of runs<" in text
    with style():
        drawing = drawing_of(picture_of(sweep, "slope", "std", None, "value", None, "mean"), "a")
    assert drawing.caption == "53 runs; 1 failed, 1 have no such value" and "over model.activation.slope" in drawing.alt


def test_many_lines_are_told_apart(sweep: Sweep, tmp_path: Path) -> None:
    many = list(range(12))
    rows: dict[str, Row] = {f"{k}": {"failure": None, "value": float(k)} for k in range(24)}
    dimensions = [dimension("seed", many), dimension("data.n", [4, 8])]
    made = Sweep(tmp_path, {"name": "made", "dimensions": dimensions, "ids": [f"{k}" for k in range(24)]}, rows)
    with style():
        figure = drawing_of(picture_of(made, "data.n", None, "seed", "value", None, "mean"), "a").figure
    looks = {(str(line.get_color()), line.get_marker()) for line in figure.axes[0].get_lines()}
    assert len(looks) == 12


def test_scales_follow_the_spread_of_the_values() -> None:
    def axis(values: list[Any]) -> Axis:
        return Axis("key", tuple(values))

    log = np.geomspace(1e-3, 1.0, 10).tolist()
    assert [_line_scale(axis(each)) for each in (log, [0.0, 0.1, 0.3, 0.9], [1, 2, 3], ["relu", "linear"])] == [
        "log",
        "linear",
        "linear",
        "even",
    ]
    assert [_map_scale(axis(each)) for each in (log, log[:MOST_TICKS], list(range(9)), [*log, 2.0])] == [
        "log",
        "even",
        "linear",
        "even",
    ]
    edges = _edges(axis(log), "log")
    assert edges.size == 11 and edges[0] < log[0] < edges[1] < log[1] and edges[-2] < log[-1] < edges[-1]
    assert np.allclose(np.diff(np.log(edges)), np.diff(np.log(log))[0])


def test_from_a_folder(tmp_path: Path) -> None:
    manifest = {"format": "gflow sweep", "version": 1, "name": "made", "dimensions": [dimension("seed", [0, 1])]}
    (tmp_path / "sweep.json").write_text(json.dumps(manifest | {"ids": ["a", "b"]}))
    lines = [json.dumps({"id": run, "row": {"failure": None, "value": 1.0 + k}}) for k, run in enumerate("ab")]
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n")
    assert gflow.plot_sweep(tmp_path, x="seed", value="value").exists()


def test_values_over_decades_are_drawn_on_a_logarithmic_scale(tmp_path: Path) -> None:
    def drawn(top: float, y: str | None) -> Any:
        ids = [f"{k}" for k in range(4)]
        rows: dict[str, Row] = {run: {"failure": None, "value": top ** (k / 3)} for k, run in enumerate(ids)}
        dimensions = [dimension("seed", [0, 1]), dimension("data.n", [4, 8])]
        made = Sweep(tmp_path, {"name": "made", "dimensions": dimensions, "ids": ids}, rows)
        with style():
            return drawing_of(picture_of(made, "data.n", y, None, "value", None, "mean"), "a").figure

    assert [drawn(top, None).axes[0].get_yscale() for top in (10.0, 1e6)] == ["linear", "log"]
    assert [type(drawn(top, "seed").axes[0].collections[0].norm).__name__ for top in (10.0, 1e6)] == [
        "Normalize",
        "LogNorm",
    ]
