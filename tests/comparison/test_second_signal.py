"""An end within one step, one row or one checkpoint, and checkpoints that are not what was saved."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import gflow
from gflow.descent import DescentCheckpoint, loop
from gflow.descent.program import Program
from gflow.descent_plan.ledger import Ledger
from gflow.errors import TrajectoryError
from gflow.pipeline.descent import work
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, PART, Saved, load, save
from gflow.pipeline.descent.file import DescentFile
from gflow.trajectory import DESCENT_FILE_NAME
from tests.descending import DESCENTS, Descent, assert_same_comparison, compared, cut, found, made

PLAIN = Descent(DESCENTS["span"].text, (0.4, 0.2))
STALE = CHECKPOINT_FILE_NAME + PART


@pytest.fixture(scope="module", name="begun")
def begun_(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """The flow alone, and what a comparison beside it gives."""
    folder = tmp_path_factory.mktemp("begun")
    flow = made(PLAIN, folder / "flow")
    shutil.copytree(flow, folder / "whole")
    compared(PLAIN, folder / "whole")
    return flow, found(folder / "whole")


@contextmanager
def interrupted_inside(steps: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The advance that begins after so many others is left when half of its steps are done; yields the checkpoints that
    were saved."""
    advance, calls, kept = Program.advance, [0], list[bytes]()

    def torn(program: Program, count: int) -> None:
        calls[0] += 1
        if calls[0] == steps:
            advance(program, max(1, count // 2))
            raise KeyboardInterrupt
        advance(program, count)

    def keep(path: Path, identity: str, saved: Saved) -> None:
        save(path, identity, saved)
        kept.append(path.read_bytes())

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Program, "advance", torn)
        patch.setattr(work, "save", keep)
        patch.setattr(loop, "CHUNK", 3)  # so that some advances end at no row
        yield kept


@pytest.mark.parametrize("advances", [1, 2, 9, 10, 11])
def test_an_end_within_a_step_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: tuple[Path, dict[str, object]], advances: int
) -> None:
    flow, expected = begun
    folder, said = Path(shutil.copytree(flow, tmp_path / "run")), list[str]()
    with interrupted_inside(advances, monkeypatch) as kept:
        compared(PLAIN, folder)
    assert len(kept) == advances and (folder / CHECKPOINT_FILE_NAME).read_bytes() == kept[-1]
    compared(PLAIN, folder, resume=True, say=said.append)
    assert said[0].startswith("going on after ")
    assert_same_comparison(folder, expected)


def lines_of(method: Callable[..., object]) -> set[int]:
    """Where its statements begin, but the `def`."""
    code = method.__code__
    return {line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno}


@contextmanager
def interrupted_at(line: int, passes: int) -> Iterator[None]:
    """A signal before this line of `DescentFile`, which was passed so often."""
    left, name = [passes], inspect.getsourcefile(DescentFile)

    def at_line(frame: FrameType, event: str, _: object) -> Any:  # Any: what `sys.settrace` wants
        if event == "line" and frame.f_lineno == line:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return at_line

    before = sys.gettrace()
    sys.settrace(lambda frame, _, __: at_line if frame.f_code.co_filename == name else None)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("method", [DescentFile._take_row, DescentFile._put], ids=["row", "put"])
def test_no_row_is_lost_between_two_statements(
    tmp_path: Path, begun: tuple[Path, dict[str, object]], method: Callable[..., object]
) -> None:
    flow, expected = begun
    interrupted = 0
    for line in sorted(lines_of(method)):
        folder = Path(shutil.copytree(flow, tmp_path / str(line)))
        if "setdefault" in Path(inspect.getsourcefile(DescentFile) or "").read_text().splitlines()[line - 1]:
            continue  # of runs that leave all scales only
        try:
            with interrupted_at(line, 5):
                compared(PLAIN, folder)
        except pytest.fail.Exception:
            continue  # a line that this descent does not come to
        interrupted += 1
        compared(PLAIN, folder, resume=True)
        assert_same_comparison(folder, expected)
    assert interrupted >= 5


