"""How well the time of an event is determined, where a neuron has grown far beyond what it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gflow.field.clarke import ROUNDING
from gflow.field.guards import Values
from gflow.field.transition import EventKind
from gflow.flow.state import Event
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.determined import Determined
from gflow.verification.ladder import rungs
from gflow.verification.reintegration import Again
from gflow.verification.stability import _last_event
from gflow.verification.timing import BACK, _leverages


@pytest.mark.parametrize("grown", [1.0, 1e15])
def test_the_unit_is_the_size_of_the_weights_at_the_event(grown: float) -> None:
    """zeta falls by `falls` of its rounding at the start per tau: a part eps of the grown |w_j| is grown times more."""
    falls, nothing = 1e20, np.full((1, 1, 2), np.inf)
    now = Values(np.array([3]), np.array([[0.0, 1e25]]), nothing)
    before = Values(np.array([3]), np.array([[BACK * falls, 1e25]]), nothing)
    event = Event(104.0, 3, 0, EventKind.SLIDE)
    (found,) = _leverages([event], now, before, 2.0, np.array([grown]))
    assert found == pytest.approx(2.0 * grown / (ROUNDING * falls))


@pytest.mark.parametrize(
    ("leverage", "verdict"), [(0.0, "fail"), (1e3, "fail"), (1e9, "pass"), (np.inf, "not decided")]
)
def test_the_last_event_is_judged_as_far_as_the_state_determines_it(
    clean: Trajectory, leverage: float, verdict: str
) -> None:
    """Met 0.1 later by an integration in which 100 rtol of the state move it by 0, 1e-3, 1e3, or nobody knows."""
    at = RecordedRun.of(clean)
    rung = replace(rungs(at)[0][0], rows=(clean.n_rows - 1,))
    last = float(clean.events.log1p_time[-1]) + 0.1
    found = Again(rung, (), (Event(last, 0, 0, EventKind.SLIDE),), None, (leverage,))
    assert _last_event(at, [found], Determined.all_of(at)).verdict == verdict
