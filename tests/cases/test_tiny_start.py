"""Neurons at rest at w_j = 0 hold the rounding of where they were: it has no side, and is no depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gflow
from gflow.flow.choice import SWITCHING, TAYLOR
from gflow.problem.span import row_norms
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import Check
from gflow.verification.recomputation import recomputation
from gflow.verification.rounding_scales import RoundingScales
from tests.cases.runs import simulated
from tests.verification.runs import changed, failing
from tests.verification.test_rescaled_time import RELU, given


def rows(trajectory: Trajectory) -> list[Check]:
    return recomputation(RecordedRun.of(trajectory))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    return simulated("tiny-start/s", tmp_path_factory.mktemp("tiny"), "flow.until={log_time: 8}", "flow.budget=null")


def test_a_start_of_1e_120_passes(tiny: Trajectory) -> None:
    """One neuron is off and keeps its 1e-120, the others turn while they are tiny, and then grow."""
    norms = row_norms(tiny.read("inner", tiny.n_rows - 1))
    assert ((0.0 < norms) & (norms < 1e-100)).sum() == 1 and (norms > 0.1).sum() == 5
    found = gflow.verify(tiny)
    assert failing(found) == set() and sum(check.group == "again" for check in found.checks) > 6


def by_neuron(trajectory: Trajectory, j: int) -> list[tuple[int, int]]:
    """Sample and kind of each event of neuron j."""
    events = trajectory.events
    return list(zip(events.sample[events.neuron == j], events.kind[events.neuron == j], strict=True))


@pytest.mark.parametrize("std", ["1e-8", "1e-11", "1e-13", "1e-20", "1e-60", "1e-120"])
@pytest.mark.parametrize("method", [TAYLOR, SWITCHING])
def test_however_small_the_start_it_meets_the_same_events(tmp_path: Path, std: str, method: str) -> None:
    """While all margins are near 0 their q are equal, and W -> s W is t -> s t; the primal engine from 1e-6 says which
    events there are."""
    given = ["flow.until={log_time: 8}", "flow.budget=null", "record.times.count=2"]
    own = [f"flow.method={method}", f"init={{kind: gaussian, std: {std}}}"]
    other = ["flow.engine=primal", "init={kind: gaussian, std: 1e-6}", "flow.rtol=1e-10", "flow.atol=1e-14"]
    ours, theirs = (
        simulated("tiny-start/s", tmp_path / name, *given, *more) for name, more in (("ours", own), ("theirs", other))
    )
    assert [by_neuron(ours, j) for j in range(6)] == [by_neuron(theirs, j) for j in range(6)]
    size = row_norms(ours.read("inner", 1))
    np.testing.assert_allclose(size[size > 1.0], row_norms(theirs.read("inner", 1))[size > 1.0], rtol=1e-4)


def test_a_neuron_that_was_never_pushed_is_measured_by_itself(tiny: Trajectory, tmp_path: Path) -> None:
    """Its sides are known to its own 1e-120, whatever the others are made of; those of neurons that grow, to them."""
    recorded = RecordedRun.of(tiny)
    sizes, last = RoundingScales(recorded), tiny.n_rows - 1
    for at in recorded.each_row():
        largest = sizes.at(at, recorded.weights(at.U))
    norms = row_norms(recorded.weights(tiny.read("inner", last)))
    resting = tiny.read("inner", last) == 0.0
    idle, grown = int(np.argmin(np.where(resting.all(axis=1), np.inf, norms))), int(np.argmax(norms))
    assert largest[idle] == pytest.approx(norms[idle], rel=1e-12)
    assert norms[grown] <= largest[grown] < 1e2 * norms[grown]
    for j in (idle, grown):

        def change(file: Any, j: int = j) -> None:  # Any: an open h5py.File
            side = file["pattern"][last, j]
            i = int(np.argmax(np.abs(file["inner"][last, j] @ file["basis"][:] @ file["X"][:].T) * (side != 0)))
            file["pattern"][last, j, i] = -side[i]

        assert "rows: pattern" in failing(rows(changed(tiny, tmp_path / str(j), change)))


@pytest.mark.sample("1e-30*", "1e-200*")
@pytest.mark.parametrize(
    ("std", "scale"), [(1e-200, 1.0), (1e-30, 1.0), (1e-30, 1e60), (1.0, 1e-60)], ids=lambda value: f"{value:g}"
)
def test_siblings(tmp_path: Path, std: float, scale: float) -> None:
    """Other starts, and inputs of other sizes (z is made of both)."""
    rng = np.random.default_rng(1)
    X, y = scale * rng.standard_normal((8, 5)), np.where(np.arange(8) % 2 == 0, 1.0, -1.0)
    W, a = std / scale * rng.standard_normal((4, 5)), np.array([1.0, 1.0, -1.0, -1.0])
    trajectory = given(tmp_path, X, y, W, a, RELU, "{log_loss: -0.8}" if scale == 1.0 else "{log_loss: -0.75}")
    assert failing(rows(trajectory)) == set(), [check for check in rows(trajectory) if check.verdict == "fail"]


def decayed(folder: Path) -> Trajectory:
    """Labels that no neuron can serve: with a = 1 and y = -1 all neurons are drawn from 1 to their kinks: w = 0."""
    X = np.vstack([np.eye(3), -np.eye(3)])
    W = np.array([[1.0, 0.5, -0.2], [0.3, -0.8, 0.6]])
    return given(folder, X, -np.ones(6), W, np.ones(2), RELU, "{log_time: 30}")


def test_neurons_that_decay_to_rounding(tmp_path: Path) -> None:
    """Every margin is rounding then, too."""
    trajectory = decayed(tmp_path)
    assert np.abs(trajectory.read("inner", trajectory.n_rows - 1)).max() < 1e-12
    assert failing(gflow.verify(trajectory)) == set()
