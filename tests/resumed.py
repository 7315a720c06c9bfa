"""Runs to be cut and continued: problems of every kind, a cut after a given row, a child that can be killed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

import gflow
from gflow.scenario import Scenario, parse_scenario
from gflow.trajectory import EventEntry, Row, TrajectoryWriter
from tests.test_pipeline import SMALL

EVERY_ROW = "record.commit={seconds: 0.0}"
FEW_ROWS = "record.times={spacing: log, count: 9}"
PARITY = "data={kind: parity, n: 12, d: 6}"
RELU = ("model.activation.kind=relu", "data.n=12", "data.d=5")
PLANE = ("data={kind: gaussian, n: 12, d: 2}", "model.activation.kind=relu", "model.width=12")
LONG = "flow.until={log_time: 40.0}"
LATE = ("flow.until={log_time: 1e5}", "record.times.spacing=loglog")
STEPPERS = "flow.method=DOP853-Radau"
SOFTMAX = (
    "data={kind: digits, classes: [0, 1, 2], n: 12}",
    "model={kind: two_layer, width: 8, outputs: 3, bias: true, activation: {kind: relu}, outer: {train: true}}",
    "init={kind: gaussian, std: 0.3, outer: {std: 0.3}}",
    "flow.until={time: 2.0}",
)
CASES: dict[str, tuple[str, ...]] = {
    "leaky": (),
    "relu": RELU,
    "exponential": ("loss=exponential",),
    "primal": ("flow.engine=primal",),
    "primal relu": (*RELU, "flow.engine=primal"),
    "both layers": ("model.outer.train=true", PARITY),
    "smooth": ("model.activation={kind: smooth_leaky_relu, slope: 0.1}",),
    "huberized": ("model.activation={kind: huberized_relu}", "model.bias=true"),
    "scalar": (
        "model={kind: scalar, width: 8, activation: {kind: relu}}",
        "init={kind: balanced, size: 0.5}",
        PARITY,
    ),
    "softmax": SOFTMAX,
    "late": LATE,
    "late relu": ("model.activation.kind=relu", *LATE),
    "certified": ("flow.until={certified: true}", "loss=exponential", "record.times.count=15"),
    "given times": ("record.times={at: [0.0, 0.1, 1.0, 7.0]}",),
    "until a loss": ("flow.until={log_loss: -3.0}",),
    "in a plane": PLANE,
    "in a plane, primal": (*PLANE, "flow.engine=primal"),
    "dopri5": ("flow.method=dopri5",),
    "both layers with biases": ("model.outer.train=true", "model.bias=true", PARITY, LONG),
    "steppers, primal": ("flow.engine=primal", STEPPERS),
    "steppers, primal relu": (*RELU, "flow.engine=primal", STEPPERS),
    "steppers, softmax": (*SOFTMAX, STEPPERS),
    "steppers, both layers": ("model.outer.train=true", PARITY, STEPPERS),
    "steppers": (STEPPERS,),
    "steppers relu": (*RELU, STEPPERS),
    "steppers late": (*LATE, STEPPERS),
    "steppers late relu": ("model.activation.kind=relu", *LATE, STEPPERS),
    "steppers certified": ("flow.until={certified: true}", "loss=exponential", "record.times.count=15", STEPPERS),
    "steppers until a loss": ("flow.until={log_loss: -3.0}", STEPPERS),
    "steppers in a plane": (*PLANE, STEPPERS),
    "without events": ("record.events=false",),
}
FILES: dict[str, tuple[str, ...]] = {
    "held": ("flow.until={time: 50.0}",),
    "held, steppers": ("flow.until={time: 50.0}", STEPPERS),
    "held, primal": ("flow.until={time: 50.0}", "flow.engine=primal"),
    "dying": ("model.activation.kind=relu",),
    "dying, steppers": ("model.activation.kind=relu", STEPPERS),
    "dying, primal": ("model.activation.kind=relu", "flow.engine=primal"),
    "leap": ("flow.until={log_time: 800.0}", "model.width=2"),
    "leap, steppers": ("flow.until={log_time: 800.0}", "model.width=2", STEPPERS),
    "leap, primal": ("flow.until={log_time: 800.0}", "model.width=2", "flow.engine=primal"),
    "held, primal, steppers": ("flow.until={time: 50.0}", "flow.engine=primal", STEPPERS),
    "dying, primal, steppers": ("model.activation.kind=relu", "flow.engine=primal", STEPPERS),
    "leap, primal, steppers": ("flow.until={log_time: 800.0}", "model.width=2", "flow.engine=primal", STEPPERS),
    "dying before a loss": ("model.activation.kind=relu", "flow.until={log_loss: -5.0}", "record.times.count=30"),
}
"""Cases on data of `write_files`."""


def write_files(folder: Path) -> None:
    """A neuron at 0 on 40 samples in space: too many cells to decide; a neuron that loses all its samples; margins of
    200, which the clock leaps over."""
    rng = np.random.default_rng(0)
    X, y, outer = rng.normal(size=(40, 3)), np.sign(rng.normal(size=40)), np.array([0.5, -0.5, 0.5, -0.5])
    np.savez(folder / "held.npz", X=X, y=y)
    np.savez(folder / "held-init.npz", W=np.vstack([np.zeros((1, 3)), rng.normal(size=(3, 3))]), a=outer)
    positive, W = np.abs(rng.normal(size=(6, 4))), -np.abs(rng.normal(size=(4, 4)))
    W[0] *= -0.3
    np.savez(folder / "dying.npz", X=positive, y=np.ones(6))
    np.savez(folder / "dying-init.npz", W=W, a=np.array([-0.5, -0.5, 0.5, -0.5]))
    np.savez(folder / "leap.npz", X=np.array([[1.0, 0.3], [0.3, 1.0]]), y=np.array([1.0, -1.0]))
    np.savez(folder / "leap-init.npz", W=np.array([[200.0, -200.0], [-200.0, 240.0]]), a=np.array([1.0, -1.0]))


def scenario_of(name: str, folder: Path, *more: str) -> Scenario:
    """The scenario of a case, with every row committed at once; files are in `folder`."""
    common = (FEW_ROWS, EVERY_ROW)
    if name in CASES:
        return parse_scenario(SMALL, overrides=[*common, *CASES[name], *more])
    write_files(folder)
    kind = name.split()[0].rstrip(",")
    files = (f"data={{kind: file, path: {folder}/{kind}.npz}}", f"init={{kind: file, path: {folder}/{kind}-init.npz}}")
    return parse_scenario(SMALL, overrides=[*common, *files, "model.width=4", *FILES[name], *more])


@contextmanager
def stopping_after(rows: int) -> Iterator[None]:
    """Runs are interrupted when they have saved so many rows."""
    commit = TrajectoryWriter.commit

    def stop(self: TrajectoryWriter, new: list[Row], events: list[EventEntry]) -> None:
        if self.n_rows >= rows:
            raise KeyboardInterrupt
        commit(self, new, events)

    def no_end(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrajectoryWriter, "commit", stop)
        patch.setattr(TrajectoryWriter, "finish", no_end)
        yield


def cut(scenario: Scenario, folder: Path, rows: int, resume: bool = False) -> None:
    """Run, or go on, until so many rows are on disk."""
    with stopping_after(rows), pytest.raises(KeyboardInterrupt):
        gflow.simulate(scenario, folder, resume=resume)
    assert gflow.open_trajectory(folder).n_rows == rows


def contents(path: Path) -> dict[str, object]:
    """Every dataset but the provenance, as bytes with its type and shape, and every attribute."""
    found: dict[str, object] = {}

    def take(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and name != "provenance":
            values = item[()]
            found[name] = values if isinstance(values, bytes) else (values.dtype, values.shape, values.tobytes())

    with h5py.File(path) as file:
        file.visititems(take)
        found |= {f"attribute {name}": value for name, value in file.attrs.items()}
    return found


def assert_same(path: Path, whole: dict[str, object]) -> None:
    """Two files hold the same bits."""
    found = contents(path)
    assert found.keys() == whole.keys()
    assert [name for name in whole if found[name] != whole[name]] == []


def announcing(folder: Path) -> None:
    """From now on this process appends the number of rows to a file beside the folder after each commit."""
    commit = TrajectoryWriter.commit
    announced = os.open(f"{folder}.announced", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def announce(self: TrajectoryWriter, rows: list[Row], events: Sequence[EventEntry] = ()) -> None:
        commit(self, rows, events)
        os.write(announced, f"{self.n_rows}\n".encode())

    TrajectoryWriter.commit = announce  # type: ignore[assignment, method-assign]


def announced_run(overrides: list[str], folder: Path, resume: bool) -> None:
    """A run for a child; it announces its rows."""
    announcing(folder)
    scenario = parse_scenario(SMALL, overrides=overrides)
    gflow.simulate(scenario, folder, resume=resume, overwrite=not resume)


def announced_rows(folder: Path) -> int:
    """The largest number of rows that a child announced in full."""
    path = Path(f"{folder}.announced")
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return max(map(int, lines), default=0)
