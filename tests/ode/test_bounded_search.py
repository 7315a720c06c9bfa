"""A search for a root, and for a state inside a step, ends with an explanation instead of going on."""

from __future__ import annotations

import numpy as np
import pytest

from gflow.ode import locate, scipy_methods, torchdiffeq_methods
from gflow.ode.locate import root
from gflow.ode.step import StepError
from tests.ode.known import known, started, step_past


def test_a_root_that_takes_too_many_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = started("DOP853", known(1e-8), 1e-2)
    step = step_past(stepper, 1.0)[-1]
    level = step.at(np.array([0.3]))[0, 0]
    found = root(stepper, step, lambda y: level - float(y[0]), 0.0, 1.0, 0.0)
    assert found is not None and abs(found[1][0] - level) < 1e-12
    monkeypatch.setattr(locate, "MOST_BISECTIONS", 2)
    with pytest.raises(StepError, match="2 evaluations do not locate an event between t = "):
        root(stepper, step, lambda y: level - float(y[0]), 0.0, 1.0, 0.0)


def test_a_function_without_a_smooth_root_is_still_bisected() -> None:
    """A jump, and values over 300 decades, where interpolation does not help."""
    stepper = started("DOP853", known(1e-8), 1e-2)
    step = step_past(stepper, 1.0)[-1]
    level = step.at(np.array([0.3]))[0, 0]
    found = root(stepper, step, lambda y: 1e-300 if y[0] < level else -1e300, 0.0, 1.0, 0.0)
    assert found is not None and found[1][0] == pytest.approx(level, abs=1e-12)


@pytest.mark.parametrize("name", ["RK45", "Radau", "dopri5"])
def test_a_state_inside_a_step_that_is_not_reached(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = started(name, known(1e-8), 1e-2)
    step = step_past(stepper, 1.0)[-1]
    middle = 0.5 * (step.start + step.end)
    assert np.isfinite(stepper.state_at(middle)).all()
    monkeypatch.setattr(torchdiffeq_methods if name == "dopri5" else scipy_methods, "MOST_SUBSTEPS", 0)
    with pytest.raises(StepError, match="500 steps do not reach t = "):
        stepper.state_at(middle)
