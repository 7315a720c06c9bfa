"""What a picture of a sweep shows: one column over one, two or three axes, with a statistic over the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gflow.arrays import Array
from gflow.errors import SweepError
from gflow.sweeps.opened import Sweep
from gflow.sweeps.run.columns import Row, Value

Center = Literal["mean", "median", "min", "max", "sd"]
CENTERS: dict[str, Callable[[Array], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "median": lambda values: float(np.median(values)),
    "min": lambda values: float(np.min(values)),
    "max": lambda values: float(np.max(values)),
    "sd": lambda values: float(np.std(values)),
}
BAND = "band"
BAND_SHARE = (0.1, 0.9)  # the middle 8 in 10


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of the picture: the key of the scenario, and its values, increasing where they are numbers."""

    name: str
    values: tuple[Value, ...]

    @property
    def numeric(self) -> bool:
        """Are all values numbers?"""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    @property
    def texts(self) -> list[str]:
        """The values as tick labels."""
        return [f"{value:.4g}" if isinstance(value, float) else str(value) for value in self.values]


@dataclass(frozen=True, slots=True)
class Picture:
    """The numbers of a picture.  center, low, high (by, y, x): the statistic, and the ends of the band (None: without);
    NaN where no run has the value.  An axis that the picture does not have is None, and has length 1 in the arrays.

    value: what is shown, label: in few words; statistic: in words; runs: that went into it, failed and lacking: that
    could not.
    """

    value: str
    label: str
    statistic: str
    x: Axis
    y: Axis | None
    by: Axis | None
    center: Array
    low: Array | None
    high: Array | None
    runs: int
    failed: int
    lacking: int


def picture_of(sweep: Sweep, x: str, y: str | None, by: str | None, value: str, over: str | None, stat: str) -> Picture:
    """Group the runs by the axes and take the statistic of each group.  Raises SweepError."""
    if not sweep.table:
        raise SweepError(f"{sweep.path}: no run has ended yet, there is nothing to draw")
    shown = _shown(sweep, x, y, by)
    averaged = _averaged(sweep, shown, over)
    center, band = _statistic(stat, y)
    column, word = _value(sweep, value)
    groups, lacking = _groups(sweep.table, shown, column, word)
    axes = [None if name is None else _axis(sweep.table, name) for name in shown]
    assert axes[2] is not None
    shape = tuple(1 if axis is None else len(axis.values) for axis in axes)
    statistics = [CENTERS[center], *(_quantile(share) for share in BAND_SHARE if band)]
    arrays = [_grid(groups, axes, shape, each) for each in statistics]
    return Picture(
        value=column if word is None else f"share of runs with {column} = {word}",
        label=column if word is None else "share of runs",
        statistic=f"{center} over {', '.join(averaged)}" if averaged else "",
        x=axes[2],
        y=axes[1],
        by=axes[0],
        center=arrays[0],
        low=arrays[1] if band else None,
        high=arrays[2] if band else None,
        runs=sum(values.size for values in groups.values()),
        failed=len(sweep.failures),
        lacking=lacking,
    )


def _shown(sweep: Sweep, x: str, y: str | None, by: str | None) -> tuple[str | None, str | None, str | None]:
    """The full names of the axes that are drawn, in the order of the arrays: by, y, x."""
    named = {"--x": x, "--y": y, "--by": by}
    full = {option: None if name is None else sweep.column(name) for option, name in named.items()}
    for option, name in full.items():
        if name is not None and name not in sweep.axes:
            raise SweepError(
                f"{option} {named[option]}: is no axis of this sweep; its axes are {', '.join(sweep.axes)}"
            )
    given = [name for name in full.values() if name is not None]
    if len(set(given)) < len(given):
        raise SweepError(f"--x, --y and --by must be different axes, not {', '.join(given)}")
    return full["--by"], full["--y"], full["--x"]


def _averaged(sweep: Sweep, shown: Sequence[str | None], over: str | None) -> list[str]:
    """The axes that the statistic is over: all that are left, which `over` may name to make sure."""
    left = [name for name in sweep.axes if name not in shown]
    if over is None:
        return left
    asked = [sweep.column(name.strip()) for name in over.split(",")]
    if wrong := [name for name in asked if name not in left]:
        raise SweepError(f"--over {over}: {wrong[0]} is no axis that is left; left are {', '.join(left) or 'none'}")
    if forgotten := [name for name in left if name not in asked]:
        raise SweepError(f"the axis {forgotten[0]} is left; give it as --y or --by, or add it to --over")
    return asked


def _statistic(stat: str, y: str | None) -> tuple[str, bool]:
    """The statistic, and whether a band is drawn beside it; a map has none."""
    words = [word.strip() for word in stat.split(",")]
    centers = [word for word in words if word in CENTERS]
    if len(centers) != 1 or len(words) - len(centers) != words.count(BAND):
        raise SweepError(f"--stat {stat}: give one of {', '.join(CENTERS)}, and `{BAND}` beside it if you like")
    return centers[0], BAND in words and y is None


def _value(sweep: Sweep, value: str) -> tuple[str, str | None]:
    """The column that is shown, and the word whose share is asked for."""
    name, equals, word = value.partition("=")
    column = sweep.column(name if equals else value)
    kinds = {type(each) for each in sweep.columns[column] if each is not None}
    if not equals and kinds == {str}:
        words = sorted({str(each) for each in sweep.columns[column] if each is not None})[:6]
        raise SweepError(f"--value {value}: holds words; give one of them, for example --value {value}={words[0]}")
    return column, word if equals else None


def _axis(table: Sequence[Row], name: str) -> Axis:
    values = dict.fromkeys(row[name] for row in table)
    axis = Axis(name, tuple(values))
    return Axis(name, tuple(sorted(values))) if axis.numeric else axis  # type: ignore[type-var]  # numbers only


def _groups(
    table: Sequence[Row], shown: Sequence[str | None], column: str, word: str | None
) -> tuple[dict[tuple[Value, ...], Array], int]:
    """The values of the runs at every place of the picture, and how many runs have none."""
    groups: dict[tuple[Value, ...], list[float]] = {}
    lacking = 0
    for row in table:
        value = row.get(column)
        if value is None:
            lacking += row["failure"] is None
            continue
        place = tuple(None if name is None else row[name] for name in shown)
        groups.setdefault(place, []).append(float(str(value) == word) if word is not None else float(value))
    return {place: np.array(values) for place, values in groups.items()}, lacking


def _grid(
    groups: dict[tuple[Value, ...], Array],
    axes: Sequence[Axis | None],
    shape: tuple[int, ...],
    statistic: Callable[[Array], float],
) -> Array:
    """(by, y, x) the statistic, NaN where there is no run."""
    index: list[dict[Value, int]] = [
        {None: 0} if axis is None else {value: k for k, value in enumerate(axis.values)} for axis in axes
    ]
    grid = np.full(shape, np.nan)
    for place, values in groups.items():
        finite = values[np.isfinite(values)]
        if finite.size:
            grid[tuple(where[value] for where, value in zip(index, place, strict=True))] = statistic(finite)
    return grid


def _quantile(share: float) -> Callable[[Array], float]:
    return lambda values: float(np.quantile(values, share))


def panels(picture: Picture) -> Iterator[tuple[str, Array]]:
    """(y, x) of each small map, with its heading."""
    if picture.by is None:
        yield "", picture.center[0]
        return
    for text, grid in zip(picture.by.texts, picture.center, strict=True):
        yield f"{picture.by.name} = {text}", grid
