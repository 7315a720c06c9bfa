"""The common clock: the times at which the flow is asked for rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p

import numpy as np

from gflow.arrays import Array, Index, Integers

# Record times of two runs count as one if they differ relatively by less: eta k rounds differently for every eta.
SAME_TIME = 1e-13


@dataclass(frozen=True, slots=True)
class Timetable:
    """The times of all runs: v (T,) = log(1 + t), increasing from 0; places[k] (T_k,): indices of those of run k."""

    v: Array
    places: tuple[Index, ...]


def timetable(etas: Sequence[float], steps: Sequence[Integers]) -> Timetable:
    """The times of all runs, from steps (T_k,) of each; times that agree to rounding are one."""
    times = [np.log1p(eta * each) for eta, each in zip(etas, steps, strict=True)]
    everything = np.sort(np.concatenate(times))
    new = np.append(True, np.diff(everything) > SAME_TIME * everything[1:])
    first = everything[new]
    places = tuple(np.searchsorted(first, each, side="right") - 1 for each in times)
    return Timetable(first, places)


def first_tenth(end: float) -> float:
    """log(1 + t) at the end of the first tenth of the horizon, less rounding."""
    return log1p(0.1 * end * (1.0 - 1e-12))
