"""What `gflow reproduce` writes for people: figures of every experiment, and all outcomes as one page and one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gflow.papers.reproduce import RESULT, Reproduction, all_outcomes, write_outcomes
from gflow.report.papers.page import page_text, table_text
from gflow.sweeps.store.folder import replace_file

PAGE, TABLE = "outcomes.html", "outcomes.md"


def write_figures(found: Reproduction) -> list[Path]:
    """Every figure of an experiment as SVG and PNG in its folder, `figure.svg`, or `figure-2.svg` for a second one."""
    from gflow.report.page.figures.drawing import save, style
    from gflow.report.page.figures.paper import paper_drawing

    paths = []
    about = f"{found.experiment.source}; {found.experiment.size} size"
    for number, figure in enumerate(found.figures, 1):
        name = "figure" if number == 1 else f"figure-{number}"
        with style():
            drawing = paper_drawing(figure.title, figure.panels, name, about)
            paths += [save(drawing, found.folder, form) for form in ("svg", "png")]
    return paths


def write_all(out: Path, folder: Path | None = None) -> list[dict[str, Any]]:  # Any: JSON values
    """`outcomes.json`, `outcomes.html` and `outcomes.md` of all that was carried out in `out`."""
    outcomes = all_outcomes(out, folder)
    write_outcomes(out / RESULT, outcomes)
    replace_file(out / PAGE, page_text(outcomes, out, folder).encode("utf-8"))
    replace_file(out / TABLE, table_text(outcomes, folder).encode("utf-8"))
    return outcomes


def outcomes_text(outcomes: Sequence[dict[str, Any]]) -> str:  # Any: JSON values
    """One line an outcome, and how many there are of each verdict."""
    lines = [f"{each['experiment']:<18} {each['verdict']:<24} {each['stated']}" for each in outcomes]
    counts: dict[str, int] = {}
    for each in outcomes:
        counts[each["verdict"]] = counts.get(each["verdict"], 0) + 1
    return "\n".join([*lines, "Verdicts     " + ", ".join(f"{name} {count}" for name, count in counts.items())])
