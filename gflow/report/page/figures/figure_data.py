"""The data that figures are drawn from: a trajectory, the results on it, and the axis of its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gflow.arrays import Array, Integers
from gflow.report.lines import SMOOTH
from gflow.report.page.figures.drawing import INK, power_text
from gflow.trajectory import Trajectory

Json = Mapping[str, Any]  # an object of analysis.json or comparison.json

FAR_APART = 0.02  # of the axis
STRETCHED_FROM = 30.0  # from this log(1 + t) on the axis is logarithmic in it; otherwise all events lie at its edge


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Where a time stands: at v = log(1 + t), or at log(1 + v) for runs to a very late time.  last: v at the end."""

    last: float

    @property
    def stretched(self) -> bool:
        """Is the axis logarithmic in log(1 + t)?"""
        return self.last > STRETCHED_FROM

    def place(self, v: Array) -> Array:
        """Positions (k,) on the axis of times v (k,); increasing, 0 at t = 0."""
        return np.log1p(v) if self.stretched else np.asarray(v, dtype=np.float64)

    def time(self, place: Array) -> Array:
        """v = log(1 + t) (k,) at positions (k,) on the axis."""
        return np.expm1(place) if self.stretched else np.asarray(place, dtype=np.float64)

    def dress(self, ax: Axes) -> None:
        """Limits, label and, where the axis is stretched, the ticks."""
        end = float(self.place(np.array([self.last]))[0]) or 1.0
        ax.set_xlim(0.0, end * 1.01)
        ax.set_xlabel("log(1 + t), logarithmic" if self.stretched else "log(1 + t)")
        if self.stretched:
            ticks = self._ticks()
            ax.set_xticks(self.place(ticks), [power_text(value) for value in ticks])

    def _ticks(self) -> Array:
        """0, then powers of ten (with 3, 30, ... where they are few), up to the end."""
        powers = 10.0 ** np.arange(np.floor(np.log10(self.last)) + 1)
        between = 3.0 * powers if len(powers) < 4 else powers[:0]
        ticks = np.sort(np.concatenate([[0.0], powers, between]))
        return np.asarray(ticks[ticks <= self.last])


@dataclass(frozen=True)
class FigureData:
    """One run for the figures.  analysis, comparison: the JSON objects, None where there is none."""

    trajectory: Trajectory
    analysis: Json | None = None
    comparison: Json | None = None

    @cached_property
    def v(self) -> Array:
        """(T,) log(1 + t)."""
        return self.trajectory.log1p_time

    @cached_property
    def time(self) -> TimeAxis:
        """The axis of time, to the last row."""
        return TimeAxis(float(self.v[-1]))

    @cached_property
    def x(self) -> Array:
        """(T,) where the rows stand on the axis of time."""
        return self.time.place(self.v)

    def dress(self, ax: Axes) -> None:
        """The axis of time, with marks at rows that are far apart: lines between those are no data."""
        self.time.dress(ax)
        apart = np.diff(self.x) > FAR_APART * self.x[-1]
        marked = self.x[np.append(apart, False) | np.append(False, apart)]
        ax.plot(marked, np.zeros(len(marked)), "|", color=INK, markersize=7.0, transform=ax.get_xaxis_transform())

    def rows(self, most: int) -> Integers:
        """The numbers (k,) of at most `most` rows, evenly along the axis of time, with the first and the last."""
        places = np.linspace(self.x[0], self.x[-1], most)
        return np.unique(np.searchsorted(self.x, places).clip(0, len(self.x) - 1))

    def found(self, analyzer: str, name: str) -> Any:  # Any: a JSON value
        """One number of one analyzer; None where it was not run or has none."""
        result = (self.analysis or {}).get(analyzer)
        return result.get(name) if isinstance(result, Mapping) else None

    @cached_property
    def outer(self) -> Array:
        """(m,) or (K, m): the outer layer at the last row."""
        return self.trajectory.outer_at(-1)

    @cached_property
    def sign(self) -> Integers:
        """(m,) the sign of a_j at the last row; 0 for several outputs, where it has none."""
        return np.sign(self.outer).astype(int) if self.outer.ndim == 1 else np.zeros(self.outer.shape[1], dtype=int)

    @cached_property
    def label(self) -> Integers:
        """(n,) the sign of y_i; 0 for several outputs."""
        y = self.trajectory.y
        return np.sign(y).astype(int) if self.trajectory.facts.get("outputs", 1) == 1 else np.zeros(len(y), dtype=int)

    @cached_property
    def kinked(self) -> bool:
        """Does the activation have kinks?"""
        return self.trajectory.facts.get("activation") not in SMOOTH
