"""Figures of the predictions of test samples: along the flow, by descent alone, and by descent beside the flow."""

from __future__ import annotations

from matplotlib.axes import Axes

from gflow.arrays import Array
from gflow.report.page.figures.descent import lines_beside, spread_text
from gflow.report.page.figures.descent_alone import band_text, courses, draw_courses, ends_text
from gflow.report.page.figures.drawing import BLUE, INK, ORANGE, Absent, Drawing, axes, legend_above
from gflow.report.page.figures.figure_data import FigureData

PERCENT = 100.0


def accuracies(data: FigureData) -> Drawing:
    """The share of the labels that are predicted, of both kinds of samples."""
    series, n, k = data.trajectory.series, *(data.trajectory.sizes[name] for name in ("sample", "test_sample"))
    train, test = PERCENT * series["train_accuracy"], PERCENT * series["test_accuracy"]
    figure, ax = axes()
    ax.plot(data.x, train, color=BLUE, label=f"training ({n})")
    ax.plot(data.x, test, color=ORANGE, linestyle="--", label=f"test ({k})")
    _dress(ax, float(min(train.min(), test.min())))
    data.dress(ax)
    legend_above(ax)
    caption = (
        f"Share of the labels that the network predicts, of the {n} training samples and of {k} test samples. At the "
        f"end {train[-1]:.4g} % and {test[-1]:.4g} %; the largest share of the test samples is {test.max():.4g} %."
    )
    alt = f"Accuracy over time: at the end {train[-1]:.4g} percent in training, {test[-1]:.4g} percent of test samples."
    return Drawing("accuracy", "How many labels are predicted?", caption, alt, figure)


def losses(data: FigureData) -> Drawing:
    """log L, of both kinds of samples."""
    train, test = data.trajectory.log_loss, data.trajectory.series["test_log_loss"]
    figure, ax = axes()
    ax.plot(data.x, train, color=BLUE, label="training")
    ax.plot(data.x, test, color=ORANGE, linestyle="--", label="test")
    ax.set_ylabel("log L")
    data.dress(ax)
    legend_above(ax)
    caption = (
        f"Logarithm of the mean loss. Of the test samples it is {test.min():.4g} at the least and {test[-1]:.4g} at "
        f"the end, where that of the training samples is {train[-1]:.4g}."
    )
    alt = f"Loss over time: log L at the end {train[-1]:.4g} in training, {test[-1]:.4g} of test samples."
    return Drawing("test-loss", "Does the loss fall on test samples?", caption, alt, figure)


def accuracy_of_runs(data: FigureData) -> Drawing:
    """The test accuracy of descent alone."""
    drawn = courses(data.trajectory, PERCENT * data.trajectory.series["test_accuracy"])
    figure, ax = axes()
    draw_courses(ax, drawn)
    _dress(ax, min(float(each.low.min()) for each in drawn))
    ends = ends_text(drawn)
    caption = (
        f"Share of the labels of {data.trajectory.sizes['test_sample']} test samples that the network predicts, in "
        f"%{band_text(drawn)}. At the end: {ends}."
    )
    alt = f"Test accuracy over time; at the end {ends} percent."
    return Drawing("descent-accuracy", "How many labels of test samples are predicted?", caption, alt, figure)


def accuracy_beside(data: FigureData) -> Drawing | Absent:
    """The test accuracies of descent and of the flow."""
    title = "Does descent predict as well as the flow?"
    figure, ax = axes()
    drawn = lines_beside(ax, data, "test_accuracy", _percent)
    if not drawn:
        return Absent(title, "the comparison holds no test accuracies")
    flow = PERCENT * data.trajectory.series["test_accuracy"]
    seen = data.v <= float((data.comparison or {})["horizon_log1p_time"])
    ax.plot(data.x[seen], flow[seen], color=INK, linewidth=3.0, alpha=0.35, label="flow", zorder=1)
    _dress(ax, min(*drawn, float(flow[seen].min())))
    legend_above(ax)
    caption = (
        f"Share of the labels of {data.trajectory.sizes['test_sample']} test samples that descent predicts, and "
        f"(broad) the flow, which has {flow[seen][-1]:.4g} % at its last row here."
    )
    alt = "Test accuracy of descent at each step size and of the flow over time."
    return Drawing("accuracy-descent", title, caption + spread_text(data), alt, figure)


def _percent(values: Array) -> Array:
    return PERCENT * values


def _dress(ax: Axes, least: float) -> None:
    """A share in percent, from a little below the least one to all."""
    ax.set_ylim(max(least - 0.05 * (PERCENT - least) - 1.0, -1.0), PERCENT + 1.0)
    ax.set_ylabel("labels predicted, in %")
