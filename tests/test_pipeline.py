"""A scenario becomes a trajectory: record times, contents, limits, refusals, interruption."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.errors import ScenarioError, TrajectoryError
from gflow.pipeline import stopped_by_limit
from gflow.scenario import parse_scenario
from gflow.trajectory import Progress

SMALL = """
gflow: 1
name: small
data: {kind: gaussian, n: 6, d: 12}
model: {kind: two_layer, width: 8, activation: {kind: leaky_relu, slope: 0.2}}
init: {kind: gaussian, scale: 1.0, relative_to: tensorflow}
loss: logistic
flow: {until: {time: 20.0}}
"""


def run(folder: Path, *overrides: str) -> gflow.Trajectory:
    return gflow.simulate(parse_scenario(SMALL, overrides=overrides), out=folder)


def test_the_file_agrees_with_itself(tmp_path: Path) -> None:
    """Stored margins, losses and patterns are those of the stored weights."""
    trajectory = run(tmp_path)
    X, y, a = trajectory.X, trajectory.y, trajectory.outer
    for row in (0, 57, -1):
        z = trajectory.weights(row % trajectory.n_rows) @ X.T
        p = y * (a @ np.where(z > 0.0, z, 0.2 * z))
        assert p == pytest.approx(trajectory.margins[row], abs=1e-12)
        assert np.log(np.mean(np.logaddexp(0.0, -p))) == pytest.approx(trajectory.log_loss[row], abs=1e-12)
        pattern = trajectory.pattern[row]
        assert (np.sign(z)[pattern != 0] == pattern[pattern != 0]).all()
        assert np.abs(z[pattern == 0]).max(initial=0.0) < 1e-13
    singular = np.linalg.svd(trajectory.weights(trajectory.n_rows - 1), compute_uv=False)
    assert trajectory.series["stable_rank"][-1] == pytest.approx((singular**2).sum() / singular[0] ** 2, rel=1e-12)
    assert trajectory.series["events"][-1] == len(trajectory.events) > 0


def test_log_spaced_rows_are_hit_exactly(tmp_path: Path) -> None:
    v = run(tmp_path, "record.times={spacing: log, count: 11}").log1p_time
    assert (v == np.linspace(0.0, 1.0, 11) * np.log1p(20.0)).all()


@pytest.mark.parametrize("spacing", ["linear", "loglog"])
def test_other_spacings(tmp_path: Path, spacing: str) -> None:
    v = run(tmp_path, f"record.times={{spacing: {spacing}, count: 5}}").log1p_time
    expected = np.log1p(np.linspace(0, 20, 5)) if spacing == "linear" else np.expm1(np.linspace(0, np.log1p(v[-1]), 5))
    assert v == pytest.approx(expected, rel=1e-14)


def test_given_times_are_hit_exactly(tmp_path: Path) -> None:
    times = np.array([0.0, 1e-3, 1.0, 7.5])
    v = run(tmp_path, f"record.times={{at: {times.tolist()}}}").log1p_time
    assert (v == np.log1p([*times, 20.0])).all()


def test_a_time_after_the_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"record.times.at: 30.0 is after the end of the run"):
        run(tmp_path / "run", "record.times={at: [1.0, 30.0]}")
    assert not (tmp_path / "run").exists()


def test_rows_do_not_depend_on_how_many_are_asked_for(tmp_path: Path) -> None:
    few = run(tmp_path / "few", "record.times={at: [1.0]}")
    many = run(tmp_path / "many", "record.times={spacing: linear, count: 61}")
    gap = np.abs(few.weights(few.n_rows - 1) - many.weights(many.n_rows - 1)).max()
    assert gap < 1e-8
    assert list(few.events.kind) == list(many.events.kind)


@pytest.mark.parametrize("limit", ["{log_loss: -3.0}", "{log_loss: -3.0, time: 1.0e9}"])
def test_the_run_ends_at_a_loss(tmp_path: Path, limit: str) -> None:
    trajectory = run(tmp_path, f"flow.until={limit}", "record.times={spacing: log, count: 30}")
    assert trajectory.outcome == "log_loss"
    assert trajectory.log_loss[-1] == pytest.approx(-3.0, abs=1e-12)
    assert (np.diff(trajectory.log_loss) < 0.0).all()


def test_the_first_end_counts(tmp_path: Path) -> None:
    trajectory = run(tmp_path, "flow.until={log_loss: -50.0, time: 2.0, log_time: 9.0}")
    assert trajectory.outcome == "time"
    assert trajectory.log1p_time[-1] == np.log1p(2.0)


def test_margins_that_floats_cannot_resolve_end_the_run_with_a_reason(tmp_path: Path) -> None:
    trajectory = run(tmp_path, "init={kind: gaussian, std: 1.0e+15}")
    assert trajectory.outcome == "precision" and stopped_by_limit(trajectory)
    assert "scale the outer layer, the inputs or the start down" in str(trajectory.outcome_sentence)
    assert trajectory.n_rows == 1


def test_nothing_is_written_for_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such data file"):
        run(tmp_path / "run", "data={kind: file, path: absent.npz}")
    assert not (tmp_path / "run").exists()


def test_an_existing_trajectory_is_kept(tmp_path: Path) -> None:
    before = run(tmp_path).path.read_bytes()
    with pytest.raises(TrajectoryError, match="exists already"):
        run(tmp_path)
    assert (tmp_path / "trajectory.h5").read_bytes() == before
    again = gflow.simulate(parse_scenario(SMALL), out=tmp_path, overwrite=True)
    assert again.outcome == "time"


def test_two_runs_give_the_same_bits(tmp_path: Path) -> None:
    first, second = run(tmp_path / "a"), run(tmp_path / "b")
    for name in ("log1p_time", "tau", "inner", "margins", "log_loss", "pattern"):
        assert np.array_equal(first.read(name), second.read(name)), name
    assert np.array_equal(first.events.log1p_time, second.events.log1p_time)


def test_an_interruption_keeps_the_rows(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.steps == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gflow.simulate(parse_scenario(SMALL), out=tmp_path, progress=interrupt)
    cut, whole = gflow.open_trajectory(tmp_path), run(tmp_path / "whole")
    assert cut.outcome is None and 1 < cut.n_rows < whole.n_rows
    assert np.array_equal(cut.margins, whole.margins[: cut.n_rows])


def test_progress_goes_forward(tmp_path: Path) -> None:
    seen: list[Progress] = []
    gflow.simulate(parse_scenario(SMALL), out=tmp_path, progress=seen.append)
    shares = [p.share for p in seen if p.share is not None]
    assert len(shares) == len(seen) > 10
    assert shares == sorted(shares) and 0.0 <= shares[0] and shares[-1] <= 1.0


def test_the_run_folder_tells_where_it_came_from(tmp_path: Path) -> None:
    trajectory = run(tmp_path, "seed=5")
    assert (tmp_path / "scenario.yaml").read_text() == SMALL
    (entry,) = trajectory.provenance
    assert entry["overrides"] == ["seed=5"] and entry["versions"]["numpy"] == np.__version__
    assert "seed: 5" in trajectory.scenario_resolved
    json.dumps(entry)


def test_without_events(tmp_path: Path) -> None:
    trajectory = run(tmp_path, "record.events=false")
    assert len(trajectory.events) == 0 < trajectory.series["events"][-1]


def test_resume_is_refused_in_this_version(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be resumed in this version"):
        gflow.simulate(parse_scenario(SMALL), out=tmp_path, resume=True)


def test_a_start_on_a_pushing_kink_is_told(tmp_path: Path) -> None:
    """W(0) = 0: every pair with a_j y_i > 0 starts where solutions are not unique."""
    trajectory = run(tmp_path, "init={kind: gaussian, std: 0}")
    pushing = int((np.outer(trajectory.outer, trajectory.y) > 0).sum())
    assert f"{pushing} pairs started on a pushing kink" in str(trajectory.outcome_sentence)
