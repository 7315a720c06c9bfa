"""All outcomes as an HTML page with the figures, and as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gflow.papers.experiment import Experiment
from gflow.papers.listing import experiment_files
from gflow.papers.reading import load_experiment
from gflow.report.template import template

FOLDER = Path(__file__).parent
TONES = {
    "reproduced": "good",
    "reproduced in direction": "open",
    "not reproduced": "bad",
    "hypotheses not met": "plain",
    "needs data": "plain",
}
"""Every verdict with the colour of its badge; their meanings are in the README of the project."""
EVIDENCE = "What is found is numerical evidence, of single runs and a few seeds; only what is called proved is a proof."
Json = dict[str, Any]  # Any: JSON values


@dataclass(frozen=True, slots=True)
class Section:
    """An experiment with its outcomes; size: `quick` or `full`; figures: paths relative to the page."""

    experiment: Experiment
    size: str
    outcomes: list[Json]
    figures: list[str]


def page_text(outcomes: Sequence[Json], out: Path, folder: Path | None = None) -> str:
    """The whole HTML file, beside the folders of the experiments."""
    page = template(FOLDER / "outcomes.html", tones=TONES, evidence=EVIDENCE)
    return page.render(sections=_sections(outcomes, folder, out))


def table_text(outcomes: Sequence[Json], folder: Path | None = None) -> str:
    """The table of all outcomes in Markdown, and a paragraph on every experiment."""
    sections = _sections(outcomes, folder)
    lines = ["# The experiments of the papers, reproduced", "", f"{EVIDENCE} Written by `gflow reproduce`.", ""]
    lines += ["| experiment | stated | found | verdict |", "|---|---|---|---|"]
    for section in sections:
        for each in section.outcomes:
            stated = "(all of it)" if each["verdict"] == "needs data" else each["stated"]
            cells = (f"`{each['experiment']}`", stated, each["found"] or each["note"], each["verdict"])
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    for section in sections:
        shown = section.experiment
        lines += ["", f"## `{shown.name}`: {shown.title}", ""]
        notes = [each["note"] for each in section.outcomes if each["note"] and each["verdict"] != "needs data"]
        needs = f"Needs {shown.needs}." if shown.needs else f"Here in its {section.size} size."
        parts = [
            f"{shown.source}.",
            shown.states,
            shown.unstated and f"Not stated there: {shown.unstated}",
            needs,
            *notes,
        ]
        lines.append(" ".join(part for part in dict.fromkeys(parts) if part))
    return "\n".join(lines) + "\n"


def _sections(outcomes: Sequence[Json], folder: Path | None, out: Path | None = None) -> list[Section]:
    files = experiment_files(folder)
    sections = []
    for name in dict.fromkeys(each["experiment"] for each in outcomes):
        own = [each for each in outcomes if each["experiment"] == name]
        figures = [] if out is None else sorted((out / name).glob("figure*.svg"))
        paths = [f"{name}/{path.name}" for path in figures]
        sections.append(Section(load_experiment(files[name], own[0]["size"]), own[0]["size"], own, paths))
    return sections
