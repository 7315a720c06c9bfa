"""The figures of reproduced experiments: panels side by side, of lines with bands over an axis, time or neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gflow.arrays import Array
from gflow.papers.curves import Curve
from gflow.papers.experiment import CLOCKS, NEURONS, Panel
from gflow.report.page.figures.drawing import CYCLE, INK, Drawing, logarithmic

PANEL_WIDTH, PANEL_HEIGHT, LEGEND_LINE = 4.2, 3.3, 0.24  # inches
STYLES = ("-", "--", ":", "-.")
MOST_COLUMNS = 3
LEAST_PART = 0.1
Legend = dict[str, Line2D]
Panels = Sequence[tuple[Panel, list[Curve]]]


def paper_drawing(title: str, panels: Panels, name: str, caption: str) -> Drawing:
    """The panels with their words, and below them the legend that most of them share; one with another shows it.

    Make and save it inside `style()`.
    """
    columns = min(len(panels), MOST_COLUMNS)
    lines = -(-len(panels) // columns)
    legends = [_legend(panel, curves) for panel, curves in panels]
    shared, across = _shared(legends), 4 * columns
    height = PANEL_HEIGHT * lines + 0.2 + LEGEND_LINE * -(-len(shared) // across)
    figure = Figure(figsize=(PANEL_WIDTH * columns, height), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for ax, (panel, curves), legend in zip(axes.flat, panels, legends, strict=False):
        _draw(ax, panel, curves)
        if not legend.keys() <= shared.keys():
            ax.legend(handles=list(legend.values()), loc="best")
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    if shared:
        figure.legend(handles=list(shared.values()), loc="outside lower center", ncols=min(len(shared), across))
    shown = "; ".join(f"{panel.y_label} over {panel.x_label}" for panel, _ in panels)
    return Drawing(name, title + _bands(panels), caption, f"{title}: {shown}", figure)


def _shared(legends: Sequence[Legend]) -> Legend:
    """That which has the entries of most panels; of several the longest."""
    return max(legends, key=lambda legend: (sum(each.keys() <= legend.keys() for each in legends), len(legend)))


def _bands(panels: Panels) -> str:
    """What the bands are, where there are some."""
    widths = {panel.deviations for panel, curves in panels if any(curve.runs > 1 for curve in curves)}
    if not widths:
        return ""
    told = " and ".join(f"{width:g}" for width in sorted(widths))
    return f" (means over seeds, bands: {told} standard deviation{'' if widths == {1.0} else 's'})"


def _draw(ax: Axes, panel: Panel, curves: Sequence[Curve]) -> None:
    for curve in curves:
        shown = np.ones_like(curve.x, dtype=bool)
        for values, which in ((curve.x, "x"), (curve.mean, "y")):
            shown &= (values > 0.0) | (which not in panel.log)
        x, (colour, marker) = curve.x[shown], _look(panel, curve)
        ax.plot(x, curve.mean[shown], color=colour, marker=marker, **_stroke(panel, curve))
        if curve.runs > 1:
            # On a logarithmic axis a band goes down to a small part of its mean where it would go below 0.
            low = np.maximum(curve.low, LEAST_PART * curve.mean) if "y" in panel.log else curve.low
            ax.fill_between(x, low[shown], curve.high[shown], color=colour, alpha=0.15, linewidth=0.0)
    if curves:
        _scales(ax, panel, curves)
    ax.set_title(panel.title)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)


def _stroke(panel: Panel, curve: Curve) -> dict[str, Any]:  # Any: numbers and names of matplotlib
    """Of several lines in one colour the first is broad and pale, so that those on it are seen."""
    beneath = curve.k == 0 and len(panel.lines) > 1 and panel.by is not None
    stroke = {"linewidth": 3.6, "alpha": 0.45} if beneath else {}
    return {"linestyle": STYLES[curve.k % len(STYLES)], **stroke}


def _scales(ax: Axes, panel: Panel, curves: Sequence[Curve]) -> None:
    scales: tuple[tuple[Literal["x", "y"], list[Array]], ...] = (
        ("x", [each.x for each in curves]),
        ("y", [each.mean for each in curves]),
    )
    for which, values in scales:
        above = np.concatenate(values)
        above = above[above > 0.0]
        if which in panel.log and above.size:
            logarithmic(ax, which, float(above.min()), float(above.max()), always=True)


def _look(panel: Panel, curve: Curve) -> tuple[str, str]:
    """Colour, of the value of `by`, or of the line where there is none; and marker, where points are few."""
    colour, marker = CYCLE[(curve.k if panel.by is None else curve.j) % len(CYCLE)]
    return colour, "" if panel.x in (*CLOCKS, NEURONS) else marker


def _legend(panel: Panel, curves: Sequence[Curve]) -> Legend:
    """The entries of a panel: a colour for each value of `by`, then a style for each of several lines."""
    entries: Legend = {}
    for curve in sorted(curves, key=lambda each: (each.j, each.k)):
        colour, marker = _look(panel, curve)
        if curve.by is not None:
            text = f"{panel.by_label} {curve.by}"
            entries.setdefault(text, Line2D([], [], color=colour, marker=marker, label=text))
    for curve in sorted(curves, key=lambda each: each.k):
        colour, marker = _look(panel, curve) if panel.by is None else (INK, "")
        if len(panel.lines) > 1:
            line = Line2D([], [], color=colour, marker=marker, label=curve.line, **_stroke(panel, curve))
            entries.setdefault(curve.line, line)
    return entries