def altered(path: Path, change: Callable[[Saved], Saved]) -> None:
    """Another checkpoint in its place, intact by all its checksums."""
    with np.load(path) as file:
        about = str(file["about"])
    identity = about.split('"identity": "')[1].split('"')[0]
    save(path, identity, change(load(path, identity, 10**6)))


def other_weights(path: Path) -> None:
    def change(saved: Saved) -> Saved:
        state = {**saved.origin.state, "inner": np.nextafter(saved.origin.state["inner"], 9.0)}
        return replace(saved, origin=replace(saved.origin, state=state))

    altered(path, change)


def other_numbers(path: Path) -> None:
    """Of a whole archive, so that its own checksums fit."""
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | {"state_inner": 1.5 * arrays["state_inner"]}))


def other_text(path: Path) -> None:
    with np.load(path) as file:
        arrays = dict(file)
    about = str(arrays["about"]).replace('"largest_margin": ', '"largest_margin": 1')
    np.savez(path, **(arrays | {"about": np.array(about)}))


def torn(path: Path) -> None:
    """As one that was saved within a step."""

    def change(saved: Saved) -> Saved:
        state = {**saved.origin.state, "step_number": saved.origin.state["step_number"] + 1}
        return replace(saved, origin=replace(saved.origin, state=state))

    altered(path, change)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (other_weights, "does not go on from row [0-9]+, to which it leads: "),
        (other_numbers, "is damaged .its numbers are not those that were saved.: "),
        (other_text, "is damaged .its numbers are not those that were saved.: "),
        (torn, "descent: a state of step [0-9]+ where the runs are at [0-9]+: "),
    ],
)
def test_a_checkpoint_that_is_not_what_was_saved_is_not_used(
    tmp_path: Path, begun: tuple[Path, dict[str, object]], harm: Callable[[Path], None], reason: str
) -> None:
    """Descent starts again, its rows are checked, and the end is the same."""
    flow, expected = begun
    folder, said = Path(shutil.copytree(flow, tmp_path / "run")), list[str]()
    cut(PLAIN, folder, 15)  # the last checkpoint lies at a row of a run that goes on
    harm(folder / CHECKPOINT_FILE_NAME)
    compared(PLAIN, folder, resume=True, say=said.append)
    assert len(said) == 1
    with pytest.raises(AssertionError, match=reason + "descent starts again at its first step"):
        raise AssertionError(said[0])
    assert_same_comparison(folder, expected)


def test_no_part_of_a_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: tuple[Path, dict[str, object]]
) -> None:
    """Neither after an interruption while it is saved, nor one from a kill, when the file is begun or complete."""

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    saved = Saved(Ledger(3), DescentCheckpoint(8, (0,), (0,), 8, {"inner": np.ones(4)}))
    save(tmp_path / "one", "me", saved)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("os.fsync", interrupt)
        save(tmp_path / "one", "me", replace(saved, ledger=Ledger(4)))
    assert load(tmp_path / "one", "me", 3).ledger == Ledger(3) and [p.name for p in tmp_path.iterdir()] == ["one"]
    flow, expected = begun
    folder = Path(shutil.copytree(flow, tmp_path / "run"))
    (folder / STALE).write_bytes(b"part")
    cut(PLAIN, folder, 1)
    assert gflow.open_trajectory(folder / DESCENT_FILE_NAME).n_rows > 0 and not (folder / STALE).exists()
    (folder / STALE).write_bytes(b"part")
    compared(PLAIN, folder, resume=True)
    assert_same_comparison(folder, expected)


def test_the_digest_is_of_every_part(tmp_path: Path) -> None:
    """Shapes and names count, not only bytes."""
    origin = DescentCheckpoint(8, (0,), (0,), 8, {"inner": np.arange(4.0), "outer": np.ones(2)})
    save(tmp_path / "one", "me", Saved(Ledger(3), origin))
    with np.load(tmp_path / "one") as file:
        arrays = dict(file)
    swapped = arrays | {"state_inner": arrays["state_outer"], "state_outer": arrays["state_inner"]}
    for change in (swapped, arrays | {"state_inner": arrays["state_inner"].reshape(2, 2)}):
        with (tmp_path / "one").open("wb") as other:
            np.savez(other, **change)
        with pytest.raises(TrajectoryError, match="is damaged"):
            load(tmp_path / "one", "me", 3)
