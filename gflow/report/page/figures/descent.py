"""Figures of gradient descent beside the flow: how far apart, until when, and with which order in the step size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gflow.arrays import Array
from gflow.report.page.figures.drawing import BLUE, CYCLE, INK, Absent, Drawing, axes, legend_above, logarithmic
from gflow.report.page.figures.figure_data import FigureData, Json

Runs = Sequence[Json]
MOST_TICKS = 6
EDGE = 2.0


def gap_over_time(data: FigureData) -> Drawing | Absent:
    """|W_GD - W_GF| / |W_GF - W(0)| at each step size."""
    title = "How far is descent from the flow?"
    figure, ax = axes()
    drawn = lines_beside(ax, data, "relative_gap", lambda values: np.where(values > 0.0, values, np.nan))
    if not drawn:
        return Absent(title, "the comparison holds no gaps")
    logarithmic(ax, "y", min(drawn), max(drawn))
    ax.set_ylabel("|W(GD) − W(GF)| / |W(GF) − W(0)|")
    legend_above(ax)
    caption = (
        "Distance of the weights of descent, at step k, from those of the flow at t = ηk, over the way that the flow "
        f"has gone. {_worst(data)}"
    )
    alt = "Relative distance of descent from the flow over time, a line for each step size, logarithmic."
    return Drawing("gap-time", title, caption + spread_text(data), alt, figure)


def gap_by_eta(data: FigureData) -> Drawing | Absent:
    """Largest gaps against step sizes, with the fitted power."""
    title = "With which order does descent tend to the flow?"
    runs = [run for run in _runs(data) if run.get("max_relative_gap")]
    if not runs:
        return Absent(title, "no step size has a gap")
    eta, gap = (np.array([run[name] for run in runs], dtype=float) for name in ("eta", "max_relative_gap"))
    figure, ax = axes()
    ax.plot(eta, gap, linestyle="none", marker="o", markersize=6.0, color=BLUE, label="largest gap")
    order = (data.comparison or {}).get("fitted_order")
    if order is not None:
        ends = np.array([eta.min(), eta.max()])
        centre_eta, centre_gap = np.exp(np.log(eta).mean()), np.exp(np.log(gap).mean())
        fitted = centre_gap * (ends / centre_eta) ** order
        ax.plot(ends, fitted, color=INK, linestyle="--", linewidth=1.2, label=f"order {order:.3g}")
    logarithmic(ax, "x", float(eta.min()), float(eta.max()), always=True)
    logarithmic(ax, "y", float(gap.min()), float(gap.max()), always=True)
    ax.set_xlabel("step size η")
    if len(eta) <= MOST_TICKS:
        ax.set_xticks(eta, [f"{value:g}" for value in eta])
    ax.set_ylabel("largest relative gap")
    legend_above(ax)
    caption = f"Largest gap from the first tenth of the horizon on. {_order_text(data.comparison or {})}"
    alt = f"Largest gap against step size, {len(runs)} points" + (f", fitted order {order:.3g}." if order else ".")
    return Drawing("gap-eta", title, caption, alt, figure)


def agreement(data: FigureData) -> Drawing | Absent:
    """Share of pairs on the same side."""
    title = "Until when do the patterns agree?"
    figure, ax = axes()
    drawn = lines_beside(ax, data, "pattern_agreement", lambda values: 100.0 * values)
    if not drawn:
        return Absent(title, "the comparison holds no patterns")
    ax.set_ylim(min(drawn) - 0.05 * (100.0 - min(drawn)) - 0.1, 100.3)
    ax.set_ylabel("agreeing pairs, in %")
    legend_above(ax)
    first = [run["first_pattern_disagreement_log1p_time"] for run in _runs(data)]
    known = sum(value is not None for value in first)
    caption = (
        "Share of the pairs that do not slide in the flow and are on the same side in both; a sliding pair has no side "
        f"that descent could have. {known} of {len(first)} step sizes disagree somewhere at some time."
    )
    alt = f"Agreement of patterns over time, a line for each step size, down to {min(drawn):.4g} percent."
    return Drawing("agreement", title, caption + spread_text(data), alt, figure)


def edge_of_stability(data: FigureData) -> Drawing | Absent:
    """eta times the sharpness, beside 2."""
    title = "Is descent at the edge of stability?"
    figure, ax = axes()
    drawn = lines_beside(ax, data, "sharpness_times_eta", lambda values: np.where(values > 0.0, values, np.nan))
    if not drawn:
        return Absent(title, "the comparison holds no sharpness")
    ax.axhline(EDGE, color=INK, linestyle="--", linewidth=1.2, label="η · sharpness = 2")
    logarithmic(ax, "y", min(*drawn, EDGE), max(*drawn, EDGE))
    ax.set_ylabel("η · sharpness")
    legend_above(ax)
    runs = _runs(data)
    above = sum((run.get("sharpness_times_eta") or 0.0) > EDGE for run in runs)
    rises = ", ".join(f"{run['loss_rises']} at η = {run['eta']:g}" for run in runs if run.get("loss_rises"))
    caption = (
        "Step size times the largest eigenvalue of the Hessian of the loss (of its Gauss-Newton part where the outer "
        "layer is trained or the activation is smooth) at the weights of descent. Above 2 a step along its direction "
        f"overshoots by more than it corrects: {above} of {len(runs)} step sizes are there at some row. "
        f"Steps at which the loss rose: {rises or 'none'}."
    )
    alt = f"Step size times sharpness over time, at most {max(drawn):.3g}, with a line at 2."
    return Drawing("edge", title, caption + spread_text(data), alt, figure)


def rank_beside(data: FigureData) -> Drawing | Absent:
    """Stable ranks of both."""
    title = "Does descent reach the same rank?"
    figure, ax = axes()
    drawn = lines_beside(ax, data, "stable_rank", lambda values: values)
    series = data.trajectory.series
    if not drawn or "stable_rank" not in series:
        return Absent(title, "the comparison holds no stable ranks")
    horizon = float((data.comparison or {}).get("horizon_log1p_time") or data.time.last)
    seen = data.v <= horizon
    flow = series["stable_rank"]
    ax.plot(data.x[seen], flow[seen], color=INK, linewidth=3.0, alpha=0.35, label="flow", zorder=1)
    logarithmic(ax, "y", min(drawn), max(drawn))
    ax.set_ylabel("stable rank |W|² / σ₁²")
    legend_above(ax)
    caption = (
        f"Stable rank of W in descent, and (broad) in the flow, which has {flow[seen][-1]:.4g} at its last row here."
    )
    alt = "Stable rank of descent at each step size and of the flow over time."
    return Drawing("rank-descent", title, caption + spread_text(data), alt, figure)


def _runs(data: FigureData) -> Runs:
    runs: Runs = (data.comparison or {}).get("etas", ())
    return runs


def eta_text(run: Json) -> str:
    """`η = 0.1`, with whatever else distinguishes two runs."""
    seed = f", seed {run['seed']}" if run.get("seed") is not None else ""
    return f"η = {run['eta']:g}" + (" (SGD" + seed + ")" if run.get("kind") == "sgd" else "")


def lines_beside(ax: Axes, data: FigureData, name: str, shown: Callable[[Array], Array]) -> list[float]:
    """One line a step size, the mean over its seeds with all of them in a band; the finite values drawn.  The time axis
    ends where descent does."""
    values: list[float] = []
    last = 0.0
    for k, runs in enumerate(_by_eta(_runs(data))):
        times, ys = ([_floats(run["series"].get(each) or []) for run in runs] for each in ("log1p_time", name))
        rows = min(map(len, times))
        if list(map(len, times)) != list(map(len, ys)) or not rows:
            continue
        colour, marker = CYCLE[k % len(CYCLE)]
        v, seen = times[0][:rows], np.stack([shown(y[:rows]) for y in ys])
        step = max(rows // 6, 1)
        x, mean = data.time.place(v), seen.mean(axis=0)
        label = eta_text(runs[0]) if len(runs) == 1 else f"η = {runs[0]['eta']:g} ({len(runs)} seeds)"
        ax.plot(x, mean, color=colour, marker=marker, markevery=(k * step // 4, step), label=label)
        if len(runs) > 1:
            ax.fill_between(x, seen.min(axis=0), seen.max(axis=0), color=colour, alpha=0.2, linewidth=0.0)
        values += seen[np.isfinite(seen)].tolist()
        last = max(last, float(v[-1]))
    data.time.dress(ax)
    ax.set_xlim(right=float(data.time.place(np.array([last]))[0]) or 1.0)
    return values


def spread_text(data: FigureData) -> str:
    """What a line is where there are several seeds."""
    several = any(len(runs) > 1 for runs in _by_eta(_runs(data)))
    return " Lines are means over the seeds, which all lie in the band." if several else ""


def _by_eta(runs: Runs) -> list[list[Json]]:
    """Runs of one step size together, in the order in which they come."""
    found: dict[float, list[Json]] = {}
    for run in runs:
        found.setdefault(run["eta"], []).append(run)
    return list(found.values())


def _floats(values: Sequence[Any]) -> Array:
    """Numbers, with what is null left blank."""
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _worst(data: FigureData) -> str:
    gaps = [(run["max_relative_gap"], eta_text(run)) for run in _runs(data) if run.get("max_relative_gap")]
    return (
        "Largest from the first tenth of the horizon on: " + ", ".join(f"{gap:.3g} at {eta}" for gap, eta in gaps) + "."
    )


def _order_text(comparison: Json) -> str:
    order, interval = comparison.get("fitted_order"), comparison.get("fitted_order_interval")
    if order is None:
        return "Too few step sizes to fit an order."
    between = f" (between {interval[0]:.3g} and {interval[1]:.3g})" if interval else ""
    return f"Fitted order {order:.3g}{between}; theory, on a fixed time and through kinks: 1."
