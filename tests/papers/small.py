"""An experiment whose runs take some hundred milliseconds, and tables by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gflow.papers.experiment import Experiment
from gflow.papers.reading import Size, load_experiment
from gflow.sweeps.opened import Sweep
from gflow.sweeps.run.columns import Row

TINY = """\
title: The margin grows with the slope
source: Nobody et al., Figure 1
states: >
  Margins grow with
  the slope.
unstated: All of it.
sweeps:
  slopes:
    base:
      gflow: 1
      name: tiny
      data: {kind: gaussian, n: 4, d: 6}
      model: {kind: two_layer, width: 4, activation: {kind: leaky_relu, slope: 0.1}, outer: {train: true}}
      init: {kind: gaussian, std: 0.3, outer: {std: 0.5}}
      loss: logistic
      flow: {rtol: 1.0e-4, atol: 1.0e-6, until: {time: 5.0}}
    axes:
      model.activation.slope: [0.1, 0.5, 0.9]
      seeds: 0..9
    analyses: [freezing]
    descent: {eta: [0.5]}
    series: {names: [stable_rank, min_margin, log_loss], at: [0.0, 2.5, 5.0], steps: [5, 10]}
    keep: rows
    quick:
      axes: {model.activation.slope: [0.1, 0.9], seeds: 0..1}
figures:
  - title: Margins
    panels:
      - x: model.activation.slope
        x_label: slope
        y_label: margin
        lines: {descent: descent.min_margin, flow: series.min_margin}
      - title: over time
        x: t
        y_label: loss
        by: model.activation.slope
        log: xy
        lines: {descent: descent.loss, flow: loss}
      - x: neurons
        y_label: share of the largest norm
        at: {model.activation.slope: most}
        lines: {flow: neurons.relative_norm}
      - x: step
        y_label: stable rank less 1
        by: model.activation.slope
        lines: {descent: descent.stable_rank - 1}
outcomes:
  - stated: Descent has the loss of the flow
    value: descent.loss@5 / series.loss@5
    at: {model.activation.slope: 0.1}
    within: [0.8, 1.25]
  - stated: The loss falls with the slope
    value: series.loss@5
    falls_along: model.activation.slope
  - stated: The pattern is not proved
    share: freezing.verdict = nonsense
    within: [1.0, null]
    note: A word that no run has.
"""
NEEDY = """\
title: On MNIST
source: Nobody et al., Figure 2
states: Digits.
needs: MNIST
"""


def experiments(folder: Path, **files: str) -> Path:
    """A folder of experiments of the paper `nobody`: `fig1=TINY` is `nobody/fig1`."""
    paper = folder / "experiments" / "nobody"
    paper.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (paper / f"{name}.yaml").write_text(text)
    return folder / "experiments"


def tiny(folder: Path, text: str = TINY, size: Size = "quick") -> Experiment:
    return load_experiment(experiments(folder, fig1=text) / "nobody" / "fig1.yaml", size)


def table(rows: Sequence[Row], axes: Sequence[str] = ("slope", "seed")) -> Sweep:
    """A sweep with these rows, of which every combination of axis values is one."""
    values = {axis: list(dict.fromkeys(row[axis] for row in rows)) for axis in axes}
    dimensions = [{"name": axis, "keys": [axis], "steps": [[value] for value in values[axis]]} for axis in axes]
    ids = [str(number) for number in range(len(rows))]
    manifest = {"name": "by hand", "dimensions": dimensions, "ids": ids}
    given = {"failure": None}
    return Sweep(Path("none"), manifest, {run: {**given, **row} for run, row in zip(ids, rows, strict=True)})
