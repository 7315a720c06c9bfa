"""The columns of a row: numbers and verdicts of what a flow did and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gflow.arrays import Integers
from gflow.pipeline.findings import Findings
from gflow.sweeps.plan.sweep_file import LOG_LOSS, Wanted
from gflow.trajectory import Record
from gflow.trajectory.layout import TEST_SERIES

if TYPE_CHECKING:
    from gflow.descent_plan.result import DescentResult, RunResult

Value = float | int | str | bool | None
Row = dict[str, Value]


def flow_columns(flow: Record, wanted: Wanted) -> Row:
    """How the flow ended, its events, and the series that are wanted, at the end and at given times."""
    row: Row = {
        "outcome": flow.outcome,
        "log1p_time": float(flow.read("log1p_time", -1)),
        "log_loss": float(flow.read("log_loss", -1)),
        "steps": int(flow.read("series/steps", -1)),
        "events": int(flow.read("series/events", -1)),
        "last_event_log1p_time": _last_event(flow),
        "sliding": int((flow.read("pattern", -1) == 0).sum()),
    }
    tested = [name for name in TEST_SERIES if name in flow.series and name not in wanted.series]
    for name in (*wanted.series, *tested):
        row[f"series.{name}"] = _at_row(flow, name, -1)
        for t in wanted.at:
            row[f"series.{name}@{t:g}"] = _at_time(flow, name, t)
    return row | _neuron_columns(flow, -1, "")


def finding_columns(found: Findings) -> Row:
    """Every number and verdict of the analyzers; of the claims the verdict of each.  No lists, no sentences."""
    row = Row()
    for name, content in found.to_json().items():
        if isinstance(content, list):
            row |= {f"{name}.{claim['id']}": claim["verdict"] for claim in content}
        else:
            row |= dict(_scalars(content, f"{name}."))
    return row


def descent_columns(found: DescentResult, wanted: Wanted) -> Row:
    """How descent ended, and the series that are wanted, at the end and at those given times and steps that are rows.

    Of several runs each has columns named by its step size, and its seed if it has one.
    """
    row, rows = Row(), found.trajectory
    for name, run, numbers in descent_runs(found):
        row |= {f"{name}.{each}": value for each, value in _numbers_of(run).items()}
        for each in wanted.series:
            row.setdefault(f"{name}.{each}", _at_row(rows, each, int(numbers[-1])))
            for t in wanted.at:
                row[f"{name}.{each}@{t:g}"] = _at_time(rows, each, t, numbers)
            for k in wanted.steps:
                at = numbers[rows.read("step")[numbers] == k]
                row[f"{name}.{each}@step{k}"] = _at_row(rows, each, int(at[0])) if at.size else None
        row |= _neuron_columns(rows, int(numbers[-1]), f"{name}.")
    return row


def descent_runs(found: DescentResult) -> Iterator[tuple[str, RunResult, Integers]]:
    """The runs of descent: each with its name, `descent` for the only one, its result and the numbers of its rows."""
    eta = found.trajectory.read("eta")
    seeds = found.trajectory.read("seed") if found.trajectory.form.has_seeds else None
    for run in found.runs:
        own = (eta == run.eta) & (True if seeds is None else seeds == run.seed)
        which = "" if len(found.runs) == 1 else f"[{_run_name(run)}]"
        yield f"descent{which}", run, np.flatnonzero(own)


def _run_name(run: RunResult) -> str:
    return f"eta={run.eta!r}" + ("" if run.seed is None else f",seed={run.seed}")


def _numbers_of(run: RunResult) -> Row:
    names = (
        "outcome",
        "steps",
        "log1p_time",
        "log_loss",
        "min_margin",
        "normalized_margin",
        "stable_rank",
        "loss_rises",
    )
    tested = tuple(TEST_SERIES) if run.test_accuracy is not None else ()
    return {name: getattr(run, name) for name in (*names, *tested)}


def _last_event(flow: Record) -> float | None:
    """log(1 + t) of the last event, None without one."""
    times = flow.events.log1p_time
    return float(times[-1]) if times.size else None


def _neuron_columns(flow: Record, row: int, above: str) -> Row:
    """How unequal the neurons are where norms are recorded: the median of |a_j| |w_j| over the largest, in (0, 1]."""
    if "norm" not in flow.neurons:
        return {}
    norms = flow.read("neurons/norm", row)
    return {f"{above}neurons.median_relative_norm": float(np.median(norms) / norms.max())} if norms.max() > 0 else {}


def _at_row(flow: Record, name: str, row: int) -> float | None:
    if name == LOG_LOSS:
        return float(flow.read(name, row))
    return float(flow.read(f"series/{name}", row)) if name in flow.series else None


def _at_time(flow: Record, name: str, t: float, of: Integers | None = None) -> float | None:
    """The value in the row of a time, of those with the numbers `of`; None where there is no row of it."""
    clock = flow.log1p_time
    numbers = np.arange(clock.size) if of is None else of
    rows = numbers[np.isclose(clock[numbers], np.log1p(t), rtol=1e-12, atol=0.0)]
    return _at_row(flow, name, int(rows[0])) if rows.size else None


def _scalars(content: Mapping[str, Any], above: str) -> Iterator[tuple[str, Value]]:  # Any: JSON values
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{above}{name}.")
        elif not isinstance(value, list) and name not in ("summary", "reason"):
            yield above + name, value
