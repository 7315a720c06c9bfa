"""Samples that are almost antipodal: K = C C^T shows no motion, the weights move for ever, and `verify` knows.

X = [[1, 1e-7], [-1, 1e-7]], y = (1, 1): the first inputs cancel, and the second drive both neurons at 1e-7 |x| per tau.
The engine is made to rest wrongly here, whatever it decides by itself.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow import load_scenario, simulate
from gflow.field.dual import DualBranch
from gflow.problem.parameters import Parameters
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import Check
from gflow.verification.motion import motion
from gflow.verification.rescaled_time import at_rest
from gflow.verification.velocity import Field, Weights, weights_at
from gflow.verification.weight_velocity import velocity, ways_left
from tests.cases.runs import simulated
from tests.fuzz.whole import drawn_whole
from tests.verification.runs import changed, run
from tests.verification.test_rescaled_time import LEAKY, RELU, come_to_rest, dead, given, no_outer

Array = NDArray[np.float64]


def recorded(trajectory: Trajectory) -> RecordedRun:
    return RecordedRun.of(trajectory)


def judged(trajectory: Trajectory) -> Check:
    return motion(recorded(trajectory))


def resting(_: DualBranch, __: Array) -> bool:
    """A wrong rest."""
    return True


def almost_antipodal(folder: Path, gap: float, kind: str = LEAKY) -> Trajectory:
    X, W = np.array([[1.0, gap], [-1.0, gap]]), np.array([[0.0, 1.0 / gap], [0.0, 2.0 / gap]])
    return given(folder, X, np.ones(2), W, np.ones(2), kind, "{log_time: 200}")


def test_the_case_fails_where_it_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(DualBranch, "at_rest", resting)
        rested = simulated("thin-margin", tmp_path)
        check = judged(rested)
    assert "nothing but the clock moved" in (rested.outcome_sentence or "")
    assert check.verdict == "fail" and "at the last row nothing but the clock moves" in check.sentence
    monkeypatch.setattr(DualBranch, "at_rest", lambda _, __: False)
    check = judged(rested)  # by an engine that does not rest: the rows alone give it away
    assert check.verdict == "fail" and check.value is not None and check.value > 1e5


@pytest.mark.parametrize("gap", [1e-3, 1e-8, 1e-10])
def test_siblings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: float) -> None:
    monkeypatch.setattr(DualBranch, "at_rest", resting)
    assert judged(almost_antipodal(tmp_path, gap)).verdict == "fail"


@pytest.mark.parametrize("made", [dead, come_to_rest, no_outer])
def test_a_true_rest_passes(tmp_path: Path, made: Any) -> None:  # Any: a function of a folder
    trajectory = made(tmp_path)
    assert "nothing but the clock" in (trajectory.outcome_sentence or "") or trajectory.tau[-1] > 0.0
    check = judged(trajectory)
    assert check.verdict == "pass", check


def test_a_zero_start_on_symmetric_data_is_at_rest(tmp_path: Path) -> None:
    """x, -x with one label each: the two pulls on a linear neuron at 0 cancel exactly."""
    X = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    trajectory = given(tmp_path, X, np.ones(2), np.zeros((2, 3)), np.ones(2), "{kind: linear}", "{time: 20}")
    assert judged(trajectory).verdict == "pass" and not trajectory.read("inner", trajectory.n_rows - 1).any()


def test_the_leap_at_the_start_is_granted_to_a_neuron_at_0(tmp_path: Path) -> None:
    """Samples of length 1e-30: rows share the tau of the start, and what is 0 has moved by more than 0 times rtol."""
    X, W = np.array([[-1e-30], [1e-30]]), np.array([[0.0], [-0.5]])
    trajectory = given(tmp_path, X, np.array([-1.0, 1.0]), W, np.full(2, 1e3), LEAKY, "{log_time: 50}")
    moved = trajectory.read("inner", 2)[0, 0], trajectory.read("inner", -1)[0, 0]
    assert moved[0] == 0.0 < moved[1] and trajectory.tau[1] == trajectory.tau[2]
    assert judged(trajectory).verdict == "pass"


def test_rows_that_stand_still_fail(tmp_path: Path) -> None:
    """A right run, its later rows made equal to an earlier one: the engine has no part in that."""
    clean = run(tmp_path / "clean", log_time=2.0)
    assert judged(clean).verdict == "pass"

    def change(file: Any) -> None:  # Any: an open h5py.File
        for name in ("inner", "margins", "log_loss", "pattern"):
            file[name][20:] = np.broadcast_to(file[name][20], file[name][20:].shape)

    check = judged(changed(clean, tmp_path / "changed", change))
    assert check.verdict == "fail" and check.value is not None and check.value > 1e6


def test_the_velocity_is_that_of_rational_arithmetic(tmp_path: Path) -> None:
    """To 1e-15 of itself although its terms are 1e10 times larger; and `at_rest` agrees that it moves."""
    at = recorded(almost_antipodal(tmp_path, 1e-10))
    row, field = at.row(0), Field(at.problem)
    side = np.sign(row.pattern[:, at.problem.surfaces.first_sample])
    field.take(side)
    seen = velocity(field, weights_at(row), at.weights(row.U))
    forces = seen.motion.at.branch_slopes[0] * seen.motion.at.push[0]
    for j in range(2):
        for c in range(2):
            exact = sum(Fraction(float(forces[j, i])) * Fraction(float(at.problem.X[i, c])) for i in range(2))
            assert seen.W[j, c] == pytest.approx(float(exact), rel=1e-15, abs=0.0)
    assert seen.excess > 1e3 and not at_rest(at, field, side, weights_at(row))
    moved = field.at(weights_at(row), field.live).at.rates[0]  # what K shows of it is below rounding
    assert np.abs(moved).max() < 64.0 * np.finfo(float).eps * seen.reach.max()


def test_a_relu_neuron_that_only_slides_is_at_rest(tmp_path: Path) -> None:
    """Both labels at one point, pulled to the kink from the one side: held there by a share, for ever."""
    X, W = np.array([[1.0, 0.0, 0.0]]), np.array([[0.5, 1.0, 0.0]])
    check = judged(given(tmp_path, X, np.array([-1.0]), W, np.ones(1), RELU, "{log_time: 30}"))
    assert check.verdict == "pass", check


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_the_way_left_is_that_of_the_difference_quotient(tmp_path: Path, loss: str) -> None:
    """(dtau/dt) V = n dW/dt at two states along V: its change is that of V at a clock held fast."""
    rng = np.random.default_rng(3)
    X, W, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    a = np.array([1.0, -0.5, 2.0, 1.0])
    at = recorded(given(tmp_path, X, y, W, a, LEAKY, "{log_time: 1}", f"loss={loss}"))
    row, field = at.row(0), Field(at.problem)
    field.take(np.sign(row.pattern[:, at.problem.surfaces.first_sample]))
    seen, h = velocity(field, weights_at(row), at.weights(row.U)), 1e-6

    def driven(step: float) -> Array:
        moved = row.U + step * seen.W @ at.problem.span.B.T
        weights = Weights(Parameters(moved[None], row.outer, None), np.zeros(1))
        there = velocity(field, weights, at.weights(moved))
        return np.asarray(there.W * np.exp(there.log_clock - seen.log_clock))

    change = (driven(h) - driven(-h)) / (2.0 * h)
    expected = seen.norms * (seen.W**2).sum() / -(change * seen.W).sum()
    np.testing.assert_allclose(ways_left(field, seen), expected, rtol=1e-7)


def test_a_motion_that_ends_within_the_tolerance_may_rest(tmp_path: Path) -> None:
    """The velocity is twice its doubt where the engine rests, and what is left of the way is nothing."""
    rested = simulate(load_scenario(drawn_whole(29).write(tmp_path)), out=tmp_path / "run")
    at = recorded(rested)
    row, field = at.row(at.trajectory.n_rows - 1), Field(at.problem)
    field.take(np.sign(row.pattern[:, at.problem.surfaces.first_sample]))
    seen = velocity(field, weights_at(row), at.weights(row.U))
    assert ways_left(field, seen).max() < 1e-9 and judged(rested).verdict == "pass"
