"""The numbers of a panel: means over the seeds, with bands, over an axis, over time, or over sorted neurons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from gflow.arrays import Array
from gflow.errors import SweepError
from gflow.papers.experiment import CLOCKS, NEURONS, Panel, Where
from gflow.papers.outcomes import selected, values_by_seed
from gflow.papers.quantity import Quantity
from gflow.sweeps.opened import Sweep
from gflow.sweeps.run.columns import Row, Value

Rows = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Curve:
    """line: its words, number k of the lines of the panel; by: the value of the axis `by`, number j of its values (None
    without one).  x, mean, low, high (points,): the mean over the seeds, and the ends of its band; runs: of a point, at
    most."""

    line: str
    k: int
    by: str | None
    j: int
    x: Array
    mean: Array
    low: Array
    high: Array
    runs: int


def curves_of(panel: Panel, sweep: Sweep) -> list[Curve]:
    """All curves of a panel.  Raises SweepError for a column or a series that the runs do not have."""
    return list(_curves(panel, sweep))


def _curves(panel: Panel, sweep: Sweep) -> Iterator[Curve]:
    rows = selected(sweep.table, panel.where)
    values: Sequence[Value] = [None] if panel.by is None else list(dict.fromkeys(row[panel.by] for row in rows))
    for j, value in enumerate(values):
        where = panel.where if panel.by is None else {**panel.where, panel.by: value}
        by = None if panel.by is None else f"{value:g}" if isinstance(value, float) else str(value)
        for k, (line, quantity) in enumerate(panel.lines.items()):
            if panel.x in CLOCKS or panel.x == NEURONS:
                x, samples = _over_rows(panel, sweep, selected(rows, where), quantity)
            else:
                x, samples = _over_axis(panel.x, sweep, selected(rows, where), where, quantity)
            if x.size:
                yield _curve(panel, line, k, by, j, x, samples)


def _curve(panel: Panel, line: str, k: int, by: str | None, j: int, x: Array, samples: Array) -> Curve:
    """samples (runs, points), NaN where a run has no value."""
    there = np.isfinite(samples).any(axis=0)
    x, samples = x[there], samples[:, there]
    mean = np.nanmean(samples, axis=0)
    width = panel.deviations * np.nanstd(samples, axis=0)
    return Curve(line, k, by, j, x, mean, mean - width, mean + width, len(samples))


def _over_axis(axis: str, sweep: Sweep, rows: Sequence[Row], where: Where, quantity: Quantity) -> tuple[Array, Array]:
    """(points,), (runs, points)"""
    places = sorted({float(row[axis]) for row in rows})  # type: ignore[arg-type]  # an axis of numbers
    found = [values_by_seed(sweep, quantity, {**where, axis: place}) for place in places]
    seeds = list(dict.fromkeys(seed for each in found for seed in each))
    samples = np.array([[each.get(seed, np.nan) for each in found] for seed in seeds]).reshape(len(seeds), len(places))
    return np.array(places) if seeds else np.zeros(0), samples


def _over_rows(panel: Panel, sweep: Sweep, rows: Sequence[Row], quantity: Quantity) -> tuple[Array, Array]:
    """(points,), (runs, points): every run at those points of the first where all have values, between their rows."""
    lines = [
        _line(panel.x, quantity, sweep.rows(run))
        for run in dict.fromkeys(str(r["id"]) for r in rows if not r["failure"])
    ]
    if not lines:
        return np.zeros(0), np.zeros((0, 0))
    x = lines[0][0]
    samples = np.array([np.interp(x, own, values, left=np.nan, right=np.nan) for own, values in lines])
    everywhere = np.isfinite(samples).all(axis=0)
    return x[everywhere], samples[:, everywhere]


def _line(x: str, quantity: Quantity, rows: Rows) -> tuple[Array, Array]:
    """One run: where it has values, and these."""
    run = quantity.first.partition(".")[0] if quantity.first.startswith("descent") else ""
    dot = f"{run}." if run else ""
    if x == NEURONS:
        values = np.sort(quantity.of(lambda name: _neurons(rows, name)))
        return (np.arange(values.size) + 0.5) / values.size, values
    clock = rows[f"{dot}log1p_time"]
    at = np.expm1(np.minimum(clock, 700.0)) if x == "t" else rows[f"{dot}step"] if x == "step" else clock
    return np.asarray(at, dtype=float), quantity.of(lambda name: _kept(rows, name))


def _neurons(rows: Rows, name: str) -> Array:
    """(m,) a number of every neuron at the end; `relative_norm` is the norm over the largest one."""
    if name.endswith("neurons.relative_norm"):
        norms = _kept(rows, name.replace("relative_norm", "norm"))
        relative: Array = norms / norms.max()
        return relative
    return _kept(rows, name)


def _kept(rows: Rows, name: str) -> Array:
    if name not in rows:
        guesses = get_close_matches(name, rows, n=3)
        remedy = f"did you mean {' or '.join(guesses)}?" if guesses else f"they have {', '.join(sorted(rows))}"
        raise SweepError(f"series {name!r}: is none that the runs keep; {remedy}")
    return rows[name]
