"""One line that is rewritten on a terminal; few plain lines elsewhere."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import pytest

from gflow.analysis.progress import AnalysisProgress
from gflow.report import ProgressPrinter
from gflow.report.progress import AnalysisPrinter, bar, progress_line
from gflow.trajectory import RunProgress, Target

LATE = RunProgress(
    log_time=843_210.0,
    target=Target("log t", 843_210.0, 1e6),
    share=0.84321,
    log_loss=-843_200.5,
    events=703,
    sliding=102,
    steps=1842,
)
START = replace(LATE, log_time=None, target=Target("log t", None, 1e6), share=0.0, log_loss=-0.69, events=0)


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (
            LATE,
            "log t 8.43e+05 / 1e+06  [###########---]  log loss -8.43e+05   events 703   sliding 102   steps 1842",
        ),
        (
            START,
            "t = 0 / log t 1e+06  [--------------]  log loss -0.69   events 0   sliding 102   steps 1842",
        ),
        (
            replace(LATE, target=Target("log loss", -8e5, -1e6)),
            "log loss -8e+05 / -1e+06  [###########---]  log t 8.43e+05   events 703   sliding 102   steps 1842",
        ),
        (
            replace(LATE, target=Target("t", 19.52, 20.0), share=0.976),
            "t 19.5 / 20  [#############-]  log loss -8.43e+05   events 703   sliding 102   steps 1842",
        ),
        (
            replace(LATE, target=Target("log t", 12.0), share=None),
            "log t 12  log loss -8.43e+05   events 703   sliding 102   steps 1842",
        ),
        (
            replace(START, target=Target("log t", None), share=None),
            "t = 0  log loss -0.69   events 0   sliding 102   steps 1842",
        ),
    ],
)
def test_the_line(progress: RunProgress, line: str) -> None:
    assert progress_line(progress) == line


@pytest.mark.parametrize(
    ("share", "expected"),
    [(-1.0, "[--------------]"), (0.999, "[#############-]"), (1.0, "[##############]"), (2.0, "[##############]")],
)
def test_the_bar_is_full_at_the_end_only(share: float, expected: str) -> None:
    assert bar(share) == expected


def test_a_log_gets_a_line_every_ten_seconds_and_no_carriage_return() -> None:
    stream, clock = io.StringIO(), Clock()
    with ProgressPrinter(stream, is_terminal=False, clock=clock) as printer:
        for tick in range(3600):
            clock.seconds = tick / 100
            printer(replace(LATE, steps=tick))
    lines = stream.getvalue().splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["1000", "2000", "3000"]
    assert "\r" not in stream.getvalue() and stream.getvalue().endswith("\n")


def test_a_short_run_leaves_nothing_in_a_log() -> None:
    stream = io.StringIO()
    with ProgressPrinter(stream, is_terminal=False, clock=Clock()) as printer:
        printer(LATE)
    assert stream.getvalue() == ""


def test_an_hour_of_log_stays_below_100_kilobytes() -> None:
    stream, clock = io.StringIO(), Clock()
    printer = ProgressPrinter(stream, is_terminal=False, clock=clock)
    for second in range(3600):
        clock.seconds = float(second)
        printer(LATE)
    assert 0 < len(stream.getvalue()) < 100_000


def test_a_terminal_line_is_rewritten_at_most_ten_times_a_second_and_ends_with_the_last_state() -> None:
    stream, clock = io.StringIO(), Clock()
    printer = ProgressPrinter(stream, is_terminal=True, clock=clock, width=120)
    for tick in range(1000):
        clock.seconds = tick / 1000
        printer(replace(LATE, steps=tick))
    printer.close()
    parts = stream.getvalue().split("\r")
    assert parts[0] == "" and len(parts) == 1 + 10 + 1
    assert parts[1].endswith("steps 0") and parts[-1].endswith("steps 999\n")
    assert stream.getvalue().count("\n") == 1


def test_a_shorter_line_covers_the_one_before() -> None:
    stream, clock = io.StringIO(), Clock()
    printer = ProgressPrinter(stream, is_terminal=True, clock=clock, width=120)
    printer(LATE)
    clock.seconds = 1.0
    printer(replace(LATE, steps=1))
    first, second = stream.getvalue().split("\r")[1:]
    assert len(first) == len(second) and second.endswith("steps 1   ")


@pytest.mark.parametrize("width", [1, 20, 70, 90, 105])
def test_a_line_never_wraps(width: int) -> None:
    stream = io.StringIO()
    printer = ProgressPrinter(stream, is_terminal=True, clock=Clock(), width=width)
    printer(LATE)
    shown = stream.getvalue()[1:]
    assert len(shown) <= max(width - 1, 1)
    assert ("[" in shown) == (width > len(progress_line(LATE)))


def test_closing_without_a_line_writes_nothing() -> None:
    stream = io.StringIO()
    ProgressPrinter(stream, is_terminal=True, clock=Clock()).close()
    assert stream.getvalue() == ""


def test_the_line_of_an_analysis() -> None:
    """Without a bar, for nobody knows how many of the steps it takes."""
    stream = io.StringIO()
    with AnalysisPrinter(stream, is_terminal=True, clock=iter([0.0, 1.0, 2.0, 3.0]).__next__, width=200) as printer:
        printer(AnalysisProgress("the way ahead", 0.0, 1, 10_000))
        printer(AnalysisProgress("the way ahead", 840_000.0, 1842, 10_000))
    shown = stream.getvalue().split("\r")
    assert shown[1].strip() == "analyze: the way ahead: t = 0, step 1 of at most 10000"
    assert shown[2].strip() == "analyze: the way ahead: log t 8.4e+05, step 1842 of at most 10000"
