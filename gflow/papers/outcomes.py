"""What came of a statement: a number of the table of a sweep, held against the bounds of the statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isclose
from typing import Any, Literal

import numpy as np

from gflow.arrays import Array
from gflow.console import printable
from gflow.papers.experiment import (
    Bounds,
    Experiment,
    ShareStatement,
    Statement,
    TrendStatement,
    ValueStatement,
    Where,
)
from gflow.papers.quantity import Quantity
from gflow.sweeps.opened import Sweep
from gflow.sweeps.run.columns import Row, Value

Verdict = Literal["reproduced", "reproduced in direction", "not reproduced", "hypotheses not met", "needs data"]
SEED = "seed"
LEVEL = 1e-3  # of the change over all of an axis: a mean that goes back by less has stayed where it was


@dataclass(frozen=True, slots=True)
class Outcome:
    """One statement and what was found.  number: what was judged, a mean over the seeds; spread: its standard deviation
    over them; each None where there is none.  size: `quick` or `full`."""

    experiment: str
    size: str
    stated: str
    found: str
    number: float | None
    spread: float | None
    verdict: Verdict
    note: str

    def to_json(self) -> dict[str, Any]:  # Any: JSON values
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """A judgement, without the names of what was judged."""

    found: str
    number: float | None
    spread: float | None
    verdict: Verdict


def judged(experiment: Experiment, sweeps: Mapping[str, Sweep]) -> list[Outcome]:
    """Every statement of an experiment, held against the tables of its sweeps.

    An experiment whose data are not part of gflow has one outcome, `needs data`.  Raises SweepError for a column that a
    table does not have.
    """
    about = experiment.name, experiment.size
    if experiment.needs:
        return [Outcome(*about, experiment.title, "", None, None, "needs data", f"needs {experiment.needs}")]
    outcomes = []
    for statement in experiment.statements:
        sweep = sweeps[statement.sweep]
        found = judgement(statement, sweep)
        note = " ".join(text for text in (statement.note, _failures(sweep)) if text)
        outcomes.append(Outcome(*about, statement.stated, found.found, found.number, found.spread, found.verdict, note))
    return outcomes


def judgement(statement: Statement, sweep: Sweep) -> Found:
    """What the table says of one statement."""
    what = statement.what
    if isinstance(what, ShareStatement):
        return _share(what, sweep)
    return _trend(what, sweep) if isinstance(what, TrendStatement) else _value(what, sweep)


def values_by_seed(sweep: Sweep, quantity: Quantity, where: Where) -> dict[Value, float]:
    """The quantity at one place of the axes, by the seed (None: the sweep has no axis of seeds), without NaN."""
    rows = selected(sweep.table, where)
    values = quantity.of(lambda name: numbers(rows, sweep.column(name)))
    seeds = [row.get(SEED) if SEED in sweep.axes else None for row in rows]
    values = np.broadcast_to(values, len(rows))
    return {seed: float(value) for seed, value in zip(seeds, values, strict=True) if np.isfinite(value)}


def selected(table: Sequence[Row], where: Where) -> list[Row]:
    """The rows at these values of axes."""
    return [row for row in table if all(_same(row[axis], value) for axis, value in where.items())]


def numbers(rows: Sequence[Row], column: str) -> Array:
    """(rows,) a column, NaN where a row has no number."""
    values = (row.get(column) for row in rows)
    return np.array([np.nan if value is None or isinstance(value, str) else float(value) for value in values])


def _same(one: Value, other: Value) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return isclose(one, other, rel_tol=1e-9, abs_tol=0.0)
    return one == other


def _value(what: ValueStatement, sweep: Sweep) -> Found:
    values = values_by_seed(sweep, what.quantity, what.where)
    if what.against is not None:
        others = values_by_seed(sweep, what.quantity, what.against)
        values = {seed: values[seed] / others[seed] for seed in values.keys() & others.keys() if others[seed] != 0.0}
    if not values:
        return Found("no run has the number", None, None, "not reproduced")
    mean, spread = _mean_and_spread(list(values.values()))
    return Found(_mean_text(mean, spread, len(values)), mean, spread, _verdict(mean, what.within, what.direction))


def _trend(what: TrendStatement, sweep: Sweep) -> Found:
    """The number is the mean at the last value of the axis over that at the first."""
    places = sorted({row[what.along] for row in selected(sweep.table, what.where)}, key=_order)
    found = [values_by_seed(sweep, what.quantity, {**what.where, what.along: place}) for place in places]
    if len(places) < 2 or not all(found):
        return Found("some values of the axis have no number", None, None, "not reproduced")
    means = np.array([np.mean(list(each.values())) for each in found])
    steps = np.diff(means) * (1.0 if what.rises else -1.0)
    verdict: Verdict = "not reproduced"
    if steps.sum() > 0.0:
        verdict = "reproduced" if (steps >= -LEVEL * steps.sum()).all() else "reproduced in direction"
    first, last = found[0], found[-1]
    ratios = [last[seed] / first[seed] for seed in first.keys() & last.keys() if first[seed] != 0.0]
    spread = _mean_and_spread(ratios)[1] if ratios else None
    text = ", ".join(f"{mean:.4g} at {place}" for place, mean in zip(places, means, strict=True))
    number = float(means[-1] / means[0]) if means[0] != 0.0 else None
    return Found(f"{text}; last over first {number:.4g}" if number is not None else text, number, spread, verdict)


def _share(what: ShareStatement, sweep: Sweep) -> Found:
    column = sweep.column(what.column)
    words = [str(row[column]) for row in selected(sweep.table, what.where) if row.get(column) is not None]
    counted = [word for word in words if not what.among or word in what.among]
    if not counted:
        return Found(f"applies to 0 of {len(words)} runs", None, None, "hypotheses not met")
    share = counted.count(what.word) / len(counted)
    found = f"{counted.count(what.word)} of {len(counted)} runs: {what.word}"
    return Found(found, share, None, _verdict(share, what.within, what.direction))


def _verdict(number: float, within: Bounds, direction: Bounds | None) -> Verdict:
    if _inside(number, within):
        return "reproduced"
    return "reproduced in direction" if direction is not None and _inside(number, direction) else "not reproduced"


def _inside(number: float, bounds: Bounds) -> bool:
    least, most = bounds
    return (least is None or number >= least) and (most is None or number <= most)


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the standard deviation of several."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def _mean_text(mean: float, spread: float | None, count: int) -> str:
    if spread is None:
        return f"{mean:.4g}"
    return f"{mean:.4g}, standard deviation {spread:.2g} over {count} seeds"


def _order(value: Value) -> tuple[bool, float, str]:
    """Numbers by their size, before words."""
    number = isinstance(value, float | int)
    return not number, float(value) if number else 0.0, str(value)  # type: ignore[arg-type]


def _failures(sweep: Sweep) -> str:
    """What failed of the runs, if any did."""
    failed = sweep.failures
    return printable(f"{len(failed)} of {sweep.total} runs failed: {next(iter(failed.values()))}.") if failed else ""
