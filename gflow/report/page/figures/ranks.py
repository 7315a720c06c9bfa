"""Figures of the rank, the spectrum and the direction of W along the run."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Bools
from gflow.report.page.figures.drawing import (
    BLUE,
    CYCLE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    Absent,
    Drawing,
    axes,
    legend_above,
    logarithmic,
)
from gflow.report.page.figures.figure_data import FigureData
from gflow.report.page.figures.weights import angles_to_last, singular_values

RANKS = {
    "stable_rank": ("W", BLUE, "-"),
    "stable_rank_plus": ("W+", ORANGE, "--"),
    "stable_rank_minus": ("W−", GREEN, "-."),
}
SHOWN_VALUES, LEAST_VALUE = 6, 1e-7
ROWS_OF_SPECTRUM, ROWS_OF_ANGLES = 48, 120
ROUNDING = 1e-9  # radians; late in a run velocities come from small differences of large margins


def stable_rank(data: FigureData) -> Drawing | Absent:
    """|W|_F^2 / |W|_2^2 of W and of the neurons of either sign."""
    title = "Does the network become one of low rank?"
    series = data.trajectory.series
    names = [name for name in RANKS if name in series]
    if not names:
        return Absent(title, "this run recorded no stable rank")
    figure, ax = axes()
    ends = []
    for name in names:
        label, colour, dashes = RANKS[name]
        values = series[name]
        ax.plot(data.x, np.where(values > 0.0, values, np.nan), color=colour, linestyle=dashes, label=label)
        ends.append(f"{label} {values[-1]:.4g}")
    low, high = ax.get_ylim()
    logarithmic(ax, "y", max(low, 1.0), high)
    ax.set_ylim(bottom=0.95)
    limit = data.found("limit", "stable_rank")
    if limit is not None:
        ax.axhline(limit, color=INK, linestyle=":", linewidth=1.2, label=f"limit of W {limit:.4g}")
    ax.set_ylabel("stable rank |W|² / σ₁²")
    data.dress(ax)
    legend_above(ax, 4)
    parts = " and of its rows with a > 0 (W+) and a < 0 (W−)" if len(names) > 1 else ""
    caption = (
        f"Squared Frobenius norm over squared spectral norm of W{parts}: 1 is the least there is. "
        f"At the end: {', '.join(ends)}."
    )
    alt = f"Stable ranks over time; at the end {', '.join(ends)}."
    return Drawing("stable-rank", title, caption, alt, figure)


def spectrum(data: FigureData) -> Drawing | Absent:
    """The largest singular values relative to the first."""
    title = "How many directions does W keep?"
    rows = data.rows(ROWS_OF_SPECTRUM)
    values = singular_values(data.trajectory, rows)
    if values.shape[1] < 2 or not (values[:, 0] > 0.0).all():
        return Absent(title, "W has one singular value, or vanishes")
    shares = (values / values[:, :1])[:, 1 : SHOWN_VALUES + 1]
    figure, ax = axes()
    for k, column in enumerate(shares.T):
        colour, marker = CYCLE[k]
        seen = np.where(column > LEAST_VALUE, column, np.nan)
        ax.plot(data.x[rows], seen, color=colour, marker=marker, markevery=(4 * k, 12), label=f"σ{k + 2}")
    least = max(float(shares.min()), LEAST_VALUE)
    logarithmic(ax, "y", least, 1.0)
    ax.set_ylabel("singular value / σ₁")
    data.dress(ax)
    legend_above(ax, SHOWN_VALUES)
    kept = int(np.count_nonzero(values[-1] > 0.01 * values[-1, 0]))
    caption = (
        f"The {shares.shape[1]} largest of the {values.shape[1]} singular values of W after the first, over the first; "
        "the part of W outside the span of the samples counts, too. At the end "
        f"{kept} are above a hundredth of σ₁, with σ₁ itself; σ2 / σ₁ = {shares[-1, 0]:.4g}."
    )
    alt = f"Ratios of singular values over time; sigma 2 over sigma 1 ends at {shares[-1, 0]:.3g}."
    return Drawing("spectrum", title, caption, alt, figure)


def direction(data: FigureData) -> Drawing | Absent:
    """The angle to the limit where it is known, else to the last row."""
    times = data.found("direction", "log1p_time")
    return _to_last(data) if times is None else _to_limit(data, np.array(times, dtype=float))


def _to_limit(data: FigureData, v: Array) -> Drawing:
    angle = np.array(data.found("direction", "angle"), dtype=float)
    turning = np.array(data.found("direction", "velocity_angles"), dtype=float)
    x = data.time.place(v)
    figure, ax = axes()
    for values, colour, dashes, label in ((angle, BLUE, "-", "W"), (turning, ORANGE, "--", "velocity dW/dτ")):
        ax.plot(x, np.where(_resolved(values), values, np.nan), color=colour, linestyle=dashes, label=label)
    seen = np.concatenate([values[_resolved(values)] for values in (angle, turning)])
    logarithmic(ax, "y", float(seen.min(initial=1.0)), float(seen.max(initial=1.0)))
    ax.set_ylabel("angle to the limit (radians)")
    data.dress(ax)
    legend_above(ax)
    bound = data.found("direction", "angle_bound")
    from_state = data.found("direction", "verdict") == "proved_from_state"
    whose = "from the computed state" if from_state else f"({data.found('direction', 'verdict')})"
    caption = (
        f"Angle of W, and of the direction in which it moves, to the limit of the flow {whose}. At the end W is "
        f"{angle[-1]:.3g} rad from it, its velocity {turning[-1]:.3g} rad"
        + (f"; W is proved to stay within {bound:.3g} rad from there on." if bound is not None else ".")
        + (" What follows a first angle below 10⁻⁹ is rounding and not drawn." if len(seen) < 2 * len(v) else "")
    )
    alt = f"Angle of W to its limit, from {angle[0]:.3g} to {angle[-1]:.3g} rad, logarithmic."
    return Drawing("direction", "How far is the direction of W from its limit?", caption, alt, figure)


def _resolved(angle: Array) -> Bools:
    """(k,) which values come before the first that rounding may have made."""
    return np.logical_and.accumulate(angle > ROUNDING)


def _to_last(data: FigureData) -> Drawing | Absent:
    title = "How far does the direction of W still move?"
    rows = data.rows(ROWS_OF_ANGLES)
    if len(rows) < 2 or not data.trajectory.read("inner", -1).any():
        return Absent(title, "there is no motion to show")
    angle = angles_to_last(data.trajectory, rows)
    figure, ax = axes()
    ax.plot(data.x[rows], angle, color=PURPLE)
    ax.set_ylim(bottom=0.0)
    ax.set_ylabel("angle to W at the end (radians)")
    data.dress(ax)
    caption = (
        f"Angle of W to W at the last row, {angle[0]:.3g} rad at the start. No limit direction of this run is known, "
        "and this curve ends at 0 by definition: it shows how fast W turns, not that it converges."
    )
    alt = f"Angle of W to its last value, from {angle[0]:.3g} rad at the start to 0."
    return Drawing("direction", title, caption, alt, figure)
