"""A comparison that was cut and resumed has the bits of one that was not; what cannot be resumed is untouched."""

from __future__ import annotations

import errno
import json
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import gflow
from gflow.cli import main
from gflow.comparison import flow_and_descent
from gflow.comparison.plan import CompareProgress
from gflow.comparison.result import Comparison
from gflow.errors import GflowError, TrajectoryError
from gflow.pipeline.descent import work
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME, Saved, load, save
from gflow.trajectory import DESCENT_FILE_NAME
from tests.descending import (
    DESCENTS,
    Descent,
    assert_same_comparison,
    compared,
    cut,
    found,
    killed_before,
    made,
)

PLAIN = Descent(DESCENTS["span"].text, (0.4, 0.2))
ALL = 10**6


@dataclass(frozen=True)
class Begun:
    """One comparison in several states: only its flow, killed after 17 writes, and whole with what that holds."""

    flow: Path
    cut: Path
    whole: Path
    expected: dict[str, object]
    writes: list[str]

    def copy(self, state: Path, folder: Path) -> Path:
        return Path(shutil.copytree(state, folder / "run"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    folder = tmp_path_factory.mktemp("plain")
    flow = made(PLAIN, folder / "flow")
    for name in ("cut", "whole"):
        shutil.copytree(flow, folder / name)
    with killed_before(ALL) as writes:
        compared(PLAIN, folder / "whole")
    cut(PLAIN, folder / "cut", 17)
    return Begun(flow, folder / "cut", folder / "whole", found(folder / "whole"), writes)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.sample("stochastic, groups", "single", "modified")
@pytest.mark.parametrize("name", DESCENTS)
def test_a_comparison_cut_anywhere_has_the_same_bits(tmp_path: Path, name: str) -> None:
    """Killed before its first checkpoint, in the middle, and soon again; and resumed each time."""
    descent = DESCENTS[name]
    whole, folder = made(descent, tmp_path / "whole"), tmp_path / "cut"
    shutil.copytree(whole, folder)
    with killed_before(ALL) as writes:
        compared(descent, whole)
    assert writes[:3] == ["commit", "save", "commit"] and writes[-4:] == ["save", "finish", "write_json", "remove"]
    expected, rows = found(whole), gflow.open_trajectory(whole / DESCENT_FILE_NAME).n_rows
    for count in (1, len(writes) // 2, 2):
        cut(descent, folder, count, resume=count > 1)
        assert 0 < gflow.open_trajectory(folder / DESCENT_FILE_NAME).n_rows < rows
    said = list[str]()
    result = compared(descent, folder, resume=True, say=said.append)
    assert len(said) == 1 and said[0].startswith("going on after ")
    assert_same_comparison(folder, expected)
    assert result.to_json() == json.loads((folder / "comparison.json").read_text())
    assert len(gflow.open_trajectory(folder / DESCENT_FILE_NAME).provenance) == 4
    outcomes = [run.outcome for run in result.etas]
    assert outcomes == (["diverged", "diverged", "time"] if name == "diverging" else ["time"] * 3)


@pytest.mark.parametrize("left", [4, 3, 2, 1])
def test_the_end_is_survived_at_each_of_its_writes(tmp_path: Path, plain: Begun, left: int) -> None:
    """Before the last checkpoint, the outcome, the comparison, and before the checkpoint goes."""
    folder = plain.copy(plain.flow, tmp_path)
    cut(PLAIN, folder, len(plain.writes) - left)
    compared(PLAIN, folder, resume=True)
    assert_same_comparison(folder, plain.expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["span", "stochastic, groups"])
def test_every_kill_point_is_survived(tmp_path: Path, name: str) -> None:
    descent = DESCENTS[name]
    whole = made(descent, tmp_path / "whole")
    shutil.copytree(whole, tmp_path / "flow")
    with killed_before(ALL) as writes:
        compared(descent, whole)
    expected = found(whole)
    for write in range(1, len(writes)):
        shutil.copytree(tmp_path / "flow", tmp_path / str(write))
        cut(descent, tmp_path / str(write), write)
        compared(descent, tmp_path / str(write), resume=True)
        assert_same_comparison(tmp_path / str(write), expected)


def missing(path: Path) -> None:
    path.unlink()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def of_another(path: Path) -> None:
    """Of the same run, with another step size."""
    other = Path(shutil.copytree(path.parent, path.parent.parent / "other"))
    cut(Descent(PLAIN.text, (0.4, 0.1)), other, 10)
    shutil.copyfile(other / path.name, path)


def too_new(path: Path) -> None:
    """Rows went, as with the power, that the checkpoint counts."""
    with h5py.File(path.with_name(DESCENT_FILE_NAME), "r+") as file:
        file.attrs["n_committed"] = 3


@pytest.mark.parametrize("harm", [missing, truncated, empty, flipped, of_another, too_new])
def test_without_a_checkpoint_descent_starts_again(tmp_path: Path, plain: Begun, harm: Callable[[Path], None]) -> None:
    """And its rows are checked."""
    folder = plain.copy(plain.cut, tmp_path)
    harm(folder / CHECKPOINT_FILE_NAME)
    said = list[str]()
    compared(PLAIN, folder, resume=True, say=said.append)
    assert len(said) == 1 and "descent starts again at its first step" in said[0] and CHECKPOINT_FILE_NAME in said[0]
    assert_same_comparison(folder, plain.expected)


def test_no_flip_of_a_bit_goes_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: Begun) -> None:
    """A checkpoint with one bit changed is refused, or says what it said before."""
    kept = list[tuple[str, Saved]]()

    def keep(path: Path, identity: str, saved: Saved) -> None:
        save(path, identity, saved)
        kept.append((identity, saved))

    monkeypatch.setattr(work, "save", keep)
    compared(PLAIN, plain.copy(plain.flow, tmp_path))
    identity, saved = kept[3]
    save(tmp_path / "one", identity, saved)
    content, rng, refused = (tmp_path / "one").read_bytes(), random.Random(0), 0
    for _ in range(200):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (tmp_path / "one").write_bytes(changed)
        try:
            again = load(tmp_path / "one", identity, saved.ledger.n_rows)
        except TrajectoryError:
            refused += 1
            continue
        assert again.ledger == saved.ledger and again.origin.state.keys() == saved.origin.state.keys()
        assert all(np.array_equal(array, saved.origin.state[name]) for name, array in again.origin.state.items())
    assert refused > 100


@pytest.mark.parametrize("kept", [True, False])
def test_a_row_that_comes_out_otherwise_is_refused(tmp_path: Path, plain: Begun, kept: bool) -> None:
    """Beyond the checkpoint, or anywhere where there is none."""
    folder = plain.copy(plain.cut, tmp_path)
    path = folder / DESCENT_FILE_NAME
    rows = gflow.open_trajectory(path).n_rows
    wrong = rows - 1 if kept else 4
    if not kept:
        (folder / CHECKPOINT_FILE_NAME).unlink()
    with h5py.File(path, "r+") as file:
        file["inner"][wrong, 2, 1] = np.nextafter(file["inner"][wrong, 2, 1], 9.0)
    before = path.read_bytes()
    with pytest.raises(TrajectoryError, match=f"row {wrong} is not, bit for bit, .* compare anew, without --resume$"):
        compared(PLAIN, folder, resume=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("etas", "options", "message"),
    [
        ((0.4,), {}, r"--resume: --eta is 0.4, and .*descent.h5 was begun with 0.4, 0.2"),
        ((0.4, 0.2), {"until_time": 3.0}, r"--until-time is 3.0, .* with 3.99.*: the rows lie at times that depend on"),
        ((0.4, 0.2), {"sgd": 2}, "--sgd is sgd, .* with gd"),
        ((0.4, 0.2), {"precision": "single"}, "--precision is single, .* with double"),
    ],
)
def test_another_plan_is_refused(plain: Begun, etas: tuple[float, ...], options: dict[str, Any], message: str) -> None:
    before = files(plain.cut)
    with pytest.raises(GflowError, match=message):
        compared(Descent(PLAIN.text, etas, options), plain.cut, resume=True)
    assert files(plain.cut) == before


def test_other_batches_are_refused(tmp_path: Path, plain: Begun) -> None:
    folder, first = plain.copy(plain.flow, tmp_path), Descent(PLAIN.text, (0.4,), {"sgd": 4, "seed": 1})
    cut(first, folder, 9)
    for options, message in (({"sgd": 3, "seed": 1}, "--sgd is 3, .* with 4"), ({"sgd": 4}, "--seed is 0, .* with 1")):
        with pytest.raises(GflowError, match=message):
            compared(Descent(PLAIN.text, (0.4,), options), folder, resume=True)


def test_a_file_that_does_not_say_what_was_asked_for_is_refused(tmp_path: Path, plain: Begun) -> None:
    """As those of earlier versions, whose rows lie in another order."""
    folder = plain.copy(plain.cut, tmp_path)
    with h5py.File(folder / DESCENT_FILE_NAME, "r+") as file:
        del file.attrs["until_time"]
    with pytest.raises(TrajectoryError, match="of an earlier version; compare anew, without --resume"):
        compared(PLAIN, folder, resume=True)


def test_the_descent_of_another_run_is_refused(tmp_path: Path, plain: Begun) -> None:
    other = made(Descent(PLAIN.text.replace("{seed}", "1")), tmp_path / "other")
    for name in (DESCENT_FILE_NAME, CHECKPOINT_FILE_NAME):
        shutil.copyfile(plain.cut / name, other / name)
    with pytest.raises(TrajectoryError, match=r"of another run than the one beside it \(scenario, X, y, W_initial"):
        compared(PLAIN, other, resume=True)


def test_nothing_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: Begun) -> None:
    folder = plain.flow
    before = files(folder)
    with pytest.raises(TrajectoryError, match="there is no comparison to resume; leave --resume away to start one"):
        compared(PLAIN, folder, resume=True)
    assert files(folder) == before
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(main, ["compare", str(folder / "scenario.yaml"), "--eta", "0.4", "--resume"])
    assert refused.exit_code == 2 and "there is no run whose comparison could be resumed" in refused.stderr
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("name", ["modified", "diverging"])
def test_a_complete_comparison_is_returned_as_it_is(tmp_path: Path, name: str) -> None:
    descent, said = DESCENTS[name], list[str]()
    folder = made(descent, tmp_path / "run")
    done = compared(descent, folder)
    assert Comparison.from_json(json.loads(json.dumps(done.to_json()))) == done
    before = files(folder)
    assert compared(descent, folder, resume=True, say=said.append) == done
    assert said == [f"{folder / 'comparison.json'} is complete, nothing is left to do"] and files(folder) == before
    moved = folder.rename(tmp_path / "moved")
    assert compared(descent, moved, resume=True) == done and files(moved) == before


def test_a_complete_descent_serves_another_question(tmp_path: Path) -> None:
    """The comparison with the modified flow is another command: the rows are checked, and stay."""
    first, more = Descent(DESCENTS["modified"].text), DESCENTS["modified"]
    folder = made(first, tmp_path / "run")
    compared(first, folder)
    rows = gflow.open_trajectory(folder / DESCENT_FILE_NAME).inner
    assert compared(more, folder, resume=True).modified is not None
    assert np.array_equal(gflow.open_trajectory(folder / DESCENT_FILE_NAME).inner, rows)
    assert compared(more, tmp_path / shutil.copytree(folder, tmp_path / "again")) is not None
    assert found(folder) == found(tmp_path / "again")


@pytest.mark.parametrize("how", ["compare", "resume", "simulate"])
def test_a_second_writer_is_refused(tmp_path: Path, plain: Begun, how: str) -> None:
    refused = list[object]()
    folder = plain.copy(plain.flow, tmp_path)
    scenario = gflow.load_scenario(folder / "scenario.yaml")

    def second(_: CompareProgress) -> None:
        if not refused:
            with pytest.raises(TrajectoryError, match="is being written by another run of gflow") as caught:
                if how == "simulate":
                    gflow.simulate(scenario, folder, overwrite=True)
                else:
                    compared(PLAIN, folder, resume=how == "resume")
            refused.append(caught)

    compared(PLAIN, folder, progress=second)
    assert refused


@pytest.mark.parametrize("place", ["gflow.trajectory.writer.reserve", "numpy.savez", "os.fsync", "os.replace"])
def test_a_disk_that_refuses_loses_nothing_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: Begun, place: str
) -> None:
    """One clear error; with room again it goes on to the same bits."""
    folder = plain.copy(plain.cut, tmp_path)
    rows = gflow.open_trajectory(folder / DESCENT_FILE_NAME).inner

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(place, refuse)
        with pytest.raises(TrajectoryError, match="No space left on device: free disk space.* --resume goes on"):
            compared(PLAIN, folder, resume=True)
    assert np.array_equal(gflow.open_trajectory(folder / DESCENT_FILE_NAME).inner[: len(rows)], rows)
    compared(PLAIN, folder, resume=True)
    assert_same_comparison(folder, plain.expected)


