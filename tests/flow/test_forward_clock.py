"""What a run shows is in the order of time by construction, however the states of the integrator are rounded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gflow.field.branch import Measure, Measures, Tolerances
from gflow.flow import stretch
from gflow.flow.choice import SWITCHING, Choice
from gflow.flow.forward_clock import ForwardClock
from gflow.flow.items import Advance, Item
from gflow.flow.simulate import flow_items
from gflow.flow.state import Event, FlowProgress, FlowRow, Outcome
from gflow.flow.steps import Manner, engine_of
from gflow.flow.stopping import Until, spaced
from gflow.ode.step import DenseStep, Method, Stepper, System
from tests.flow.driver import problem_of, until_log_time, until_time
from tests.reference.setting import drawn

Array = NDArray[np.float64]
ENGINES = ["dual", "primal"]
ULP = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class Shaken:
    """A method whose clock is off by up to `size`, relative, another amount at each instant."""

    inner: Method
    size: float

    @property
    def name(self) -> str:
        return self.inner.name

    def __call__(self, system: System, y0: Array, h: float) -> Stepper:
        return _ShakenStepper(self.inner(system, y0, h), self.size)


@dataclass(frozen=True, slots=True)
class _ShakenStepper:
    inner: Stepper
    size: float

    def _shaken(self, t: float, y: Array) -> Array:
        chance = np.random.default_rng(int(np.float64(t).view(np.uint64))).uniform(-1.0, 1.0)
        return np.append(y[:-1], y[-1] * (1.0 + self.size * chance))

    def step(self) -> DenseStep:
        step = self.inner.step()
        end = self._shaken(step.end, step.coefficients[-1])
        return replace(step, coefficients=np.vstack([step.coefficients[:-1], end]))

    def state_at(self, t: float) -> Array:
        return self._shaken(t, self.inner.state_at(t))

    @property
    def proposed(self) -> float:
        return self.inner.proposed


@dataclass(frozen=True)
class ShakenChoice(Choice):
    """The methods of a choice, with a clock that is off."""

    size: float = 0.0

    def method(self, stiff: bool) -> Method:
        return Shaken(super().method(stiff), self.size)


def shown(items: list[Item]) -> list[float]:
    """v of all that a run hands over, in that order."""
    others = (item for item in items if not isinstance(item, Advance | Measures))
    return [item.v if isinstance(item, Measure | Event | FlowProgress) else item.state.v for item in others]


def shaken(engine: str, size: float, until: Until, scale: float = 1.0, method: str = SWITCHING) -> list[Item]:
    setting, W = drawn("wide", 0.0, "logistic", seed=3)
    made = engine_of(problem_of(setting), scale * W, Manner(engine, tolerances=Tolerances(1e-10, 1e-12)))
    return list(flow_items(made, until, spaced("log", 12, until), ShakenChoice(method, size)))


@pytest.mark.parametrize("size", [4.0 * ULP, 1e-2])
@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_shown_out_of_order(engine: str, size: float) -> None:
    until = until_time(8.0)
    items = shaken(engine, size, until, method=SWITCHING if engine == "dual" else "DOP853")
    assert shown(items) == sorted(shown(items))
    assert len([item for item in items if isinstance(item, Event)]) > 10
    rows = [item.state.v for item in items if isinstance(item, FlowRow)]
    assert rows[1:] == list(spaced("log", 12, until))  # the record times to the bit, none skipped or repeated


@pytest.mark.parametrize("size", [4.0 * ULP, 1e-12])
def test_nor_late_where_the_method_is_implicit(size: float) -> None:
    items = shaken("dual", size, until_log_time(1e5))
    assert shown(items) == sorted(shown(items))


@pytest.mark.parametrize("size", [4.0 * ULP, 1e-12])
def test_nor_where_the_clock_leaps_first(size: float) -> None:
    """Margins of thousands: the first record times pass before anything moves."""
    items = shaken("dual", size, until_log_time(60.0), scale=30.0)
    assert shown(items) == sorted(shown(items))


@pytest.mark.parametrize("until", [Until(None, Outcome.LOG_LOSS, -3.0), Until(1e3, Outcome.LOG_TIME, None, True)])
def test_nor_at_ends_off_the_clock(until: Until) -> None:
    items = shaken("dual", 1e-12, until)
    assert shown(items) == sorted(shown(items))


def test_states_of_the_integrator_alone_are_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: states inside a step fall behind its start."""
    monkeypatch.setattr(stretch, "ForwardClock", lambda stepper, v: stepper)
    monkeypatch.setattr(_ShakenStepper, "state_at", lambda self, t: _behind(self.inner.state_at(t), self.size))
    items = shaken("dual", 0.5, until_time(8.0))
    assert shown(items) != sorted(shown(items))


def _behind(y: Array, size: float) -> Array:
    return np.append(y[:-1], y[-1] * (1.0 - size))


class Backwards:
    """A stepper of two steps whose clock falls."""

    proposed = 1.0

    def __init__(self) -> None:
        self.k = 0

    def step(self) -> DenseStep:
        self.k += 1
        return DenseStep(self.k - 1.0, float(self.k), np.array([[0.0, 5.0], [self.k, 5.0 - self.k]]))

    def state_at(self, t: float) -> Array:
        return np.array([t, 5.0 + 0.25 - t])


def test_only_the_clock_is_put_right() -> None:
    stepper = ForwardClock(Backwards(), 4.5)
    assert stepper.step().coefficients.tolist() == [[0.0, 5.0], [1.0, 4.5]]  # the start, not the polynomial, is first
    assert stepper.state_at(0.25).tolist() == [0.25, 5.0] and stepper.state_at(0.9).tolist() == [0.9, 4.5]
    assert stepper.step().coefficients[-1].tolist() == [2.0, 4.5] and stepper.proposed == 1.0
