"""What cannot be written or read is refused with the place and a way out, and costs no committed row."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from gflow.errors import TrajectoryError
from gflow.trajectory import FILE_NAME, EventEntry, Row, TrajectoryWriter, layout, open_trajectory, opening, writer
from tests.trajectory.synthetic import HEADER, SERIES_NAMES, assert_committed_content, events_up_to, row


def started(path: Path) -> TrajectoryWriter:
    made = TrajectoryWriter.create(path, HEADER, SERIES_NAMES)
    made.commit([row(0), row(1)], events_up_to(1))
    return made


def test_a_file_is_never_overwritten(finished: Path) -> None:
    before = (finished / FILE_NAME).read_bytes()
    with pytest.raises(TrajectoryError, match="exists already; .* --resume, .* --overwrite, .* --out"):
        TrajectoryWriter.create(finished / FILE_NAME, HEADER, SERIES_NAMES)
    assert (finished / FILE_NAME).read_bytes() == before


def test_a_file_that_appears_during_the_creation_is_not_overwritten(tmp_path: Path) -> None:
    part, path = tmp_path / "t.h5.part", tmp_path / "t.h5"
    part.write_text("new")
    path.write_text("of another run")
    with pytest.raises(TrajectoryError, match="exists already"):
        writer.publish(part, path)
    assert path.read_text() == "of another run" and not part.exists()


def test_a_file_system_without_hard_links_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", unsupported)
    started(tmp_path / "t.h5")
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrajectoryError, match="file/run/t.h5 cannot be created: .* --out"):
        TrajectoryWriter.create(tmp_path / "file" / "run" / "t.h5", HEADER, SERIES_NAMES)


@pytest.mark.parametrize("names", [("weight_norm",), ("events", "events"), ("events", "weigth_norm")])
def test_series_are_those_of_the_layout_and_contain_events(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(TrajectoryError, match="see layout.SERIES"):
        TrajectoryWriter.create(tmp_path / "t.h5", HEADER, names)


def test_a_fact_may_not_take_a_name_of_the_format(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match="facts n_committed: the names are taken"):
        TrajectoryWriter.create(tmp_path / "t.h5", replace(HEADER, facts={"n_committed": 3}), SERIES_NAMES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (replace(row(2), series={"events": 3.0}), "row 2: series .* missing or not announced"),
        (replace(row(2), series=row(2).series | {"active": 1.0}), "row 2: series active"),
        (replace(row(2), margins=np.ones(1)), r"row 2: margins has shape \(1,\) .* \(3,\)"),
        (replace(row(2), log_loss=float("nan")), "row 2: log_loss is NaN"),
        (replace(row(2), series=row(2).series | {"steps": float("nan")}), "row 2: series/steps is NaN"),
        (row(3), "the last row counts 9 events where 6 have been handed over"),
    ],
)
def test_a_row_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path, wrong: Row, message: str) -> None:
    made = started(tmp_path / "t.h5")
    before = (tmp_path / "t.h5").read_bytes()
    with pytest.raises(TrajectoryError, match=message):
        made.commit([wrong], events_up_to(2))
    assert (tmp_path / "t.h5").read_bytes() == before
    made.commit([row(2)], events_up_to(2))
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))


def test_events_of_an_unknown_kind_or_unasked_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match=r"event kind \{9\}"):
        started(tmp_path / "t.h5").commit([], [EventEntry(1.0, 0, 0, 9)])
    silent = TrajectoryWriter.create(tmp_path / "s.h5", HEADER, SERIES_NAMES, records_events=False)
    with pytest.raises(TrajectoryError, match="3 events for a file created without events"):
        silent.commit([row(1)], events_up_to(1))


def test_a_second_run_in_the_same_file_is_noticed(tmp_path: Path) -> None:
    made = started(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5", "r+") as file:
        file.attrs["n_committed"] = 7
    with pytest.raises(TrajectoryError, match="holds 7 rows where this run has written 2"):
        made.commit([row(2)], events_up_to(2))


@pytest.mark.parametrize("name", ["append", "open_for_append"])
def test_a_full_disk_costs_the_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    made = started(tmp_path / "t.h5")
    with monkeypatch.context() as patch:
        patch.setattr(writer, name, full)
        with pytest.raises(TrajectoryError, match="row 2 could not be saved: .* No space left .* free disk space"):
            made.commit([row(2)], events_up_to(2))
    assert made.n_rows == 2
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))
    made.commit([row(2)], events_up_to(2))
    assert open_trajectory(tmp_path / "t.h5").n_rows == 3


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_block_that_fails_after_it_was_written_may_be_offered_again_with_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    @contextmanager
    def failing_to_close(path: Path) -> Iterator[h5py.File]:
        with h5py.File(path, "r+", **layout.PAGES) as file:
            yield file
        raise error

    made = started(tmp_path / "t.h5")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "open_for_append", failing_to_close)
        with pytest.raises((TrajectoryError, KeyboardInterrupt)):
            made.commit([row(2)], events_up_to(2))
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))
    made.commit([row(2), row(3)], [*events_up_to(2), *events_up_to(3)])
    made.finish("HORIZON", "reached the end")
    assert open_trajectory(tmp_path / "t.h5").n_rows == 4
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))


def test_growth_that_finds_no_space_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    made = TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES, expected_rows=1)
    rows, events = [row(k) for k in range(65)], [entry for k in range(65) for entry in events_up_to(k)]
    with monkeypatch.context() as patch:
        patch.setattr(writer, "synchronise", full)
        with pytest.raises(TrajectoryError, match="No space left"):
            made.commit(rows, events)
    made.commit(rows, events)
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))
    with h5py.File(tmp_path / "t.h5") as file:
        assert file["inner"].chunks[0] == 4 * 64


def test_an_outcome_that_finds_no_space_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    made = started(tmp_path / "t.h5")
    monkeypatch.setattr(writer, "synchronise", full)
    with pytest.raises(TrajectoryError, match="the outcome could not be saved"):
        made.finish("HORIZON", "reached the end")
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


REALLY_FULL = """
import resource, sys
from gflow.errors import TrajectoryError
from gflow.trajectory import TrajectoryWriter
from tests.trajectory.synthetic import HEADER, SERIES_NAMES, events_up_to, row
made = TrajectoryWriter.create(sys.argv[1], HEADER, SERIES_NAMES)
made.commit([row(0)])
size = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    for number in range(1, 5000):
        made.commit([row(number)], events_up_to(number))
