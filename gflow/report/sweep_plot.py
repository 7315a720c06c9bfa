"""The function behind `gflow sweep plot`: a picture of a sweep as a file."""

from __future__ import annotations

import re
from pathlib import Path

from gflow.errors import SweepError
from gflow.report.page.figures.drawing import BACKENDS, save, style
from gflow.report.page.figures.sweep import drawing_of
from gflow.report.sweep_picture import picture_of
from gflow.sweeps.opened import Sweep, open_sweep


def plot_sweep(
    sweep: Sweep | str | Path,
    *,
    x: str,
    value: str,
    y: str | None = None,
    by: str | None = None,
    over: str | None = None,
    stat: str = "mean,band",
    out: str | Path | None = None,
) -> Path:
    """Draw one column of a sweep (or of the one in a folder) over its axes into a file, and return its path.

    x alone: a line, with y: a map; by: a line, or a small map, for each of its values.  Axes are named by their keys,
    or the end of them: `slope`.  value: a column of numbers, or `column=word` for the share of runs with that word.
    over: the axes that are left, joined by commas (default: all).  stat: one of mean, median, min, max, sd over them,
    and `band` for the middle 8 in 10 runs beside a line.  out: a file .svg, .png or .pdf; by default .svg in the folder
    of the sweep.  Raises SweepError.
    """
    opened = sweep if isinstance(sweep, Sweep) else open_sweep(sweep)
    picture = picture_of(opened, x, y, by, value, over, stat)
    path = opened.path / f"{_file_name(value, x, y, by)}.svg" if out is None else Path(out)
    form = path.suffix.removeprefix(".")
    if form not in BACKENDS:
        raise SweepError(f"--out {path}: its ending must be one of {', '.join('.' + each for each in BACKENDS)}")
    try:
        with style():
            return save(drawing_of(picture, path.stem), path.parent, form)
    except OSError as error:
        raise SweepError(f"{path} cannot be written: {error.strerror}; choose another --out") from error


def _file_name(value: str, x: str, y: str | None, by: str | None) -> str:
    """`limit.stable_rank-over-slope-std`"""
    axes = "-".join(name for name in (x, y, by) if name is not None)
    return re.sub(r"[^A-Za-z0-9._=-]", "_", f"{value}-over-{axes}")
