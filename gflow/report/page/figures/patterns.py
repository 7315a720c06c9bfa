"""Figures of the activation pattern: at the end, along the run, and the events that change it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gflow.arrays import Array, Integers, Sides
from gflow.flow_time import time_text
from gflow.report.page.figures.drawing import (
    CYCLE,
    INK,
    MINUS_SIDE,
    PLUS_SIDE,
    SLIDING,
    Absent,
    Drawing,
    axes,
    legend_above,
)
from gflow.report.page.figures.figure_data import FigureData
from gflow.trajectory import EVENT_KINDS

PIXELS = np.array([to_rgba(colour) for colour in (MINUS_SIDE, SLIDING, PLUS_SIDE)])  # by sign + 1
MOST_PAIRS, MOST_COLUMNS, MOST_POINTS = 360, 400, 240
HEIGHTS = 3.4, 6.2  # inches: a line of pixels for each of some 500 neurons
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def final_pattern(data: FigureData) -> Drawing:
    """The side of every pair at the last row."""
    pattern = data.trajectory.read("pattern", -1)
    neurons = _in_order(pattern, data.sign)
    samples = _in_order(pattern.T, data.label)
    m, n = pattern.shape
    figure, ax = axes(float(np.clip(2.4 + m / 128.0, *HEIGHTS)))
    _image(ax, pattern[np.ix_(neurons, samples)], (0.0, float(n), float(m), 0.0))
    for border, line in ((np.sum(data.sign > 0), ax.axhline), (np.sum(data.label > 0), ax.axvline)):
        if 0 < border < (m if line == ax.axhline else n):
            line(float(border), color=INK, linewidth=1.4)
    ax.set_xlabel(_ordered("samples", "y", data.label))
    ax.set_ylabel(_ordered("neurons", "a", data.sign))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    _legend(ax, data.kinked)
    plus, sliding = int((pattern > 0).sum()), int((pattern == 0).sum())
    caption = (
        f"Sign of the pre-activation of each of the {m} neurons on each of the {n} samples at {_end(data)}: "
        f"{plus} on the + side, {m * n - plus - sliding} on the − side"
        + (f", {sliding} slide along their kink." if data.kinked else ".")
        + " Rows and columns are in groups of one sign, in each by the number on the + side."
    )
    alt = f"Map of {m} neurons by {n} samples: {plus} active, {sliding} sliding, the rest inactive."
    return Drawing("pattern", "Which neuron is active on which sample at the end?", caption, alt, figure)


def pairs_over_time(data: FigureData) -> Drawing | Absent:
    """Every pair as one line, in the order in which they came to rest."""
    title = "When does each pair come to rest?"
    if data.trajectory.n_rows < 2:
        return Absent(title, "the run has one row")
    rows = _columns(data)
    names, place = np.unique(rows, return_inverse=True)
    history = np.stack([data.trajectory.read("pattern", int(row)).ravel() for row in names])
    rest = _last_change(history)
    if not rest.any():
        return Absent(title, "no pair changed its side between two rows")
    # Pairs that slide at the end come first, then those on the + side; in each group the latest to rest come first.
    order = np.lexsort((-rest, np.array([2, 0, 1])[history[-1].astype(int) + 1]))
    shown = order[np.unique(np.linspace(0, len(order) - 1, min(MOST_PAIRS, len(order))).round().astype(int))]
    figure, ax = axes(3.8)
    end = float(data.x[-1])
    _image(ax, history[place][:, shown].T, (0.0, end, 100.0, 0.0))
    _moments(ax, data)
    ax.set_ylabel("pairs (neuron, sample), in %")
    data.dress(ax)
    ax.set_xlim(0.0, end)
    _legend(ax, data.kinked)
    moved = int(np.count_nonzero(rest))
    part = f"one in {len(order) / len(shown):.0f} of " if len(shown) < len(order) else ""
    caption = (
        f"A line is a pair ({part}{len(order)} are drawn), in groups of one side at the end, the latest to rest on top "
        f"in each. {moved} pairs ({100.0 * moved / len(order):.3g} %) changed between two rows of this run"
        + _moments_text(data)
    )
    alt = f"Map of pairs against time, coloured by side; {moved} of {len(order)} pairs change, ever fewer over time."
    return Drawing("pairs", title, caption, alt, figure)


def switches(data: FigureData) -> Drawing | Absent:
    """How many events of each kind there were."""
    title = "When do neurons cross, slide and leave?"
    events = data.trajectory.events
    if not data.trajectory.records_events:
        return Absent(title, "this run recorded no events")
    if not len(events):
        return Absent(title, "no pair ever changed its side" if data.kinked else "the activation has no kink")
    figure, ax = axes()
    x = np.linspace(0.0, float(data.x[-1]), MOST_POINTS)
    places = data.time.place(events.log1p_time)
    for (kind, name), (colour, _), dashes in zip(EVENT_KINDS.items(), CYCLE, DASHES, strict=False):
        chosen = places[events.kind == kind]
        if len(chosen):
            count = np.searchsorted(chosen, x, side="right")
            ax.plot(x, count, color=colour, linestyle=dashes, label=f"{name} {len(chosen)}", drawstyle="steps-post")
    if "sliding" in data.trajectory.series:
        ax.plot(data.x, data.trajectory.series["sliding"], color=INK, linewidth=2.4, alpha=0.55, label="slide now")
    ax.set_ylabel("events so far; pairs")
    ax.set_ylim(bottom=0.0)
    data.dress(ax)
    legend_above(ax)
    caption = (
        f"Events so far, by kind: {len(events)} in all, the last at {time_text(events.log1p_time[-1])}. The broad line "
        "counts the pairs that slide at that time."
    )
    alt = f"Cumulative counts of {len(events)} events by kind over time."
    return Drawing("switches", title, caption, alt, figure)


def _in_order(pattern: Sides, sign: Integers) -> Integers:
    """Rows by their sign, then by how many entries are on the + side; equal rows stand together."""
    return np.lexsort((*pattern.T, (pattern > 0).sum(axis=1), -sign))


def _columns(data: FigureData) -> Integers:
    """The row that is seen at each place of the image: the last one before it."""
    places = np.linspace(0.0, float(data.x[-1]), MOST_COLUMNS)
    return np.asarray(np.searchsorted(data.x, places, side="right") - 1).clip(0)


def _last_change(history: Sides) -> Array:
    """(p,) number of the first row (k, p) from which on a pair stays; 0 for those that never change."""
    changed = history[1:] != history[:-1]
    count = len(changed)
    return np.asarray(np.where(changed.any(axis=0), count - changed[::-1].argmax(axis=0), 0))


def _image(ax: Axes, signs: Sides, extent: tuple[float, float, float, float]) -> None:
    """One pixel an entry, sharp; extent: left, right, bottom, top."""
    pixels = PIXELS[signs.astype(int) + 1]
    ax.imshow(pixels, extent=extent, aspect="auto", interpolation="none")
    ax.grid(False)
    for side in ax.spines.values():
        side.set_visible(True)


def _legend(ax: Axes, kinked: bool) -> None:
    handles = [
        Patch(facecolor=PLUS_SIDE, label="+ side"),
        Patch(facecolor=MINUS_SIDE, edgecolor=INK, linewidth=0.8, label="− side"),
    ]
    if kinked:
        handles.append(Patch(facecolor=SLIDING, label="sliding"))
    ours = ax.get_legend_handles_labels()[0]
    ax.legend(
        handles=[*handles, *ours],
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=5,
        borderaxespad=0.2,
        handlelength=1.0,
    )


def _moments(ax: Axes, data: FigureData) -> None:
    """Vertical lines at the last change and where the proof begins, inside the run."""
    for name, colour, dashes, label in (
        ("log1p_time", INK, "--", "last change"),
        ("proved_log1p_time", INK, "-", "proved from"),
    ):
        v = data.found("freezing", name)
        if v is not None and 0.0 < v < data.time.last:
            ax.axvline(float(data.time.place(np.array([v]))[0]), color=colour, linestyle=dashes, label=label)


def _moments_text(data: FigureData) -> str:
    """The end of the caption: what is known of the last change."""
    changed, proved = data.found("freezing", "log1p_time"), data.found("freezing", "proved_log1p_time")
    sentence = "" if changed is None else f"; the last change was at {time_text(changed)}"
    if proved is None:
        return sentence + "."
    ahead = ", ahead of this run" if proved > data.time.last else ""
    verdicts = {data.found(name, "verdict") for name in ("freezing", "limit")}
    whose = ", in the flow from the computed state there" if "proved_from_state" in verdicts else ""
    return sentence + f"; the pattern is proved to stay from {time_text(proved)} on{ahead}{whose}."


def _ordered(things: str, letter: str, signs: Integers) -> str:
    return f"{things} ({letter} > 0 first)" if (signs > 0).any() and (signs < 0).any() else things


def _end(data: FigureData) -> str:
    return time_text(float(data.v[-1]))
