"""Runs whose clock goes its own way: ahead of the weights at the start, on its own at rest, without some samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.field.clock import log_clock_rate
from gflow.flow import engine as flow_engine
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.identities import INTEGRATED, identities
from gflow.verification.invariants import invariants
from gflow.verification.ladder import rungs
from gflow.verification.reintegration import Again, LadderProgress, again
from gflow.verification.rescaled_time import at_rest
from gflow.verification.velocity import Field, weights_at
from gflow.verification.weight_velocity import velocity
from tests.verification.runs import Change, changed, failing, named, run

Array = NDArray[np.float64]
LEAKY, RELU = "{kind: leaky_relu, slope: 0.1}", "{kind: relu}"
EYE = np.eye(3)
TWINS, PAIR = np.vstack([EYE, EYE[:1]]), np.array([1.0, 1.0, 1.0, -1.0])


def silent(_: LadderProgress) -> None:
    pass


def recorded(trajectory: Trajectory) -> RecordedRun:
    return RecordedRun.of(trajectory)


def taped(at: RecordedRun) -> Again:
    """The integration along which the identities are followed."""
    return again(at, rungs(at)[0][0], silent)


def given(folder: Path, X: Array, y: Array, W: Array, a: Array, kind: str, until: str, *overrides: str) -> Trajectory:
    """A run from these data and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data.npz", X=X, y=y)
    np.savez(folder / "start.npz", W=W, a=a)
    return run(
        folder / "run",
        f"data={{kind: file, path: {folder / 'data.npz'}}}",
        f"init={{kind: file, path: {folder / 'start.npz'}}}",
        f"model.width={len(a)}",
        f"model.activation={kind}",
        f"flow.until={until}",
        "record.times={spacing: log, count: 12}",
        *overrides,
    )


def leap(folder: Path, until: str = "{log_time: 300}") -> Trajectory:
    """Margins of about 200."""
    W = 100.0 + np.random.default_rng(0).random((2, 3))
    return given(folder, EYE, np.ones(3), W, np.ones(2), LEAKY, until)


def mixed(folder: Path) -> Trajectory:
    """Margins of 190, 110 and 40: the leap ends before the first row."""
    W = np.array([[100.0, 60.0, 30.0], [90.0, 50.0, 10.0]])
    return given(folder, EYE, np.ones(3), W, np.ones(2), LEAKY, "{log_time: 300}")


def dead(folder: Path) -> Trajectory:
    """Every neuron is off."""
    W = -1.0 - np.random.default_rng(0).random((2, 3))
    return given(folder, EYE, np.ones(3), W, np.ones(2), RELU, "{time: 20}")


def no_outer(folder: Path) -> Trajectory:
    """a = 0."""
    W = np.random.default_rng(0).standard_normal((3, 3))
    return given(folder, EYE, np.ones(3), W, np.zeros(3), LEAKY, "{log_time: 50}")


def come_to_rest(folder: Path) -> Trajectory:
    """One sample with both labels: z falls to 0 and both stay live; the second input only makes the neuron large."""
    X, W = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[0.1, 2.0, 0.0]])
    return given(folder, X, np.array([1.0, -1.0]), W, np.ones(1), "{kind: linear}", "{log_time: 30}")


def contradicted(folder: Path) -> Trajectory:
    """One sample with both labels, which a third one pushes the only neuron off: g = 1/2 for ever, not counted."""
    X = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    y, W = np.array([1.0, -1.0, 1.0, 1.0]), np.array([[0.3, 1.0, 0.5]])
    return given(folder, X, y, W, np.ones(1), RELU, "{log_time: 12}")


def left_slowly(folder: Path) -> Trajectory:
    """The pair draws its neuron to z = 0, which it reaches at an instant that is decided by the tolerance."""
    rng = np.random.default_rng(0)
    for shape in ((2, 3),) * 3 + ((3, 3),) * 3:
        rng.random(shape) if shape == (2, 3) else rng.standard_normal(shape)
    W = rng.standard_normal((3, 3))
    return given(folder, TWINS, PAIR, W, np.array([1.0, 1.0, -1.0]), RELU, "{log_time: 12}")


