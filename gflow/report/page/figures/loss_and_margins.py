"""Figures of the loss and the margins along the run."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gflow.arrays import Array
from gflow.flow_time import time_text
from gflow.report.page.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    SUPERSCRIPTS,
    Absent,
    Drawing,
    axes,
    legend_above,
    logarithmic,
)
from gflow.report.page.figures.figure_data import FigureData

MOST_LINES, MOST_POINTS = 60, 240  # more samples than the first are shown as a band
COLOURS = {1: BLUE, -1: ORANGE, 0: GREY}
LABEL_NAMES = {1: "y = +1", -1: "y = −1", 0: "samples"}
SUPPORT = 1e-9  # a share above rounding


def loss(data: FigureData) -> Drawing:
    """log L against log t is a straight line of slope -1 for every run; what differs is log(t L)."""
    product = data.trajectory.log_loss + data.v
    figure, ax = axes()
    ax.plot(data.x, product, color=BLUE)
    ax.set_ylabel("log((1 + t) L)")
    data.dress(ax)
    half = product[np.searchsorted(data.x, 0.5 * data.x[-1]) :]
    caption = (
        f"Loss L times 1 + t. A level line is a loss that falls like 1/t. At the end, {time_text(data.v[-1])}, "
        f"log L = {data.trajectory.log_loss[-1]:.6g} and log((1 + t) L) = {product[-1]:.4g}; over the second half "
        f"of the axis it varies by {np.ptp(half):.2g}."
    )
    alt = f"Curve of log of (1 + t) L from {product[0]:.3g} at the start to {product[-1]:.4g} at the end."
    return Drawing("loss", "Does the loss fall like 1/t?", caption, alt, figure)


def margins(data: FigureData) -> Drawing | Absent:
    """Margins over the power of the norm that makes them independent of the scale of the parameters."""
    title = "Where do the margins go?"
    norm = next((name for name in ("parameter_norm", "weight_norm") if name in data.trajectory.series), None)
    if norm is None:
        return Absent(title, "this run recorded no norm of its parameters")
    degree = float(data.trajectory.facts.get("homogeneity", 1))
    rows = data.rows(MOST_POINTS)
    size = data.trajectory.series[norm][rows] ** degree
    rows, size = rows[size > 0.0], size[size > 0.0]
    if not len(rows):
        return Absent(title, "all parameters are 0")
    values = data.trajectory.margins[rows] / size[:, None]
    scale, limit = _norm_text(degree, norm), data.found("limit", "normalized_margin")
    figure, ax = axes()
    _draw_margins(ax, data, data.x[rows], values)
    if limit is not None:
        ax.axhline(limit, color=INK, linestyle="--", linewidth=1.2, label=f"limit {limit:.4g}")
    ax.set_ylabel(f"margin / {scale}")
    data.dress(ax)
    legend_above(ax)
    caption = _margins_caption(data, values, scale, limit)
    alt = f"Normalised margins over time, the least from {values[0].min():.3g} to {values[-1].min():.4g} at the end."
    return Drawing("margins", title, caption, alt, figure)


def _margins_caption(data: FigureData, values: Array, scale: str, limit: float | None) -> str:
    several = data.trajectory.facts.get("outputs", 1) != 1
    meaning = "p (output of the label over those of the other classes)" if several else "p = y f(x)"
    shown = "; the band has all of them, the dark part half" if values.shape[1] > MOST_LINES else ", a line each"
    end = "" if limit is None else f"; the limit of the least is {limit:.4g}"
    return (
        f"Margins {meaning} of the {values.shape[1]} samples over {scale}{shown}. At the end they lie between "
        f"{values[-1].min():.4g} and {values[-1].max():.4g}{end}."
    )


def _norm_text(degree: float, series: str) -> str:
    norm = "|W|" if series == "weight_norm" else "|θ|"
    return norm if degree == 1.0 else norm + f"{degree:g}".translate(SUPERSCRIPTS)


def _draw_margins(ax: Axes, data: FigureData, x: Array, values: Array) -> None:
    """A line a sample, or a band where that would be too many; x (k,), values (k, n)."""
    if values.shape[1] <= MOST_LINES:
        for sign, name in LABEL_NAMES.items():
            chosen = values[:, data.label == sign]
            if chosen.size:
                lines = ax.plot(x, chosen, color=COLOURS[sign], linewidth=0.9, alpha=0.75)
                lines[0].set_label(name)
        return
    low, first, middle, third, high = np.percentile(values, [0, 25, 50, 75, 100], axis=1)
    ax.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0, label="all")
    ax.fill_between(x, first, third, color=BLUE, alpha=0.35, linewidth=0, label="half")
    ax.plot(x, middle, color=BLUE, label="median")


def support(data: FigureData) -> Drawing | Absent:
    """The dual variables of the limit, which say how much each sample weighs in it."""
    title = "How much does each sample weigh?"
    found = data.found("kkt", "multipliers")
    multipliers = np.array([] if found is None else found, dtype=float)
    if multipliers.ndim != 1 or not multipliers.any():
        return Absent(title, "no multipliers of single samples are known")
    shares = multipliers / multipliers.sum()
    order = np.argsort(-shares, kind="stable")
    figure, ax = axes()
    place = np.arange(1, len(order) + 1)
    for sign, name in LABEL_NAMES.items():
        chosen = data.label[order] == sign
        if chosen.any():
            hatch = "////" if sign < 0 else None
            ax.bar(
                place[chosen],
                shares[order][chosen],
                width=0.8,
                color=COLOURS[sign],
                label=name,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.0,
            )
    ax.set_xlabel("samples, by their multiplier")
    ax.set_ylabel("multiplier λ / Σ λ")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    legend_above(ax)
    carrying = int(np.count_nonzero(shares > SUPPORT))
    point = data.found("kkt", "point") or "limit"
    caption = (
        f"KKT multipliers at the {point}, as shares: how much of W a sample brings. {carrying} of {len(shares)} have "
        f"more than {SUPPORT:g}; the largest has {shares.max():.4g}, an equal part would be {1.0 / len(shares):.4g}."
    )
    alt = f"Bars of {len(shares)} multipliers in falling order; {carrying} are not 0."
    return Drawing("support", title, caption, alt, figure)


def spread(data: FigureData) -> Drawing | Absent:
    """In the limit every support sample has the same margin."""
    title = "How unequal are the margins?"
    series = data.trajectory.series
    if "margin_spread" not in series:
        return Absent(title, "this run recorded no spread of its margins")
    values = series["margin_spread"]
    positive = values > 0.0
    if not positive.any():
        return Absent(title, "all margins are equal in every row")
    figure, ax = axes()
    ax.plot(data.x, np.where(positive, values, np.nan), color=GREEN)
    logarithmic(ax, "y", float(values[positive].min()), float(values.max()))
    ax.set_ylabel("(max p − min p) / max |p|")
    data.dress(ax)
    support = data.found("limit", "support")
    of = f"{support} of {data.trajectory.sizes['sample']} samples"
    caption = (
        f"Spread of the margins relative to the largest: {values[-1]:.4g} at the end. It tends to 0 exactly where all "
        "samples lie on the margin of the limit" + (f"; here {of} do." if support is not None else ".")
    )
    alt = f"Relative spread of the margins, from {values[0]:.3g} to {values[-1]:.3g}, logarithmic."
    return Drawing("margin-spread", title, caption, alt, figure)
