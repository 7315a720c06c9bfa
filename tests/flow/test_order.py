"""Work and precision across kinks: the order of the method survives where kinks are located, and only there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gflow.field.transition import EventKind
from tests.flow.driver import flow, loglog_slope, problem_of, relative_gap, until_time
from tests.reference.setting import Setting, drawn

Array = NDArray[np.float64]

TOLERANCES = (1e-8, 1e-9, 1e-10, 1e-11, 1e-12)


def kinked_field(setting: Setting) -> Callable[[float, Array], Array]:
    """The field as autograd would give it, kinks and all."""

    def field(_: float, w: Array) -> Array:
        W = w.reshape(setting.outer.size, -1)
        z = W @ setting.X.T
        slopes = np.where(z > 0.0, 1.0, setting.slope)
        pull = setting.y * setting.pulls(setting.y * (setting.outer @ (slopes * z))) / setting.y.size
        return np.asarray(((setting.outer[:, None] * slopes * pull) @ setting.X).ravel())

    return field


def small(slope: float, seed: int) -> tuple[Setting, Array]:
    return drawn("wide", slope, "logistic", seed, width=4)


@pytest.mark.sample("RK45-*", "dopri5-0.0*")
@pytest.mark.parametrize(
    ("slope", "seed", "kinds"),
    [(0.3, 0, {1, 2, 3, 5}), (0.3, 1, {1, 2}), (0.3, 2, {1, 2, 3, 5}), (0.0, 2, {2, 3, 5})],
)
@pytest.mark.parametrize("method", ["RK45", "dopri5"])
def test_order_five_across_located_kinks(method: str, slope: float, seed: int, kinds: set[int]) -> None:
    """Error against accepted steps, the one step that each event cuts short not counted."""
    setting, W = small(slope, seed)
    problem, until = problem_of(setting), until_time(100.0)
    exact = flow(problem, W, until, rtol=1e-14, method="DOP853")
    assert {e.kind for e in exact.events} == {EventKind(k) for k in kinds}
    runs = [flow(problem, W, until, rtol=rtol, method=method) for rtol in TOLERANCES]
    assert all(len(run.events) == len(exact.events) for run in runs)
    errors = [relative_gap(run.weights(W), exact.weights(W)) for run in runs]
    steps = [run.steps - len(run.events) for run in runs]
    assert -6.2 < loglog_slope(steps, errors) < -4.5
    # Tolerance proportionality: what is asked is what is delivered, times a constant.
    assert 0.9 < loglog_slope(TOLERANCES, errors) < 1.25


@pytest.mark.parametrize(("slope", "seed"), [(0.3, 0), (0.3, 1), (0.3, 2), (0.0, 2)])
def test_without_location_fixed_steps_fall_to_order_one(slope: float, seed: int) -> None:
    setting, W = small(slope, seed)
    exact = flow(problem_of(setting), W, until_time(20.0), rtol=1e-12).weights(W)
    numbers, errors = (32, 64, 128, 256, 512, 1024), []
    for number in numbers:
        h = 20.0 / number
        found = solve_ivp(
            kinked_field(setting), (0.0, 20.0), W.ravel(), "RK45", rtol=1e3, atol=1e3, first_step=h, max_step=h
        )
        errors.append(relative_gap(found.y[:, -1].reshape(W.shape), exact))
    assert -1.5 < loglog_slope(numbers, errors) < -0.5


@pytest.mark.sample("0.3-*")
@pytest.mark.parametrize(("slope", "seed"), [(0.3, 0), (0.0, 0)])
def test_without_location_step_control_pays_tenfold_for_a_digit_while_it_slides(slope: float, seed: int) -> None:
    setting, W = small(slope, seed)
    problem, until = problem_of(setting), until_time(20.0)
    exact = flow(problem, W, until, rtol=1e-13, method="DOP853").weights(W)
    steps, errors = [], []
    for rtol in (1e-2, 1e-3, 1e-4, 1e-5):
        found = solve_ivp(kinked_field(setting), (0.0, 20.0), W.ravel(), "RK45", rtol=rtol, atol=rtol / 100.0)
        steps.append(found.t.size - 1)
        errors.append(relative_gap(found.y[:, -1].reshape(W.shape), exact))
    located = flow(problem, W, until, rtol=1e-5, method="RK45")
    assert loglog_slope(steps, errors) > -1.6
    assert steps[-1] > 50 * located.steps
    assert errors[-1] > 10.0 * relative_gap(located.weights(W), exact)