RUNS: dict[str, Callable[[Path], Trajectory]] = {
    "leap": leap,
    "leap, soon over": lambda folder: leap(folder, "{time: 20}"),
    "mixed leap": mixed,
    "dead": dead,
    "a = 0": no_outer,
    "at rest": come_to_rest,
    "contradicted": contradicted,
}


@pytest.mark.sample("leap", "dead", "a = 0")
@pytest.mark.parametrize("kind", RUNS)
def test_what_is_right_passes(tmp_path: Path, kind: str) -> None:
    trajectory = RUNS[kind](tmp_path)
    found = gflow.verify(trajectory)
    assert failing(found) == set(), [check for check in found.checks if check.verdict == "fail"]
    assert named(found)["identities: clock"].verdict == named(found)["invariants: clock"].verdict == "pass"


def test_they_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    """Rows that share one tau in the leap and at rest; a sample that is not counted any more."""
    leapt = recorded(leap(tmp_path / "leap"))
    assert (leapt.tau[1:4] < 1e-15).all() and leapt.tau[-1] > 10.0
    found = taped(leapt)
    assert found.reached[0].sums is not None and 0.0 < found.reached[0].sums.leap < 1e-15
    assert found.reached[0].clock > leapt.log1p_time[1] + 50.0
    rested = recorded(come_to_rest(tmp_path / "rest"))
    assert rested.tau[-1] == rested.tau[-2] and taped(rested).reached[-1].resting
    assert not taped(rested).reached[0].resting
    off = recorded(contradicted(tmp_path / "off"))
    assert off.row(0).pattern[0, 0] == 1 and off.row(off.trajectory.n_rows - 1).pattern[0, 0] == -1


def test_a_sample_that_is_left_at_an_instant_of_the_tolerance(tmp_path: Path) -> None:
    """Two integrations drop it at other times, and tau differs; it is bounded by the sums with it and without."""
    at = recorded(left_slowly(tmp_path))
    found = taped(at)
    assert abs(found.reached[-1].state.tau - at.tau[-1]) > 1.0
    assert named(identities(at, [found]))["identities: clock"].verdict == "pass"


def later(name: str, first: int, amount: float) -> Change:
    """Add to all rows from `first` on."""

    def change(file: Any) -> None:  # Any: an open h5py.File
        file[name][first:] = file[name][first:] + amount

    return change


@pytest.mark.sample("0.01-leap-*", "-0.01-contradicted-*", "0.01-mixed-1")
@pytest.mark.parametrize(("made", "first"), [(leap, 1), (leap, 8), (mixed, 1), (mixed, 8), (contradicted, 8)])
@pytest.mark.parametrize("amount", [-1e-2, 1e-2])
def test_a_changed_tau_fails(tmp_path: Path, made: Callable[[Path], Trajectory], first: int, amount: float) -> None:
    at = recorded(changed(made(tmp_path), tmp_path / "changed", later("tau", first, amount)))
    assert "identities: clock" in failing(identities(at, [taped(at)]))


def test_tau_ahead_in_the_leap_breaks_the_invariant(tmp_path: Path) -> None:
    """By far less than moves anything: 1e-14, where t and L allow 1e-80."""
    at = recorded(changed(leap(tmp_path), tmp_path / "changed", later("tau", 1, 1e-14)))
    assert "invariants: clock" in failing(invariants(at))


def test_a_clock_that_moved_on_without_tau_fails(tmp_path: Path) -> None:
    """All samples are live, and something moves: then rows cannot share one tau."""
    trajectory = mixed(tmp_path)

    def change(file: Any) -> None:  # Any: an open h5py.File
        file["tau"][8] = file["tau"][7]

    assert "invariants: clock" in failing(invariants(recorded(changed(trajectory, tmp_path / "changed", change))))


