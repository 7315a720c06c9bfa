"""Sweeps in one process: the table, what is done again and what is not, and failures."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import gflow
from gflow.errors import SweepError, TrajectoryError
from gflow.scenario import parse_scenario
from gflow.sweeps import sweeping
from gflow.sweeps.plan.plan import plan_of
from gflow.sweeps.plan.sweep_file import load_sweep
from gflow.sweeps.progress import SweepProgress
from gflow.sweeps.run.columns import Row
from gflow.sweeps.store.folder import RESULTS
from gflow.trajectory import sole_writer
from tests.sweeps.small import AXES, BASE, facts, sweep_file


def test_the_table_has_what_each_run_gives_by_itself(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {model.activation.slope: [0.1], seeds: [2, 5]}\n"
    text += "analyses: [freezing, limit, rank]\nseries: {names: [stable_rank, events], at: [1.0, 3.0]}\n"
    sweep = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0)
    assert len(sweep.table) == sweep.done == sweep.total == 2 and not sweep.failures
    row = sweep.table[0]
    assert (row["model.activation.slope"], row["seed"]) == (0.1, 2)
    scenario = parse_scenario(BASE, overrides=["seed=2", "record.times={at: [1.0, 3.0]}"])
    run = gflow.simulate(scenario, tmp_path / "alone")
    assert row["log_loss"] == run.log_loss[-1] and row["outcome"] == run.outcome and row["events"] == run.n_events
    assert row["series.stable_rank"] == run.series["stable_rank"][-1]
    assert row["series.stable_rank@1"] == run.series["stable_rank"][1]
    assert row["series.events@3"] == run.series["events"][2]
    assert row["last_event_log1p_time"] == (run.events.log1p_time[-1] if run.n_events else None)
    found = gflow.analyze(run, ["freezing", "limit", "rank"])
    assert row["freezing.verdict"] == found["freezing"].verdict
    assert row["limit.normalized_margin"] == found["limit"].normalized_margin
    assert row["rank.last_row.excess"] == found["rank"].last_row.excess


def test_claims_have_a_column_each(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {seeds: 0..1}\nanalyses: [claims]\n"
    sweep = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0)
    claims = {name: values for name, values in sweep.columns.items() if name.startswith("claims.")}
    assert claims and {word for values in claims.values() for word in values} <= {"holds", "violated", "not applicable"}


def test_csv_parquet_pandas_and_xarray_say_the_same(tmp_path: Path) -> None:
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    sweep = gflow.sweep(sweep_file(tmp_path, AXES + "analyses: [freezing]\n"), tmp_path / "out", workers=0)
    with (sweep.path / "summary.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["log_loss"]) for line in lines] == sweep.columns["log_loss"]  # all digits
    assert [line["id"] for line in lines] == sweep.columns["id"] and lines[0]["failure"] == ""
    frame, parquet = sweep.to_pandas(), pandas.read_parquet(sweep.path / "summary.parquet")
    assert list(frame.columns) == list(parquet.columns) == list(lines[0])
    assert (frame["log_loss"] == parquet["log_loss"]).all() and len(frame) == 12
    data = gflow.open_sweep(sweep.path).to_xarray()
    assert isinstance(data, xarray.Dataset) and data.sizes == {"model.activation.slope": 3, "seed": 4}
    for row in sweep.table:
        at = data.sel({"model.activation.slope": row["model.activation.slope"], "seed": row["seed"]})
        assert (
            float(at["log_loss"]) == row["log_loss"] and str(at["freezing.verdict"].item()) == row["freezing.verdict"]
        )
    assert set(data["failure"].values.flat) == {""}


def test_xarray_over_keys_that_move_together_and_random_draws(tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    text = "base: base.yaml\nzip: {data.n: [4, 6], data.d: [8, 12]}\n"
    text += "random: {count: 3, keys: {init.std: {log: [0.1, 1]}}}\n"
    data = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0).to_xarray()
    assert data.sizes == {"data.n": 2, "draw": 3} and data["data.d"].dims == ("data.n",)
    assert data["init.std"].dims == ("draw",) and bool(np.isfinite(data["log_loss"]).all())


def test_again_does_what_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    path, out = sweep_file(tmp_path), tmp_path / "out"
    first = gflow.sweep(path, out, workers=0)
    kept = (out / RESULTS).read_bytes()
    told: list[SweepProgress] = []
    assert facts(gflow.sweep(path, out, workers=0, resume=True, progress=told.append)) == facts(first)
    assert (out / RESULTS).read_bytes() == kept and (told[-1].before, told[-1].done) == (12, 0)

    sweep_file(tmp_path, AXES.replace("0..3", "0..4"))
    more = gflow.sweep(path, out, workers=0, progress=told.append)
    assert (told[-1].before, told[-1].done, told[-1].left) == (12, 3, 0)
    assert [row for row in more.table if row["seed"] != 4] == first.table  # their wall time, too: the same rows

    sweep_file(tmp_path, AXES.replace("0..3", "0..1"))
    fewer = gflow.sweep(path, out, workers=0, progress=told.append)
    assert told[-1].done == 0 and fewer.table == [row for row in first.table if row["seed"] in (0, 1)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_the_rows_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    path, out = sweep_file(tmp_path), tmp_path / "out"

    def stop(progress: SweepProgress) -> None:
        if progress.done == 5:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt) as caught:
        gflow.sweep(path, out, workers=0, progress=stop)
    assert str(caught.value) == f"interrupted; 5 of 12 runs are done, go on with: gflow sweep {path} --out {out}"
    assert len((out / "summary.csv").read_text().splitlines()) == 1 + 5
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    told: list[SweepProgress] = []
    whole = gflow.sweep(path, out, workers=0, progress=told.append)
    assert (told[-1].before, told[-1].done) == (5, 7)
    assert facts(whole) == facts(gflow.sweep(path, tmp_path / "whole", workers=0))


def test_rows_that_a_file_system_shows_late_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, looks, waits = plan_of(load_sweep(sweep_file(tmp_path))), [0], [0.0]
    row: Row = {"failure": None}

    def seen(folder: Path) -> dict[str, Row]:
        looks[0] += 1
        return {run: row for run in plan.ids[: 10 + looks[0]]}

    monkeypatch.setattr(sweeping, "rows_by_id", seen)
    monkeypatch.setattr("time.sleep", waits.append)
    sweeping._wait_for_rows(plan, tmp_path)
    assert looks == [2] and waits == [0.0, 1.0]


def test_points_of_one_scenario_are_one_run(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {model.activation: [{kind: relu}, {kind: leaky_relu, slope: 0.0}], seeds: [0]}\n"
    text += "random: {count: 5, keys: {data.n: [4, 6]}}\n"
    told: list[SweepProgress] = []
    sweep = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0, progress=told.append)
    assert len(sweep.table) == 10 and told[-1].done == sweep.total == 4  # a drawn n of 4 or 6, for each activation
    for row in sweep.table:
        assert row["log_loss"] == next(each["log_loss"] for each in sweep.table if each["id"] == row["id"])


def test_a_run_that_fails_is_a_row_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "base: base.yaml\naxes:\n  seeds: 0..1\n  flow.until: [{time: 5.0}, {log_loss: 3.0}]\n"
    sweep = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0)
    failed = [row for row in sweep.table if row["failure"] is not None]
    assert [row["seed"] for row in failed] == [0, 1] and len(sweep.failures) == 2
    assert all("the loss at the start is already" in str(row["failure"]) for row in failed)
    assert all("outcome" not in row for row in failed)
    told: list[SweepProgress] = []
    gflow.sweep(tmp_path / "sweep.yaml", tmp_path / "out", workers=0, progress=told.append)
    assert told[-1].done == 0  # a failure is a result
    gflow.sweep(tmp_path / "sweep.yaml", tmp_path / "out", workers=0, progress=told.append, retry_failed=True)
    assert (told[-1].done, told[-1].failed) == (2, 2)


def test_an_error_of_gflow_is_a_row_and_a_later_success_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = sweep_file(tmp_path), tmp_path / "out"
    with monkeypatch.context() as broken:
        broken.setattr("gflow.sweeps.run.row.integrated", lambda scenario: 1 / 0)
        sweep = gflow.sweep(path, out, workers=0)
    assert len(sweep.failures) == 12
    assert next(iter(sweep.failures.values())).startswith("error of gflow: ZeroDivisionError: division by zero, at")
    assert not gflow.sweep(path, out, workers=0, retry_failed=True).failures


def test_an_analyzer_that_fails_is_told_beside_what_the_others_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gflow.pipeline.findings import ANALYZERS

    monkeypatch.setitem(ANALYZERS, "rank", lambda run: 1 / 0)
    text = "base: base.yaml\naxes: {seeds: [0]}\nanalyses: [freezing, rank]\n"
    (row,) = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0).table
    assert row["failure"] == "failed: rank" and row["rank.verdict"] == "failed" and row["freezing.verdict"] != "failed"


def test_rows_and_runs_are_kept_where_asked_for(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {seeds: 0..1}\nkeep: "
    rows = gflow.sweep(sweep_file(tmp_path, text + "rows\n"), tmp_path / "rows", workers=0)
    run = str(rows.table[1]["id"])
    kept = rows.rows(run)
    assert kept["margins"].shape == (3, 4) and kept["log_loss"][-1] == rows.table[1]["log_loss"]
    with pytest.raises(SweepError, match="was not kept; sweep with keep: all"):
        rows.trajectory(run)
    everything = gflow.sweep(sweep_file(tmp_path, text + "all\nanalyses: [rank]\n"), tmp_path / "all", workers=0)
    run = str(everything.table[1]["id"])
    trajectory = everything.trajectory(run)
    assert np.array_equal(trajectory.margins, kept["margins"]) and np.array_equal(trajectory.log_loss, kept["log_loss"])
    assert json.loads((trajectory.path.parent / "analysis.json").read_text())["rank"]["verdict"]
    with pytest.raises(SweepError, match="was not kept; sweep with keep: rows"):
        everything.rows(run)


def test_a_kept_run_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {seeds: 0..1}\nkeep: all\n"
    whole = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "whole", workers=0)
    ids = [str(row["id"]) for row in whole.table]
    for run, content in zip(ids, (b"", b"no HDF5"), strict=True):
        (tmp_path / "cut" / "runs" / run).mkdir(parents=True)
        (tmp_path / "cut" / "runs" / run / "trajectory.h5").write_bytes(content)
    (tmp_path / "cut" / "sweep.json").write_bytes((tmp_path / "whole" / "sweep.json").read_bytes())
    assert facts(gflow.sweep(tmp_path / "sweep.yaml", tmp_path / "cut", workers=0)) == facts(whole)


def test_descent_beside_the_flow(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {seeds: 0..1}\ndescent: {eta: [0.1, 0.05], until: {steps: 20}}\n"
    sweep = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0)
    scenario = parse_scenario(BASE, overrides=["seed=1"])
    found = gflow.descend(scenario, [0.1, 0.05], steps=20, out=tmp_path / "alone")
    for run in found.runs:
        assert sweep.table[1][f"descent[eta={run.eta!r}].log_loss"] == run.log_loss
    one = "base: base.yaml\naxes: {descent.eta: [[0.1], [0.05]]}\ndescent: {until: {steps: 20}, eta: [1.0]}\n"
    sweep = gflow.sweep(sweep_file(tmp_path, one), tmp_path / "one", workers=0)
    assert [row["descent.steps"] for row in sweep.table] == [20, 20]
    assert not list((tmp_path / "one").rglob("*.h5"))


def test_series_of_descent_at_times_and_steps(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {seeds: [3]}\ndescent: {eta: [0.1, 0.05], until: {steps: 20}}\nkeep: rows\n"
    text += "series: {names: [stable_rank, weight_norm, log_loss], at: [0.0, 0.333, 0.5], steps: [1, 7, 21]}\n"
    sweep = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0)
    found = gflow.descend(parse_scenario(BASE, overrides=["seed=3"]), [0.1, 0.05], steps=20, out=tmp_path / "alone")
    (row,) = sweep.table
    rows = found.trajectory
    kept = sweep.rows(str(row["id"]))
    for run in found.runs:
        own = np.flatnonzero(rows.read("eta") == run.eta)
        name, steps = f"descent[eta={run.eta!r}]", rows.read("step")[own].tolist()
        norms, losses = rows.series["weight_norm"][own], rows.log_loss[own]
        assert row[f"{name}.weight_norm"] == norms[-1] and row[f"{name}.stable_rank"] == run.stable_rank
        assert row[f"{name}.weight_norm@0"] == norms[0]
        assert row[f"{name}.log_loss@0.5"] == losses[steps.index(round(0.5 / run.eta))]
        assert row[f"{name}.log_loss@step7"] == losses[steps.index(7)]
        assert row[f"{name}.log_loss@0.333"] is None and row[f"{name}.log_loss@step21"] is None
        assert kept[f"{name}.step"].tolist() == steps and kept[f"{name}.weight_norm"].tolist() == norms.tolist()
    assert row["series.log_loss@0.5"] == kept["log_loss"][np.isclose(kept["log1p_time"], np.log1p(0.5))]


def test_pairs_with_an_event_ahead_are_counted(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes: {seeds: 0..1}\nkeep: rows\n"
    sweep = gflow.sweep(sweep_file(tmp_path, text), tmp_path / "out", workers=0)
    changed = 0
    for seed, row in enumerate(sweep.table):
        kept = sweep.rows(str(row["id"]))
        run = gflow.simulate(parse_scenario(BASE, overrides=[f"seed={seed}"]), tmp_path / str(seed))
        events = list(zip(run.events.log1p_time, run.events.neuron, run.events.sample, strict=True))
        ahead = [len({(j, i) for v, j, i in events if v > now}) for now in run.log1p_time]
        assert kept["unfrozen"] == pytest.approx(np.array(ahead) / 16)
        changed += ahead[0]
    assert changed > 0 and kept["unfrozen"][-1] == 0.0


def test_neurons_at_the_end_where_both_layers_are_trained(tmp_path: Path) -> None:
    base = BASE.replace("{kind: leaky_relu, slope: 0.1}", "{kind: relu}, outer: {train: true}")
    base = base.replace("std: 0.1}", "std: 0.5, outer: {std: 0.5}}")
    text = "base: base.yaml\naxes: {seeds: [0]}\nkeep: rows\ndescent: {eta: [0.1], until: {steps: 20}}\n"
    sweep = gflow.sweep(sweep_file(tmp_path, text, base), tmp_path / "out", workers=0)
    (row,) = sweep.table
    kept = sweep.rows(str(row["id"]))
    run = gflow.simulate(parse_scenario(base), tmp_path / "alone")
    norms = np.abs(run.read("outer", -1)) * np.linalg.norm(run.weights(-1), axis=1)
    assert kept["neurons.norm"] == pytest.approx(norms) and kept["neurons.rotation"].shape == (4,)
    assert row["neurons.median_relative_norm"] == pytest.approx(np.median(norms) / norms.max())
    other = kept["descent.neurons.norm"]
    assert row["descent.neurons.median_relative_norm"] == pytest.approx(np.median(other) / other.max())


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    path, out = sweep_file(tmp_path), tmp_path / "out"
    with pytest.raises(SweepError, match="there is no sweep to resume"):
        gflow.sweep(path, out, workers=0, resume=True)
    with pytest.raises(SweepError, match="has files, and they are not those of a sweep"):
        gflow.sweep(path, tmp_path, workers=0)
    with pytest.raises(SweepError, match="is a file; --out needs a folder"):
        gflow.sweep(path, path, workers=0)
    with pytest.raises(SweepError, match=r"has no sweep.json, so it is no folder of a sweep"):
        gflow.open_sweep(tmp_path)
    assert not out.exists()
    gflow.sweep(path, out, workers=0)
    with sole_writer(out), pytest.raises(TrajectoryError, match="is being written by another run of gflow"):
        gflow.sweep(path, out, workers=0)
    (out / "sweep.json").write_text('{"format": "gflow sweep", "version": 2}')
    with pytest.raises(SweepError, match="is gflow sweep 2, not gflow sweep 1"):
        gflow.open_sweep(out)
    (out / "sweep.json").write_text("{")
    with pytest.raises(SweepError, match="cannot be read"):
        gflow.open_sweep(out)


def test_a_data_file_that_has_changed_is_noticed(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("1.0,0.5,1\n0.2,-1.0,-1\n")
    base = BASE.replace("{kind: gaussian, n: 4, d: 6}", "{kind: file, path: data.csv}")
    path = sweep_file(tmp_path, "base: base.yaml\naxes: {seeds: 0..1}\n", base)
    assert not gflow.sweep(path, tmp_path / "out", workers=0).failures
    data.write_text("1.0,0.5,1\n0.2,-1.5,-1\n")
    with pytest.raises(SweepError, match=r"data.csv has changed since the sweep"):
        gflow.sweep(path, tmp_path / "out", workers=0)


def test_a_column_is_named_by_its_end(tmp_path: Path) -> None:
    sweep = gflow.sweep(
        sweep_file(tmp_path, "base: base.yaml\naxes: {model.activation.slope: [0.1]}\nanalyses: [limit, rank]\n"),
        tmp_path / "out",
        workers=0,
    )
    assert (
        sweep.column("slope") == "model.activation.slope" and sweep.column("limit.stable_rank") == "limit.stable_rank"
    )
    with pytest.raises(SweepError, match="column 'stable_rank' means series.stable_rank, limit.stable_rank"):
        sweep.column("stable_rank")
    for typed, meant in {"slop": "model.activation.slope", "limit.stble_rank": "limit.stable_rank"}.items():
        with pytest.raises(SweepError, match=f"column '{typed}': did you mean `{meant}`"):
            sweep.column(typed)
    with pytest.raises(SweepError, match=r"column 'zzz': there is none of this name. All \d+ are in the first line of"):
        sweep.column("zzz")


def test_the_forecast_tries_a_few_runs_and_writes_nothing(tmp_path: Path) -> None:
    path, out = sweep_file(tmp_path), tmp_path / "out"
    forecast = gflow.forecast_sweep(path, out, workers=2)
    assert (forecast.total, forecast.missing, forecast.tried, forecast.failed) == (12, 12, 6, 0)
    assert dict(forecast.sizes) == {"model.activation.slope": 3, "seed": 4} and not out.exists()
    sweep = gflow.sweep(path, out, workers=0)
    real = sum(file.stat().st_size for file in out.iterdir() if file.is_file())
    assert 0.3 * real < forecast.disk < 3.0 * real
    took = sum(float(str(row["wall_time"])) for row in sweep.table)
    assert took / 10 < forecast.core_seconds < 10 * took and forecast.seconds == forecast.core_seconds / 2
    assert gflow.forecast_sweep(path, out).missing == 0


def test_engines_exclude_each_other(tmp_path: Path) -> None:
    path = sweep_file(tmp_path)
    with pytest.raises(SweepError, match="--workers and --scheduler exclude each other"):
        gflow.sweep(path, tmp_path / "out", workers=2, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(SweepError, match="--workers -1: must be an integer from 0"):
        gflow.sweep(path, tmp_path / "out", workers=-1)
    assert not (tmp_path / "out").exists()
