"""Progress lines: one line rewritten on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from gflow.analysis.progress import AnalysisProgress
from gflow.flow_time import log_time_of
from gflow.trajectory.rows import RunProgress, Target

TERMINAL_INTERVAL = 0.1  # seconds between two lines
LOG_INTERVAL = 10.0  # seconds; a batch job of one hour then writes about 40 kB
BAR_LENGTH = 14


Line = Callable[[bool], str]
"""A line of progress, with its bar or without."""


class LinePrinter:
    """A printer that is shown every line and writes few of them; `close`, or leaving `with`, finishes the last line.

    `clock` counts seconds.  A carriage return is only ever written to a terminal.
    """

    def __init__(
        self,
        stream: TextIO,
        is_terminal: bool,
        clock: Callable[[], float] = time.monotonic,
        width: int | None = None,
    ) -> None:
        self._stream = stream
        self._is_terminal = is_terminal
        self._clock = clock
        self._width = width  # columns; None: those of the terminal at the time of writing
        self._due = clock() + (0.0 if is_terminal else LOG_INTERVAL)
        self._shown_length = 0
        self._unseen: Line | None = None

    def show(self, line: Line) -> None:
        """Write the line if it is time."""
        now = self._clock()
        if now < self._due:
            self._unseen = line
            return
        self._due = now + (TERMINAL_INTERVAL if self._is_terminal else LOG_INTERVAL)
        self._write(line)

    def close(self) -> None:
        """Show the last state and end its line, on a terminal; in a log every line is ended already."""
        if not self._is_terminal:
            return
        if self._unseen is not None:
            self._write(self._unseen)
        if self._shown_length:
            self._stream.write("\n")
            self._stream.flush()
        self._shown_length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, line: Line) -> None:
        self._unseen = None
        if self._is_terminal:
            columns = self._width or shutil.get_terminal_size().columns
            text = fitted(line, columns - 1)
            self._stream.write("\r" + text.ljust(self._shown_length))
            self._shown_length = len(text)
        else:
            self._stream.write(line(True) + "\n")
        self._stream.flush()


class ProgressPrinter(LinePrinter):
    """Called with each `RunProgress` of a run."""

    def __call__(self, progress: RunProgress) -> None:
        self.show(lambda with_bar: progress_line(progress, with_bar))


class AnalysisPrinter(LinePrinter):
    """Called with each `AnalysisProgress` of an analysis."""

    def __call__(self, progress: AnalysisProgress) -> None:
        self.show(lambda with_bar: analysis_line(progress))


def analysis_line(progress: AnalysisProgress) -> str:
    """`analyze: the way ahead: log t 8.4e+05, step 1842 of at most 10000`."""
    value = log_time_of(progress.log1p_time)
    at = "t = 0" if value is None else f"log t {value:.3g}"
    return f"analyze: {progress.doing.rstrip(',')}: {at}, step {progress.steps} of at most {progress.most_steps}"


def fitted(line: Line, columns: int) -> str:
    """The line in at most `columns` columns, if need be without its bar: a line that wraps cannot be rewritten."""
    text = line(True)
    return (text if len(text) <= columns else line(False))[: max(columns, 1)]


def progress_line(progress: RunProgress, with_bar: bool = True) -> str:
    """`log t 8.4e+05 / 1e+06  [##########----]  log loss -8.4e+05   events 703   sliding 102   steps 1842`."""
    start = [target_text(progress.target)]
    if with_bar and progress.share is not None:
        start.append(bar(progress.share))
    counts = [f"events {progress.events}", f"sliding {progress.sliding}", f"steps {progress.steps}"]
    return "  ".join([*start, "   ".join([*state_texts(progress), *counts])])


def target_text(target: Target) -> str:
    """`log t 8.68 / 1000`: how far, and the goal where there is one."""
    goal = "" if target.goal is None else f" / {target.goal:g}"
    if target.value is None:
        return f"t = 0{goal and f' / {target.label} {target.goal:g}'}"
    return f"{target.label} {target.value:.3g}{goal}"


def state_texts(progress: RunProgress) -> list[str]:
    """The time and the loss, unless the target shows them already."""
    texts = []
    if progress.target.label not in ("t", "log t"):
        texts.append("t = 0" if progress.log_time is None else f"log t {progress.log_time:.3g}")
    if progress.target.label != "log loss":
        texts.append(f"log loss {progress.log_loss:.3g}")
    return texts


def bar(share: float) -> str:
    """Full only at the end: a share of 0.99 leaves one place open."""
    filled = math.floor(BAR_LENGTH * min(max(share, 0.0), 1.0))
    return f"[{'#' * filled}{'-' * (BAR_LENGTH - filled)}]"
