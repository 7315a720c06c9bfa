"""Headlines and lines of trained outer layers, biases, several outputs, scalar networks and smooth activations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gflow.report import closing_table, described, inspection, inspection_text
from gflow.trajectory import Header, Trajectory, TrajectoryWriter, open_trajectory
from tests.trajectory.synthetic import CASES, HEADER, SERIES_NAMES, TRAINED, K, M, row

SIZES = {"sample": 64, "input": 20, "neuron": 16, "span": 20}
RUN: dict[str, str | float | int] = {
    "name": "parity-16",
    "model": "two_layer",
    "activation": "relu",
    "slope": 0.0,
    "trains_outer": 1,
    "bias": 0,
    "outputs": 1,
    "homogeneity": 2,
    "loss": "logistic",
    "engine": "primal",
    "method": "dopri5",
}
BALANCE_NAMES = (*SERIES_NAMES, "balancedness_drift", "median_rotation")


def test_the_headline_of_a_trained_outer_layer() -> None:
    expected = "two_layer, m = 16, relu, outer trained; n = 64, d = 20, rank 20; logistic; primal engine, dopri5"
    assert described(RUN, SIZES) == f"parity-16: {expected}"


@pytest.mark.parametrize(
    ("changes", "sizes", "start"),
    [
        ({"trains_outer": 0}, {}, "two_layer, m = 16, relu; n = 64, d = 20, rank 20"),
        (
            {"bias": 1},
            {"input": 21, "span": 21},
            "two_layer, m = 16, relu, outer trained, bias; n = 64, d = 20 + 1, rank 21",
        ),
        (
            {"outputs": 10, "bias": 1, "trains_outer": 0},
            {"input": 21, "output": 10},
            "two_layer, m = 16, relu, bias, 10 outputs; n = 64, d = 20 + 1, rank 20",
        ),
        (
            {"model": "scalar"},
            {"neuron": 1900, "span": 1},
            "scalar, m = 1900, relu; n = 64, d = 20",
        ),
        (
            {"activation": "smooth_leaky_relu", "slope": 0.1, "trains_outer": 0},
            {},
            "two_layer, m = 16, smooth_leaky_relu(0.1); n = 64, d = 20, rank 20",
        ),
        (
            {"activation": "huberized_relu", "bandwidth": 0.01, "trains_outer": 0},
            {},
            "two_layer, m = 16, huberized_relu(0.01); n = 64, d = 20, rank 20",
        ),
    ],
)
def test_the_headline_of_each_model(changes: dict[str, str | float | int], sizes: dict[str, int], start: str) -> None:
    expected = f"parity-16: {start}; logistic; primal engine, dopri5"
    assert described(RUN | changes, SIZES | sizes) == expected


def of_two_rows(folder: Path, header: Header, series: tuple[str, ...]) -> Trajectory:
    """Rows 0 and 1 of the trained case, with these series, all 0 and then 1/4."""
    made = TrajectoryWriter.create(
        folder / "t.h5", header, series, neuron_series=TRAINED.neuron_series, records_events=False
    )
    rows = [replace(row(k, TRAINED), series=dict.fromkeys(series, k / 4.0)) for k in range(2)]
    made.commit(rows)
    return open_trajectory(folder / "t.h5")


def lines_of(text: str) -> dict[str, str]:
    return {line[:12].rstrip(): line[13:] for line in text.splitlines() if line[:1].isalpha()}


@pytest.mark.parametrize("told", [closing_table, inspection_text])
def test_a_trained_outer_layer_has_its_margin_by_two_degrees_and_its_balance(
    tmp_path: Path, told: Callable[[Trajectory], str]
) -> None:
    header = replace(TRAINED.header, facts=HEADER.facts | {"homogeneity": 2, "trains_outer": 1})
    lines = lines_of(told(of_two_rows(tmp_path, header, BALANCE_NAMES)))
    assert lines["Margins"] == "min/|theta|^2 = 0.25, spread 0.25"
    assert lines["Balance"] == "drift 0.25; median rotation cosine 0.25"


def test_a_balance_without_its_series_is_not_told(tmp_path: Path) -> None:
    lines = lines_of(closing_table(of_two_rows(tmp_path, TRAINED.header, SERIES_NAMES)))
    assert "Balance" not in lines and lines["Margins"] == "min/|W| = 0.25, spread 0.25"


def test_stable_ranks_of_signs_are_told_where_they_exist(tmp_path: Path) -> None:
    names = (*SERIES_NAMES, "stable_rank_plus")
    lines = lines_of(closing_table(of_two_rows(tmp_path, TRAINED.header, names)))
    assert lines["Stable rank"] == "W 0.25, W+ 0.25"


def test_the_inspection_gives_the_spread_of_the_neurons(tmp_path: Path) -> None:
    content = inspection(of_two_rows(tmp_path, TRAINED.header, BALANCE_NAMES))
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    values = row(1, TRAINED).neurons["rotation"]
    assert content["neurons"]["rotation"] == {
        "least": values[0],
        "median": float(np.median(values)),
        "largest": values[M - 1],
    }
    assert list(content["neurons"]) == sorted(TRAINED.neuron_series)
    assert content["last_row"]["median_rotation"] == 0.25


def test_several_outputs_are_inspected_without_ranks_of_signs(tmp_path: Path) -> None:
    case = CASES["trained outputs"]
    made = case.create(tmp_path / "t.h5")
    made.commit([row(0, case)])
    trajectory = open_trajectory(tmp_path / "t.h5")
    assert inspection(trajectory)["sizes"]["output"] == K
    assert lines_of(inspection_text(trajectory))["Stable rank"] == "W 0"


def test_a_plain_run_has_no_neurons_to_inspect(tiny: Trajectory) -> None:
    assert inspection(tiny)["neurons"] == {}
