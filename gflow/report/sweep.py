"""The text of a sweep: progress while it goes on, what came of it, and what it would cost."""

from __future__ import annotations

from collections import Counter

from gflow.console import printable
from gflow.report.lines import labelled
from gflow.report.progress import LinePrinter, bar
from gflow.sweeps.opened import Sweep
from gflow.sweeps.pilot import Forecast
from gflow.sweeps.progress import SweepProgress
from gflow.sweeps.store.table import CSV, PARQUET

MOST_REASONS = 5
UNITS = ((60, 1, ("min", "s")), (3600, 60, ("h", "min")), (86_400, 3600, ("d", "h")))


class SweepPrinter(LinePrinter):
    """Called with each `SweepProgress` of a sweep."""

    def __call__(self, progress: SweepProgress) -> None:
        self.show(lambda with_bar: sweep_line(progress, with_bar))


def sweep_line(progress: SweepProgress, with_bar: bool = True) -> str:
    """`sweep: 120 of 1000 runs  [#-------------]  2 failed   880 left   4.1 runs/s   about 3 min 35 s to go`."""
    done = progress.before + progress.done
    start = f"sweep: {done} of {progress.total} runs"
    if with_bar:
        start += f"  {bar(done / max(progress.total, 1))}"
    texts = [f"{progress.failed} failed", f"{progress.left} left"]
    if progress.rate is not None and progress.seconds_left is not None:
        texts.append(f"{progress.rate:.3g} runs/s")
        if progress.left:
            texts.append(f"about {duration(progress.seconds_left)} to go")
    elif progress.left:
        texts.append("waiting for the first run to end")
    return "  ".join([start, "   ".join(texts)])


def duration(seconds: float) -> str:
    """`2.5 s`, `3 min 35 s`, `2 h 5 min` or `4 d 2 h`."""
    if seconds < 60.0:
        return f"{seconds:.2g} s"
    unit, lower, names = next(each for each in UNITS if seconds < each[0] * 60 or each is UNITS[-1])
    whole, rest = divmod(int(seconds), unit)
    return f"{whole} {names[0]} {rest // lower} {names[1]}"


def result_text(sweep: Sweep) -> str:
    """How many runs there are, how they ended, why some failed, and where the table is."""
    outcomes = Counter(str(row["outcome"]) for row in sweep.table if row.get("outcome") is not None)
    lines = {
        "Runs": f"{sweep.done} of {sweep.total}" + (f", {len(sweep.failures)} failed" if sweep.failures else ""),
        "Axes": ", ".join(sweep.axes),
        "Outcomes": ", ".join(f"{name} {count}" for name, count in outcomes.most_common()) or "none",
    }
    for name in ("freezing.verdict", "limit.verdict"):
        if name in sweep.columns:
            verdicts = Counter(str(value) for value in sweep.columns[name] if value is not None)
            lines[name.partition(".")[0].capitalize()] = ", ".join(f"{k} {v}" for k, v in verdicts.most_common())
    reasons = Counter(sweep.failures.values()).most_common(MOST_REASONS)
    lines |= {
        f"Failure {k}": f"{printable(text)} ({count} run{'s' if count > 1 else ''})"
        for k, (text, count) in enumerate(reasons, 1)
    }
    tables = [name for name in (CSV, PARQUET) if (sweep.path / name).exists()]
    lines["Saved"] = f"{printable(sweep.path)}: {', '.join(tables)};  next: gflow sweep plot {printable(sweep.path)}"
    return labelled(lines)


def forecast_text(forecast: Forecast) -> str:
    """What a sweep would cost, by a few of its runs."""
    sizes = " x ".join(f"{size} {name}" for name, size in forecast.sizes.items())
    lines = {
        "Runs": f"{forecast.total} ({sizes}), {forecast.missing} of them missing",
        "Pilot": f"{forecast.tried} runs: {_range(forecast)}"
        + (f"; {forecast.failed} failed: {printable(forecast.failure)}" if forecast.failed else ""),
        "Time": f"about {duration(forecast.seconds)} on {forecast.workers} worker{'s' if forecast.workers > 1 else ''}"
        f" ({duration(forecast.core_seconds)} of one core)",
        "Disk": f"about {size_text(forecast.disk)}",
    }
    return labelled(lines)


def _range(forecast: Forecast) -> str:
    low, high = min(forecast.run_seconds, default=0.0), max(forecast.run_seconds, default=0.0)
    return f"{duration(low)} to {duration(high)} each"


def size_text(size: float) -> str:
    """`830 B`, `12 kB`, `3.4 MB`, `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000.0 or unit == "GB":
            break
        size /= 1000.0
    return f"{size:.3g} {unit}"
