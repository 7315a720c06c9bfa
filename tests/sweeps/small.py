"""A base scenario whose runs take about ten milliseconds, and sweeps over it."""

from __future__ import annotations

from pathlib import Path

from gflow.sweeps.opened import Sweep
from gflow.sweeps.run.columns import Row

BASE = """\
gflow: 1
name: small
data: {kind: gaussian, n: 4, d: 6}
model: {kind: two_layer, width: 4, activation: {kind: leaky_relu, slope: 0.1}}
init: {kind: gaussian, std: 0.1}
loss: logistic
flow: {until: {time: 5.0}}
record: {times: {count: 3}}
analyses: []
"""
AXES = """\
base: base.yaml
axes:
  model.activation.slope: [0.0, 0.1, 0.5]
  seeds: 0..3
"""
NOT_THE_SAME = {"wall_time"}


def sweep_file(folder: Path, text: str = AXES, base: str = BASE) -> Path:
    """The sweep file in a folder, with its base beside it."""
    (folder / "base.yaml").write_text(base)
    (folder / "sweep.yaml").write_text(text)
    return folder / "sweep.yaml"


def facts(sweep: Sweep) -> list[Row]:
    """The table without what differs from one time to the next."""
    return [{name: value for name, value in row.items() if name not in NOT_THE_SAME} for row in sweep.table]
