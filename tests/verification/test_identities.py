"""Identities integrated along the flow: they hold to the tolerance, and each fails on what only it can see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import point_of
from gflow.field import affine
from gflow.field.clock import clock_rate, dual_variables
from gflow.flow.choice import SWITCHING
from gflow.flow.steps import engine_of
from gflow.problem.loss import Loss
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import RUN
from gflow.verification.identities import INTEGRATED, _gaps, identities
from gflow.verification.ladder import rungs
from gflow.verification.reintegration import Again, LadderProgress, again
from gflow.verification.velocity import Field, weights_at
from tests.verification.runs import Change, changed, failing, named, run
from tests.verification.test_rescaled_time import given

Array = NDArray[np.float64]


def silent(_: LadderProgress) -> None:
    pass


def recorded(trajectory: Trajectory) -> RecordedRun:
    return RecordedRun.of(trajectory)


def taped(at: RecordedRun) -> Again:
    """The integration along which the identities are followed."""
    return again(at, rungs(at)[0][0], silent)


def test_slopes_at_dependent_kinks_are_the_rest_of_their_terms(tmp_path: Path) -> None:
    """A start at w = 0 that no push leaves: all kinks are slid on, K is the rounding of their slopes."""
    X = np.array([[3.0, 1.0], [-3.0, -1.0 + 1e-7], [-1.0, 2.0], [1.0, -2.0 + 1e-7], [0.5, 0.5]])
    y, a = np.array([-1.0, -1.0, 1.0, 1.0, 1.0]), np.ones(2)
    kind = "{kind: leaky_relu, slope: 0.01}"
    trajectory = given(tmp_path, X, y, np.zeros((2, 2)), a, kind, "{log_time: 3}", "loss=exponential")
    assert not trajectory.read("pattern", -1).any()
    kernel = named(identities(recorded(trajectory), []))["identities: kernel"]
    assert kernel.verdict == "pass", kernel


def test_they_hold_far_below_their_bounds(clean: Trajectory) -> None:
    """To the tolerance of the run; the bound is a hundred times that."""
    checks = named(identities(recorded(clean), [taped(recorded(clean))]))
    for name in (*INTEGRATED, "kernel"):
        check = checks[f"identities: {name}"]
        assert check.verdict == "pass" and check.value is not None and check.bound is not None
        assert 0.0 < check.value < 0.1 * check.bound
    assert checks["identities: rho"].verdict == "pass"


@pytest.mark.parametrize(
    "kind",
    [
        "model.activation={kind: relu}",
        "model.outer={train: true}",
        "model.activation={kind: smooth_leaky_relu, slope: 0.3}",
        "model.activation={kind: huberized_relu}",
    ],
)
def test_the_field_is_that_of_the_analyses(tmp_path: Path, kind: str) -> None:
    """Rates at rows, by formulas for many states at once and by those for one point."""
    trajectory = run(tmp_path, kind, log_time=1.5)
    at, analyzed = recorded(trajectory), AnalyzedRun.of(trajectory)
    field, first = Field(at.problem), at.problem.surfaces.first_sample
    for row in (1, trajectory.n_rows // 2, trajectory.n_rows - 1):
        stored, point = at.row(row), point_of(analyzed.problem, analyzed.state(row))
        field.take(np.sign(stored.pattern[:, first]))
        motion = field.at(weights_at(stored), np.ones(at.problem.samples, dtype=bool))
        log_mean_g = np.logaddexp.reduce(point.log_g) - np.log(at.problem.samples)
        expected = np.exp(2.0 * np.log(point.velocity.norm) + log_mean_g - stored.log_loss)
        assert motion.fall[0] == pytest.approx(expected, rel=1e-12)
        assert motion.growth[0] == pytest.approx(point.q @ point.euler, rel=1e-12, abs=1e-14)


def test_they_hold_where_the_method_works_on_axes_of_its_own(tmp_path: Path) -> None:
    """Samples of very different size: what is integrated is the path of the branch, whatever the method turns."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(3, 3)) * np.array([[1.0], [1.0], [1e3]])
    y, a = np.ones(3), np.array([1.0, -1.0])
    trajectory = given(tmp_path, X, y, 0.1 * rng.normal(size=(2, 3)), a, "{kind: relu}", "{log_time: 2}")
    at = recorded(trajectory)
    engine = engine_of(at.problem, at.inner_initial, at.manner)
    assert engine.stretch(engine.start()[0]).branch.axes is not None
    checks = named(identities(at, [taped(at)]))
    assert all(checks[f"identities: {name}"].verdict == "pass" for name in INTEGRATED), checks


