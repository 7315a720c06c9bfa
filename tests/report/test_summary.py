"""The first and the last lines of a run, exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gflow.flow_time import log_time_of, time_text
from gflow.report import closing_table, described, headline
from gflow.report.lines import size_text, values_text
from gflow.report.summary import cell_text
from gflow.trajectory import Trajectory, TrajectoryWriter, open_trajectory
from tests.trajectory.synthetic import HEADER, SERIES_NAMES, row


def test_the_headline(tiny: Trajectory) -> None:
    expected = "tiny: two_layer, m = 4, leaky_relu(0.1); n = 3, d = 5, rank 2; logistic; dual engine, Radau"
    assert headline(tiny) == expected


def test_the_headline_leaves_out_what_is_not_known() -> None:
    sizes = {"sample": 3, "input": 5, "neuron": 4, "span": 2}
    assert described({}, sizes) == "unnamed: m = 4; n = 3, d = 5, rank 2"
    assert described({"activation": "relu", "slope": 0.0}, sizes) == "unnamed: m = 4, relu; n = 3, d = 5, rank 2"


@pytest.mark.parametrize(
    "outer, shown",
    [([1.0, -2.0, 3.0, -4.0], "m = 4,"), ([1, 1, -1, 1], "m = 4 (3 +, 1 -),"), ([0, 1, 1, 0], "m = 4 (2 +, 0 -),")],
)
def test_an_uneven_split_of_signs_is_told(tmp_path: Path, outer: list[float], shown: str) -> None:
    writer = TrajectoryWriter.create(tmp_path / "t.h5", replace(HEADER, outer=np.array(outer, float)), SERIES_NAMES)
    writer.commit([row(0)])
    assert f"tiny: two_layer, {shown} leaky_relu" in headline(open_trajectory(tmp_path / "t.h5"))


def test_minus_zero_is_zero() -> None:
    assert values_text({"min/|W| =": -0.0, "spread": -1.5}) == "min/|W| = 0, spread -1.5"
    assert cell_text("min_margin", -0.0) == "0"


def test_the_closing_table(tiny: Trajectory) -> None:
    size = size_text(Path("run/trajectory.h5").stat().st_size)
    assert closing_table(tiny).splitlines() == [
        "Outcome      reached the end",
        "Pattern      last change at log t = 7.499; 4 of 12 pairs slide",
        "Margins      min/|W| = 0.3846, spread 0.3846",
        "Stable rank  W 0.3846",
        f"Saved        run/trajectory.h5  (6 rows, {size});  next: gflow analyze run",
    ]


def test_the_closing_table_of_a_run_that_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a file.h5"
    TrajectoryWriter.create(path, HEADER, SERIES_NAMES).commit([row(0)])
    lines = closing_table(open_trajectory(path)).splitlines()
    assert lines[0] == "Outcome      none yet: the run goes on, or was stopped from outside"
    assert lines[1] == "Pattern      never changed; 4 of 12 pairs slide"
    assert "(1 row, " in lines[-1] and lines[-1].endswith(f"next: gflow analyze '{path}'")


def test_a_run_without_events_says_how_many_pairs_slide(tmp_path: Path) -> None:
    plain = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, ("events",), records_events=False)
    plain.commit([replace(row(number), series={"events": 3.0 * number}) for number in range(2)])
    lines = closing_table(open_trajectory(tmp_path / "t.h5")).splitlines()
    assert lines[1] == "Pattern      4 of 12 pairs slide"
    assert [line.split()[0] for line in lines] == ["Outcome", "Pattern", "Saved"]


@pytest.mark.parametrize("time", [1e-300, 1e-17, 1e-3, 1.0, 20.0, 1e17, 1e300])
def test_log_time_is_exact_where_time_is_a_number(time: float) -> None:
    found = log_time_of(math.log1p(time))
    assert found is not None and math.isclose(found, math.log(time), rel_tol=4e-16, abs_tol=4e-16)


def test_log_time_beyond_the_range_of_time() -> None:
    assert log_time_of(0.0) is None and time_text(0.0) == "t = 0"
    assert log_time_of(1e6) == 1e6 and time_text(1e6) == "log t = 1e+06"


@pytest.mark.parametrize(
    ("size", "text"), [(12, "12 bytes"), (123_456, "123 kB"), (150_169_648, "150 MB"), (2_500_000_000, "2.5 GB")]
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text
