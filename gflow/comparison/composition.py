"""The composition of a comparison from what was seen of descent beside the flow.  Loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import expm1, log1p
from typing import Any

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.gradient import point_of
from gflow.comparison.descent_rows import DescentRows
from gflow.comparison.events import SettledPair, settled_at, settled_pairs
from gflow.comparison.order import fitted_order
from gflow.comparison.paired_run import PairedRun
from gflow.comparison.patterns import Disagreement, EventColumns
from gflow.comparison.plan import Plan
from gflow.comparison.result import Comparison, Pair, RunComparison, RunSeries
from gflow.comparison.sharpness import stability_threshold
from gflow.comparison.timetable import first_tenth
from gflow.comparison.verdict import Evidence, follows, summary, verdict
from gflow.descent_plan.ledger import Ended
from gflow.flow.state import Finish, FlowState
from gflow.trajectory.rows import installed_version


@dataclass(frozen=True, slots=True)
class Followed:
    """The result of following both: the runs beside the flow, the flow's events, its last common state and its end."""

    runs: list[PairedRun]
    events: EventColumns
    last: FlowState
    finish: Finish
    rows: DescentRows
    ended: Mapping[int, Ended]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a comparison is about, beyond its numbers."""

    about: dict[str, Any]  # Any: JSON values
    command: str
    warnings: tuple[str, ...]


def composed(seen: Followed, analyzed: AnalyzedRun, plan: Plan, rtol: float, labels: Labels) -> Comparison:
    """The whole comparison, as it is stored; rtol: the tolerance of the flow, below which gaps tell nothing about the
    order."""
    threshold = None
    if analyzed.linear_modes and analyzed.problem.loss.name == "logistic":
        threshold = stability_threshold(point_of(analyzed.problem, seen.last).kernel)
    runs = tuple(_run(seen, run, plan, threshold) for run in range(len(plan.etas)))
    order = fitted_order(plan.etas, [_fitted(run) for run in runs], rtol)
    follow = [follows(run.outcome == "diverged", run.max_relative_gap) for run in runs]
    stopped = seen.finish.sentence if seen.finish.outcome.is_limit else ""
    return Comparison(
        gflow=installed_version(),
        trajectory=labels.about,
        horizon_log1p_time=log1p(plan.end),
        flow_outcome=seen.finish.outcome.value,
        etas=runs,
        fitted_order=order.slope,
        fitted_order_interval=order.interval,
        fitted_order_points=order.points,
        modified=None,
        events=_settled(seen, analyzed),
        warnings=labels.warnings,
        summary=summary(plan.etas, follow, order, stopped),
        command=labels.command,
    )


def _run(seen: Followed, run: int, plan: Plan, threshold: float | None) -> RunComparison:
    paired, ended, eta = seen.runs[run], seen.ended[run], plan.etas[run]
    series, last, losses = paired.series(), paired.gaps[-1], ended.losses
    top = paired.largest_gap(first_tenth(plan.end))
    differs = paired.disagreement(seen.events)
    edges = [edge for edge in series.sharpness_times_eta if edge is not None]
    return RunComparison(
        eta=eta,
        kind=plan.descent.kind,
        seed=plan.descent.seed if plan.runs[run][1] is None else plan.runs[run][1],
        steps=int(round(plan.end / eta)),
        outcome="diverged" if ended.diverged else "time",
        max_relative_gap=None if top is None else top[0],
        max_relative_gap_time=None if top is None else float(np.expm1(top[1])),
        max_margin_gap=max(each.margin for each in paired.gaps),
        final_direction_angle=last.angle,
        angle_to_limit=last.angle_to_limit,
        pattern_agreement=last.agreement,
        pattern_agreement_all=last.agreement_all,
        first_pattern_disagreement_time=None if differs is None else float(np.expm1(differs.v)),
        first_pattern_disagreement_log1p_time=None if differs is None else differs.v,
        first_pattern_disagreement=None if differs is None else _pair(differs),
        sliding_pairs=paired.sliding(),
        sharpness_times_eta=max(edges, default=None),
        stability_threshold=threshold,
        loss_rises=None if losses is None else losses.rises,
        largest_loss_rise=None if losses is None else losses.largest_rise,
        verdict=verdict(_evidence(paired, series, ended, eta, plan.end, threshold, differs)),
        series=series,
    )


def _evidence(
    paired: PairedRun,
    series: RunSeries,
    ended: Ended,
    eta: float,
    end: float,
    threshold: float | None,
    differs: Disagreement | None,
) -> Evidence:
    return Evidence(
        eta=eta,
        times=[float(t) for t in np.expm1(paired.v)],
        gaps=series.relative_gap,
        edges=series.sharpness_times_eta,
        first=expm1(first_tenth(end)),
        diverged=ended.step if ended.diverged else None,
        threshold=threshold,
        loss_rises=None if ended.losses is None else ended.losses.rises,
        differs=None if differs is None else (float(np.expm1(differs.v)), differs.neuron, differs.sample),
        agreement=paired.gaps[-1].agreement,
    )


def _settled(seen: Followed, analyzed: AnalyzedRun) -> tuple[SettledPair, ...]:
    if not analyzed.problem.network.kinked:
        return ()
    first = analyzed.problem.surfaces.first_sample
    descents = []
    for run, paired in enumerate(seen.runs):
        v = paired.v
        sides = seen.rows.all(run, "pattern")[: v.size][:, :, first]
        descents.append(settled_at(v, sides))
    return settled_pairs(seen.events, seen.last.v, seen.last.side == 0, descents, first)


def _pair(differs: Disagreement) -> Pair:
    return Pair(differs.neuron, differs.sample, differs.flow, differs.descent)


def _fitted(run: RunComparison) -> float | None:
    """The gap that the order is fitted to; a run that diverged has none."""
    return run.max_relative_gap if run.outcome == "time" else None
