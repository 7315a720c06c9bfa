"""The commands `gflow sweep` and `gflow sweep plot`, and the texts that they print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import gflow
from gflow.cli import main
from gflow.report.sweep import duration, forecast_text, result_text, size_text, sweep_line
from gflow.sweeps.engine import cluster
from gflow.sweeps.progress import Count, SweepProgress
from tests.sweeps.small import AXES, sweep_file


def shown(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sweep", *arguments])


def test_a_sweep_and_its_picture(tmp_path: Path) -> None:
    path, out = sweep_file(tmp_path, AXES + "analyses: [freezing]\n"), tmp_path / "out"
    done = shown(str(path), "--out", str(out), "--workers", "0")
    assert done.exit_code == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["Runs"] == "12 of 12" and lines["Axes"] == "model.activation.slope, seed"
    assert lines["Outcomes"] == "time 12" and "Freezing" in lines
    assert lines["Saved"] == f"{out}: summary.csv, summary.parquet;  next: gflow sweep plot {out}"
    again = shown("--out", str(out), str(path), "--workers", "0", "--resume")  # options may come first
    assert again.exit_code == 0 and "runs that have a row there are not done again" in again.stderr
    drawn = shown("plot", str(out), "--x", "slope", "--value", "log_loss", "--over", "seed", "--out", f"{out}/a.png")
    assert drawn.exit_code == 0 and drawn.stdout == f"{out}/a.png\n" and (out / "a.png").exists()
    refused = shown("plot", str(out), "--x", "slop", "--value", "log_loss")
    assert refused.exit_code == 2 and refused.stderr.startswith(
        "gflow: column 'slop': did you mean `model.activation.slope`"
    )


def test_a_dry_run_says_what_a_sweep_costs_and_writes_nothing(tmp_path: Path) -> None:
    path = sweep_file(tmp_path)
    done = shown(str(path), "--dry-run", "--workers", "2", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0
    assert "12 (3 model.activation.slope x 4 seed), 12 of them missing" in done.stdout
    assert "on 2 workers" in done.stdout and "Disk" in done.stdout and not (tmp_path / "out").exists()


def test_bad_input_is_one_line_exit_2_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    path = sweep_file(tmp_path, "base: base.yaml\naxes:\n  init.sdt: [1.0]\n")
    for options in ((), ("--dry-run",)):
        refused = shown(str(path), "--out", str(tmp_path / "out"), "--workers", "0", *options)
        assert refused.exit_code == 2 and refused.stdout == ""
        assert refused.stderr.startswith(f"gflow: {path}:3: init.sdt = 1.0: unknown key; did you mean `std`?")
        assert refused.stderr.count("\n") == 1
    path = sweep_file(tmp_path)
    refused = shown(str(path), "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9")
    assert refused.exit_code == 2 and refused.stderr.startswith("gflow: --scheduler tcp://127.0.0.1:9: no scheduler")
    assert refused.stderr.count("\n") == 1 and not (tmp_path / "out").exists()
    assert shown(str(tmp_path / "none.yaml")).exit_code == 2 and shown("plot", str(tmp_path), "--x", "a").exit_code == 2


def test_help_names_both_commands_and_loads_neither_dask_nor_matplotlib() -> None:
    probe = (
        "import sys; from gflow.cli import main\n"
        "try: main(['sweep', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'matplotlib', 'distributed', 'dask', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sweep [OPTIONS] FILE" in done.stdout
    assert "--scheduler ADDRESS" in done.stdout and "gflow sweep plot" in done.stdout
    assert "sweep" in CliRunner().invoke(main, ["--help"]).output
    assert "--by COLUMN" in shown("plot", "--help").output


def test_progress_lines() -> None:
    now = SweepProgress(total=1000, before=100, done=20, failed=2, seconds=5.0)
    assert sweep_line(now) == (
        "sweep: 120 of 1000 runs  [#-------------]  2 failed   880 left   4 runs/s   about 3 min 40 s to go"
    )
    assert sweep_line(SweepProgress(10, 0), with_bar=False) == (
        "sweep: 0 of 10 runs  0 failed   10 left   waiting for the first run to end"
    )
    assert sweep_line(SweepProgress(10, 10), with_bar=False) == "sweep: 10 of 10 runs  0 failed   0 left"
    times = iter([0.0, 2.0, 4.0])
    told: list[SweepProgress] = []
    count = Count(10, 4, told.append, clock=lambda: next(times))
    from gflow.sweeps.engine.batch import Ended

    count(Ended(False, 1.0), Ended(True, 1.0))
    count()
    assert told == [SweepProgress(10, 4, 2, 1, 2.0), SweepProgress(10, 4, 2, 1, 4.0)]
    assert (told[0].left, told[0].rate, told[0].seconds_left) == (4, 1.0, 4.0)


def test_durations_and_sizes() -> None:
    cases = {2.5: "2.5 s", 215.0: "3 min 35 s", 7500.0: "2 h 5 min", 353_000.0: "4 d 2 h", 1e9: "11574 d 1 h"}
    assert {seconds: duration(seconds) for seconds in cases} == cases
    assert [size_text(size) for size in (830.0, 12_000.0, 3.4e6, 1.2e9, 5e12)] == [
        "830 B",
        "12 kB",
        "3.4 MB",
        "1.2 GB",
        "5e+03 GB",
    ]


def test_failures_are_told(tmp_path: Path) -> None:
    text = "base: base.yaml\naxes:\n  seeds: 0..1\n  flow.until: [{time: 5.0}, {log_loss: 3.0}]\n"
    path = sweep_file(tmp_path, text)
    forecast = forecast_text(gflow.forecast_sweep(path, tmp_path / "out"))
    assert "2 failed: flow.until.log_loss: 3: the loss at the start is already" in forecast
    text = result_text(gflow.sweep(path, tmp_path / "out", workers=0))
    assert "4 of 4, 2 failed" in text and "Failure 1" in text and "(1 run)" in text