except TrajectoryError as error:
    print(made.n_rows, error)
"""


def test_a_limit_on_the_file_size_is_told_and_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    command = [sys.executable, "-c", REALLY_FULL, str(path), str(130_000)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    trajectory = open_trajectory(path)
    assert "could not be saved" in told and int(told.split()[0]) == trajectory.n_rows
    assert_committed_content(trajectory)


def test_a_viewer_that_keeps_the_file_open_does_not_stop_the_run(tmp_path: Path) -> None:
    made = started(tmp_path / "t.h5")
    viewing = "import h5py, sys; f = h5py.File(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    viewer = subprocess.Popen(
        [sys.executable, "-c", viewing, str(tmp_path / "t.h5")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with viewer:
        assert viewer.stdout is not None and viewer.stdout.readline() == b"open\n"
        made.commit([row(2)], events_up_to(2))
        made.finish("HORIZON", "reached the end")
    assert open_trajectory(tmp_path / "t.h5").n_rows == 3


def test_a_lock_that_stays_is_explained(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LOCK_PATIENCE", 0.1)
    holding = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, str(finished / FILE_NAME)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
        with pytest.raises(TrajectoryError, match="locked by another program .* HDF5_USE_FILE_LOCKING"):
            open_trajectory(finished)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match="nowhere: no such file: give a run folder"):
        open_trajectory(tmp_path / "nowhere")
    with pytest.raises(TrajectoryError, match="trajectory.h5: no such file"):
        open_trajectory(tmp_path)


def test_other_files_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not HDF5 at all\n" * 100)
    with pytest.raises(TrajectoryError, match="is not an HDF5 file"):
        open_trajectory(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "x") as file:
        file["x"] = 1.0
    with pytest.raises(TrajectoryError, match="was not written by gflow"):
        open_trajectory(tmp_path / "other.h5")


def test_a_newer_format_asks_for_an_update(finished: Path) -> None:
    with h5py.File(finished / FILE_NAME, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(TrajectoryError, match="format version 2, newer than 1: update gflow"):
        open_trajectory(finished)


def test_a_file_without_rows_says_so(tmp_path: Path) -> None:
    TrajectoryWriter.create(tmp_path / "t.h5", HEADER, SERIES_NAMES)
    with pytest.raises(TrajectoryError, match="holds no rows"):
        open_trajectory(tmp_path / "t.h5")


def test_a_dataset_shorter_than_the_committed_rows_is_damage(finished: Path) -> None:
    with h5py.File(finished / FILE_NAME, "r+") as file:
        file["tau"].resize(4, axis=0)
    with pytest.raises(TrajectoryError, match="damaged: 6 rows committed, fewer in tau"):
        open_trajectory(finished)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused_when_opened(finished: Path, share: float) -> None:
    file = finished / FILE_NAME
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TrajectoryError, match="cut off|not an HDF5 file|damaged"):
        open_trajectory(finished)


def _delete(file: h5py.File, name: str) -> None:
    del file[name]


def _replace_by_group(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_group(name)


def _replace_by_text(file: h5py.File, name: str) -> None:
    del file[name]
    file[name] = "not what belongs here"


@pytest.mark.parametrize("damage", [_delete, _replace_by_group, _replace_by_text])
@pytest.mark.parametrize("name", ["tau", "series", "series/events", "events/kind", "provenance", "sample"])
def test_damaged_content_gives_no_other_error(
    finished: Path, damage: Callable[[h5py.File, str], None], name: str
) -> None:
    """Objects that are missing or of another type.  (Random bytes may make the HDF5 library itself loop.)"""
    with h5py.File(finished / FILE_NAME, "r+") as file:
        damage(file, name)
    with pytest.raises(TrajectoryError, match="damaged"):
        trajectory = open_trajectory(finished)
        for part in ("events", "provenance"):
            getattr(trajectory, part)


def test_a_file_without_its_counter_is_damaged(finished: Path) -> None:
    with h5py.File(finished / FILE_NAME, "r+") as file:
        del file.attrs["n_committed"]
    with pytest.raises(TrajectoryError, match="damaged"):
        open_trajectory(finished)


def test_a_file_removed_meanwhile_is_named(finished: Path) -> None:
    trajectory = open_trajectory(finished)
    (finished / FILE_NAME).unlink()
    with pytest.raises(TrajectoryError, match="no such file any more"):
        trajectory.read("tau")


def test_without_xarray_the_extra_is_named(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(TrajectoryError, match=r"pip install 'gflow\[xarray\]'"):
        open_trajectory(finished).to_xarray()


def test_without_pandas_the_extra_is_named(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(TrajectoryError, match=r"pip install 'gflow\[sweep\]'"):
        open_trajectory(finished).to_pandas()
