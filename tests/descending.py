"""Comparisons to be cut and resumed: descents of every kind, a stop at a given point, a child that can be killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import gflow
from gflow.comparison import flow_and_descent
from gflow.comparison.result import Comparison
from gflow.descent import loop
from gflow.descent_plan import record
from gflow.pipeline import comparison_run
from gflow.pipeline.descent import alone, work
from gflow.pipeline.descent import file as descent_file
from gflow.scenario import parse_scenario
from gflow.trajectory import DESCENT_FILE_NAME, TrajectoryWriter
from tests.comparison.cases import KINKED, SMOOTH, simulated
from tests.resumed import announcing, assert_same, contents

SPAN = KINKED.replace("n: 6, d: 12", "n: 12, d: 4")
BOTH = KINKED.replace("width: 8, ", "width: 8, outer: {{train: true}}, ")
STEEP = KINKED.replace("loss: {loss}", "loss: exponential")


@dataclass(frozen=True)
class Descent:
    """A comparison to carry out in a run folder."""

    text: str
    etas: tuple[float, ...] = (0.4, 0.1, 0.05)
    options: dict[str, Any] = field(default_factory=dict)  # Any: arguments of `gflow.compare`
    alone: bool = False
    """every run is a group of its own"""


DESCENTS = {
    "samples": Descent(KINKED),
    "span": Descent(SPAN),
    "stochastic": Descent(SPAN, options={"sgd": 5, "seed": 3}),
    "both layers, groups": Descent(BOTH, alone=True),
    "stochastic, groups": Descent(BOTH, options={"sgd": 2}, alone=True),
    "single": Descent(SPAN, options={"precision": "single"}),
    "diverging": Descent(STEEP, (200.0, 20.0, 1.0), {"until_time": 600.0}),
    "modified": Descent(SMOOTH, options={"modified": True}),
}


def made(descent: Descent, folder: Path) -> Path:
    """A run folder with the flow that the descent is set beside."""
    simulated(folder, descent.text)
    return folder


@contextmanager
def busily(descent: Descent, rows: int = 10) -> Iterator[None]:
    """About so many rows a run, all of them saved at once, each with a checkpoint; the limit is not looked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "ROWS", rows)
        patch.setattr(flow_and_descent, "MOST_PAIRS_AHEAD", 0)
        patch.setattr(descent_file, "COMMIT_EVERY", -1.0)
        patch.setattr(descent_file, "CHECKPOINT_SHARE", 1e9)
        if descent.alone:
            patch.setitem(loop.TOGETHER, "cpu", 1)
        yield


def compared(descent: Descent, folder: Path, resume: bool = False, **more: Any) -> Comparison:  # Any: as in Descent
    """The comparison, or what is left of it."""
    with busily(descent):
        return gflow.compare(gflow.open_trajectory(folder), descent.etas, **descent.options, resume=resume, **more)


class Killed(BaseException):
    """Nothing is done after it, as after a SIGKILL."""


@contextmanager
def killed_before(write: int) -> Iterator[list[str]]:
    """Of all that is written or removed, `write` things happen; yields their names, in their order."""
    done = list[str]()

    def watched(name: str, act: Callable[..., None]) -> Callable[..., None]:
        def watching(*arguments: Any, **named: Any) -> None:  # Any: those of any of them
            if len(done) == write:
                raise Killed
            done.append(name)
            act(*arguments, **named)

        return watching

    with pytest.MonkeyPatch.context() as patch:
        for name in ("commit", "finish"):
            patch.setattr(TrajectoryWriter, name, watched(name, getattr(TrajectoryWriter, name)))
        for name in ("save", "remove"):
            patch.setattr(work, name, watched(name, getattr(work, name)))
        for module in (alone, comparison_run):
            patch.setattr(module, "write_json", watched("write_json", module.write_json))
        yield done


def cut(descent: Descent, folder: Path, write: int, resume: bool = False) -> None:
    """Compare, or go on, until so many things are written."""
    with killed_before(write), pytest.raises(Killed):
        compared(descent, folder, resume)


def found(folder: Path) -> dict[str, object]:
    """Every bit of descent but its provenance, and the comparison but the name of its folder."""
    text = (folder / "comparison.json").read_text().replace(str(folder), "")
    return contents(folder / DESCENT_FILE_NAME) | {"comparison": text}


def assert_same_comparison(folder: Path, whole: dict[str, object]) -> None:
    """Both files hold the same bits, and no others are left."""
    assert_same(folder / DESCENT_FILE_NAME, {name: value for name, value in whole.items() if name != "comparison"})
    assert found(folder)["comparison"] == whole["comparison"]
    assert sorted(os.listdir(folder)) == ["comparison.json", "descent.h5", "scenario.yaml", "trajectory.h5"]


KILLED = Descent(SPAN, (0.02, 0.01), {"sgd": 5}, alone=True)
KILLED_ROWS = 16


def alone_descent(folder: Path, resume: bool) -> None:
    """Descent without a flow: two step sizes with two seeds, each run a group of its own."""
    scenario = parse_scenario(SPAN.format(seed=0, slope=0.1, loss="logistic"))
    how: dict[str, Any] = {"steps": 400, "batch": 5, "seeds": [2, 7], "starts": "drawn"}  # Any: of several types
    with busily(KILLED, KILLED_ROWS):
        gflow.descend(scenario, [0.02, 0.01], **how, out=folder, resume=resume)


def announced_alone(folder: Path, resume: bool) -> None:
    """Descent alone for a child; it announces its rows."""
    announcing(folder)
    alone_descent(folder, resume)


def announced_comparison(folder: Path, resume: bool) -> None:
    """A comparison for a child; it announces its rows of descent."""
    announcing(folder)
    with busily(KILLED, KILLED_ROWS):
        gflow.compare(gflow.open_trajectory(folder), KILLED.etas, **KILLED.options, resume=resume)
