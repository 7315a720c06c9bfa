"""A start close to a tie: neuron 0 passes the kink of sample 3 at a distance of 2e-9, and whether it reaches it decides
where the flow goes.  The certificate holds on both sides; what it proves is the flow from the state it starts in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import gflow
from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.field.branch import Tolerances
from gflow.flow.state import Finish, Outcome
from gflow.flow.steps import Manner, steps
from gflow.flow.stopping import Until
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.problem import Problem
from gflow.trajectory import Trajectory
from tests.cases.runs import INPUTS, simulated

Array = NDArray[np.float64]

# Before either side slides for the first time: until then the field is smooth but for crossings.
BEFORE_SLIDING = 1.65


def data() -> tuple[Array, Array, Array, Array]:
    """X (4, 5), y (4,), W (3, 5), a (3,) of the case."""
    given, start = np.load(INPUTS / "bifurcation2-data.npz"), np.load(INPUTS / "bifurcation2-init.npz")
    return given["X"], given["y"], start["W"], start["a"]


def run_from(W: Array, folder: Path, *overrides: str) -> Trajectory:
    """The run of the case from another start."""
    folder.mkdir()
    scenario = (INPUTS / "bifurcation2.yaml").read_text(encoding="utf-8")
    (folder / "s.yaml").write_text(scenario.replace("bifurcation2-", ""), encoding="utf-8")
    X, y, _, a = data()
    np.savez(folder / "data.npz", X=X, y=y)
    np.savez(folder / "init.npz", W=W, a=a)
    return gflow.simulate(gflow.load_scenario(folder / "s.yaml", overrides=overrides), out=folder / "run")


def side_of_tie(W: Array) -> bool:
    """Is neuron 0 active on sample 3 at log(1 + t) = 1.65?  By scipy, from the definition of the gradient alone."""
    X, y, _, a = data()

    def velocity(_: float, flat: Array) -> Array:
        z = X @ flat.reshape(3, 5).T
        g = 1.0 / (1.0 + np.exp(y * (np.maximum(z, 0.0) @ a)))
        return np.asarray(((a * (z > 0.0)).T @ ((y * g)[:, None] * X) / y.size).ravel())

    end = solve_ivp(
        velocity, (0.0, np.expm1(BEFORE_SLIDING)), W.ravel(), "DOP853", rtol=1e-11, atol=1e-12, max_step=0.02
    )
    return bool(end.y[:5, -1] @ X[3] > 0.0)


def test_the_start_lies_between_two_basins() -> None:
    """What is right, by other means: a change of a part of 1e-6 along the normal of the kink goes either way."""
    X, _, W, _ = data()
    toward = np.zeros_like(W)
    toward[0] = 1e-6 * X[3] / np.linalg.norm(X[3])
    assert side_of_tie(W + toward) and not side_of_tie(W - toward)


@pytest.mark.parametrize("rtol", ["1e-8", "1e-12"])
def test_neither_tolerance_is_proved_from_the_start(tmp_path: Path, rtol: str) -> None:
    """At most one of the two limits can be that of the flow from the start."""
    run = simulated("bifurcation2", tmp_path, f"flow.rtol={rtol}")
    found = gflow.analyze(run, ["freezing", "limit", "direction", "kkt"])
    assert {found[name].verdict for name in ("freezing", "limit", "direction")} == {"proved_from_state"}
    assert found["kkt"].standing == "proved_from_state" and "proved from the computed state" in found["kkt"].summary
    reached = found["limit"].normalized_margin  # of either basin: the last bits of the way decide which
    assert min(abs(reached / margin - 1.0) for margin in (0.359282, 0.367924)) < 1e-5
    assert "from the computed state at log t" in found["freezing"].summary
    assert "not proved for the flow from the start" in found["freezing"].summary
    assert "another pattern" in found["freezing"].reason and found["limit"].reason == found["freezing"].reason
    assert found["freezing"].proved_log1p_time == run.log1p_time[-1]
    assert "from the computed state there" in (run.outcome_sentence or "")
    # The proof itself, which used to be all that was asked for, closes at both tolerances.
    continuation = AnalyzedRun.of(run).continuation
    assert continuation is not None and continuation.standing == "proved" and continuation.finding.proved


def test_a_start_bisected_to_the_last_bit_is_not_proved(tmp_path: Path) -> None:
    """Reruns at tighter tolerances alone would not tell: at 1e-12 there is no room for them."""
    X, y, W, a = data()
    normal = X[3] / np.linalg.norm(X[3])
    low, high = -1e-6, 1e-6

    problem = Problem.of(X, y, Network(a, 0.0), LOSSES["logistic"])
    until = Until(BEFORE_SLIDING, Outcome.TIME, None)

    def active(shift: float) -> bool:
        moved = W.copy()
        moved[0] += shift * normal
        *_, end = steps(problem, moved, until, Manner("dual", tolerances=Tolerances(1e-12, 1e-10)))
        assert isinstance(end, Finish)
        return bool(end.state.side[0, problem.surfaces.of_sample[3]] > 0)

    for _ in range(33):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if active(middle) else (middle, high)
    for side in (low, high):
        moved = W.copy()
        moved[0] += side * normal
        found = gflow.analyze(run_from(moved, tmp_path / f"at{side}", "flow.rtol=1e-12"), ["freezing", "limit"])
        assert found["freezing"].verdict == found["limit"].verdict == "proved_from_state"


@pytest.mark.parametrize("shift", [-1e-3, 1e-3])
def test_off_the_tie_both_limits_are_proved(tmp_path: Path, shift: float) -> None:
    """Control: a thousandth away the way is stable."""
    X, _, W, _ = data()
    W[0] += shift * X[3] / np.linalg.norm(X[3])
    found = gflow.analyze(run_from(W, tmp_path / "run"), ["freezing", "limit", "direction"])
    assert {each.verdict for each in found.values()} == {"proved"}
    assert found["limit"].normalized_margin == pytest.approx(0.359282 if shift > 0.0 else 0.367924, rel=1e-5)
