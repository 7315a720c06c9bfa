"""Verdicts on frozen patterns: pending switches come, proved modes stay, and what is not known is not claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.continuation import continuation_of
from gflow.analysis.freezing import freezing
from gflow.analysis.limit import limit
from gflow.field.branch import Tolerances
from gflow.field.dual import DualBranch
from gflow.flow.dual import dual_engine
from gflow.flow.engine import Stretch
from tests.analysis.runs import gaussian, simulated

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "scenarios" / "gaussian-leaky.yaml").read_text()


def shipped(folder: Path, seed: int, log_time: float) -> AnalyzedRun:
    """n = 20, d = 400, m = 64, slope 0.1."""
    return simulated(folder, SHIPPED, f"seed={seed}", f"flow.until={{log_time: {log_time}}}", "record.times.count=12")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_pending_early_and_proved_late(tmp_path: Path, seed: int) -> None:
    early = freezing(shipped(tmp_path / "20", seed, 20.0))
    assert early.verdict == "pending" and early.pending > 50 and early.ahead is not None and early.ahead > 50
    middle_run = shipped(tmp_path / "100", seed, 100.0)
    middle = freezing(middle_run)
    assert middle.verdict == "pending"
    assert middle_run.continuation is not None
    assert_pending_pairs_leave(middle_run)
    late_run = shipped(tmp_path / "late", seed, 1e6)
    late = freezing(late_run)
    assert late.verdict == "proved" and late.pending == 0
    assert late.log1p_time == pytest.approx(middle.ahead_log1p_time, rel=1e-4)
    predicted, reached = limit(middle_run), limit(late_run)
    assert predicted.verdict == reached.verdict == "proved"
    assert predicted.multipliers == pytest.approx(reached.multipliers, rel=1e-9)
    further = simulated(tmp_path / "far", SHIPPED, f"seed={seed}", "flow.until={log_time: 1e9}", "record.times.count=3")
    assert freezing(further).log1p_time == pytest.approx(late.log1p_time, rel=1e-6)


def assert_pending_pairs_leave(run: AnalyzedRun) -> None:
    """What `pending` means: in the flow of the present mode alone each pair leaves, or nears its kink for ever.

    (In the true flow a few are settled by another switch before their own.)
    """
    assert run.continuation is not None
    pending = run.continuation.finding.pending
    engine = dual_engine(run.problem, run.last.U @ run.problem.span.B, Tolerances(1e-8, 1e-10))
    stretch = engine.stretch(engine.resume(run.last))
    branch = stretch.branch
    assert isinstance(branch, DualBranch)
    on = solve_ivp(branch.field, (0.0, 1e5), branch.y0, "Radau", jac=branch.jacobian, t_eval=[5e4, 1e5], rtol=1e-9)
    assert on.success
    half, end = (side_times_zeta(stretch, y) for y in on.y.T)
    share = stretch.guards._share(on.y[:, -1], np.arange(run.problem.network.width)).min(axis=2)
    for j, h in pending:
        if branch.mode.side[j, h] == 0:
            assert share[j, np.flatnonzero(branch.mode.slots[j] == h)[0]] < 0.0
        else:  # it has crossed, or goes on falling towards its kink at a constant rate
            assert end[j, h] < half[j, h]


def side_times_zeta(stretch: Stretch, y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, H), positive as long as a pair is on the side of the mode."""
    branch = stretch.branch
    return np.asarray(branch.mode.side * (branch.weights(y) @ branch.problem.surfaces.normals.T))


def test_numbers_agree_with_the_file(tmp_path: Path) -> None:
    run = gaussian(tmp_path, 1e4)
    result = freezing(run)
    trajectory = run.trajectory
    assert result.verdict == "proved"
    assert result.log1p_time == trajectory.events.log1p_time[-1]
    assert result.sliding == int(trajectory.series["sliding"][-1])
    assert result.proved_log1p_time == trajectory.log1p_time[-1]
    assert result.slack is not None and 0.0 < result.slack <= 1.0


def test_without_recorded_events_rows_tell_the_last_change(tmp_path: Path) -> None:
    with_events = gaussian(tmp_path / "a", 1e4)
    without = gaussian(tmp_path / "b", 1e4, 0, 0.1, "record.events=false")
    exact, seen = freezing(with_events).log1p_time, freezing(without).log1p_time
    times = with_events.log1p_time
    assert exact is not None and seen is not None
    assert seen == times[times >= exact][0]


def test_pending_pairs_are_named_by_first_samples(tmp_path: Path) -> None:
    run = gaussian(tmp_path, 3.0)
    result = freezing(run)
    assert result.verdict == "pending" and len(result.pending_pairs) == result.pending > 0
    assert all(0 <= j < 10 and 0 <= i < 6 for j, i in result.pending_pairs)


def test_both_layers_trained_is_never_proved(tmp_path: Path) -> None:
    text = """
gflow: 1
name: both
data: {kind: parity, n: 8, d: 4}
model: {kind: two_layer, width: 6, activation: {kind: relu}, outer: {train: true}}
init: {kind: gaussian, std: inverse_sqrt_inputs, outer: {std: inverse_sqrt_width}}
loss: logistic
flow: {until: {log_time: 6.0}}
record: {times: {count: 10}}
"""
    result = freezing(simulated(tmp_path, text))
    assert result.verdict in ("observed", "no")
    assert "no certificate is known" in result.reason


def test_smooth_activations_have_no_pattern(tmp_path: Path) -> None:
    text = """
gflow: 1
name: smooth
data: {kind: gaussian, n: 4, d: 8}
model: {kind: two_layer, width: 4, activation: {kind: smooth_leaky_relu, slope: 0.5}}
init: {kind: gaussian, std: 0.1}
loss: logistic
flow: {until: {time: 2.0}}
record: {times: {count: 4}}
"""
    result = freezing(simulated(tmp_path, text))
    assert result.verdict == "no" and "smooth" in result.summary


def test_linear_networks_have_nothing_to_freeze(tmp_path: Path) -> None:
    """Slope 1: one mode for ever, proved as soon as its limit is."""
    run = gaussian(tmp_path, 200.0, 0, 0.1, "model.activation={kind: linear}")
    result = freezing(run)
    assert result.verdict == "proved" and result.log1p_time is None and result.pending == 0


def test_the_way_ahead_is_the_same_from_any_row(tmp_path: Path) -> None:
    """From every row of a run the same last change and the same limit are foreseen."""
    run = gaussian(tmp_path, 1e4, 3)
    final = run.limit
    assert final is not None
    last = freezing(run).log1p_time
    for row in (0, 5, 15, 25):
        state = run.state(row)
        continuation = continuation_of(run.problem, state, Tolerances(1e-10, 1e-12))
        assert continuation.limit is not None
        assert continuation.limit.multipliers == pytest.approx(final.multipliers, rel=1e-8)
        if last is not None and state.v < last:
            assert continuation.last_change == pytest.approx(last, rel=1e-6)
            assert not continuation.finding.proved
    assert np.array_equal(final.side, run.last.side)
