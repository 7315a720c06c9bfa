"""Events and sides of neurons that come to 0 are not judged from there on; those of all others are."""

from __future__ import annotations

import numpy as np
import pytest

import gflow
from gflow.field.transition import EventKind
from gflow.flow.state import Event
from gflow.scenario import parse_scenario
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.determined import Determined

# Twins with opposite labels: the one neuron decays to 0 and never arrives; in `tests/fuzz` as seed 156.
TWINS = """
gflow: 1
name: twins
data: {{kind: file, path: {folder}/data.npz}}
model:
  kind: two_layer
  width: 2
  activation: {{kind: leaky_relu, slope: 0.0}}
  outer: {{values: signs, scale: 30.0}}
init: {{kind: file, path: {folder}/init.npz}}
loss: logistic
flow: {{until: {{log_time: 3}}}}
record: {{times: {{spacing: loglog, count: 6}}}}
"""


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    """Neuron 0 is active on the twins alone; neuron 1 on nothing, and stays."""
    folder = tmp_path_factory.mktemp("twins")
    np.savez(folder / "data.npz", X=np.array([[1.0], [1.0]]), y=np.array([1.0, -1.0]))
    np.savez(folder / "init.npz", W=np.array([[0.5], [-0.5]]))
    return gflow.simulate(parse_scenario(TWINS.format(folder=folder)), out=folder / "run")


def test_what_comes_to_zero_is_left_out_from_the_last_row_above_atol(twins: Trajectory) -> None:
    recorded = RecordedRun.of(twins)
    known = Determined.by_weights(recorded)
    assert abs(twins.read("inner", -1)[0, 0]) < 1e-10 < abs(twins.read("inner", 0)[0, 0])
    assert not known.everything and list(known.neurons) == [False, True]
    rows = [row for row in range(twins.n_rows) if abs(twins.read("inner", row)[0, 0]) > 1e-10]
    assert known.until[0] == twins.log1p_time[rows[-1]]
    early, late = known.until[0], known.until[0] + 1.0
    events = [Event(v, j, 0, EventKind.SLIDE) for v in (early, late) for j in (0, 1)]
    assert known.met(events) == [early, early, late]
    assert "without 1 neurons" in known.words and Determined.all_of(recorded).words == ""


def test_a_pattern_of_rounding_is_no_failure(twins: Trajectory) -> None:
    assert "fail" not in {check.verdict for check in gflow.verify(twins).checks}
