"""A file that is reopened has its committed rows, no outcome and one more entry of provenance; or is as it was."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest

from gflow.errors import TrajectoryError
from gflow.trajectory import FILE_NAME, TrajectoryWriter, layout, open_trajectory, sole_writer, space, writer
from gflow.trajectory.content import Changes
from tests.trajectory.appending import append_blocks
from tests.trajectory.synthetic import CASES, HEADER, PLAIN, assert_committed_content, event, events_up_to, row

RESUMABLE = CASES["resumable"]


@pytest.mark.parametrize("name", CASES)
def test_every_form_goes_on_where_it_stopped(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    append_blocks(str(tmp_path / "t.h5"), 3, case)
    again = TrajectoryWriter.reopen(tmp_path / "t.h5", {"started": "later"}, Changes())
    found = open_trajectory(tmp_path / "t.h5")
    assert found.outcome is None and found.outcome_sentence is None and again.n_rows == found.n_rows == 6
    assert found.provenance == [HEADER.provenance, {"started": "later"}]
    assert_committed_content(found, case)
    again.commit([row(6, case), row(7, case)], [*events_up_to(6), *events_up_to(7)])
    again.finish("HORIZON", "reached another end", [row(8, case)], events_up_to(8))
    found = open_trajectory(tmp_path / "t.h5")
    assert (found.n_rows, found.outcome_sentence) == (9, "reached another end")
    assert_committed_content(found, case)
    assert (found.scenario, found.scenario_sha256) == (HEADER.scenario, HEADER.scenario_sha256)


def test_what_was_not_committed_is_gone(tmp_path: Path) -> None:
    made = RESUMABLE.create(tmp_path / "t.h5")
    made.commit([row(0, RESUMABLE), row(1, RESUMABLE)], [*events_up_to(1), event(77), event(78)])
    made.commit([row(2, RESUMABLE)], [event(79)])
    with h5py.File(tmp_path / "t.h5", "r+") as file:
        file.attrs["n_committed"] = 2
    again = TrajectoryWriter.reopen(tmp_path / "t.h5", {}, Changes())
    with h5py.File(tmp_path / "t.h5") as file:
        assert len(file["inner"]) == len(file["resume/step"]) == 2 and len(file["events/kind"]) == 3
    again.commit([row(2, RESUMABLE)], events_up_to(2))
    assert_committed_content(open_trajectory(tmp_path / "t.h5"), RESUMABLE)


def test_texts_and_attributes_may_change(tmp_path: Path) -> None:
    append_blocks(str(tmp_path / "t.h5"), 2)
    TrajectoryWriter.reopen(tmp_path / "t.h5", {}, Changes({"scenario_sha256": "1"}, {"scenario": "name: other\n"}))
    found = open_trajectory(tmp_path / "t.h5")
    assert (found.scenario, found.scenario_sha256) == ("name: other\n", "1")
    assert found.scenario_resolved == HEADER.scenario_resolved and found.facts == HEADER.facts


def test_a_row_without_its_checkpoint_is_refused(tmp_path: Path) -> None:
    made = RESUMABLE.create(tmp_path / "t.h5")
    with pytest.raises(TrajectoryError, match="row 0: fields of resume .*clock.* missing"):
        made.commit([row(0)])
    with pytest.raises(TrajectoryError, match="row 0: fields of resume"):
        PLAIN.create(tmp_path / "p.h5").commit([row(0, RESUMABLE)])


def test_a_file_without_checkpoints_says_so(finished: Path) -> None:
    found = open_trajectory(finished)
    assert not found.resumable and found.resume_at(2) == {}
    with pytest.raises(IndexError):
        found.resume_at(6)


def test_an_end_without_space_leaves_the_rows_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    made = PLAIN.create(tmp_path / "t.h5")
    made.commit([row(0)])
    with monkeypatch.context() as patch:
        patch.setattr(writer, "synchronise", full)
        with pytest.raises(TrajectoryError, match="the outcome could not be saved: .*No space left.* --resume goes on"):
            made.finish("HORIZON", "reached the end", [row(1)], events_up_to(1))
    assert open_trajectory(tmp_path / "t.h5").n_rows == 1
    made.finish("HORIZON", "reached the end", [row(1)], events_up_to(1))
    assert open_trajectory(tmp_path / "t.h5").n_rows == 2
    assert_committed_content(open_trajectory(tmp_path / "t.h5"))


def test_space_is_asked_for_before_the_file_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    made = PLAIN.create(tmp_path / "t.h5")
    made.commit([row(0)])
    before = (tmp_path / "t.h5").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(TrajectoryError, match="row 1 could not be saved: .*No space left"):
            made.commit([row(1)], events_up_to(1))
    assert (tmp_path / "t.h5").read_bytes() == before


@pytest.mark.parametrize("name", CASES)
def test_the_space_asked_for_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The file never becomes larger than what was set aside, from the header to its end."""
    asked, reserve = list[int](), space.reserve

    def note(path: Path, size: int) -> None:
        asked.append(path.stat().st_size + size)
        reserve(path, size)

    monkeypatch.setattr(writer, "reserve", note)
    monkeypatch.setattr(layout, "CHUNK_LENGTH", 4)
    case = CASES[name]
    made = case.create(tmp_path / "t.h5", expected_rows=1)
    for first in range(0, 40, 5):
        numbers = range(first, first + 5)
        made.commit([row(k, case) for k in numbers], [entry for k in numbers for entry in events_up_to(k)])
        assert (tmp_path / "t.h5").stat().st_size <= asked[-1]
    made.finish("HORIZON", "reached the end", [row(40, case)], events_up_to(40))
    assert (tmp_path / "t.h5").stat().st_size <= asked[-1]


def test_a_write_that_h5py_lost_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails while a dataset is closed comes to light in Python's hook only."""

    def losing(*_: object) -> None:
        lost = SimpleNamespace(object="h5py._objects.ObjectID.__dealloc__", exc_value=RuntimeError("lost"))
        sys.unraisablehook(lost)

    made = PLAIN.create(tmp_path / "t.h5")
    made.commit([row(0)])
    with monkeypatch.context() as patch:
        patch.setattr(writer, "append", losing)
        with pytest.raises(TrajectoryError, match="row 1 could not be saved: lost: free disk space"):
            made.commit([row(1)], events_up_to(1))
    assert open_trajectory(tmp_path / "t.h5").n_rows == 1


def test_one_folder_has_one_writer(tmp_path: Path) -> None:
    with sole_writer(tmp_path / "run"):
        with pytest.raises(TrajectoryError, match="run is being written by another run of gflow"):
            with sole_writer(tmp_path / "run"):
                raise AssertionError
        with sole_writer(tmp_path / "other"):
            pass
    with sole_writer(tmp_path / "run"):
        pass
    assert list((tmp_path / "run").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("in the way")
    with pytest.raises(TrajectoryError, match="run cannot be used: .* --out"):
        with sole_writer(tmp_path / FILE_NAME / "run"):
            raise AssertionError
