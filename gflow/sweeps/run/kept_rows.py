"""What is kept of a run over time (keep: rows): arrays of its flow and of its descent, in one `.npz`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gflow.arrays import Array
from gflow.sweeps.run.columns import descent_runs
from gflow.trajectory import Record

if TYPE_CHECKING:
    from gflow.descent_plan.result import DescentResult

Rows = dict[str, NDArray[Any]]  # Any: numbers
CLOCKS = ("log1p_time", "log_loss")


def flow_rows(flow: Record) -> Rows:
    """Over the T rows: the clock, losses, margins (T, n), series (T,), and `unfrozen` (T,), the share of the pairs
    (neuron, sample) with an event that is still ahead, parallel samples counting as one.  `neurons.rotation` (m,) and
    the like: in the last row, where the flow has them."""
    rows: Rows = {name: flow.read(name) for name in (*CLOCKS, "margins")}
    rows |= {name: flow.series[name] for name in flow.series} | _last_neurons(flow, -1)
    return rows | ({"unfrozen": _unfrozen(flow)} if flow.records_events else {})


def descent_rows(found: DescentResult) -> Rows:
    """The same of every run of descent over its own rows, `descent.stable_rank` and so on, with `descent.step`."""
    rows, flow = Rows(), found.trajectory
    for name, _, numbers in descent_runs(found):
        own = {each: flow.read(each)[numbers] for each in (*CLOCKS, "step")}
        own |= {each: flow.series[each][numbers] for each in flow.series} | _last_neurons(flow, int(numbers[-1]))
        rows |= {f"{name}.{each}": values for each, values in own.items()}
    return rows


def keep_rows(rows: Rows, path: Path) -> None:
    """Write them as one `.npz`, which is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part")
    with part.open("wb") as file:
        content: dict[str, Any] = rows  # Any: numpy's own signature
        np.savez(file, **content)
    os.replace(part, path)


def _last_neurons(flow: Record, row: int) -> Rows:
    return {f"neurons.{name}": flow.read(f"neurons/{name}", row) for name in flow.neurons}


def _unfrozen(flow: Record) -> Array:
    """(T,)"""
    events, shape = flow.events, flow.read("pattern", -1).shape
    last = np.full(shape, -np.inf)
    last[events.neuron, events.sample] = events.log1p_time  # in the order of time: the last one stays
    ahead = np.sort(last.ravel())
    return 1.0 - np.searchsorted(ahead, flow.log1p_time, side="right") / ahead.size
