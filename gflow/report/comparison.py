"""The text of a comparison: a line for every step size, the verdicts, and progress while it is made."""

from __future__ import annotations

from math import expm1

from gflow.comparison.plan import CompareProgress
from gflow.comparison.result import Comparison, RunComparison
from gflow.comparison.verdict import percent
from gflow.console import printable
from gflow.report.lines import labelled
from gflow.report.progress import LinePrinter, bar
from gflow.report.summary import headline, run_path
from gflow.trajectory import DESCENT_FILE_NAME, Trajectory

COLUMNS = ("eta", "steps", "largest gap", "at t", "angle", "pattern", "first other sign", "eta sharpness", "rises")
STAGES = {
    "ahead": "the way ahead: step",
    "descent": "descent: step",
    "flow": "flow: row",
    "modified": "modified flow: percent",
}


class ComparisonPrinter(LinePrinter):
    """Called with each `CompareProgress`."""

    def __call__(self, progress: CompareProgress) -> None:
        self.show(lambda with_bar: comparison_line(progress, with_bar))


def comparison_line(progress: CompareProgress, with_bar: bool = True) -> str:
    """`descent: step 12000 / 40000  [####----------]`."""
    text = f"{STAGES[progress.stage]} {progress.done} / {progress.total}"
    return f"{text}  {bar(progress.done / max(progress.total, 1))}" if with_bar else text


def comparison_text(found: Comparison, trajectory: Trajectory) -> str:
    """What was compared, the table, a verdict for every step size, and the summary."""
    lines = {
        "Summary": found.summary,
        "Modified": modified_text(found),
        "Saved": f"{printable(trajectory.path.parent)}: comparison.json, {DESCENT_FILE_NAME};  "
        f"next: gflow inspect {printable(trajectory.path.with_name(DESCENT_FILE_NAME))}",
    }
    verdicts = "\n".join(verdict_lines(found))
    end = expm1(found.horizon_log1p_time)
    head = f"{headline(trajectory)}\n{printable(run_path(trajectory))}: {kind_text(found)} until t = {end:.6g}"
    return "\n\n".join([head, table_text(found), verdicts, labelled(lines)])


def kind_text(found: Comparison) -> str:
    """`gradient descent`, `stochastic descent (seed 0)` or `stochastic descent (10 seeds)`."""
    if found.etas[0].kind != "sgd":
        return "gradient descent"
    seeds = {run.seed for run in found.etas}
    return f"stochastic descent ({f'{len(seeds)} seeds' if len(seeds) > 1 else f'seed {found.etas[0].seed}'})"


def verdict_lines(found: Comparison) -> list[str]:
    """One for each step size: its verdict or, from several seeds, the mean and the range of its largest gaps."""
    lines = []
    for eta in dict.fromkeys(run.eta for run in found.etas):
        runs = [run for run in found.etas if run.eta == eta]
        gaps = [run.max_relative_gap for run in runs if run.max_relative_gap is not None]
        if len(runs) == 1:
            lines.append(f"eta = {eta:g}: {runs[0].verdict}")
        elif gaps:
            several = f"largest gap {percent(sum(gaps) / len(gaps))} on average over {len(gaps)} seeds"
            lines.append(f"eta = {eta:g}: {several}, from {percent(min(gaps))} to {percent(max(gaps))}")
        else:
            lines.append(f"eta = {eta:g}: no gap is known from any of {len(runs)} seeds")
    return lines


def table_text(found: Comparison) -> str:
    """Right-aligned columns; `-` where there is no value."""
    cells = [list(COLUMNS), *(cells_of(run) for run in found.etas)]
    if any(run.series.test_accuracy for run in found.etas):
        tested = ["test accuracy (flow)", *(test_text(run) for run in found.etas)]
        cells = [[*line, cell] for line, cell in zip(cells, tested, strict=True)]
    if len({run.seed for run in found.etas}) > 1:
        seeds = ["seed", *(str(run.seed) for run in found.etas)]
        cells = [[line[0], seed, *line[1:]] for line, seed in zip(cells, seeds, strict=True)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells)


def cells_of(run: RunComparison) -> list[str]:
    """One line of the table, in the order of `COLUMNS`."""
    gap = run.max_relative_gap
    return [
        f"{run.eta:g}",
        str(run.steps),
        "-" if gap is None else percent(gap),
        number(run.max_relative_gap_time),
        number(run.final_direction_angle),
        percent(run.pattern_agreement),
        "none" if run.first_pattern_disagreement_time is None else f"t = {run.first_pattern_disagreement_time:.4g}",
        number(run.sharpness_times_eta),
        "-" if run.loss_rises is None else str(run.loss_rises),
    ]


def test_text(run: RunComparison) -> str:
    """`93.2 % (94 %)`: the accuracy on the test samples at the last row that both have."""
    descent, flow = ((each or [None])[-1] for each in (run.series.test_accuracy, run.series.test_accuracy_flow))
    return " ".join(["-" if descent is None else percent(descent), "" if flow is None else f"({percent(flow)})"])


def number(value: float | None) -> str:
    """Three digits, `-` for None."""
    return "-" if value is None else f"{value:.3g}"


def modified_text(found: Comparison) -> str:
    """Descent beside the flow of the modified loss; empty where that was not asked for."""
    if found.modified is None:
        return ""
    gaps = ", ".join(
        "-" if each.max_relative_gap is None else percent(each.max_relative_gap) for each in found.modified.etas
    )
    return f"{found.modified.summary}; gaps {gaps}"