@pytest.mark.parametrize(("left", "rests"), [(1e-9, True), (1e-5, False)])
def test_what_is_left_of_a_motion_within_the_tolerance_is_rest(tmp_path: Path, left: float, rests: bool) -> None:
    """One sample with both labels: margins +-z, of which z is left, far more than rounding."""
    X, W = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), np.array([[left, 2.0, 0.0]])
    at = recorded(given(tmp_path, X, np.array([1.0, -1.0]), W, np.ones(1), LEAKY, "{time: 1e-3}"))
    start, field = at.row(0), Field(at.problem)
    side = np.sign(start.pattern[:, at.problem.surfaces.first_sample])
    assert at_rest(at, field, side, weights_at(start)) == rests
    assert velocity(field, weights_at(start), at.weights(start.U)).excess > 1e3


def test_rest_is_not_taken_on_trust(clean: Trajectory) -> None:
    """An integration that says it rested one unit of log(1 + t) before its last row, while margins move there."""
    at = recorded(clean)
    found = taped(at)
    last = found.reached[-1]
    assert last.sums is not None
    sums = replace(last.sums, clock=last.sums.clock - 1.0)
    rested = replace(last, resting=True, clock=last.clock - 1.0, sums=sums)
    assert "identities: clock" in failing(identities(at, [replace(found, reached=(*found.reached[:-1], rested))]))


def test_a_leap_that_is_too_far_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine of the run, and of the integration again, has an error of a thousandth in its closed form."""

    def wrong(log_total: float, samples: int, v: float) -> float:
        return log_clock_rate(log_total, samples, v) + 1e-3

    monkeypatch.setattr(flow_engine, "log_clock_rate", wrong)
    at = recorded(mixed(tmp_path))
    check = named(identities(at, [taped(at)]))["identities: clock"]
    assert check.verdict == "fail" and check.value is not None and 1e-5 < check.value < 1e-2


def test_the_doubt_is_divided_like_the_value(tmp_path: Path) -> None:
    """Margins of thousands fall by steps whose integrals are known to so many times 1e-9: that is decided."""
    at = recorded(run(tmp_path, "init={kind: gaussian, std: 300.0}", "model.width=4", log_time=100.0))
    margins = float(np.abs(at.row(0).p).max())
    assert margins > 300.0
    found = taped(at)
    last = found.reached[-1]
    assert last.sums is not None
    checks = named(identities(at, [found]))
    assert {checks[f"identities: {name}"].verdict for name in INTEGRATED} == {"pass"}
    scale = np.array([margins, 1.0, margins, 1.0])
    for doubts, verdict in ((0.5e-6 * scale, "pass"), (2e-6 * scale, "not decided")):
        reached = (*found.reached[:-1], replace(last, sums=replace(last.sums, doubts=doubts)))
        checks = named(identities(at, [replace(found, reached=reached)]))
        assert {checks[f"identities: {name}"].verdict for name in ("energy", "margins")} == {verdict}


def test_times_that_the_clock_does_not_resolve(tmp_path: Path) -> None:
    """At a loss of e^200000 a run of a few steps ends at a t that log(1 + t) shows as 0; tau has grown."""
    X, W = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1e5, 2e5]])
    budget = "flow.budget={steps: 5, events: 10}"
    trajectory = given(tmp_path, X, -np.ones(2), W, np.ones(1), LEAKY, "{time: 20}", "loss=exponential", budget)
    assert list(trajectory.log1p_time) == [0.0, 0.0] and trajectory.tau[1] > 0.0
    assert not failing(gflow.verify(trajectory))

    def standing(file: Any) -> None:  # Any: an open h5py.File
        file["log1p_time"][2] = file["log1p_time"][1]

    still = changed(run(tmp_path / "clean", log_time=2.0), tmp_path / "still", standing)
    assert "rows: order" in failing(gflow.verify(still))
