"""The report of a run: one HTML file that needs no other file, and its figures as files."""

from __future__ import annotations

from pathlib import Path

from gflow.console import ESCAPED
from gflow.descent_plan.result import DescentResult
from gflow.errors import ReportError
from gflow.report.page.figures import (
    DESCENT,
    DESCENT_ALONE,
    DESCENT_ALONE_TESTED,
    DESCENT_TESTED,
    FLOW,
    FLOW_TESTED,
    Absent,
    Drawing,
    FigureData,
    Format,
    Json,
    save,
    style,
)
from gflow.report.page.inputs import Beside, found_beside
from gflow.report.page.page import descent_page_text, page_text
from gflow.trajectory import DESCENT as KIND_DESCENT
from gflow.trajectory import Trajectory
from gflow.trajectory.layout import TEST_SERIES

__all__ = ["Beside", "Format", "found_beside", "write_descent_page", "write_figures", "write_page"]


def write_page(
    trajectory: Trajectory,
    analysis: Json | None,
    comparison: Json | None,
    target: Path,
    verification: Json | None = None,
) -> Path:
    """Write the report; analysis, comparison, verification: the JSON objects, None where there is none.  The same
    bytes each time.

    ReportError: it cannot be written.
    """
    with style():
        flow, descent = _drawn(trajectory, analysis, comparison)
        text = page_text(trajectory, analysis, comparison, flow, descent, verification)
    return _written(target, text)


def write_descent_page(trajectory: Trajectory, result: DescentResult | None, target: Path) -> Path:
    """Write the report of descent without a flow beside it; result None: it has not ended.  ReportError: as above."""
    with style():
        figures, _ = _drawn(trajectory, None, None)
        text = descent_page_text(trajectory, result, figures)
    return _written(target, text)


def _written(target: Path, text: str) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", ESCAPED))  # a name may hold bytes that are no text
    except OSError as error:
        raise ReportError(f"{target} cannot be written: {error}: choose another --out") from error
    return target


def write_figures(
    trajectory: Trajectory, analysis: Json | None, comparison: Json | None, folder: Path, form: Format
) -> list[Path]:
    """Write every figure of the report as a file of its own, in its order there.  ReportError: it cannot be written."""
    with style():
        flow, descent = _drawn(trajectory, analysis, comparison)
        drawings = [each for each in flow + descent if isinstance(each, Drawing)]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [save(drawing, folder, form) for drawing in drawings]
        except OSError as error:
            raise ReportError(f"{folder} cannot be written: {error}: make room, or allow writing there") from error


def _drawn(
    trajectory: Trajectory, analysis: Json | None, comparison: Json | None
) -> tuple[list[Drawing | Absent], list[Drawing | Absent]]:
    """The figures of the flow, and those of descent beside it, which only a comparison has."""
    data, tested = FigureData(trajectory, analysis, comparison), set(TEST_SERIES) <= set(trajectory.series)
    if trajectory.kind == KIND_DESCENT:
        return [make(data) for make in DESCENT_ALONE + (DESCENT_ALONE_TESTED if tested else ())], []
    descent = DESCENT + (DESCENT_TESTED if tested else ()) if comparison is not None else ()
    return [make(data) for make in FLOW + (FLOW_TESTED if tested else ())], [make(data) for make in descent]
