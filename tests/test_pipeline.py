"""A scenario becomes a trajectory: record times, contents, limits, refusals, interruption."""

from __future__ import annotations

import json
import signal
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import gflow
from gflow.errors import ScenarioError, TrajectoryError
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.pipeline.simulation import stopped_by_limit
from gflow.report.summary import closing_table, inspection_text
from gflow.scenario import parse_scenario
from gflow.trajectory import RunProgress

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


def test_rows_hold_the_extremes_so_far(tmp_path: Path) -> None:
    """Numbers from row 0 on, which never go back, reach at least as far as the rows, and are no later than these."""
    trajectory = run(tmp_path)
    series, v = trajectory.series, trajectory.log1p_time
    gap = np.ptp(trajectory.margins, axis=1)
    assert series["sup_margin_gap"][0] == pytest.approx(gap[0], abs=1e-12) and series["sup_margin_gap_at"][0] == 0.0
    assert (series["sup_margin_gap"] >= np.maximum.accumulate(gap) - 1e-12).all()
    assert (series["inf_min_margin"] <= np.minimum.accumulate(trajectory.margins.min(axis=1)) + 1e-12).all()
    extremes = [name for name in series if name.startswith(("sup_", "inf_")) and not name.endswith("_at")]
    assert len(extremes) == 14
    for name in extremes:
        assert (np.diff(series[name]) * (1.0 if name.startswith("sup") else -1.0) >= 0.0).all()
        assert (series[f"{name}_at"] <= v).all() and (np.diff(series[f"{name}_at"]) >= 0.0).all()
    assert trajectory.log_loss[-1] > np.log(np.log(2.0) / 6.0)  # not fitted yet at the end, so the last time is now
    assert (series["last_unfitted"] == v).all() and (series["last_unfitted_g"] == v).all()
    assert series["inf_log_loss"] == pytest.approx(trajectory.log_loss, abs=1e-12)
    assert not any(name in inspection_text(trajectory) for name in extremes)


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


@pytest.fixture
def step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled loop comes back after each step."""
    monkeypatch.setattr("gflow.flow.taylor.BATCH", 1)


@pytest.mark.usefixtures("step_by_step")
def test_an_interruption_keeps_the_rows(tmp_path: Path) -> None:
    def interrupt(progress: RunProgress) -> None:
        if progress.steps == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gflow.simulate(parse_scenario(SMALL), out=tmp_path, progress=interrupt)
    cut, whole = gflow.open_trajectory(tmp_path), run(tmp_path / "whole")
    assert cut.outcome is None and 1 < cut.n_rows < whole.n_rows
    assert np.array_equal(cut.margins, whole.margins[: cut.n_rows])


def ignored(number: int, frame: object) -> None:
    """A handler that is somebody else's."""


class Watched:
    """Something a weak reference can watch."""


@pytest.mark.usefixtures("step_by_step")
@pytest.mark.sample("True-15", "False-2")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("inside_callback", [False, True])
def test_a_signal_stops_between_two_items(tmp_path: Path, number: signal.Signals, inside_callback: bool) -> None:
    """Also where an exception would be lost, in the callback of a weak reference."""

    def interrupt(progress: RunProgress) -> None:
        if progress.steps != 12:
            return
        if inside_callback:
            watched = Watched()
            reference = weakref.ref(watched, lambda _: signal.raise_signal(number))
            del watched
            assert reference() is None
        else:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as caught:
        gflow.simulate(parse_scenario(SMALL), out=tmp_path, progress=interrupt)
    assert signal.getsignal(number) is before
    cut, whole = gflow.open_trajectory(tmp_path), run(tmp_path / "whole")
    assert cut.outcome is None and 1 < cut.n_rows < whole.n_rows
    assert np.array_equal(cut.pattern, whole.pattern[: cut.n_rows])
    log_t = np.log(np.expm1(cut.log1p_time[-1]))
    kept = f"{cut.path} keeps {cut.n_rows} rows, up to log t = {log_t:.4g}"
    again = 12 - int(cut.read("resume/steps", -1))
    assert again >= 1
    assert str(caught.value) == f"interrupted; {kept}; of 12 steps {again} will be done again; go on with --resume"


