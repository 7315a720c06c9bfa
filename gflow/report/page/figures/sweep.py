"""Pictures of a sweep: lines with bands over one axis, a map over two, small maps over three."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from gflow.arrays import Array
from gflow.report.page.figures.drawing import CYCLE, HEIGHT, WIDTH, Drawing, logarithmic, power_text
from gflow.report.sweep_picture import Axis, Picture, panels

EVEN = 0.02  # spacing of an even axis, relative to its steps
DECADES = 1.0  # from this span on, values above 0 that are not evenly spread lie on a logarithmic axis
VALUE_DECADES = 2.0
MOST_TICKS = 8
MAP, ABSENT = "viridis", "#d5d9de"  # its lightness rises steadily, so that it is read in grey and by the colour blind
COLUMNS = 3


def drawing_of(picture: Picture, name: str) -> Drawing:
    """The picture with its words.  Make and save it inside `style()`."""
    figure = _lines(picture) if picture.y is None else _maps(picture)
    title = f"{picture.value}" + (f" ({picture.statistic})" if picture.statistic else "")
    absent = [f"{picture.failed} failed"] if picture.failed else []
    absent += [f"{picture.lacking} have no such value"] if picture.lacking else []
    caption = f"{picture.runs} runs" + (f"; {', '.join(absent)}" if absent else "")
    axes = [axis.name for axis in (picture.x, picture.y, picture.by) if axis is not None]
    return Drawing(name, title, caption, f"{title} over {', '.join(axes)}; {caption}", figure)


def _lines(picture: Picture) -> Figure:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    ax = figure.add_subplot()
    scale = _line_scale(picture.x)
    at = _positions(picture.x, scale)
    count = 1 if picture.by is None else len(picture.by.values)
    for k in range(count):
        colour, marker = _look(k, count)
        label = None if picture.by is None else picture.by.texts[k]
        ax.plot(at, picture.center[k, 0], marker=marker, color=colour, label=label)
        if picture.low is not None and picture.high is not None and count <= len(CYCLE):
            ax.fill_between(at, picture.low[k, 0], picture.high[k, 0], color=colour, alpha=0.18, linewidth=0.0)
    _ticks(ax, "x", picture.x, scale)
    shown = [each for each in (picture.center, picture.low, picture.high) if each is not None]
    if _spans_decades(np.concatenate(shown)):
        logarithmic(ax, "y", *_range(np.concatenate(shown)))
    ax.set_ylabel(picture.label)
    if picture.by is not None:
        columns = 4 if max(map(len, picture.by.texts)) < 8 else 2
        ax.legend(
            title=picture.by.name, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.2
        )
    if picture.low is not None and count <= len(CYCLE):  # more bands would only hide each other
        _note(ax, "band: 8 in 10 runs")
    return figure


def _look(k: int, count: int) -> tuple[Any, str]:  # Any: a colour of matplotlib
    """Colour and marker of a line: apart from each other where they are few, else along a scale of lightness."""
    if count <= len(CYCLE):
        return CYCLE[k]
    return matplotlib.colormaps[MAP](0.9 * k / (count - 1)), CYCLE[k % len(CYCLE)][1]


def _maps(picture: Picture) -> Figure:
    """One map, or a small one for each value of the third axis, all on one scale of colours."""
    assert picture.y is not None
    maps = list(panels(picture))
    columns = min(len(maps), COLUMNS)
    lines = -(-len(maps) // columns)
    size = (WIDTH, HEIGHT) if len(maps) == 1 else (1.2 + 2.4 * columns, 0.9 + 2.1 * lines)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    low, high = _range(picture.center)
    norm = LogNorm(low, high) if _spans_decades(picture.center) else Normalize(low, high if high > low else low + 1.0)
    colours = matplotlib.colormaps[MAP].with_extremes(bad=ABSENT)
    x_scale, y_scale = _map_scale(picture.x), _map_scale(picture.y)
    for ax, (heading, grid) in zip(axes.flat, maps, strict=False):
        edges = _edges(picture.x, x_scale), _edges(picture.y, y_scale)
        mesh = ax.pcolormesh(*edges, np.ma.masked_invalid(grid), cmap=colours, norm=norm, rasterized=grid.size > 4000)
        ax.set_title(heading)
        ax.grid(False)
        _ticks(ax, "x", picture.x, x_scale, named=len(maps) == 1)
        _ticks(ax, "y", picture.y, y_scale, named=len(maps) == 1)
    for ax in axes.flat[len(maps) :]:
        ax.set_visible(False)
    if len(maps) > 1:
        figure.supxlabel(picture.x.name, fontsize=10.0)
        figure.supylabel(picture.y.name, fontsize=10.0)
    figure.colorbar(mesh, ax=axes, label=picture.label, shrink=0.95)
    if np.isnan(picture.center).any():
        _note(axes.flat[0], "grey: no value")
    return figure


def _range(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _spans_decades(values: Array) -> bool:
    """Do values above 0 spread over so many decades that a linear scale would hide most of them?"""
    low, high = _range(values)
    return low > 0.0 and high / low >= 10.0**VALUE_DECADES


def _note(ax: Axes, text: str) -> None:
    ax.annotate(text, (1.0, 1.0), (0.0, 3.0), "axes fraction", "offset points", ha="right", va="bottom", fontsize=8.0)


def _line_scale(axis: Axis) -> str:
    """`linear` or `log` for numbers, whichever their spread asks for; `even` for words, one step each."""
    if not axis.numeric or len(axis.values) < 2:
        return "even"
    values = _numbers(axis)
    if not (values > 0.0).all() or (values.size > 2 and _is_even(values)):
        return "linear"
    return "log" if _is_even(np.log(values)) or np.log10(values[-1] / values[0]) >= DECADES else "linear"


def _map_scale(axis: Axis) -> str:
    """As for lines where cells of an even map lie at their numbers, and are too many to name each; else `even`."""
    scale = _line_scale(axis)
    if scale == "even" or len(axis.values) <= MOST_TICKS:
        return "even"
    values = _numbers(axis)
    return scale if _is_even(np.log(values) if scale == "log" else values) else "even"


def _numbers(axis: Axis) -> Array:
    return np.array(axis.values, dtype=float)


def _is_even(values: Array) -> bool:
    steps = np.diff(values)
    return bool(np.ptp(steps) <= EVEN * abs(steps).max())


def _positions(axis: Axis, scale: str) -> Array:
    return np.arange(float(len(axis.values))) if scale == "even" else _numbers(axis)


def _edges(axis: Axis, scale: str) -> Array:
    """(cells + 1,) halfway between the values."""
    at = _positions(axis, scale)
    at = np.log(at) if scale == "log" else at
    half = np.diff(at) / 2.0 if at.size > 1 else np.array([0.5])
    edges = np.concatenate([[at[0] - half[0]], at[:-1] + half if at.size > 1 else [], [at[-1] + half[-1]]])
    return np.exp(edges) if scale == "log" else edges


def _ticks(ax: Axes, which: str, axis: Axis, scale: str, named: bool = True) -> None:
    """Scale, ticks and name of an axis."""
    line = ax.xaxis if which == "x" else ax.yaxis
    if scale == "log":
        ax.set_xscale("log") if which == "x" else ax.set_yscale("log")
        line.set_major_locator(LogLocator(numticks=MOST_TICKS))
        line.set_major_formatter(FuncFormatter(power_text))
        line.set_minor_locator(NullLocator())
        line.set_minor_formatter(NullFormatter())
    elif scale == "even":
        every = -(-len(axis.values) // MOST_TICKS)
        line.set_ticks(np.arange(0, len(axis.values), every), axis.texts[::every])
    if named:
        line.set_label_text(axis.name)
