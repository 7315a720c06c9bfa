"""A run that is killed, at whatever instant, leaves a file in which every committed row is complete."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import pytest

from gflow.errors import TrajectoryError
from gflow.trajectory import layout, open_trajectory, writer
from tests.trajectory.appending import append_blocks
from tests.trajectory.synthetic import CASES, PLAIN, Case, assert_committed_content, events_up_to, row

PAGE = 4096


@pytest.mark.sample("plain-*")
@pytest.mark.parametrize(
    ("name", "seed"), [("plain", seed) for seed in range(12)] + [("trained outputs", seed) for seed in range(6)]
)
def test_a_killed_process_loses_no_committed_row(tmp_path: Path, name: str, seed: int) -> None:
    path = tmp_path / "run" / "trajectory.h5"
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.trajectory.appending", str(path), "1000000", name], stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None and child.stdout.readline() == b"1\n"
        time.sleep(random.Random(seed).uniform(0.0, 0.5))
        child.kill()
        announced = int((child.stdout.read().split() or [b"1"])[-1])
    trajectory = open_trajectory(path)
    assert trajectory.n_rows >= announced
    assert trajectory.outcome is None
    assert_committed_content(trajectory, CASES[name])


class RecordedFile:
    """A file for h5py that notes each write, so that its states between two writes can be made again."""

    def __init__(self, path: Path, writes: list[tuple[int, bytes]]) -> None:
        self._file = path.open("r+b", buffering=0)
        self._writes = writes

    def write(self, content: Any) -> int:
        self._writes.append((self._file.tell(), bytes(content)))
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:  # Any: read, readinto, seek, tell, truncate, flush as they are
        return getattr(self._file, name)


def torn(position: int, content: bytes) -> list[tuple[int, bytes]]:
    """The pages of one write: a kill inside a write may leave the first of them only."""
    cuts = sorted({0, len(content), *range(-position % PAGE, len(content), PAGE)})
    return [(position + a, content[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]


def states_between_writes(start: bytes, writes: list[tuple[int, bytes]], path: Path) -> Iterator[None]:
    """Make the file at `path` as it was after each page that was written, and yield in between."""
    content = bytearray(start)
    for position, piece in (each for write in writes for each in torn(*write)):
        content.extend(b"\0" * (position + len(piece) - len(content)))
        content[position : position + len(piece)] = piece
        path.write_bytes(content)
        yield


@contextmanager
def recorded(path: Path, writes: list[tuple[int, bytes]]) -> Iterator[h5py.File]:
    file = RecordedFile(path, writes)
    with h5py.File(file, "r+", **layout.PAGES) as opened:
        yield opened
    file.close()


def readable_states(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows_before: int, blocks: int, case: Case = PLAIN
) -> list[int]:
    """Committed rows found after each page that the last blocks of one row wrote; one chunk a row."""
    monkeypatch.setattr(layout, "CHUNK_LENGTH", 1)
    monkeypatch.setattr(writer, "EVENT_CAPACITY", 256)
    path, writes = folder / "t.h5", list[tuple[int, bytes]]()
    made = case.create(path, expected_rows=1)
    for number in range(rows_before):
        made.commit([row(number, case)], events_up_to(number))
    start = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(writer, "open_for_append", lambda path: recorded(path, writes))
        for number in range(rows_before, rows_before + blocks):
            made.commit([row(number, case)], events_up_to(number))
    states = states_between_writes(start, writes, folder / "cut.h5")
    return [committed_rows(folder / "cut.h5", case) for _ in states]


@pytest.mark.sample("0-3-plain", "0-3-trained outputs")
@pytest.mark.parametrize("name", ["plain", "trained", "trained outputs"])
@pytest.mark.parametrize(("rows_before", "blocks"), [(0, 3), (62, 2)])
def test_each_beginning_of_the_writes_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_before: int, blocks: int, name: str
) -> None:
    """From the first chunk, and up to the largest number of chunks."""
    found = readable_states(tmp_path, monkeypatch, rows_before, blocks, CASES[name])
    assert found == sorted(found) and found[-1] == rows_before + blocks
    assert len(found) > 50


def test_one_chunk_more_than_the_limit_would_lose_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the test above does see what `MAX_CHUNKS` prevents."""
    monkeypatch.setattr(layout, "MAX_CHUNKS", 128)
    with pytest.raises(TrajectoryError, match="damaged"):
        readable_states(tmp_path, monkeypatch, rows_before=64, blocks=1)


def committed_rows(path: Path, case: Case) -> int:
    """The number of rows, after their content has been compared; 0 while the file says that there are none."""
    try:
        trajectory = open_trajectory(path)
    except TrajectoryError as error:
        assert "holds no rows" in str(error)
        return 0
    assert_committed_content(trajectory, case)
    return trajectory.n_rows


def test_a_kill_while_the_file_is_replaced_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_blocks(str(tmp_path / "t.h5"), 3)
    before = (tmp_path / "t.h5").read_bytes()
    (tmp_path / "other.h5.part").write_bytes(before[:1000])
    append_blocks(str(tmp_path / "other.h5"), 3)
    assert_committed_content(open_trajectory(tmp_path / "other.h5"))
    assert sorted(os.listdir(tmp_path)) == ["other.h5", "t.h5"]
