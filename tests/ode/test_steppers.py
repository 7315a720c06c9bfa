"""Every stepper on smooth problems with known solutions: order, states inside steps, and refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from gflow.ode.methods import method_named
from gflow.ode.step import StepError, System
from tests.flow.driver import loglog_slope
from tests.ode.known import METHODS, ORDER, flat, known, solution, started, step_past, walled

END = 20.0


@pytest.mark.parametrize("name", METHODS)
def test_the_error_falls_with_the_order_of_the_method(name: str) -> None:
    """Over five decades of tolerance."""
    steps, errors = [], []
    for size in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9):
        stepper = started(name, known(size), 1e-3)
        steps.append(len(step_past(stepper, END)))
        errors.append(float(np.abs(stepper.state_at(END) - solution(END)).max()))
    slope = -loglog_slope(steps, errors)
    assert ORDER[name] - 1.0 < slope < ORDER[name] + 1.0
    assert errors[-1] < 1e-7


@pytest.mark.parametrize("name", METHODS)
def test_a_step_joins_its_ends(name: str) -> None:
    stepper = started(name, known(1e-6), 1e-2)
    before = solution(0.0)
    for step in step_past(stepper, 3.0):
        np.testing.assert_array_equal(step.at(np.array([0.0]))[0], before)
        np.testing.assert_array_equal(step.at(np.array([1.0]))[0], step.coefficients[-1])
        before = step.coefficients[-1]


@pytest.mark.parametrize("name", METHODS)
def test_ends_of_the_last_step_are_returned_as_they_are(name: str) -> None:
    stepper = started(name, known(1e-6), 1e-2)
    last = step_past(stepper, 2.0)[-1]
    np.testing.assert_array_equal(stepper.state_at(last.start), last.coefficients[0])
    np.testing.assert_array_equal(stepper.state_at(last.end), last.coefficients[-1])


@pytest.mark.parametrize(("name", "h"), [("RK45", 0.1), ("Radau", 0.12), ("dopri5", 0.1)])
def test_a_state_inside_a_step_is_much_better_than_the_interpolant(name: str, h: float) -> None:
    """From exact initial values, over one step that the tolerance lets pass."""
    stepper = started(name, known(1e-5), h)
    step = stepper.step()
    assert step.end == pytest.approx(h)
    theta = np.linspace(0.1, 0.9, 9)
    times = [step.start + th * (step.end - step.start) for th in theta]
    exact = np.array([solution(t) for t in times])
    states = np.array([stepper.state_at(t) for t in times])
    assert np.abs(states - exact).max() < 0.2 * np.abs(step.at(theta) - exact).max()


def test_the_dense_output_of_dop853_is_as_good_as_its_steps() -> None:
    stepper = started("DOP853", known(1e-9), 1e-2)
    worst_inside, worst_end = 0.0, 0.0
    for _ in range(30):
        step = stepper.step()
        middle = 0.5 * (step.start + step.end)
        worst_inside = max(worst_inside, float(np.abs(stepper.state_at(middle) - solution(middle)).max()))
        worst_end = max(worst_end, float(np.abs(step.coefficients[-1] - solution(step.end)).max()))
    assert worst_inside < 3.0 * worst_end < 1e-8


@pytest.mark.parametrize("name", METHODS)
def test_a_field_that_is_not_finite_is_rejected_and_ends_in_a_refusal(name: str) -> None:
    stepper = started(name, walled(), 3.0, y0=np.zeros(1))
    ends = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the arithmetic on these NaNs is the point of the test
        with pytest.raises(StepError, match="fell below"):
            for _ in range(2000):
                step = stepper.step()
                assert np.isfinite(step.coefficients).all()
                ends.append(step.end)
    assert len(ends) < 500
    assert 0.99 < ends[-1] <= 1.0 + 1e-12


@pytest.mark.parametrize("name", ["DOP853", "RK45", "dopri5"])
def test_a_solution_that_blows_up_ends_in_a_refusal(name: str) -> None:
    """y' = y^2 from 1: y = 1 / (1 - t)."""
    system = System(lambda _, y: y**2, lambda _, y: 2.0 * y[:, None], lambda y: 1e-6 * np.abs(y))
    stepper = started(name, system, 0.1, y0=np.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(StepError, match="fell below"):
            for _ in range(20_000):
                step = stepper.step()
    assert step.end == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_only_the_scale_judges_the_error(name: str) -> None:
    """A linear problem in other units, its scale with it, takes the same steps: no hidden tolerance remains."""

    def ends(unit: float) -> list[float]:
        A = np.array([[0.0, 1.0], [-1.0, -0.1]])
        system = System(lambda _, y: A @ y, lambda _, y: A, flat(1e-6 * unit))
        return [s.end for s in step_past(started(name, system, 1e-2, y0=np.array([unit, 0.0])), 5.0)]

    np.testing.assert_allclose(ends(2.0**-30), ends(1.0), rtol=1e-9)
    np.testing.assert_allclose(ends(2.0**30), ends(1.0), rtol=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_the_norm_is_the_root_mean_square(name: str) -> None:
    """A problem beside a copy of itself takes the same steps; beside ten idle components it takes longer ones."""

    def count(copies: int, idle: int) -> int:
        def field(_: float, y: np.ndarray) -> np.ndarray:
            return np.append(np.where(np.arange(copies) >= 0, np.exp(-y[:copies]), 0.0), np.zeros(idle))

        def jacobian(_: float, y: np.ndarray) -> np.ndarray:
            return np.diag(np.append(-np.exp(-y[:copies]), np.zeros(idle)))

        system = System(field, jacobian, flat(1e-8))
        return len(step_past(started(name, system, 1e-3, y0=np.zeros(copies + idle)), END))

    assert count(2, 0) == count(1, 0)
    assert count(1, 15) < count(1, 0)


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        method_named("euler")