@pytest.mark.usefixtures("step_by_step")
def test_a_second_signal_acts_at_once(tmp_path: Path) -> None:
    reached = []

    def interrupt(_: RunProgress) -> None:
        signal.raise_signal(signal.SIGINT)
        reached.append("after the first")
        signal.raise_signal(signal.SIGINT)
        reached.append("after the second")

    with pytest.raises(KeyboardInterrupt, match="keeps 1 row, up to t = 0"):
        gflow.simulate(parse_scenario(SMALL), out=tmp_path, progress=interrupt)
    assert reached == ["after the first"]
    assert gflow.open_trajectory(tmp_path).n_rows == 1


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As for a job in the background of a shell script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        trajectory = gflow.simulate(
            parse_scenario(SMALL), out=tmp_path, progress=lambda _: signal.raise_signal(signal.SIGINT)
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert trajectory.outcome == "time"


def test_a_run_in_another_thread_leaves_the_signals_alone(tmp_path: Path) -> None:
    before, seen = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(
        target=gflow.simulate,
        args=(parse_scenario(SMALL), tmp_path),
        kwargs={"progress": lambda _: seen.append(signal.getsignal(signal.SIGINT))},
    )
    thread.start()
    thread.join()
    assert gflow.open_trajectory(tmp_path).outcome == "time" and set(seen) == {before}


def test_more_than_memory_holds_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gflow.assembly.capacity.physical_memory", lambda: 64 * 10**9)
    with pytest.raises(ScenarioError, match=r"n = 40000, d = 10 .* 76.8 GB .* over 80% .* 64 GB; use fewer samples$"):
        run(tmp_path / "run", "data={kind: gaussian, n: 40000, d: 10}")
    with pytest.raises(ScenarioError, match=r"most of it for 6 of 9000000 x 1000 .* use fewer .*neurons"):
        run(tmp_path / "run", "data.n=1000", "model.width=9000000")
    monkeypatch.setattr("gflow.assembly.capacity.physical_memory", lambda: 10_000)
    np.savez(tmp_path / "d.npz", X=np.eye(50), y=np.ones(50))
    with pytest.raises(ScenarioError, match="n = 50, d = 50"):
        run(tmp_path / "run", f"data={{kind: file, path: {tmp_path / 'd.npz'}}}")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr("gflow.assembly.capacity.physical_memory", lambda: None)
    assert run(tmp_path / "run").outcome == "time"


def test_more_than_the_disk_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gflow.assembly.capacity.shutil.disk_usage", lambda _: SimpleNamespace(free=10**7))
    assert run(tmp_path / "small").outcome == "time"
    with pytest.raises(ScenarioError, match=r"record.times.count: 5001 rows of 1351 bytes make a file of 0.00\d* GB"):
        run(tmp_path / "run", "record.times.count=5000")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["data={kind: gaussian, n: 20, d: 3000}", "record.times.count=20"],
        ["record.times.count=1000"],
        ["model.outer={train: true}", "flow.engine=primal", "record.times.count=300"],
    ],
    ids=["mostly data", "mostly rows", "trained"],
)
def test_the_size_of_a_file_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str]
) -> None:
    """It is refused on a disk that is a little smaller than twice its size in the end, and not on a larger one."""
    size = run(tmp_path / "run", *overrides).path.stat().st_size
    disk = SimpleNamespace(free=2 * size)
    monkeypatch.setattr("gflow.assembly.capacity.shutil.disk_usage", lambda _: disk)
    with pytest.raises(ScenarioError, match="twice that is needed"):
        run(tmp_path / "again", *overrides)
    disk.free = int(2.1 * size) + 2 * 70 * 3 * 4096  # datasets end within pages
    assert run(tmp_path / "again", *overrides).path.stat().st_size == size


