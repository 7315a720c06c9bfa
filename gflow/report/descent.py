"""The text of descent alone: a line for every run, or the range of many, and progress while it is made."""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1

from gflow.console import printable
from gflow.descent_plan.result import RESULT_FILE_NAME, DescentResult, RunResult
from gflow.report.lines import labelled
from gflow.report.progress import LinePrinter, bar
from gflow.report.summary import headline

COLUMNS = ("eta", "seed", "steps", "ended", "t", "log L", "min margin", "stable rank", "rises")
ENDED = {"time": "all steps", "log_loss": "at the loss", "diverged": "diverged"}
TEST_COLUMNS = ("train acc.", "test acc.")
MOST_LINES = 40


class DescentPrinter(LinePrinter):
    """Called with steps taken and steps asked for, over all runs."""

    def __call__(self, taken: int, total: int) -> None:
        self.show(lambda with_bar: descent_line(taken, total, with_bar))


def descent_line(taken: int, total: int, with_bar: bool = True) -> str:
    """`descent: step 12000 / 40000  [####----------]`."""
    text = f"descent: step {taken} / {total}"
    return f"{text}  {bar(taken / max(total, 1))}" if with_bar else text


def result_text(found: DescentResult) -> str:
    """What was run, the table, and the summary."""
    lines = {
        "Summary": found.summary,
        "Saved": f"{printable(found.path.parent)}: {RESULT_FILE_NAME}, {found.path.name};  "
        f"next: gflow report {printable(found.path)}",
    }
    return "\n\n".join([headline(found.trajectory), table_text(found.runs), labelled(lines)])


def table_text(runs: Sequence[RunResult]) -> str:
    """Right-aligned columns, without that of the seeds where there are none; of very many runs the first ones."""
    shown = runs[:MOST_LINES]
    lines = [list(COLUMNS), *(cells_of(run) for run in shown)]
    if all(run.seed is None for run in runs):
        lines = [[*line[:1], *line[2:]] for line in lines]
    if any(run.test_accuracy is not None for run in runs):
        tested = [list(TEST_COLUMNS), *([_cell(run.train_accuracy), _cell(run.test_accuracy)] for run in shown)]
        lines = [[*line, *more] for line, more in zip(lines, tested, strict=True)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    left = len(runs) - len(shown)
    return text + (f"\n... and {left} more, in {RESULT_FILE_NAME}" if left else "")


def cells_of(run: RunResult) -> list[str]:
    """One line of the table, in the order of `COLUMNS`."""
    numbers = (expm1(min(run.log1p_time, 700.0)), run.log_loss, run.min_margin, run.stable_rank)
    rises = "-" if run.loss_rises is None else str(run.loss_rises)
    return [f"{run.eta:g}", str(run.seed), str(run.steps), ENDED[run.outcome], *(f"{x:.4g}" for x in numbers), rises]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
