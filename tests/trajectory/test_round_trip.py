"""What is read is what was written: by gflow, by h5py alone, by xarray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from gflow.trajectory import FILE_NAME, EventLog, Events, TrajectoryWriter, layout, open_trajectory, writer
from tests.trajectory.synthetic import (
    HEADER,
    SERIES_NAMES,
    D,
    M,
    N,
    R,
    assert_committed_content,
    event,
    events_up_to,
    row,
)

ROW_DIMS = {
    "tau": ("log1p_time",),
    "inner": ("log1p_time", "neuron", "span"),
    "margins": ("log1p_time", "sample"),
    "log_loss": ("log1p_time",),
    "pattern": ("log1p_time", "neuron", "sample"),
}
FIXED_DIMS = {
    "X": ("sample", "input"),
    "y": ("sample",),
    "W_initial": ("neuron", "input"),
    "basis": ("span", "input"),
    "outer": ("neuron",),
}
EVENT_FIELDS = {"log1p_time", "neuron", "sample", "kind"}


def test_every_number_returns_bit_for_bit(finished: Path) -> None:
    trajectory = open_trajectory(finished)
    assert trajectory.n_rows == 6 and trajectory.n_events == 15
    assert_committed_content(trajectory)


def test_the_header_and_the_outcome_return(finished: Path) -> None:
    trajectory = open_trajectory(finished / FILE_NAME)
    assert trajectory.scenario == HEADER.scenario
    assert trajectory.scenario_resolved == HEADER.scenario_resolved
    assert trajectory.provenance == [HEADER.provenance]
    assert trajectory.facts == HEADER.facts
    assert trajectory.sizes == {"sample": N, "input": D, "neuron": M, "span": R}
    assert (trajectory.kind, trajectory.gflow_version, trajectory.format_version) == ("flow", "0.1.0", 1)
    assert trajectory.scenario_sha256 == HEADER.scenario_sha256
    assert (trajectory.outcome, trajectory.outcome_sentence) == ("HORIZON", "reached the end")


def test_a_run_that_goes_on_has_no_outcome(tmp_path: Path) -> None:
    TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES).commit([row(0)])
    trajectory = open_trajectory(tmp_path / "t.h5")
    assert trajectory.outcome is None and trajectory.outcome_sentence is None


def test_a_scenario_beyond_the_limit_of_attributes_returns(tmp_path: Path) -> None:
    long = "# Lipschitz-Stetigkeit: größer als 64 KiB\n" * 3000
    TrajectoryWriter.create(tmp_path / "t.h5", replace(HEADER, scenario=long), SERIES_NAMES).commit([row(0)])
    assert open_trajectory(tmp_path / "t.h5").scenario == long


@pytest.mark.parametrize("single", [(), (0, 1, 2), (0, 4), (3,), (2, 4), range(5)], ids=str)
def test_events_come_one_by_one_or_in_blocks(tmp_path: Path, single: Sequence[int]) -> None:
    """Those of five rows, of which some hand over their events one by one, others at once."""
    log, made = EventLog(), TrajectoryWriter.create(tmp_path / FILE_NAME, HEADER, SERIES_NAMES)
    for number in range(5):
        entries = events_up_to(number)
        if number in single:
            for entry in entries:
                log.append(entry)
        else:
            log.extend(Events.of(entries))
    made.commit([row(number) for number in range(5)], log.events())
    assert_committed_content(open_trajectory(tmp_path))


def test_no_events_are_a_block_too(tmp_path: Path) -> None:
    made = TrajectoryWriter.create(tmp_path / FILE_NAME, HEADER, SERIES_NAMES)
    made.commit([row(0)], EventLog().events())
    made.finish("HORIZON", "reached the end", [row(1)], Events.joined([Events.of([]), Events.of(events_up_to(1))]))
    assert_committed_content(open_trajectory(tmp_path))


def test_rows_are_read_one_by_one_and_in_slices(finished: Path) -> None:
    trajectory = open_trajectory(finished)
    np.testing.assert_array_equal(trajectory.read("inner", 2), row(2).inner)
    np.testing.assert_array_equal(trajectory.read("inner", -1), row(5).inner)
    np.testing.assert_array_equal(trajectory.read("margins", slice(1, 99, 2)), [row(k).margins for k in (1, 3, 5)])
    assert float(trajectory.read("series/steps", 3)) == row(3).series["steps"]
    with pytest.raises(IndexError):
        trajectory.read("inner", 6)
    with pytest.raises(KeyError, match="no series 'nothing'"):
        trajectory.series["nothing"]


def test_weights_move_in_the_span_only(finished: Path) -> None:
    trajectory = open_trajectory(finished)
    np.testing.assert_array_equal(trajectory.weights(0), HEADER.W_initial)
    expected = HEADER.W_initial + (row(4).inner - row(0).inner) @ HEADER.basis
    np.testing.assert_array_equal(trajectory.weights(4), expected)


def test_an_open_trajectory_does_not_change_while_its_run_goes_on(tmp_path: Path) -> None:
    growing = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES)
    growing.commit([row(0)])
    before = open_trajectory(tmp_path / "t.h5")
    growing.commit([row(1)], events_up_to(1))
    assert len(before.log1p_time) == before.n_rows == 1 and len(before.events) == 0
    assert open_trajectory(tmp_path / "t.h5").n_rows == 2


def test_events_after_the_last_row_are_not_shown_until_a_row_counts_them(tmp_path: Path) -> None:
    growing = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES)
    growing.commit([row(0), row(1)], [*events_up_to(1), event(3)])
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))
    growing.commit([], [event(4), event(5)])
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))
    growing.commit([row(2)])
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))


def test_a_run_without_events_has_no_such_group(tmp_path: Path) -> None:
    plain = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES, records_events=False)
    plain.commit([row(0), row(1)])
    plain.finish("HORIZON", "reached the end")
    trajectory = open_trajectory(tmp_path / "t.h5")
    assert not trajectory.records_events and trajectory.n_events == len(trajectory.events) == 0
    assert trajectory.series["events"][-1] == 3.0
    with h5py.File(tmp_path / "t.h5") as file:
        assert "events" not in file


def test_growth_keeps_the_content_and_the_number_of_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CHUNK_LENGTH", 1)
    monkeypatch.setattr(writer, "EVENT_CAPACITY", 64)
    growing = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES, expected_rows=1)
    for first in range(0, 300, 20):
        numbers = range(first, first + 20)
        growing.commit([row(k) for k in numbers], [entry for k in numbers for entry in events_up_to(k)])
        assert_committed_content(open_trajectory(tmp_path / "t.h5"))
    with h5py.File(tmp_path / "t.h5") as file:
        for name, chunks in (("inner", 300 / 16), ("events/kind", 900 / 16)):
            assert file[name].id.get_num_chunks() == np.ceil(chunks) <= layout.MAX_CHUNKS
    assert not list(tmp_path.glob("*.part"))


def test_h5py_finds_names_shapes_and_types(finished: Path) -> None:
    with h5py.File(finished / FILE_NAME) as file:
        assert (file.attrs["format"], file.attrs["format_version"], file.attrs["n_committed"]) == ("gflow", 1, 6)
        assert file["inner"].shape == (6, M, R) and file["inner"].dtype == np.float64
        assert file["pattern"].shape == (6, M, N) and file["pattern"].dtype == np.int8
        assert file["scenario"].asstr()[()] == HEADER.scenario
        assert set(file["events"]) == EVENT_FIELDS and set(file["series"]) == set(SERIES_NAMES)
        for name in ("inner", "X", "series/steps", "events/kind"):
            assert file[name].attrs["units"] == "1" and file[name].attrs["long_name"]


@pytest.mark.parametrize("group", [None, "series", "events"])
def test_xarray_finds_named_dimensions(finished: Path, group: str | None) -> None:
    with xarray.open_dataset(finished / FILE_NAME, engine="h5netcdf", group=group) as opened:
        dims = {name: opened[name].dims for name in opened.data_vars}
        if group is None:
            assert {**ROW_DIMS, **FIXED_DIMS}.items() <= dims.items()
            np.testing.assert_array_equal(opened.log1p_time, [row(k).log1p_time for k in range(6)])
        elif group == "series":
            assert dims == dict.fromkeys(SERIES_NAMES, ("log1p_time",))
        else:
            assert dims == dict.fromkeys(EVENT_FIELDS, ("event",))
        assert not any("phony" in str(name) for name in opened.sizes)


def test_xarray_opens_a_run_that_has_no_events_yet(tmp_path: Path) -> None:
    TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES).commit([row(0)])
    with xarray.open_datatree(tmp_path / "t.h5", engine="h5netcdf") as tree:
        assert dict(tree["events"].to_dataset(inherit=False).sizes) == {"event": 0}
        assert tree["margins"].dims == ("log1p_time", "sample")


def test_to_xarray_equals_what_xarray_reads(finished: Path) -> None:
    ours = open_trajectory(finished).to_xarray()
    with xarray.open_datatree(finished / FILE_NAME, engine="h5netcdf") as theirs:
        for path in ("/", "/series", "/events"):
            for name, values in ours[path].to_dataset(inherit=False).data_vars.items():
                kept = theirs[path].to_dataset(inherit=False)[name]  # `neuron` of events is no dimension of them
                assert values.dims == kept.dims
                np.testing.assert_array_equal(values, kept)
    assert float(ours["margins"].sel(log1p_time=3.1, method="nearest")[0]) == row(2).margins[0]
    assert "log1p_time" in ours["series"].coords
