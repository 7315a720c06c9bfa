"""Sweeps of the size that they are made for: a thousand runs with deaths on the way, ten thousand small ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gflow
from gflow.sweeps.store.folder import rows_by_id
from tests.sweeps.small import NOT_THE_SAME, facts, sweep_file
from tests.sweeps.test_cluster import group_is_gone, started, wait_for_rows

pytestmark = pytest.mark.slow
pytest.importorskip("distributed")

PHASE = """\
gflow: 1
name: phase
data: {kind: gaussian, n: 10, d: 40}
model: {kind: two_layer, width: 32, activation: {kind: leaky_relu, slope: 0.1}}
init: {kind: gaussian, std: 0.01}
loss: logistic
flow: {until: {log_time: 1.0e+4}}
record: {times: {count: 10}}
"""
THOUSAND = """\
base: base.yaml
axes:
  model.activation.slope: 0.0..0.9..10
  init.std: {log: [1e-3, 1.0], count: 10}
  seeds: SEEDS
analyses: [freezing, limit, rank]
"""
ROOT = Path(__file__).resolve().parents[2]
TEN_THOUSAND = "base: base.yaml\naxes: {init.std: 0.1..1.0..100, seeds: 0..99}\n"
WORKERS, OVERHEAD = 2, 0.2


def worker_of(process: subprocess.Popen[str]) -> int:
    """One of the processes of a sweep that are started by `multiprocessing`; there may be none for a moment."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True
        ).stdout
        for line in listed.splitlines():
            if "spawn_main" in line:
                return int(line.split()[0])
        time.sleep(0.1)
    raise AssertionError("no worker")


def test_a_thousand_runs_with_a_worker_and_the_client_killed(tmp_path: Path) -> None:
    path, out = sweep_file(tmp_path, THOUSAND.replace("SEEDS", "0..9"), PHASE), tmp_path / "out"
    process = started(tmp_path, "--workers", str(WORKERS))
    wait_for_rows(out, 150, seconds=3000.0)
    os.kill(worker_of(process), signal.SIGKILL)
    wait_for_rows(out, 350, seconds=3000.0)
    process.kill()
    process.communicate()
    assert group_is_gone(process.pid)
    before = rows_by_id(out)
    process = started(tmp_path, "--workers", str(WORKERS), "--resume")
    process.communicate()
    after = rows_by_id(out)
    assert process.returncode == 0 and len(after) == 1000
    assert all(after[run] == row for run, row in before.items())  # wall times, too: none was done twice
    sweep_file(tmp_path, THOUSAND.replace("SEEDS", "[3]"), PHASE)
    serial = gflow.sweep(path, tmp_path / "serial", workers=0)
    found = {str(row["id"]): row for row in gflow.open_sweep(out).table}
    same = [
        {name: value for name, value in found[str(row["id"])].items() if name not in NOT_THE_SAME}
        for row in serial.table
    ]
    assert len(same) == 100 and same == facts(serial)


def test_ten_thousand_small_runs_cost_little_more_than_their_flows(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, TEN_THOUSAND)
    seconds = [0.0]
    found = gflow.sweep(path, tmp_path / "out", workers=WORKERS, progress=lambda now: seconds.append(now.seconds))
    assert found.done == 10_000 and not found.failures
    flows = sum(float(str(row["wall_time"])) for row in found.table)
    assert WORKERS * seconds[-1] < (1.0 + OVERHEAD) * flows


def test_the_script_for_slurm_on_this_machine(tmp_path: Path) -> None:
    """It runs outside of a process with a default client of dask, as users run it."""
    path = sweep_file(tmp_path)
    options = ["--out", str(tmp_path / "out"), "--local", "--jobs", "1", "--cores", "2"]
    script = ROOT / "scripts" / "sweep_on_slurm.py"
    done = subprocess.run([sys.executable, str(script), str(path), *options], capture_output=True, text=True)
    assert done.returncode == 0 and "12 of 12" in done.stdout, done.stderr
    assert facts(gflow.open_sweep(tmp_path / "out")) == facts(gflow.sweep(path, tmp_path / "serial", workers=0))
