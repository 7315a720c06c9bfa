"""The HTML page: template.html says what stands where, page.css how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gflow.descent_plan.result import DescentResult
from gflow.report.lines import (
    balance_text,
    margins_text,
    outcome_text,
    pattern_text,
    predictions_text,
    stable_rank_text,
)
from gflow.report.page import tables
from gflow.report.page.answers import Json, answers, claim_counts, other_findings, verified
from gflow.report.page.descent_alone import descent_answers, run_rows, run_titles
from gflow.report.page.figures import Absent, Drawing, inline_svg
from gflow.report.summary import descent_text, headline, run_path
from gflow.report.template import raw, template
from gflow.trajectory import DESCENT, Trajectory

TEMPLATE = Path(__file__).with_name("template.html")


def page_text(
    trajectory: Trajectory,
    analysis: Json | None,
    comparison: Json | None,
    flow: list[Drawing | Absent],
    descent: list[Drawing | Absent],
    verification: Json | None = None,
) -> str:
    """The whole HTML file; what comes from the run is escaped, figures are inserted as the SVG that they are."""
    return template(TEMPLATE).render(
        **_about(trajectory),
        answers=answers(run_path(trajectory), analysis, comparison, verification),
        others=other_findings(analysis),
        checks=verified(verification),
        verified="" if verification is None else verification["summary"],
        analysed=analysis is not None,
        alone=False,
        run_rows=[],
        run_titles=(),
        flow=_shown(flow, 1),
        descent=_shown(descent, 1 + sum(isinstance(each, Drawing) for each in flow)),
        absent=[each for each in flow + descent if isinstance(each, Absent)],
        **_claims(analysis),
        **_comparison(comparison),
    )


def descent_page_text(trajectory: Trajectory, result: DescentResult | None, figures: list[Drawing | Absent]) -> str:
    """The HTML file of descent without a flow beside it; result None: it has not ended."""
    return template(TEMPLATE).render(
        **_about(trajectory),
        answers=descent_answers(result),
        others=[],
        checks=[],
        verified="",
        analysed=False,
        alone=True,
        run_rows=run_rows(result),
        run_titles=run_titles(result),
        flow=_shown(figures, 1),
        descent=[],
        absent=[each for each in figures if isinstance(each, Absent)],
        **_claims(None),
        **_comparison(None),
    )


def _about(trajectory: Trajectory) -> dict[str, Any]:  # Any: names of the template
    """What was run, how it ended, and where it comes from."""
    name = str(trajectory.facts.get("name", "unnamed"))
    facts = {
        "Outcome": outcome_text(trajectory),
        "Descent": descent_text(trajectory),
        "Pattern": pattern_text(trajectory),
    }
    if trajectory.kind != DESCENT:  # the last row of descent is one of several runs
        facts |= {
            "Margins": margins_text(trajectory),
            "Stable rank": stable_rank_text(trajectory),
            "Test": predictions_text(trajectory),
            "Balance": balance_text(trajectory),
        }
    return {
        "name": name,
        "described": headline(trajectory).removeprefix(f"{name}: "),
        "facts": {label: text for label, text in facts.items() if text},
        "files": tables.file_rows(trajectory),
        "provenance": [tables.provenance_rows(entry) for entry in trajectory.provenance],
        "scenario": trajectory.scenario,
        "scenario_resolved": trajectory.scenario_resolved,
    }


def _claims(analysis: Json | None) -> dict[str, Any]:  # Any: names of the template
    found = (analysis or {}).get("claims")
    claims = found if isinstance(found, list) else []  # an object where they failed as a whole: the answers say why
    return {"claims": tables.claim_groups(claims), "claim_counts": claim_counts(claims)}


def _comparison(comparison: Json | None) -> dict[str, Any]:  # Any: names of the template
    if comparison is None:
        return {"step_sizes": [], "step_size_titles": (), "events": [], "compared_by": ""}
    return {
        "step_sizes": tables.step_size_rows(comparison),
        "step_size_titles": tables.STEP_SIZE_TITLES,
        "events": tables.event_rows(comparison),
        "compared_by": comparison.get("command", ""),
    }


def _shown(figures: list[Drawing | Absent], first: int) -> list[dict[str, Any]]:  # Any: names of the template
    drawings = [each for each in figures if isinstance(each, Drawing)]
    return [
        # The SVG is not escaped again: gflow draws it and escapes its text, and it holds no name from the run.
        {"number": first + k, "drawing": drawing, "svg": raw(inline_svg(drawing))}
        for k, drawing in enumerate(drawings)
    ]
