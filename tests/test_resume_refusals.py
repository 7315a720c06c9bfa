"""What cannot be resumed is refused with the reason, and untouched."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import gflow
from gflow.errors import GflowError, ScenarioError, TrajectoryError
from tests.resumed import assert_same, contents, cut, scenario_of

LEAKY = scenario_of("leaky", Path())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["flow.rtol=1e-9"], "--resume: flow.rtol: not as in .*trajectory.h5"),
        (["seed=1", "flow.until={time: 50.0}"], "--resume: seed: not as in"),
        (
            ["flow.rtol=1e-9", "model.width=4", "name=a", "loss=exponential"],
            "name, model.width, model.outer.positive and 2 more",
        ),
        (["record.times.count=12"], "record.times.count: not as in .* and record.times only with it"),
        (["flow.until={time: 3.0}"], "flow.until: .* has come to log t = 2.99.* already.*choose a later end"),
        (["flow.until={log_loss: -0.7}"], "flow.until.log_loss: -0.7: .* already; choose a smaller one"),
        (["record.times={at: [3.0]}", "flow.until={time: 30.0}"], "record.times.at: 3.0 is before the last row"),
    ],
)
def test_another_scenario_is_refused(tmp_path: Path, overrides: list[str], message: str) -> None:
    done = gflow.simulate(LEAKY, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(ScenarioError, match=message):
        gflow.simulate(scenario_of("leaky", tmp_path, *overrides), tmp_path / "run", resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert done.outcome == "time"


@pytest.mark.parametrize("file, name", [("held.npz", "X"), ("held-init.npz", "W_initial")])
def test_other_data_are_refused(tmp_path: Path, file: str, name: str) -> None:
    scenario = scenario_of("held", tmp_path)
    cut(scenario, tmp_path / "run", 3)
    before = (tmp_path / "run" / "trajectory.h5").read_bytes()
    arrays = dict(np.load(tmp_path / file))
    first = next(iter(arrays))
    arrays[first][1, 1] = np.nextafter(arrays[first][1, 1], 9.0)
    np.savez(tmp_path / file, **arrays)
    with pytest.raises(ScenarioError, match=f"--resume: {name} is not, bit for bit, what .* holds"):
        gflow.simulate(scenario, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "trajectory.h5").read_bytes() == before


def test_a_file_of_another_version_or_without_checkpoints_is_refused(tmp_path: Path) -> None:
    cut(LEAKY, tmp_path / "run", 3)
    with h5py.File(tmp_path / "run" / "trajectory.h5", "r+") as file:
        version = file.attrs["gflow_version"]
        file.attrs["gflow_version"] = "7.0.0"
    with pytest.raises(TrajectoryError, match="is of format 1 and gflow 7.0.0, .* with the version that began it"):
        gflow.simulate(LEAKY, tmp_path / "run", resume=True)
    with h5py.File(tmp_path / "run" / "trajectory.h5", "r+") as file:
        file.attrs["gflow_version"] = version
        del file["resume"]
    with pytest.raises(TrajectoryError, match="keeps nothing to go on from.* --overwrite"):
        gflow.simulate(LEAKY, tmp_path / "run", resume=True)
    assert gflow.open_trajectory(tmp_path / "run").n_rows == 3


def test_a_run_that_is_not_there_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match="there is no run to resume; leave --resume away"):
        gflow.simulate(LEAKY, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()
    with pytest.raises(GflowError, match="exclude each other"):
        gflow.simulate(LEAKY, tmp_path / "run", resume=True, overwrite=True)


@pytest.mark.parametrize("how", ["resume", "overwrite", "anew"])
def test_a_second_writer_is_refused(tmp_path: Path, how: str) -> None:
    refused = list[object]()

    def second(_: object) -> None:
        if not refused:
            with pytest.raises(TrajectoryError, match="is being written by another run of gflow") as caught:
                gflow.simulate(LEAKY, tmp_path / "run", resume=how == "resume", overwrite=how == "overwrite")
            refused.append(caught)

    whole = gflow.simulate(LEAKY, tmp_path / "whole")
    first = gflow.simulate(LEAKY, tmp_path / "run", progress=second)
    assert refused and first.outcome == "time"
    assert_same(first.path, contents(whole.path))


def test_a_file_whose_rows_keep_no_checkpoint_is_read_but_not_resumed(tmp_path: Path) -> None:
    """As those of the version that cut its steps at rows."""
    cut(LEAKY, tmp_path / "run", 4)
    path = tmp_path / "run" / "trajectory.h5"
    with h5py.File(path, "r+") as file:
        for name in ("inner", "pattern", "steps", "silent"):
            del file[f"resume/{name}"]
    before, kept = path.read_bytes(), gflow.open_trajectory(path)
    assert kept.n_rows == 4 and not kept.resumable and gflow.analyze(kept, ["rank"])["rank"].summary
    with pytest.raises(TrajectoryError, match="keeps nothing to go on from: it is of an earlier version"):
        gflow.simulate(LEAKY, tmp_path / "run", resume=True)
    assert path.read_bytes() == before


def test_a_flow_compiled_by_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last bits of compiled code are those of a compiler and a processor, which the file names."""
    scenario = scenario_of("leaky", tmp_path)
    cut(scenario, tmp_path / "run", 3)
    kept = gflow.open_trajectory(tmp_path / "run").provenance[0]["compiled"]
    before = (tmp_path / "run" / "trajectory.h5").read_bytes()
    for other in (kept | {"processor": "another"}, kept | {"numba": "0.1"}, {"numba": "disabled"}):
        with monkeypatch.context() as patch:
            patch.setattr("gflow.compiled.compiled_for", lambda other=other: other)
            with pytest.raises(TrajectoryError, match="its flow was compiled by numba .*: resume it where it began"):
                gflow.simulate(scenario, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "trajectory.h5").read_bytes() == before
    assert gflow.simulate(scenario, tmp_path / "run", resume=True).outcome == "time"
    assert "compiled" not in gflow.simulate(scenario_of("steppers", tmp_path), tmp_path / "old").provenance[0]
