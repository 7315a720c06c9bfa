"""What `gflow inspect` shows."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gflow.report import inspection, inspection_text
from gflow.report.lines import size_text
from gflow.report.summary import json_value, provenance_lines
from gflow.trajectory import Trajectory, TrajectoryWriter, open_trajectory
from tests.trajectory.synthetic import HEADER, SERIES_NAMES, row


def test_the_inspection_is_strict_json(tiny: Trajectory) -> None:
    content = inspection(tiny)
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_what_the_inspection_says(tiny: Trajectory) -> None:
    content = inspection(tiny)
    assert content["path"] == "run/trajectory.h5"
    assert (content["rows"], content["outcome"], content["outcome_sentence"]) == (6, "HORIZON", "reached the end")
    assert content["sizes"] == {"sample": 3, "input": 5, "neuron": 4, "span": 2}
    assert content["log1p_time"] == {"first": 0.0, "last": 7.5}
    assert content["log_time"]["first"] is None
    assert math.isclose(content["log_time"]["last"], math.log(math.expm1(7.5)))
    assert content["last_row"]["min_margin"] == 5 / 9 and content["last_row"]["steps"] == 5 / 13
    assert content["events"] == {
        "recorded": True,
        "count": 15,
        "by_kind": {"cross_up": 3, "cross_down": 3, "slide": 3, "leave_up": 3, "leave_down": 3},
        "last_log1p_time": 7.5,
        "last_log_time": content["log_time"]["last"],
    }
    assert [line["row"] for line in content["table"]] == list(range(6))
    assert content["table"][0]["log_time"] is None and content["table"][2]["log_loss"] == -2 / 7
    assert content["provenance"] == [HEADER.provenance] and content["facts"] == HEADER.facts


def test_an_unfinished_run_without_events(tmp_path: Path) -> None:
    TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES).commit([row(0)])
    content = inspection(open_trajectory(tmp_path / "t.h5"))
    assert content["outcome"] is None and content["events"]["last_log_time"] is None
    assert len(content["table"]) == 1


def test_numbers_that_json_has_not_become_null() -> None:
    found = json_value({"a": np.array([1.0, math.inf]), "b": (math.nan, np.float64(2.0)), "c": np.int8(3)})
    assert found == {"a": [1.0, None], "b": [None, 2.0], "c": 3}


def test_a_resumed_run_says_how_often() -> None:
    assert provenance_lines([{"os_name": "x", "none": []}, {}, {}]) == {
        "Os name": "x",
        "None": "",
        "Resumed": "2 times",
    }
    assert provenance_lines([{}, {"from_row": 3}]) == {"Resumed": "once, after row 3"}
    known = [{"from_row": row} for row in (3, 17, 40)]
    assert provenance_lines([{}, *known]) == {"Resumed": "3 times, after rows 3, 17 and 40"}


def test_the_text(tiny: Trajectory) -> None:
    size = size_text(Path("run/trajectory.h5").stat().st_size)
    assert inspection_text(tiny).splitlines() == [
        "tiny: two_layer, m = 4, leaky_relu(0.1); n = 3, d = 5, rank 2; logistic; dual engine, Radau",
        "",
        "Outcome      reached the end",
        "Rows         6, t = 0 to log t = 7.499",
        "Events       15: 3 cross up, 3 cross down, 3 slide, 3 leave up, 3 leave down",
        "Pattern      last change at log t = 7.499; 4 of 12 pairs slide",
        "Margins      min/|W| = 0.3846, spread 0.3846",
        "Stable rank  W 0.3846",
        f"File         run/trajectory.h5  (6 rows, {size})",
        "Format       1, gflow 0.1.0, scenario sha256 000000000000",
        "Started      2026-01-02T03:04:05+00:00",
        "Command      gflow simulate tiny.yaml",
        "Versions     python 3.11.7, numpy 2.4.6",
        "",
        "row  log t  log loss  min margin  stable rank    sliding  events",
        "  0  t = 0         0           0            0          0       0",
        "  1  1.248   -0.1429      0.1111      0.07692  0.0769231       3",
        "  2  2.949   -0.2857      0.2222       0.1538   0.153846       6",
        "  3  4.489   -0.4286      0.3333       0.2308   0.230769       9",
        "  4  5.998   -0.5714      0.4444       0.3077   0.307692      12",
        "  5  7.499   -0.7143      0.5556       0.3846   0.384615      15",
    ]


@pytest.mark.parametrize(("rows", "shown"), [(1, [0]), (8, list(range(8))), (15, [0, 2, 4, 6, 8, 10, 12, 14])])
def test_the_table_shows_few_rows_with_the_first_and_the_last(tmp_path: Path, rows: int, shown: list[int]) -> None:
    made = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES, records_events=False)
    made.commit([row(number) for number in range(rows)])
    content = inspection(open_trajectory(tmp_path / "t.h5"))
    assert [line["row"] for line in content["table"]] == shown


def test_a_run_without_some_series_shows_dashes(tmp_path: Path) -> None:
    made = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, ("events",), records_events=False)
    made.commit([replace(row(0), series={"events": 0.0})])
    lines = inspection_text(open_trajectory(tmp_path / "t.h5")).splitlines()
    assert "Events       not recorded" in lines
    assert lines[-1] == "  0  t = 0         0           0            -        -       0"
