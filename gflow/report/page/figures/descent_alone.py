"""Figures of gradient descent without a flow beside it: a line for each step size, with a band for its seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from gflow.arrays import Array
from gflow.report.page.figures.drawing import CYCLE, Absent, Drawing, axes, legend_above, logarithmic
from gflow.report.page.figures.figure_data import FigureData, TimeAxis
from gflow.trajectory import Trajectory

MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class Course:
    """The runs of one step size, by the steps (T,) that are rows.

    v: log(1 + t); mean, low, high: of the value over the seeds that have the row; seeds: how many there are.
    """

    eta: float
    seeds: int
    v: Array
    mean: Array
    low: Array
    high: Array


def courses(trajectory: Trajectory, values: Array) -> list[Course]:
    """One for each step size, in the order in which they come; values (T,) of all rows."""
    eta, step, v = (trajectory.read(name) for name in ("eta", "step", "log1p_time"))
    seeds = len(np.unique(trajectory.read("seed"))) if trajectory.form.has_seeds else 1
    found = []
    for size in eta[np.sort(np.unique(eta, return_index=True)[1])]:
        own = np.flatnonzero(eta == size)
        own = own[np.argsort(step[own], kind="stable")]
        first = np.flatnonzero(np.append(True, np.diff(step[own]) > 0))
        count = np.diff(np.append(first, own.size))
        mean_of = [np.add.reduceat(each[own], first) / count for each in (v, values)]
        low, high = (reduce.reduceat(values[own], first) for reduce in (np.minimum, np.maximum))
        found.append(Course(float(size), seeds, mean_of[0], mean_of[1], low, high))
    return found


def loss_of_runs(data: FigureData) -> Drawing | Absent:
    """log L over time."""
    drawn = courses(data.trajectory, data.trajectory.log_loss)
    figure, ax = axes()
    draw_courses(ax, drawn)
    ax.set_ylabel("log L")
    ends = ends_text(drawn)
    caption = (
        f"Logarithm of the mean loss at t, the sum of the step sizes so far{band_text(drawn)}. At the end: {ends}."
    )
    return Drawing(
        "descent-loss", "How far does the loss fall?", caption, f"log L over time; at the end {ends}.", figure
    )


def margin_of_runs(data: FigureData) -> Drawing | Absent:
    """The least margin over the norm."""
    title = "Do the margins grow as fast as the weights?"
    if "normalized_margin" not in data.trajectory.series:
        return Absent(title, "these runs recorded no normalized margin")
    drawn = courses(data.trajectory, data.trajectory.series["normalized_margin"])
    figure, ax = axes()
    draw_courses(ax, drawn)
    ax.set_ylabel("least margin / norm")
    ends = ends_text(drawn)
    caption = (
        f"Least margin over the power of the norm that is homogeneous with it{band_text(drawn)}. At the end: {ends}."
    )
    return Drawing("descent-margin", title, caption, f"Normalized margin over time; at the end {ends}.", figure)


def rank_of_runs(data: FigureData) -> Drawing | Absent:
    """The stable rank of W."""
    title = "Does the network become one of low rank?"
    if "stable_rank" not in data.trajectory.series:
        return Absent(title, "these runs recorded no stable rank")
    drawn = courses(data.trajectory, data.trajectory.series["stable_rank"])
    figure, ax = axes()
    draw_courses(ax, drawn)
    logarithmic(
        ax, "y", max(min(float(each.low.min()) for each in drawn), 1.0), max(float(each.high.max()) for each in drawn)
    )
    ax.set_ylabel("stable rank |W|² / σ₁²")
    ends = ends_text(drawn)
    caption = (
        f"Squared Frobenius norm over squared spectral norm of W, 1 is the least there is{band_text(drawn)}. "
        f"At the end: {ends}."
    )
    return Drawing("descent-rank", title, caption, f"Stable rank over time; at the end {ends}.", figure)


def draw_courses(ax: Axes, drawn: list[Course]) -> None:
    """A line for each step size, with a band for its seeds, over time."""
    time = TimeAxis(max(float(each.v.max()) for each in drawn))
    for k, each in enumerate(drawn[:MOST_LINES]):
        colour, marker = CYCLE[k % len(CYCLE)]
        x, often = time.place(each.v), max(each.v.size // 6, 1)
        ax.plot(x, each.mean, color=colour, marker=marker, markevery=(k * often // 4, often), label=f"η = {each.eta:g}")
        if each.seeds > 1:
            ax.fill_between(x, each.low, each.high, color=colour, alpha=0.2, linewidth=0.0)
    time.dress(ax)
    legend_above(ax)


def band_text(drawn: list[Course]) -> str:
    """What is left out, and what a line and its band are where there are several seeds."""
    seeds = drawn[0].seeds
    some = f", the first {MOST_LINES} of {len(drawn)} step sizes" if len(drawn) > MOST_LINES else ""
    return some + (f": the mean of {seeds} seeds, and all of them in the band" if seeds > 1 else "")


def ends_text(drawn: list[Course]) -> str:
    """`0.93 (η = 0.1), 0.94 (η = 0.01)`: the last values."""
    return ", ".join(f"{each.mean[-1] + 0.0:.4g} (η = {each.eta:g})" for each in drawn[:MOST_LINES])
