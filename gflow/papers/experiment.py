"""An experiment of a paper, as its file tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gflow.papers.quantity import Quantity
from gflow.sweeps.plan.sweep_file import SweepSpec
from gflow.sweeps.run.columns import Value

Bounds = tuple[float | None, float | None]
"""Least and most, each None where there is none."""
Where = Mapping[str, Value]
"""Axes with the value that is meant, or `least` and `most` for the ends of an axis of numbers."""
LEAST, MOST = "least", "most"
CLOCKS = {"t": "t", "log1p_time": "log(1 + t)", "step": "step"}
NEURONS = "neurons"


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes of a figure: lines over an axis of the sweep, or over time, or over neurons that are sorted.

    x: an axis, one of `CLOCKS`, or `neurons`; lines: what is drawn, by its words; by: an axis, a line for each of its
    values; log: which axes are logarithmic, of `x`, `y`; deviations: how many standard deviations over the seeds the
    band is wide to either side.
    """

    sweep: str
    title: str
    x: str
    x_label: str
    y_label: str
    lines: Mapping[str, Quantity]
    by: str | None
    by_label: str
    where: Where
    log: str
    deviations: float


@dataclass(frozen=True, slots=True)
class Figure:
    """Panels side by side."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class ValueStatement:
    """A number of every seed, whose mean lies within bounds: a quantity at one place of the axes, divided by that at
    another one where there is one.  direction: wider bounds, of what has the stated direction only."""

    quantity: Quantity
    where: Where
    against: Where | None
    within: Bounds
    direction: Bounds | None


@dataclass(frozen=True, slots=True)
class TrendStatement:
    """The mean over the seeds rises, or falls, along an axis, and nowhere goes back by more than a thousandth of it."""

    quantity: Quantity
    where: Where
    along: str
    rises: bool


@dataclass(frozen=True, slots=True)
class ShareStatement:
    """The share of runs in which a column has this word, of those in which it has one of `among` (empty: any)."""

    column: str
    word: str
    among: tuple[str, ...]
    where: Where
    within: Bounds
    direction: Bounds | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One checkable sentence.  stated: what is claimed; note: what a reader of the verdict must know."""

    stated: str
    sweep: str
    what: ValueStatement | TrendStatement | ShareStatement
    note: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """name: `frei/fig1`; source: paper and figure; states: what is done and found there; unstated: what is not told
    there, and how it was chosen here; needs: data that are not part of gflow, "" for none; sweeps: by their names."""

    name: str
    title: str
    source: str
    states: str
    unstated: str
    needs: str
    size: Literal["quick", "full"]
    sweeps: Mapping[str, SweepSpec]
    figures: tuple[Figure, ...]
    statements: tuple[Statement, ...]
