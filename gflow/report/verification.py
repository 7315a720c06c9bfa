"""The text of a verification: one line for each check, the reasons of those that fail, and progress while it is
made."""

from __future__ import annotations

import textwrap

from gflow.console import printable
from gflow.report.lines import labelled
from gflow.report.progress import LinePrinter, bar
from gflow.report.summary import headline
from gflow.trajectory import Trajectory
from gflow.verification.check import Check, Verification
from gflow.verification.reintegration import LadderProgress

COLUMNS = ("check", "verdict", "value", "bound")


class VerificationPrinter(LinePrinter):
    """Called with each `LadderProgress`."""

    def __call__(self, progress: LadderProgress) -> None:
        self.show(lambda with_bar: verification_line(progress, with_bar))


def verification_line(progress: LadderProgress, with_bar: bool = True) -> str:
    """`integrating again, rtol / 10: row 4 / 10  [#####---------]`."""
    text = f"integrating again, {progress.name}: row {progress.done} / {progress.total}"
    return f"{text}  {bar(progress.done / max(progress.total, 1))}" if with_bar else text


def verification_text(found: Verification, trajectory: Trajectory, columns: int = 120, saved: bool = True) -> str:
    """The table, a paragraph for every check that fails or is not decided, and the summary.  saved: is there a file?"""
    unsettled = [check for check in found.checks if check.verdict in ("fail", "not decided")]
    reasons = [textwrap.fill(f"{check.group}, {check.name}: {check.sentence}", columns) for check in unsettled]
    lines = {
        "Verdict": f"{found.verdict}: {found.summary}",
        "Saved": f"{printable(trajectory.path.parent)}: verify.json" if saved else "no",
    }
    return "\n\n".join([headline(trajectory), table_text(found, columns), *reasons, labelled(lines)])


def table_text(found: Verification, columns: int) -> str:
    """Checks under the name of their group; the sentence as far as the line goes."""
    cells = [COLUMNS, *(cells_of(check) for check in found.checks)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(COLUMNS))]
    lines = [_line(COLUMNS, widths, "what it is", columns)]
    lines += [_line(cells_of(check), widths, check.sentence, columns) for check in found.checks]
    return "\n".join(lines)


def _line(cells: tuple[str, ...], widths: list[int], sentence: str, columns: int) -> str:
    first, second, *numbers = [text.ljust(width) for text, width in zip(cells, widths, strict=True)]
    start = "  ".join([first, second, *(text.strip().rjust(len(text)) for text in numbers)])
    room = columns - len(start) - 2
    return start if room < 20 else f"{start}  {textwrap.shorten(sentence, room, placeholder=' ...')}"


def cells_of(check: Check) -> tuple[str, ...]:
    """One line of the table, in the order of `COLUMNS`; `-` where there is no number."""
    return f"{check.group}: {check.name}", check.verdict, number(check.value), number(check.bound)


def number(value: float | None) -> str:
    """Two digits, `-` for None."""
    return "-" if value is None else f"{value + 0.0:.2g}"
