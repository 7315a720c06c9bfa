"""Descent alone that was cut anywhere, or killed, has the bits of one that was not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gflow
from gflow.descent import loop
from gflow.descent_plan import record
from gflow.pipeline.descent import file
from gflow.pipeline.descent.checkpoint import CHECKPOINT_FILE_NAME
from gflow.trajectory import Row, TrajectoryWriter
from tests.descend.cases import BOTH, descended
from tests.descending import Descent, Killed, busily, killed_before
from tests.resumed import contents

RUNS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {  # Any: arguments of `gflow.descend`
    "full": ((), {"etas": [0.4, 0.1], "steps": 120}),
    "seeds": (BOTH, {"etas": [0.2], "steps": 120, "batch": 5, "seeds": "0..3", "starts": "drawn"}),
    "schedule": ((), {"schedule": "log_squared:first=0.1,factor=0.5", "steps": 120, "watch": {"bound": 0.1}}),
    "loss": ((), {"etas": [0.4, 0.1], "until_log_loss": -0.9, "steps": 120}),
    "ball": (BOTH, {"etas": [0.2, 0.1], "steps": 120, "momentum": 0.9, "weight_decay": 0.01}),
    "stream": (("data.n=200",), {"etas": [0.2], "steps": 100, "batch": 2, "stream": True}),
}


def run(folder: Path, name: str, **more: Any) -> None:  # Any: as in RUNS
    overrides, how = RUNS[name]
    with busily(Descent("", alone=name != "full")):
        descended(folder, *overrides, **how, **more)


def found(folder: Path) -> dict[str, object]:
    content = json.loads((folder / "descent.json").read_text())
    return contents(folder / "descent.h5") | {"runs": content["runs"], "summary": content["summary"]}


@pytest.mark.parametrize("name", RUNS)
def test_cut_anywhere_and_resumed(tmp_path: Path, name: str) -> None:
    with killed_before(10**6) as writes:
        run(tmp_path / "whole", name)
    assert writes[:2] == ["commit", "save"] and writes[-4:] == ["save", "finish", "write_json", "remove"]
    for count in (1, len(writes) // 2, 2, 1):
        with killed_before(count), pytest.raises(Killed):
            run(tmp_path / "cut", name, resume=count > 1 or (tmp_path / "cut").exists())
        assert gflow.open_trajectory(tmp_path / "cut").n_rows > 0
    run(tmp_path / "cut", name, resume=True)
    assert found(tmp_path / "cut") == found(tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["descent.h5", "descent.json", "scenario.yaml"]


@pytest.mark.parametrize("left", [4, 3, 2, 1])
def test_the_end_is_survived_at_each_of_its_writes(tmp_path: Path, left: int) -> None:
    with killed_before(10**6) as writes:
        run(tmp_path / "whole", "full")
    with killed_before(len(writes) - left), pytest.raises(Killed):
        run(tmp_path / "cut", "full")
    run(tmp_path / "cut", "full", resume=True)
    assert found(tmp_path / "cut") == found(tmp_path / "whole")
    assert not (tmp_path / "cut" / CHECKPOINT_FILE_NAME).exists()


def test_without_a_checkpoint_rows_are_checked_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path / "whole", "seeds")
    with killed_before(20), pytest.raises(Killed):
        run(tmp_path / "cut", "seeds")
    (tmp_path / "cut" / CHECKPOINT_FILE_NAME).unlink()
    said = list[str]()
    monkeypatch.setattr(loop, "CHUNK", 7)
    run(tmp_path / "cut", "seeds", resume=True, say=said.append)
    assert "descent starts again at its first step" in said[0]
    assert found(tmp_path / "cut") == found(tmp_path / "whole")


def test_rows_do_not_wait_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go to disk as they fall, also where time does not pass: no more wait than may, of however many runs."""
    overrides, how = RUNS["seeds"]
    monkeypatch.setattr(record, "ROWS", 10)
    descended(tmp_path / "whole", *overrides, **how)
    waiting = list[int]()
    commit = TrajectoryWriter.commit

    def seen(writer: TrajectoryWriter, rows: list[Row]) -> None:
        waiting.append(len(rows))
        commit(writer, rows)

    monkeypatch.setattr(TrajectoryWriter, "commit", seen)
    monkeypatch.setattr(file, "MOST_WAITING", 3 * 1024)  # a row has 512 bytes
    monkeypatch.setattr(file, "COMMIT_EVERY", 1e9)
    descended(tmp_path / "few", *overrides, **how)
    assert max(waiting) == 7 < sum(waiting) and found(tmp_path / "few") == found(tmp_path / "whole")