@pytest.mark.parametrize(("number", "stage"), [(signal.SIGINT, "descent"), (signal.SIGTERM, "flow")])
def test_the_command_line_goes_on_where_a_signal_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: Begun, number: signal.Signals, stage: str
) -> None:
    folder = plain.copy(plain.flow, tmp_path)
    monkeypatch.setattr(flow_and_descent, "MOST_PAIRS_AHEAD", 0)
    words = ["compare", str(folder), "--eta", "0.2", "--eta", "0.1"]

    def stop(_: object, progress: CompareProgress) -> None:
        if progress.stage == stage and progress.done > 20:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr("gflow.report.comparison.ComparisonPrinter.__call__", stop)
        stopped = CliRunner().invoke(main, words)
    assert stopped.exit_code == 130 and stopped.stderr.endswith("; go on with the same command and --resume\n")
    done = CliRunner().invoke(main, [*words, "--resume"])
    assert done.exit_code == 0 and done.stderr.startswith("gflow: " + ("going on" if stage == "descent" else ""))
    assert "Summary" in done.stdout and done.stderr.count("\n") == 1
    again = CliRunner().invoke(main, [*words, "--resume"])
    assert again.exit_code == 0 and "nothing is left to do" in again.stderr and again.stdout == done.stdout


def test_large_checkpoints_are_rarer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: Begun) -> None:
    """One that takes a second waits twenty for the next; rows do not wait for it, and the last one is written."""
    saved, clock = list[float](), [0.0]

    def slow(path: Path, identity: str, kept: Saved) -> None:
        saved.append(clock[0])
        clock[0] += 1.0

    def told(_: CompareProgress) -> None:
        clock[0] += 2.0

    monkeypatch.setattr(work, "save", slow)
    monkeypatch.setattr("gflow.pipeline.descent.file.time.monotonic", lambda: clock[0])
    with killed_before(ALL) as writes:
        gflow.compare(gflow.open_trajectory(plain.copy(plain.flow, tmp_path)), PLAIN.etas, progress=told)
    assert len(saved) >= 3 and min(np.diff(saved[:-1])) >= 21.0 and writes.count("commit") > 3 * len(saved)