@pytest.mark.parametrize(("relative", "passes"), [(1e-14, True), (1e-10, False)])
def test_margins_that_were_large_at_the_start_are_known_to_their_rounding(
    clean: Trajectory, relative: float, passes: bool
) -> None:
    """A start 1e9 below, which the integral makes up for but for a part of that."""
    at = recorded(clean)
    start, last = at.row(0), taped(at).reached[-1]
    assert last.sums is not None
    sums = replace(last.sums, rates=last.sums.rates + 1e9 * (1.0 + relative))
    gap = _gaps(at, replace(start, p=start.p - 1e9), replace(last, sums=sums))["margins"]
    assert gap.value > 1e-6 and (gap.value / gap.unit <= RUN * at.rtol) == passes


def add(name: str, amount: float) -> Change:
    """Add to the last row."""

    def change(file: Any) -> None:  # Any: an open h5py.File
        file[name][-1] = file[name][-1] + amount

    return change


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (add("log_loss", 1e-4), "energy"),
        (add("inner", 1e-4), "norm growth"),
        (add("inner", 1e-4), "rho"),
        (add("inner", 1e-4), "kernel"),
        (add("margins", 1e-4), "margins"),
        (add("tau", 1e-4), "clock"),
    ],
)
def test_a_changed_row_breaks_its_identity(clean: Trajectory, tmp_path: Path, change: Change, check: str) -> None:
    at = recorded(changed(clean, tmp_path, change))
    assert f"identities: {check}" in failing(identities(at, [taped(at)]))


def wrong_loss(loss: Loss, p: Array, live: NDArray[np.bool_]) -> tuple[Array, Array]:
    """q of another loss: g to the power 1.01."""
    return dual_variables(loss, 1.01 * p, live)


def wrong_clock(log_rate: float) -> float:
    """Time runs a tenth of a percent too fast."""
    return 1.001 * clock_rate(log_rate)


@pytest.mark.parametrize(
    ("name", "wrong", "broken"),
    [
        ("dual_variables", wrong_loss, {"energy", "norm growth", "margins", "rho"}),
        ("clock_rate", wrong_clock, {"clock"}),
    ],
)
def test_an_engine_that_is_wrong_agrees_with_itself_and_breaks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wrong: Callable[..., Any], broken: set[str]
) -> None:
    """The run, and the same flow again with tighter tolerances, by a dual engine with an error in it."""
    monkeypatch.setattr(affine, name, wrong)
    found = gflow.verify(run(tmp_path, "model.width=6", f"flow.method={SWITCHING}", log_time=1.0))
    assert named(found)["again: rtol / 10"].verdict == named(found)["again: rtol / 100"].verdict == "pass"
    assert {f"identities: {each}" for each in broken} <= failing(found)


def test_a_quadrature_that_is_too_coarse_decides_nothing(clean: Trajectory) -> None:
    at = recorded(clean)
    found = taped(at)
    rows = tuple(
        replace(each, sums=None if each.sums is None else replace(each.sums, doubts=np.full(4, 1.0)))
        for each in found.reached
    )
    checks = named(identities(at, [replace(found, reached=rows)]))
    for name in INTEGRATED:
        check = checks[f"identities: {name}"]
        assert check.verdict == "not decided" and "quadrature is too coarse" in check.sentence
        assert check.value is not None and check.bound is not None and check.value < check.bound


def test_masses_are_followed_through_sliding(clean: Trajectory) -> None:
    """Every pair that slides at the last row has its force in the integral: without it, rho is off."""
    at, found = recorded(clean), taped(recorded(clean))
    last = found.reached[-1]
    assert last.sums is not None and (at.row(last.row).pattern == 0).any()
    sliding = at.row(last.row).pattern == 0
    masses = np.where(sliding, 0.0, last.sums.masses)
    reached = (*found.reached[:-1], replace(last, sums=replace(last.sums, masses=masses)))
    checks = named(identities(at, [replace(found, reached=reached)]))
    assert checks["identities: rho"].verdict == "fail"
