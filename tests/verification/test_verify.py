"""`gflow verify` from a run to verify.json, the table and the exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import gflow
from gflow.cli import main
from gflow.errors import GflowError
from gflow.field.branch import Tolerances
from gflow.trajectory import Trajectory
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.identities import INTEGRATED
from gflow.verification.ladder import SHORT_EVENTS, Rung, rungs, tighter
from gflow.verification.reintegration import LadderProgress, again
from gflow.verification.stability import NOT_UNIQUE, agreement
from tests.verification.runs import changed, failing, named, run

KINDS = {
    "relu": "model.activation={kind: relu}",
    "linear": "model.activation={kind: linear}",
    "smooth": "model.activation={kind: smooth_leaky_relu, slope: 0.3}",
    "huberized": "model.activation={kind: huberized_relu}",
    "exponential": "loss=exponential",
    "bias": "model.bias=true",
    "primal": "flow.engine=primal",
    "taylor": "flow.method=taylor",
}


def silent(_: LadderProgress) -> None:
    pass


def recorded(trajectory: Trajectory) -> RecordedRun:
    return RecordedRun.of(trajectory)


def test_a_clean_run_passes_and_says_so(clean: Trajectory) -> None:
    seen: list[LadderProgress] = []
    found = gflow.verify(clean, seen.append)
    checks = named(found)
    assert found.passed and failing(found) == set()
    for name in ("rtol / 10", "rtol / 100", "other method: dopri8", "other engine: primal"):
        check = checks[f"again: {name}"]
        assert check.verdict == "pass" and check.value is not None and 0.0 < check.value < 1e-6
    for name in ("number of events", "final pattern", "last event", "frozen", "multipliers"):
        assert checks[f"conclusions: {name}"].verdict == "pass"
    assert {at.name for at in seen} == {name.removeprefix("again: ") for name in checks if name[:5] == "again"} - {
        name.removeprefix("again: ") for name in checks if name.endswith(", events")
    }
    text = clean.path.with_name("verify.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    content = json.loads(text)
    assert content == json.loads(json.dumps(found.to_json()))
    assert content["trajectory"]["scenario_sha256"] == clean.scenario_sha256 and content["verdict"] == "pass"
    assert content["trajectory"]["n_rows"] == clean.n_rows


@pytest.mark.sample("relu", "smooth", "taylor")
@pytest.mark.parametrize("kind", KINDS)
def test_every_network_is_verified(tmp_path: Path, kind: str) -> None:
    found = gflow.verify(run(tmp_path, KINDS[kind], "model.width=6", log_time=0.5))
    assert failing(found) == set(), [check for check in found.checks if check.verdict == "fail"]
    assert named(found)["again: rtol / 100"].verdict == "pass"
    assert {named(found)[f"identities: {name}"].verdict for name in INTEGRATED} == {"pass"}
    assert named(found)["identities: kernel"].verdict == "pass"
    other = [name for name in named(found) if name.startswith("again: other engine: ")]
    expected = {"primal": ["dual"], "smooth": [], "huberized": []}.get(kind, ["primal"])
    assert [name.rsplit(" ", 1)[1] for name in other if not name.endswith("events")] == expected


def test_two_trained_layers(both_layers: Trajectory) -> None:
    found = gflow.verify(both_layers)
    assert failing(found) == set()
    assert named(found)["again: other engine"].verdict == "not applicable"
    assert {named(found)[f"identities: {name}"].verdict for name in INTEGRATED} == {"pass"}
    assert {named(found)[f"identities: {name}"].verdict for name in ("rho", "kernel")} == {"not applicable"}
    assert named(found)["conclusions: last event"].verdict == "pass"


def test_a_run_without_events(tmp_path: Path) -> None:
    found = gflow.verify(run(tmp_path, "record.events=false", log_time=1.5))
    assert found.passed
    for name in ("events: log", "events: sides", "events: replay", "conclusions: last event", "invariants: masses"):
        assert named(found)[name].verdict == "not applicable"
    assert named(found)["conclusions: number of events"].verdict == "pass"


def test_a_run_of_one_row(tmp_path: Path) -> None:
    found = gflow.verify(run(tmp_path, "init={kind: gaussian, std: 1.0e+15}"))
    assert failing(found) == set() and named(found)["again: tolerance"].verdict == "not applicable"


def test_a_whole_row_from_elsewhere_is_found_by_integrating_again(clean: Trajectory, tmp_path: Path) -> None:
    """A run that is consistent in itself and wrong: the flow of weights 1e-4 away, at the last row."""

    def change(file: Any) -> None:  # Any: an open h5py.File
        file["inner"][-1] = file["inner"][-1] * (1.0 + 1e-4)
        file["margins"][-1] = file["margins"][-1] * (1.0 + 1e-4)

    at = recorded(changed(clean, tmp_path, change))
    chosen, _ = rungs(at)
    checks = named(agreement(at, [again(at, chosen[0], silent)], []))
    assert checks["again: rtol / 10"].verdict == "fail"
    assert checks["again: rtol / 10"].value == pytest.approx(1e-4, rel=0.01)
    assert checks["conclusions: final pattern"].verdict == "pass"


def test_loose_steps_are_told_from_the_flow(clean: Trajectory) -> None:
    """The gap that is measured is that of the integration: at rtol 1e-3 it exceeds that at rtol 1e-9 by far."""
    at = recorded(clean)
    loose = replace(at.manner, tolerances=Tolerances(1e-3, 1e-5))
    gaps = [
        max(each.margin_gap for each in again(at, Rung("", manner, (5, 20), True), silent).reached)
        for manner in (loose, tighter(at.manner, 10.0) or at.manner)
    ]
    assert gaps[0] > 100.0 * gaps[1]


def test_where_solutions_are_not_unique_a_disagreement_is_no_error(clean: Trajectory, tmp_path: Path) -> None:
    def change(file: Any) -> None:  # Any: an open h5py.File
        file["margins"][-1] = file["margins"][-1] + 1.0
        file.attrs["outcome_sentence"] = f"reached log t = 4; 2 pairs were on {NOT_UNIQUE}, where the policy decided"

    at = recorded(changed(clean, tmp_path, change))
    check = named(agreement(at, [again(at, rungs(at)[0][0], silent)], []))["again: rtol / 10"]
    assert check.verdict == "not applicable" and "not unique" in check.sentence and check.value is not None


def test_the_integrations_are_those_promised(clean: Trajectory) -> None:
    at = recorded(clean)
    chosen, left = rungs(at)
    assert left == []
    assert [rung.rows[-1] for rung in chosen[:2]] == [clean.n_rows - 1] * 2
    assert all(len(rung.rows) <= 10 and rung.rows[0] >= 1 for rung in chosen)
    assert all(at.event_counts[rung.rows[-1]] <= SHORT_EVENTS for rung in chosen[2:])
    assert [rung.manner.tolerances.rtol for rung in chosen] == pytest.approx([1e-9, 1e-10, 1e-8, 1e-8])
    reached = again(at, chosen[0], silent).reached
    assert np.array_equal([each.state.v for each in reached], at.log1p_time[list(chosen[0].rows)])


def test_command_line(tmp_path: Path) -> None:
    short = run(tmp_path / "short", "model.width=6", log_time=0.5)
    shown = CliRunner().invoke(main, ["verify", str(short.path.parent), "--json"])
    assert shown.exit_code == 0 and json.loads(shown.stdout)["verdict"] == "pass"

    def change(file: Any) -> None:  # Any: an open h5py.File
        file["margins"][3, 0] += 0.5

    wrong = changed(short, tmp_path, change)
    shown = CliRunner().invoke(main, ["verify", str(wrong.path)])
    assert shown.exit_code == 1
    assert "rows: margins" in shown.stdout and "Verdict      fail" in shown.stdout
    assert json.loads((tmp_path / "verify.json").read_text())["verdict"] == "fail"
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "nowhere")]).exit_code == 2


def test_a_folder_that_cannot_be_written_costs_no_result(tmp_path: Path) -> None:
    short = run(tmp_path, "model.width=6", log_time=0.5)
    (tmp_path / "verify.json.part").mkdir()
    shown = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert shown.exit_code == 0 and "Verdict      pass" in shown.stdout and "Saved        no" in shown.stdout
    assert [line for line in shown.stderr.splitlines() if "not saved" in line and "verify.json" in line]

    def change(file: Any) -> None:  # Any: an open h5py.File
        file["margins"][0, 0] = np.nan

    changed(short, tmp_path / "wrong", change)
    (tmp_path / "wrong" / "verify.json.part").mkdir()
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "wrong"), "--json"]).exit_code == 1


def test_descent_is_refused(tmp_path: Path) -> None:
    trajectory = run(tmp_path, log_time=1.0)
    gflow.compare(trajectory, [0.1])
    with pytest.raises(GflowError, match=r"descent\.h5 holds descent, not a flow: give the run folder"):
        gflow.verify(gflow.open_trajectory(tmp_path / "descent.h5"))
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "descent.h5")]).exit_code == 2


def test_the_report_shows_it(clean: Trajectory, tmp_path: Path) -> None:
    """Beside the same rows: every check with its verdict; of other rows: left aside, with a note."""
    gflow.verify(clean)
    page = tmp_path / "page.html"
    shown = CliRunner().invoke(main, ["report", str(clean.path), "--out", str(page)])
    text = page.read_text()
    assert shown.exit_code == 0 and 'id="verified"' in text
    assert "events: replay" in text and "0 fail" in text
    path = clean.path.with_name("verify.json")
    path.write_text(path.read_text().replace(f'"n_rows": {clean.n_rows}', '"n_rows": 3'))
    shown = CliRunner().invoke(main, ["report", str(clean.path), "--out", str(page)])
    assert "verify.json is of another state of this run" in shown.output and 'id="verified"' not in page.read_text()


def test_surfaces_of_several_samples_and_data_from_a_file(tmp_path: Path) -> None:
    """A scaled and an antipodal sample share surfaces: one event turns several entries of the pattern."""
    X = np.random.default_rng(3).normal(size=(6, 5))
    X[3], X[4] = 2.0 * X[0], -X[1]
    np.savez(tmp_path / "data.npz", X=X, y=np.array([1.0, -1.0, 1.0, 1.0, 1.0, -1.0]))
    trajectory = run(tmp_path / "run", f"data={{kind: file, path: {tmp_path / 'data.npz'}}}", log_time=1.5)
    assert len(trajectory.events) > 0 and set(trajectory.events.sample) <= {0, 1, 2, 5}
    found = gflow.verify(trajectory)
    assert failing(found) == set()
    assert named(found)["events: replay"].verdict == "pass"
    for name in ("rows: scenario", "invariants: masses"):
        assert named(found)[name].verdict == "not applicable"


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    trajectory = run(tmp_path, log_time=0.5)

    def stop(_: LadderProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gflow.verify(trajectory, stop)
    assert not (tmp_path / "verify.json").exists()
