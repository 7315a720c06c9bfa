"""All methods of torchdiffeq through the adapter: order, states inside steps, and roots with dopri8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.ode.locate import root
from gflow.ode.methods import TORCH_NAMES
from tests.flow.driver import loglog_slope
from tests.ode.known import known, solution, started, step_past

Array = NDArray[np.float64]

END = 20.0
# Order of the solution that is carried on, and error scales at which it shows in moderately many steps.
CASES = {
    "dopri5": (5, (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)),
    "dopri8": (8, (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)),
    "bosh3": (3, (1e-4, 1e-5, 1e-6, 1e-7)),
    "adaptive_heun": (2, (1e-3, 1e-4, 1e-5, 1e-6)),
    "fehlberg2": (2, (1e-3, 1e-4, 1e-5, 1e-6)),
}


def test_all_methods_are_here() -> None:
    assert set(CASES) == set(TORCH_NAMES)


@pytest.mark.sample("bosh3", "dopri5", "dopri8", "fehlberg2")
@pytest.mark.parametrize("name", TORCH_NAMES)
def test_the_error_falls_with_the_order_of_the_method(name: str) -> None:
    order, sizes = CASES[name]
    steps, errors = [], []
    for size in sizes:
        stepper = started(name, known(size), 1e-3)
        steps.append(len(step_past(stepper, END)))
        errors.append(float(np.abs(stepper.state_at(END) - solution(END)).max()))
    # The few steps of a high order count those in which the step size still grows.
    assert order - 1.0 < -loglog_slope(steps, errors) < order + (2.5 if order > 5 else 1.3)


@pytest.mark.parametrize("name", TORCH_NAMES)
def test_states_inside_steps_are_as_good_as_those_at_their_ends(name: str) -> None:
    """From exact values, over a step of any size that passes: the error is the tolerance, not the interpolant's."""
    _, sizes = CASES[name]
    size = sizes[-1]
    stepper = started(name, known(size), 1e-3)
    worst = {"inside": 0.0, "ends": 0.0, "interpolant": 0.0}
    for _ in range(60):
        step = stepper.step()
        for theta in (0.3, 0.7):
            t = step.start + theta * (step.end - step.start)
            exact = solution(t)
            worst["inside"] = max(worst["inside"], float(np.abs(stepper.state_at(t) - exact).max()))
            worst["interpolant"] = max(worst["interpolant"], float(np.abs(step.at(np.array([theta]))[0] - exact).max()))
        worst["ends"] = max(worst["ends"], float(np.abs(step.coefficients[-1] - solution(step.end)).max()))
    assert worst["inside"] < 2.0 * worst["ends"]
    if name == "dopri8":
        assert worst["interpolant"] > 30.0 * worst["inside"]


def cosine(sign: float) -> Callable[[Array], float]:
    """sign cos t at a state."""
    return lambda y: sign * float(y[2])


@pytest.mark.parametrize("size", [1e-8, 1e-10, 1e-12])
def test_dopri8_locates_events_to_the_tolerance(size: float) -> None:
    """Trap: on its quartic interpolant the event is off by 3.5e-8 at 1e-12.  cos t = 0 at pi / 2 + k pi."""
    stepper = started("dopri8", known(size), 1e-2)
    found: list[float] = []
    while len(found) < 6:
        step = stepper.step()
        ends = step.coefficients[[0, -1], 2]
        if ends[0] * ends[1] < 0.0:
            hit = root(stepper, step, cosine(float(np.sign(ends[0]))), 0.0, 1.0, resolution=1e-15)
            assert hit is not None
            found.append(hit[0])
            assert np.abs(hit[1] - solution(hit[0])).max() < 100.0 * size + 1e-13
    assert found == pytest.approx(np.pi * (np.arange(6) + 0.5), abs=100.0 * size + 1e-13)


def test_the_quartic_interpolant_of_dopri8_is_not_good_enough() -> None:
    """The trap itself: roots of the interpolant are off by orders of magnitude more."""
    stepper = started("dopri8", known(1e-12), 1e-2)
    step = step_past(stepper, np.pi / 2.0)[-1]
    theta = np.linspace(0.0, 1.0, 101)[1:-1]
    exact = np.array([solution(step.start + th * (step.end - step.start)) for th in theta])
    assert np.abs(step.at(theta) - exact).max() > 1e-10
