"""A sample on which the only active neuron slides: the clock does not count it, and its share is what holds the neuron.

X = [[1, 0], [1, 1]], y = (1, -1), one ReLU neuron with a = 1 from w = (0.1, 0.2), logistic loss.  Sample 2 draws z_2 =
w_1 + w_2 to its kink: z_2' = (g_1 - 2 g_2) / 2 < 0.  There p_2 = 0 and g_2 = 1/2 for ever, z_2' = (g_1 - 2 s g_2) / 2
= 0 for the share s = g_1 of the + branch, and p_1' = w_1' = (g_1 - s g_2) / 2 = g_1 / 4: p_1 + e^p_1 grows by dt / 4.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.event_log import event_log
from gflow.verification.velocity import Field, weights_at
from tests.cases.runs import simulated
from tests.verification.runs import changed, failing, named
from tests.verification.test_rescaled_time import given

Array = NDArray[np.float64]
X, Y = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, -1.0])
START = np.array([[0.1, 0.2]])
RELU, LEAKY = "{kind: relu}", "{kind: leaky_relu, slope: 0.05}"


@pytest.fixture(scope="module")
def slid(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    return simulated("shares/fixed", tmp_path_factory.mktemp("shares"))


def shares(trajectory: Trajectory) -> list[tuple[int, Array]]:
    """phi' (m, n) that the checks find at every row with a sliding pair."""
    at, found = RecordedRun.of(trajectory), []
    field = Field(at.problem)
    for row in at.each_row():
        if (row.pattern == 0).any():
            field.take(np.sign(row.pattern[:, at.problem.surfaces.first_sample]))
            found.append((row.row, field.shares(field.at(weights_at(row), field.live)).slopes))
    return found


def test_the_share_is_that_worked_out_by_hand(slid: Trajectory) -> None:
    found = shares(slid)
    t, p = np.expm1(slid.log1p_time), slid.read("margins", slice(None))
    assert len(found) == 7
    for row, slopes in found:
        assert slopes[0, 1] == pytest.approx(1.0 / (1.0 + np.exp(p[row, 0])), rel=1e-12)
        first = found[0][0]
        grown = p[row, 0] - p[first, 0] + np.exp(p[row, 0]) - np.exp(p[first, 0])
        assert grown == pytest.approx(0.25 * (t[row] - t[first]), abs=1e-7)
    assert found[0][1][0, 1] == pytest.approx(0.434, abs=0.03) and found[-1][1][0, 1] == pytest.approx(0.18, abs=0.01)


def test_a_right_run_passes(slid: Trajectory) -> None:
    found = gflow.verify(slid)
    assert failing(found) == set()
    assert named(found)["events: shares"].verdict == named(found)["identities: kernel"].verdict == "pass"


def test_a_share_beyond_the_branches_fails(slid: Trajectory, tmp_path: Path) -> None:
    """With the other label sample 2 pushes its neuron off the kink, on both sides."""

    def change(file: Any) -> None:  # Any: an open h5py.File
        file["y"][1] = 1.0

    trajectory = changed(slid, tmp_path, change)
    at = RecordedRun.of(trajectory)
    assert "events: shares" in failing(event_log(at))


def several(folder: Path, kind: str, engine: str) -> Trajectory:
    """Three neurons, two of which come to slide on sample 2 while no other is active on it."""
    W = np.array([[0.1, 0.2], [0.3, 0.1], [0.2, -0.6]])
    return given(folder, X, Y, W, np.array([1.0, 0.7, 0.4]), kind, "{time: 40}", engine)


def antipodal(folder: Path, kind: str, engine: str) -> Trajectory:
    """Sample 3 is -2 times sample 2: on their surface one is + where the other is -."""
    three = np.vstack([X, [[-2.0, -2.0]]])
    return given(folder, three, np.array([1.0, -1.0, -1.0]), START, np.ones(1), kind, "{time: 40}", engine)


def repeated(folder: Path, kind: str, engine: str) -> Trajectory:
    """Sample 2 three times, once with the other label."""
    many = np.vstack([X, X[1:], X[1:]])
    return given(folder, many, np.array([1.0, -1.0, -1.0, 1.0]), START, np.ones(1), kind, "{time: 40}", engine)


def mute(folder: Path, kind: str, engine: str) -> Trajectory:
    """A neuron with a_j = 0 is active on sample 2, which moves nothing by that, and is not counted."""
    return given(folder, X, Y, np.vstack([START, [[1.0, 1.0]]]), np.array([1.0, 0.0]), kind, "{time: 40}", engine)


@pytest.mark.sample("several-relu-dual", "antipodal-leaky-dual", "mute-relu-primal", "repeated-relu-primal")
@pytest.mark.parametrize("engine", ["dual", "primal"])
@pytest.mark.parametrize("kind", [RELU, LEAKY], ids=["relu", "leaky"])
@pytest.mark.parametrize("made", [several, antipodal, repeated, mute])
def test_siblings(tmp_path: Path, made: Callable[[Path, str, str], Trajectory], kind: str, engine: str) -> None:
    trajectory = made(tmp_path, kind, f"flow.engine={engine}")
    found = gflow.verify(trajectory)
    assert failing(found) == set(), [check for check in found.checks if check.verdict == "fail"]
    assert len(shares(trajectory)) > 3 and named(found)["events: shares"].verdict == "pass"
