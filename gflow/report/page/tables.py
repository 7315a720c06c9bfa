"""Rows of the page's tables as texts: claims, step sizes, events, and where the run comes from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gflow.flow_time import time_text
from gflow.report.lines import size_text
from gflow.report.page.answers import Tone, tone_of
from gflow.report.page.figures.descent import eta_text
from gflow.report.summary import flat_text
from gflow.trajectory import Trajectory, file_sha256

Json = Mapping[str, Any]
NOTHING = "–"
PAPERS = {"frei": "Frei et al.", "kou": "Kou et al.", "chatterji": "Chatterji et al.", "telgarsky": "Telgarsky"}


@dataclass(frozen=True, slots=True)
class HypothesisRow:
    """One hypothesis of a claim: its name, whether it holds, and its value, bound and slack as text."""

    name: str
    holds: bool
    numbers: str


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim.  group: class of the filter; numbers: value, bound (or the constant in its place), slack."""

    id: str
    statement: str
    verdict: str
    group: str
    tone: Tone
    numbers: tuple[str, ...]
    checked: str
    hypotheses: tuple[HypothesisRow, ...]

    @property
    def failing(self) -> int:
        """The number of hypotheses that do not hold."""
        return sum(not each.holds for each in self.hypotheses)


def number(value: float | None) -> str:
    """Four digits; adding 0 turns the -0 of floating point into 0."""
    return NOTHING if value is None else f"{value + 0.0:.4g}"


def claim_groups(claims: Sequence[Json]) -> dict[str, list[ClaimRow]]:
    """The claims of each paper, in their order; an id is `paper.number.part`."""
    groups: dict[str, list[ClaimRow]] = {}
    for claim in claims:
        prefix = claim["id"].split(".")[0]
        groups.setdefault(PAPERS.get(prefix, prefix), []).append(_claim_row(claim))
    return groups


def _claim_row(claim: Json) -> ClaimRow:
    conclusion = claim["conclusion"] or {}
    verdict = claim["verdict"]
    return ClaimRow(
        id=claim["id"],
        statement=claim["statement"],
        verdict=verdict,
        group=verdict.replace(" ", "-"),
        tone=tone_of(verdict),
        numbers=(number(conclusion.get("value")), _bound(conclusion), number(conclusion.get("slack"))),
        checked=claim["checked"],
        hypotheses=tuple(_hypothesis_row(each) for each in claim["hypotheses"]),
    )


def _bound(conclusion: Json) -> str:
    """A claim with an unspecified constant has no bound: the least constant that makes it true stands there."""
    constant = conclusion.get("constant")
    return number(conclusion.get("bound")) if constant is None else f"C = {number(constant)}"


def _hypothesis_row(hypothesis: Json) -> HypothesisRow:
    given = {name: hypothesis.get(name) for name in ("value", "bound", "slack")}
    numbers = ", ".join(f"{name} {number(value)}" for name, value in given.items() if value is not None)
    return HypothesisRow(hypothesis["name"], hypothesis["holds"], numbers)


STEP_SIZE_TITLES = (
    "Largest gap",
    "At",
    "Angle",
    "Agreeing pairs",
    "First differ",
    "η · sharpness",
    "Loss rises",
)


@dataclass(frozen=True, slots=True)
class StepSizeRow:
    """One run of descent; numbers under `STEP_SIZE_TITLES`."""

    name: str
    steps: int
    outcome: str
    numbers: tuple[str, ...]
    sentence: str


def step_size_rows(comparison: Json) -> list[StepSizeRow]:
    """One row for each step size of `comparison.json`."""
    return [_step_size_row(run) for run in comparison["etas"]]


def _step_size_row(run: Json) -> StepSizeRow:
    agreeing = run.get("pattern_agreement")
    numbers = (
        number(run.get("max_relative_gap")),
        _time(run.get("max_relative_gap_time")),
        number(run.get("final_direction_angle")),
        NOTHING if agreeing is None else f"{100.0 * agreeing:.4g} %",
        _late_time(run.get("first_pattern_disagreement_log1p_time")),
        number(run.get("sharpness_times_eta")),
        number(run.get("loss_rises")),
    )
    reached = "horizon" if run["outcome"] == "time" else run["outcome"]
    return StepSizeRow(eta_text(run), run["steps"], reached, numbers, run["verdict"])


def _time(t: float | None) -> str:
    return NOTHING if t is None else f"t = {t:.4g}"


def _late_time(log1p_time: float | None) -> str:
    return NOTHING if log1p_time is None else time_text(log1p_time)


def event_rows(comparison: Json) -> list[tuple[str, ...]]:
    """Neuron, sample, time in the flow, time at each step size."""
    return [
        (
            str(event["neuron"]),
            str(event["sample"]),
            *(_late_time(v) for v in [event["flow_log1p_time"], *event["descent_log1p_time"]]),
        )
        for event in comparison.get("events", ())
    ]


def file_rows(trajectory: Trajectory) -> dict[str, str]:
    """What identifies the data that the page shows."""
    path = trajectory.path
    return {
        "Trajectory": f"{path.name}, {trajectory.n_rows} rows, {size_text(path.stat().st_size)}, format "
        f"{trajectory.format_version}, written by gflow {trajectory.gflow_version}",
        "SHA-256 of the trajectory": file_sha256(path),
        "SHA-256 of the scenario": trajectory.scenario_sha256,
    }


def provenance_rows(entry: Json) -> dict[str, str]:
    """One start or resume: its command as it would be typed, and all else that was noted."""
    shown = {key.replace("_", " ").capitalize(): flat_text(value) for key, value in entry.items() if value}
    command = entry.get("command")
    if isinstance(command, list):
        shown["Command"] = shlex.join(str(part) for part in command)
    return shown
