"""Every figure of a report, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable

import gflow.report.page.figures.library  # noqa: F401  before the first import of matplotlib

# isort: split
from gflow.report.page.figures import descent, descent_alone, loss_and_margins, neurons, patterns, predictions, ranks
from gflow.report.page.figures.drawing import Absent, Drawing, Format, inline_svg, save, style
from gflow.report.page.figures.figure_data import FigureData, Json

Maker = Callable[[FigureData], Drawing | Absent]

FLOW: tuple[Maker, ...] = (
    loss_and_margins.loss,
    loss_and_margins.margins,
    loss_and_margins.spread,
    loss_and_margins.support,
    ranks.direction,
    ranks.stable_rank,
    ranks.spectrum,
    patterns.pairs_over_time,
    patterns.switches,
    patterns.final_pattern,
    neurons.plane,
    neurons.turning,
    neurons.turning_and_size,
)
DESCENT: tuple[Maker, ...] = (
    descent.gap_over_time,
    descent.gap_by_eta,
    descent.agreement,
    descent.rank_beside,
    descent.edge_of_stability,
)
DESCENT_ALONE: tuple[Maker, ...] = (
    descent_alone.loss_of_runs,
    descent_alone.margin_of_runs,
    descent_alone.rank_of_runs,
)
# Further ones of runs with test samples.
FLOW_TESTED: tuple[Maker, ...] = (predictions.accuracies, predictions.losses)
DESCENT_TESTED: tuple[Maker, ...] = (predictions.accuracy_beside,)
DESCENT_ALONE_TESTED: tuple[Maker, ...] = (predictions.accuracy_of_runs,)

__all__ = [
    "DESCENT",
    "DESCENT_ALONE",
    "DESCENT_ALONE_TESTED",
    "DESCENT_TESTED",
    "FLOW",
    "FLOW_TESTED",
    "Absent",
    "Drawing",
    "Format",
    "Json",
    "FigureData",
    "inline_svg",
    "save",
    "style",
]
