"""What the integrations say of the run: its rows, its events, and the conclusions that are drawn from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gflow.flow.certified import foreseen
from gflow.verification.check import Check, bounded, not_applicable
from gflow.verification.ladder import Again
from gflow.verification.material import Material

Array = NDArray[np.float64]
GROUP, CONCLUSIONS = "again", "conclusions"

# A whole run of steps of tolerance rtol may be so many rtol from the flow.
FACTOR = 100.0
EVENT_TIME = 1e-3  # of log(1 + t), relative (absolute below 1)
MULTIPLIERS = 1e-6  # relative
NOT_UNIQUE = "kinks that can be left in several ways"
"""Words of an outcome that says so (`flow.state.Notes`)."""


def agreement(material: Material, runs: Sequence[Again], left: Sequence[tuple[str, str]]) -> list[Check]:
    """Two checks for each integration, and one for each conclusion."""
    found = [check for run in runs for check in (_rows(material, run), _events(material, run))]
    found += [not_applicable(GROUP, name, why) for name, why in left]
    tightened = [run for run in runs if run.rung.whole and not run.stopped]
    return [_told(material, check) for check in (*found, *_conclusions(material, tightened))]


def _told(material: Material, check: Check) -> Check:
    """A disagreement where the solution is not unique is no error of either."""
    if check.verdict != "fail" or NOT_UNIQUE not in (material.trajectory.outcome_sentence or ""):
        return check
    why = "they differ, but the run met kinks where solutions are not unique and a policy decides (see its outcome)"
    return not_applicable(check.group, check.name, f"{check.sentence}: {why}", check.value, check.bound)


def _rows(material: Material, run: Again) -> Check:
    """Weights and margins."""
    name, bound = run.rung.name, FACTOR * material.rtol
    if run.stopped:
        return Check(GROUP, name, "fail", None, bound, f"the integration did not reach its last row: {run.stopped}")
    gaps = [max(at.weight_gap, at.margin_gap) for at in run.reached]
    worst = run.reached[int(np.argmax(gaps))]
    said = f"largest relative gap of weights ({worst.weight_gap:.1e}) and margins ({worst.margin_gap:.1e}) at "
    said += f"{len(run.reached)} rows, to row {run.rung.rows[-1]}; worst in row {worst.row}"
    return bounded(GROUP, name, max(gaps), bound, said)


def _events(material: Material, run: Again) -> Check:
    """Number of events until the last common row, and the pattern there."""
    name = f"{run.rung.name}, events"
    if run.stopped or not material.problem.network.curved:
        return not_applicable(GROUP, name, "the integration stopped early" if run.stopped else "there are no kinks")
    last = run.reached[-1]
    ours, pairs = int(material.event_counts[last.row]), _other_pairs(material, run)
    said = f"events until row {last.row}: {ours} and {last.events}; pairs of the last pattern that differ: {pairs}"
    return bounded(GROUP, name, abs(ours - last.events) + pairs, 0.0, said)


def _other_pairs(material: Material, run: Again) -> int:
    last = run.reached[-1]
    stored = material.trajectory.read("pattern", last.row)
    return int((material.problem.sample_sides(last.state.side) != stored).sum())


def _conclusions(material: Material, runs: Sequence[Again]) -> list[Check]:
    """What stays the same as tolerances are tightened."""
    if not runs:
        return [not_applicable(CONCLUSIONS, "stable", "no integration with tighter tolerances went all the way")]
    if not material.problem.network.curved:
        return [not_applicable(CONCLUSIONS, "stable", "there are no kinks: events and patterns are no conclusions")]
    checks: list[Callable[[Material, Sequence[Again]], Check]] = [_number, _pattern, _last_event]
    found = [check(material, runs) for check in checks]
    network = material.problem.network
    if network.trains_outer or network.outputs > 1 or network.smoothing is not None:
        why = "no certificate is known for this network"
        return [*found, *(not_applicable(CONCLUSIONS, name, why) for name in ("frozen", "multipliers"))]
    return [*found, *_limits(material, runs)]


def _number(material: Material, runs: Sequence[Again]) -> Check:
    row = runs[0].rung.rows[-1]
    counts = [int(material.event_counts[row]), *(run.reached[-1].events for run in runs)]
    said = f"number of events: {', '.join(map(str, counts))} as tolerances tighten"
    return bounded(CONCLUSIONS, "number of events", max(counts) - min(counts), 0.0, said)


def _pattern(material: Material, runs: Sequence[Again]) -> Check:
    pairs = [_other_pairs(material, run) for run in runs]
    said = f"pairs of the final pattern that differ: {', '.join(map(str, pairs))} as tolerances tighten"
    return bounded(CONCLUSIONS, "final pattern", max(pairs), 0.0, said)


def _last_event(material: Material, runs: Sequence[Again]) -> Check:
    """log(1 + t) of the last event until the last common row."""
    name = "last event"
    if not material.trajectory.records_events:
        return not_applicable(CONCLUSIONS, name, "this run does not keep its events (record.events)")
    count = int(material.event_counts[runs[0].rung.rows[-1]])
    times = [float(material.trajectory.events.log1p_time[count - 1]) if count else None]
    times += [run.last_event for run in runs]
    known = [v for v in times if v is not None]
    if not known:
        return not_applicable(CONCLUSIONS, name, "no pair ever switched")
    said = f"log(1 + t) of the last event: {', '.join('none' if v is None else f'{v:.6g}' for v in times)}"
    gap = (max(known) - min(known)) / max(1.0, max(known)) if len(known) == len(times) else float("inf")
    return bounded(CONCLUSIONS, name, gap, EVENT_TIME, said)


def _limits(material: Material, runs: Sequence[Again]) -> list[Check]:
    """Is the last mode proved to stay, and to which multipliers does it lead?"""
    surfaces, at = material.problem.surfaces, material.snapshot(runs[0].rung.rows[-1])
    states = [(at.pattern[:, surfaces.first_sample], at.U)]
    states += [(run.reached[-1].state.side, run.reached[-1].state.U) for run in runs]
    found = [foreseen(material.problem, side, U) for side, U in states]
    proved = [finding.proved for finding, _ in found]
    said = f"is the last pattern proved to stay for ever: {', '.join('yes' if each else 'no' for each in proved)}"
    frozen = bounded(CONCLUSIONS, "frozen", float(len(set(proved)) - 1), 0.0, said)
    multipliers = [None if point is None else point.multipliers for _, point in found]
    known = [each for each in multipliers if each is not None]
    if not known:
        return [
            frozen,
            not_applicable(CONCLUSIONS, "multipliers", "the last pattern has no limit with positive margins"),
        ]
    gaps = [float(np.abs(each - known[0]).max() / np.abs(known[0]).max()) for each in known]
    gap = max(gaps) if len(known) == len(multipliers) else float("inf")
    said = "multipliers of the limit of the last pattern, relative, as tolerances tighten"
    return [frozen, bounded(CONCLUSIONS, "multipliers", gap, MULTIPLIERS, said)]
