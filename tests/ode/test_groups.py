"""The error norm is the largest over groups: one fast neuron among ten thousand slow components cannot hide."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.ode.step import System
from tests.ode.known import flat, started, step_past

Array = NDArray[np.float64]

SLOW, END = 10_000, 6.0
METHODS = ("dopri5", "dopri8", "bosh3", "DOP853", "RK45")


def beside(slow: int, size: float, groups: bool, first: bool = True) -> System:
    """One fast component (frequency 10, so two of state) and slow ones that decay at 1e-3."""
    fast = np.array([[0.0, 10.0], [-10.0, 0.0]])
    at = slice(0, 2) if first else slice(slow, slow + 2)

    def field(_: float, y: Array) -> Array:
        out = -1e-3 * y
        out[at] = fast @ y[at]
        return np.asarray(out)

    index = np.ones(slow + 2, dtype=np.intp)
    index[at] = 0
    return System(field, field, flat(size), groups=index if groups else None)


def fast_error(name: str, system: System, slow: int) -> tuple[float, int]:
    """Error of the fast component at END, and the steps it took."""
    y0 = np.ones(slow + 2)
    y0[:2] = 0.0, 1.0
    stepper = started(name, system, 1e-3, y0=y0)
    steps = len(step_past(stepper, END))
    return float(np.abs(stepper.state_at(END)[:2] - [np.sin(10.0 * END), np.cos(10.0 * END)]).max()), steps


@pytest.mark.sample("dopri5", "dopri8", "RK45", "DOP853")
@pytest.mark.parametrize("name", METHODS)
def test_one_fast_neuron_is_as_accurate_as_alone(name: str) -> None:
    size = 1e-6
    alone, steps_alone = fast_error(name, beside(0, size, groups=True), 0)
    among, steps_among = fast_error(name, beside(SLOW, size, groups=True), SLOW)
    hidden, steps_hidden = fast_error(name, beside(SLOW, size, groups=False), SLOW)
    assert among < 1.5 * alone
    assert steps_among >= steps_alone
    # Negative control: the root mean square over all components lets it go wrong.
    assert hidden > 10.0 * among
    assert steps_hidden < steps_among


def test_the_scale_for_scipy_bounds_every_group() -> None:
    """An error whose RMS over all, in units of group_scale, is 1 has an RMS of at most 1 in every group."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat([0, 1, 2, 4], [1, 3, 50, 946])).astype(np.intp)
    scale = np.exp(rng.normal(size=groups.size))
    system = System(lambda _, y: y, lambda _, y: y, lambda y: scale, groups=groups)
    for _ in range(50):
        error = rng.normal(size=groups.size) * np.exp(3.0 * rng.normal(size=5))[groups]
        error /= np.sqrt(np.mean((error / system.group_scale(error)) ** 2))
        worst = max(float(np.sqrt(np.mean((error / scale)[groups == g] ** 2))) for g in np.unique(groups))
        assert worst <= 1.0 + 1e-12