def test_a_loss_that_is_passed_already_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"flow.until.log_loss: 0.5: the loss at the start is already log L = -0"):
        run(tmp_path / "run", "flow.until={log_loss: 0.5, time: 1.0}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "spacing, shown", [("log", lambda v: v), ("loglog", np.log1p), ("linear", np.expm1)], ids=lambda p: str(p)[:6]
)
def test_progress_is_measured_as_rows_are_spread(tmp_path: Path, spacing: str, shown: Callable[[float], float]) -> None:
    seen: list[RunProgress] = []
    scenario = parse_scenario(SMALL, overrides=[f"record.times={{spacing: {spacing}, count: 9}}"])
    v = gflow.simulate(scenario, out=tmp_path, progress=seen.append).log1p_time
    for p in seen:
        assert p.log_time is not None and p.share is not None
        assert p.share == pytest.approx(shown(float(np.logaddexp(0.0, p.log_time))) / shown(v[-1]), rel=1e-9)


def test_the_share_moves_on_the_way_to_a_large_time() -> None:
    until = Until(1e6, Outcome.LOG_TIME, None)
    assert until.share(1e3, -7.0, -0.7, "loglog") == pytest.approx(0.5, abs=1e-3)
    assert until.share(1e6 - 1.0, -7.0, -0.7, "linear") == pytest.approx(np.exp(-1.0))
    assert until.share(0.0, -0.7, -0.7, "loglog") == 0.0
    low = Until(None, Outcome.TIME, -1e6)
    assert low.share(1e3, -1e3, 0.0, "loglog") == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("end", ["time: 20.0", "log_time: 3.25"])
def test_the_end_is_named_as_it_was_given(tmp_path: Path, end: str) -> None:
    with pytest.raises(ScenarioError, match=rf"\(flow.until.{end}\): remove it from record.times.at or"):
        run(tmp_path / "run", f"flow.until={{{end}}}", "record.times={at: [1.0, 30.0]}")


@pytest.mark.parametrize("section", ["data", "init"])
def test_an_unusable_file_is_told_with_its_key(tmp_path: Path, section: str) -> None:
    path = tmp_path / "named.yaml"
    entry = f"{section}: {{kind: file, path: absent.npz}}"
    path.write_text("\n".join(entry if line.startswith(section) else line for line in SMALL.splitlines()))
    line = 4 if section == "data" else 6
    with pytest.raises(ScenarioError, match=rf"no such .* file.* \({section}.path in {path}:{line}\)$"):
        gflow.simulate(gflow.load_scenario(path), out=tmp_path / "run")
    overridden = gflow.load_scenario(path, [f"{section}.path=other.npz"])
    with pytest.raises(ScenarioError, match=rf"other.npz: no such .* \({section}.path in --set\)$"):
        gflow.simulate(overridden, out=tmp_path / "run")


@pytest.mark.usefixtures("step_by_step")
def test_progress_goes_forward(tmp_path: Path) -> None:
    seen: list[RunProgress] = []
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


def test_a_start_on_a_pushing_kink_is_told(tmp_path: Path) -> None:
    """W(0) = 0: every pair with a_j y_i > 0 starts where solutions are not unique."""
    trajectory = run(tmp_path, "init={kind: gaussian, std: 0}")
    pushing = int((np.outer(trajectory.outer, trajectory.y) > 0).sum())
    assert f"{pushing} pairs were on kinks that can be left in several ways" in str(trajectory.outcome_sentence)


def test_smooth_networks_have_signs_but_no_kinks(tmp_path: Path) -> None:
    activation = "model.activation={kind: smooth_leaky_relu, slope: 0.2}"
    trajectory = run(tmp_path, activation, "flow.until={time: 200.0}")
    turned = int((trajectory.pattern[0] != trajectory.pattern[-1]).sum())
    assert turned > 0 == len(trajectory.events)
    assert f"no kinks to cross; {turned} of 48 pre-activations" in closing_table(trajectory)
