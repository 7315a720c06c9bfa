"""The style that all figures of a report share (colours, sizes, fonts), and how figures become files.

In the page a figure is SVG inside the HTML: its text stays text, and its colours are variables of the page's style
sheet, so that it is as legible on a dark background as on a light one.
"""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

Format = Literal["svg", "png", "pdf"]
BACKENDS: dict[Format, str] = {"svg": "svg", "png": "agg", "pdf": "pdf"}  # not the one that a user has chosen

# Apart in lightness too, so that they differ for the colour blind and in grey; each 3 : 1 or more against white.
# `page.css` has the variables' values for dark ground.
INK, BLUE, ORANGE, GREEN, PURPLE, GREY = "#1b2027", "#0b6bb0", "#c2570c", "#00805c", "#8d4a9e", "#6b7480"
VARIABLES = {INK: "ink", BLUE: "blue", ORANGE: "orange", GREEN: "green", PURPLE: "purple", GREY: "grey"}
CYCLE = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (GREY, "v"), (INK, "P"))

# Pixels of images cannot follow the style sheet: these two colours show on white and on black; the - side is
# transparent.
PLUS_SIDE, SLIDING, MINUS_SIDE = "#3a86c8", "#e27418", "none"

WIDTH, HEIGHT = 5.0, 3.4  # inches; at 10 points a text is legible on a phone, where 5 inches become 3.7
STYLE: Any = {  # Any: matplotlib types the keys by a list that grows with its versions
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.parse_math": False,  # names of a run may hold dollars
    "svg.fonttype": "none",
    "svg.hashsalt": "gflow",
    "pdf.fonttype": 42,
}
LEAST_DECADES, FEW_DECADES = 0.5, 2.3  # below the first a scale stays linear, below the second 2 and 5 are ticks
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure with its words.  name: of its file; title: a statement or a question; alt: what a blind reader needs."""

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Absent:
    """A figure that this run does not have, and why."""

    title: str
    reason: str


def style() -> AbstractContextManager[None]:
    """Make and save figures inside: these settings hold there and nowhere else, and no other ones hold there."""
    defaults: Any = {name: matplotlib.rcParamsDefault[name] for name in matplotlib.rcParamsDefault if name != "backend"}
    return matplotlib.rc_context(defaults | STYLE)


def axes(height: float = HEIGHT) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; no part of pyplot, so nothing global."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def legend_above(ax: Axes, columns: int = 3) -> None:
    """Outside, where it hides no data."""
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.2)


def power_text(value: float, _: object = None) -> str:
    """`10⁻³` for powers of ten, `0.002` and the like for what lies between."""
    if value == 0.0 or 0.001 <= abs(value) < 1000.0:
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}·{power}"


def logarithmic(ax: Axes, which: Literal["x", "y"], low: float, high: float, always: bool = False) -> None:
    """A logarithmic scale where values from low to high span enough of one, with plain words at its ticks."""
    decades = np.log10(high / low) if 0.0 < low < high else 0.0
    if decades < LEAST_DECADES and not always:
        return
    if which == "x":
        ax.set_xscale("log")
    else:
        ax.set_yscale("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < FEW_DECADES else (1.0,), numticks=8))
    axis.set_major_formatter(FuncFormatter(power_text))
    axis.set_minor_formatter(NullFormatter())


def save(drawing: Drawing, folder: Path, form: Format) -> Path:
    """The figure as a file of its own, on white, with its title; the same bytes for the same content."""
    target = folder / f"{drawing.name}.{form}"
    target.write_bytes(_printed(drawing, form))
    return target


def _printed(drawing: Drawing, form: Format) -> bytes:
    buffer = io.BytesIO()
    # No dates, so that the same content gives the same bytes.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[form]
    heading = drawing.figure.suptitle(drawing.title, x=0.01, ha="left", fontsize=10.5, wrap=True)
    _show(heading, True)
    drawing.figure.savefig(buffer, format=form, metadata=metadata, facecolor="white", dpi=200, backend=BACKENDS[form])
    _show(heading, False)
    return buffer.getvalue()


def _show(heading: Text, shown: bool) -> None:
    """In the page the title is a heading of the page."""
    heading.set_visible(shown)
    heading.set_in_layout(shown)


def inline_svg(drawing: Drawing) -> str:
    """An svg element for the page: named, as wide as its place, in the page's colours, with ids of its own."""
    buffer = io.StringIO()
    drawing.figure.savefig(buffer, format="svg", backend="svg", metadata={"Date": None, "Creator": None}, dpi=150)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style[^>]*>.*?</style>|<defs>\s*</defs>", "", text, flags=re.S)
    text = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{drawing.name}-", text)
    text = re.sub(r' d="([^"]*)"', _shorter, text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"| xmlns(?::xlink)?="[^"]*"| version="1.1"', "", text)
    text = text.replace("xlink:href", "href")
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r"\n\s*", "\n", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(drawing.alt)}"', 1)


def _shorter(path: re.Match[str]) -> str:
    """A path rounded to a hundredth of a point, which is finer than what can be seen."""
    points = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), path[1])
    return f' d="{" ".join(points.split())}"'
