"""Figures of single neurons: their paths in a plane, how far they turned, and how large they became."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba

from gflow.arrays import Array, Integers
from gflow.report.page.figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    Absent,
    Drawing,
    axes,
    legend_above,
    logarithmic,
)
from gflow.report.page.figures.figure_data import FigureData
from gflow.report.page.figures.weights import cosines, neuron_sizes, outer_sizes, span_part

COLOURS = {1: BLUE, -1: ORANGE, 0: GREY}
SIGN_NAMES = {1: "a > 0", -1: "a < 0", 0: "neurons"}
MOST_NEURONS, MOST_VERTICES, MOST_SAMPLES = 360, 8000, 200


def plane(data: FigureData) -> Drawing | Absent:
    """|a_j| w_j over the largest neuron, in two coordinates (Telgarsky, Figure 1a and 1b, for all times)."""
    title = "Which way do the neurons go?"
    chosen = _coordinates(data)
    if chosen is None:
        return Absent(title, "the weights move along one direction only")
    axes_of_plane, names = chosen
    m, shown = data.trajectory.sizes["neuron"], _shown(neuron_sizes(data.trajectory, -1))
    rows = data.rows(min(MOST_VERTICES // len(shown), 40))
    ways = np.stack([_in_plane(data, int(row), axes_of_plane)[shown] for row in rows], axis=1)  # (m, k, 2)
    figure, ax = axes(4.2)
    reach = _draw_ways(ax, data.sign[shown], ways)
    _draw_samples(ax, data, axes_of_plane, reach)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel(f"{names} 1")
    ax.set_ylabel(f"{names} 2")
    legend_above(ax, 4)
    caption = (
        f"|a| w of {_part_text(len(shown), m)} in the plane of the {_plane_text(names)}, at each time over the largest "
        "|a| |w| of that time, so that late growth does not hide the turning; a dot is the end, lighter where the "
        "neuron ends small. Crosses are samples, scaled to fit."
    )
    alt = f"Paths of {m} neurons in two coordinates, from the start to the end of the run."
    return Drawing("neurons-plane", title, caption, alt, figure)


def _plane_text(names: str) -> str:
    return "first two inputs" if names == "input" else "two principal directions of |a| w at the end"


def _coordinates(data: FigureData) -> tuple[Array, str] | None:
    """Two unit columns (r, 2), or (d, 2) of a scalar network, and what they are; None where there are not two."""
    trajectory = data.trajectory
    X = trajectory.X
    scalar = trajectory.directions is not None
    if X.shape[1] < 2 or (not scalar and trajectory.sizes["span"] < 2):
        return None
    if X.shape[1] == 2 or is_parity(X, trajectory.y):
        first_two = np.eye(X.shape[1])[:, :2]
        return (first_two if scalar else trajectory.basis @ first_two), "input"
    last = outer_sizes(data.outer)[:, None] * span_part(trajectory, -1)
    gram = last.T @ last
    return np.asarray(np.linalg.eigh(gram)[1][:, [-1, -2]]), "principal coordinate"


def is_parity(X: Array, y: Array) -> bool:
    """Are the labels y (n,) the parity of the first two inputs, all entries of X (n, d) of one size?"""
    return bool((np.abs(X) == np.abs(X[0, 0])).all() and (np.sign(X[:, 0] * X[:, 1]) == y).all())


def _in_plane(data: FigureData, row: int, axes_of_plane: Array) -> Array:
    """(m, 2) |a_j| w_j at one row, relative to the largest neuron."""
    size = outer_sizes(data.trajectory.outer_at(row))
    largest = float(neuron_sizes(data.trajectory, row).max()) or 1.0
    return np.asarray(size[:, None] * (span_part(data.trajectory, row) @ axes_of_plane) / largest)


def _shown(sizes: Array) -> Integers:
    """Indices of all neurons, or of `MOST_NEURONS` evenly along the order of their sizes."""
    places = np.linspace(0, len(sizes) - 1, min(len(sizes), MOST_NEURONS)).round().astype(int)
    return np.asarray(np.argsort(sizes, kind="stable")[places])


def _part_text(shown: int, m: int) -> str:
    return f"{shown} of the {m} neurons (evenly chosen by their size)" if shown < m else f"the {m} neurons"


def _draw_ways(ax: Axes, signs: Integers, ways: Array) -> float:
    """The lines (m, k, 2) and their ends; how far they reach."""
    final = np.linalg.norm(ways[:, -1], axis=1)
    shade = 0.2 + 0.8 * final / (final.max() or 1.0)
    for sign in (1, -1, 0):
        chosen = signs == sign
        if not chosen.any():
            continue
        colours = [to_rgba(COLOURS[sign], alpha) for alpha in shade[chosen].round(1)]
        lines = LineCollection(list(ways[chosen]), colors=colours, linewidths=0.8)
        ax.add_collection(lines)
        ends = ways[chosen, -1]
        ax.scatter(ends[:, 0], ends[:, 1], s=9.0, c=colours, linewidths=0, zorder=3)
        ax.plot([], [], color=COLOURS[sign], marker="o", label=SIGN_NAMES[sign])
    ax.autoscale_view()
    return float(np.abs(ways).max()) or 1.0


def _draw_samples(ax: Axes, data: FigureData, axes_of_plane: Array, reach: float) -> None:
    trajectory = data.trajectory
    scalar = trajectory.directions is not None
    inputs = trajectory.X if scalar else trajectory.X @ trajectory.basis.T
    places = np.unique((inputs @ axes_of_plane).round(12), axis=0)[:MOST_SAMPLES]
    largest = float(np.abs(places).max())
    if largest > 0.0:
        ax.plot(*(places * reach / largest).T, linestyle="none", marker="x", color=INK, markersize=5.0, label="samples")


def turning(data: FigureData) -> Drawing:
    """Sorted cosines with the start and sorted relative norms (Telgarsky, Figure 1c and 1d)."""
    cosine = np.sort(cosines(data.trajectory))
    sizes = np.sort(neuron_sizes(data.trajectory, -1))
    norms = sizes / (sizes[-1] or 1.0)
    share = np.linspace(0.0, 100.0, len(norms)) if len(norms) > 1 else np.array([0.0])
    thin = np.unique(np.linspace(0, len(norms) - 1, 400).round().astype(int))
    figure, ax = axes()
    ax.plot(share[thin], cosine[thin], color=BLUE, label="cosine with its start")
    ax.plot(share[thin], norms[thin], color=GREEN, linestyle="--", label="|a| |w| / largest")
    ax.set_xlim(0.0, 100.0)
    ax.set_xlabel("share of the neurons, in %")
    ax.set_ylabel("cosine; relative norm")
    legend_above(ax)
    caption = (
        f"Both quantities of all {len(norms)} neurons at the end, each in its own order. Median cosine "
        f"{np.median(cosine):.4g}, least {cosine[0]:.4g}; median norm {np.median(norms):.4g} of the largest."
    )
    alt = f"Sorted cosines from {cosine[0]:.3g} to {cosine[-1]:.3g} and sorted relative norms from {norms[0]:.3g} to 1."
    return Drawing("neurons-sorted", "How far have the neurons turned, how uneven are they?", caption, alt, figure)


def turning_and_size(data: FigureData) -> Drawing | Absent:
    """Do large norms and large rotations go together?"""
    title = "Do the neurons that turn most grow most?"
    cosine = cosines(data.trajectory)
    sizes = neuron_sizes(data.trajectory, -1)
    if np.ptp(cosine) < 1e-9 or not sizes.any():
        return Absent(title, "no neuron turned" if cosine.min() > 0.5 else "all neurons turned alike")
    kept = _shown(sizes)
    shown = np.isin(np.arange(len(sizes)), kept) & (sizes > 0.0)
    figure, ax = axes()
    for sign in (1, -1, 0):
        chosen = shown & (data.sign == sign)
        if chosen.any():
            ax.scatter(
                cosine[chosen],
                sizes[chosen] / sizes.max(),
                s=14.0,
                color=COLOURS[sign],
                alpha=0.7,
                linewidths=0,
                label=SIGN_NAMES[sign],
                marker="^" if sign < 0 else "o",
            )
    relative = sizes[shown] / sizes.max()
    logarithmic(ax, "y", float(relative.min()), 1.0)
    ax.set_xlabel("cosine of w with its start")
    ax.set_ylabel("|a| |w| / largest")
    legend_above(ax)
    agreement = _rank_correlation(1.0 - cosine, sizes)
    caption = (
        f"Marks are {_part_text(len(kept), len(sizes))} at the end; left means turned far. Rank correlation (Spearman) "
        f"of the turning 1 − cosine with |a| |w|: {agreement:.3g}."
    )
    alt = f"Scatter of rotation against norm of {len(sizes)} neurons, rank correlation {agreement:.3g}."
    return Drawing("neurons-turning", title, caption, alt, figure)


def _rank_correlation(first: Array, second: Array) -> float:
    """Spearman's; ties, which continuous quantities do not have, count in order."""
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
