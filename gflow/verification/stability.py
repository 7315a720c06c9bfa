"""Checks of the run against the integrations of the ladder: its rows, its events, and the conclusions drawn from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from gflow.flow.certified import foreseen
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import RUN, Check, bounded, not_applicable, not_decided
from gflow.verification.determined import Determined
from gflow.verification.reintegration import Again

GROUP, CONCLUSIONS = "again", "conclusions"

EVENT_TIME = 1e-3  # of log(1 + t), relative (absolute below 1)
MULTIPLIERS = 1e-6  # relative
NOT_UNIQUE = "kinks that can be left in several ways"
"""Words of an outcome that says so (`flow.state.Notes`)."""


def agreement(recorded: RecordedRun, runs: Sequence[Again], left: Sequence[tuple[str, str]]) -> list[Check]:
    """The checks of agreement: two for each integration, and one for each conclusion."""
    found = _agreement(recorded, runs, left, Determined.all_of(recorded))
    if not any(check.verdict == "fail" for check in found):
        return found
    known = Determined.by_weights(recorded)
    return found if known.everything else _agreement(recorded, runs, left, known)


def _agreement(
    recorded: RecordedRun, runs: Sequence[Again], left: Sequence[tuple[str, str]], known: Determined
) -> list[Check]:
    found = [check for run in runs for check in (_rows(recorded, run), _events(recorded, run, known))]
    found += [not_applicable(GROUP, name, why) for name, why in left]
    whole = [run for run in runs if run.rung.whole]
    tightened = [run for run in whole if run.stopped is None]
    if whole and not tightened and all(run.spent for run in whole):
        why = "the integrations with tighter tolerances were stopped by their budgets"
        concluded = [not_decided(CONCLUSIONS, "stable", why)]
    else:
        concluded = _conclusions(recorded, tightened, known)
    return [where_unique(recorded, check) for check in (*found, *concluded)]


def where_unique(recorded: RecordedRun, check: Check) -> Check:
    """The check, judged only where the solution is unique: elsewhere a disagreement does not count as an error."""
    if check.verdict != "fail" or NOT_UNIQUE not in (recorded.trajectory.outcome_sentence or ""):
        return check
    why = "they differ, but the run met kinks where solutions are not unique and a policy decides (see its outcome)"
    return not_applicable(check.group, check.name, f"{check.sentence}: {why}", check.value, check.bound)


def _rows(recorded: RecordedRun, run: Again) -> Check:
    """Weights and margins."""
    name, bound = run.rung.name, RUN * recorded.rtol
    if not run.reached:
        return _stopped(run, "none of its rows was reached", None, bound)
    gaps = [max(at.weight_gap, at.margin_gap) for at in run.reached]
    worst = run.reached[int(np.argmax(gaps))]
    sentence = f"largest relative gap of weights ({worst.weight_gap:.1e}) and margins ({worst.margin_gap:.1e}) at "
    sentence += f"{len(run.reached)} rows, to row {run.reached[-1].row}"
    sentence += f" (asked: {run.rung.rows[-1]}; to the last one if that is cheap)" if run.rung.further else ""
    sentence += f"; worst in row {worst.row}"
    judged = bounded(GROUP, name, max(gaps), bound, sentence)
    return judged if run.stopped is None or judged.verdict == "fail" else _stopped(run, sentence, judged.value, bound)


def _stopped(run: Again, sentence: str, value: float | None, bound: float) -> Check:
    """The check of an integration that ended early: undecided if its budget ended it, else failed."""
    assert run.stopped is not None
    if not run.spent:
        why = f"the integration did not reach its last row: {run.stopped.sentence}"
        return Check(GROUP, run.rung.name, "fail", None, bound, why)
    steps, budget = run.stopped.steps, run.rung.budget
    why = f"stopped at log(1 + t) = {run.stopped.state.v:.6g} after {steps} steps (of {budget.steps}) and "
    why += f"{len(run.events)} events (of {budget.events or 'any number'}), before row {run.rung.rows[-1]}; {sentence}"
    return not_decided(GROUP, run.rung.name, why, value, bound)


def _events(recorded: RecordedRun, run: Again, known: Determined) -> Check:
    """Number of events until the last common row, and the pattern there; what came before a budget ended."""
    name = f"{run.rung.name}, events"
    if not recorded.problem.network.kinked:
        return not_applicable(GROUP, name, "there are no kinks")
    if run.stopped is not None:
        return _begun(recorded, run, name, known)
    row = run.reached[-1].row
    (ours, theirs), pairs = _counts(recorded, [run], row, known), _other_pairs(recorded, run, known)
    sentence = (
        f"events until row {row}: {ours} and {theirs}; pairs of the last pattern that differ: {pairs}{known.words}"
    )
    return bounded(GROUP, name, abs(ours - theirs) + pairs, 0.0, sentence)


def _counts(recorded: RecordedRun, runs: Sequence[Again], row: int, known: Determined) -> list[int]:
    """Numbers of events that are determined: of the run until a row, and of each integration until its last one."""
    if known.everything or not recorded.trajectory.records_events:
        return [int(recorded.event_counts[row]), *(run.reached[-1].events for run in runs)]
    theirs = [len(known.met(run.events[: run.reached[-1].events])) for run in runs]
    return [len(known.stored(recorded, row)), *theirs]


def _begun(recorded: RecordedRun, run: Again, name: str, known: Determined) -> Check:
    """The events before an integration was stopped, each with its time: those of one log that the other lacks."""
    assert run.stopped is not None
    if not recorded.trajectory.records_events:
        return not_applicable(GROUP, name, "the integration stopped early, and the run does not keep its events")
    stored, first = recorded.trajectory.events, recorded.problem.surfaces.first_sample
    ours = list(zip(stored.neuron, stored.sample, stored.kind, stored.log1p_time, strict=True))
    theirs = [(event.neuron, first[event.surface], event.kind.value, event.v) for event in run.events]
    end = run.stopped.state.v
    ours, theirs = ([entry for entry in log if entry[3] <= known.until[entry[0]]] for log in (ours, theirs))
    missing = _missing(ours, theirs, end) + _missing(theirs, ours, end)
    sentence = f"of {len(theirs)} events until log(1 + t) = {end:.6g}, where it stopped: in one log, not in the other"
    return bounded(GROUP, name, missing, 0.0, sentence + known.words)


Entry = tuple[int, int, int, float]


def _missing(log: Sequence[Entry], other: Sequence[Entry], end: float) -> int:
    """Entries before `end` without one of the same pair, kind and turn in the other log, at the same time."""
    known = _turns(other)
    room = EVENT_TIME * max(end, np.finfo(float).tiny)
    early = {key: v for key, v in _turns(log).items() if v < end - room}
    return sum(key not in known or abs(known[key] - v) > room for key, v in early.items())


def _turns(log: Sequence[Entry]) -> dict[tuple[int, int, int, int], float]:
    """Times by pair, kind, and how often the pair had that kind before."""
    found: dict[tuple[int, int, int, int], float] = {}
    seen: Counter[tuple[int, int, int]] = Counter()
    for neuron, sample, kind, v in log:
        key = int(neuron), int(sample), int(kind)
        found[*key, seen[key]] = float(v)
        seen[key] += 1
    return found


def _other_pairs(recorded: RecordedRun, run: Again, known: Determined) -> int:
    last = run.reached[-1]
    stored = recorded.trajectory.read("pattern", last.row)
    return int((recorded.problem.sample_sides(last.state.side) != stored)[known.neurons].sum())


def _conclusions(recorded: RecordedRun, runs: Sequence[Again], known: Determined) -> list[Check]:
    """The checks of conclusions, which must not change as tolerances are tightened."""
    if not runs:
        return [not_applicable(CONCLUSIONS, "stable", "no integration with tighter tolerances went all the way")]
    if not recorded.problem.network.kinked:
        return [not_applicable(CONCLUSIONS, "stable", "there are no kinks: events and patterns are no conclusions")]
    found = [check(recorded, runs, known) for check in (_number, _pattern, _last_event)]
    network = recorded.problem.network
    if network.trains_outer or network.outputs > 1 or network.smoothing is not None:
        why = "no certificate is known for this network"
        return [*found, *(not_applicable(CONCLUSIONS, name, why) for name in ("frozen", "multipliers"))]
    return [*found, *_limits(recorded, runs)]


def _number(recorded: RecordedRun, runs: Sequence[Again], known: Determined) -> Check:
    counts = _counts(recorded, runs, runs[0].rung.rows[-1], known)
    sentence = f"number of events: {', '.join(map(str, counts))} as tolerances tighten{known.words}"
    return bounded(CONCLUSIONS, "number of events", max(counts) - min(counts), 0.0, sentence)


def _pattern(recorded: RecordedRun, runs: Sequence[Again], known: Determined) -> Check:
    pairs = [_other_pairs(recorded, run, known) for run in runs]
    counts = ", ".join(map(str, pairs))
    sentence = f"pairs of the final pattern that differ: {counts} as tolerances tighten{known.words}"
    return bounded(CONCLUSIONS, "final pattern", max(pairs), 0.0, sentence)


def _last_event(recorded: RecordedRun, runs: Sequence[Again], known: Determined) -> Check:
    """log(1 + t) of the last event until the last common row, as far as the state determines it (`timing`)."""
    name = "last event"
    if not recorded.trajectory.records_events:
        return not_applicable(CONCLUSIONS, name, "this run does not keep its events (record.events)")
    logs = [known.stored(recorded, runs[0].rung.rows[-1]), *(known.met(run.events) for run in runs)]
    times = [log[-1] if log else None for log in logs]
    given = [v for v in times if v is not None]
    if not given:
        return not_applicable(CONCLUSIONS, name, f"no pair ever switched{known.words}")
    shown = ", ".join("none" if v is None else f"{v:.6g}" for v in times)
    sentence = f"log(1 + t) of the last event: {shown}{known.words}"
    largest = max(1.0, *given)
    gap = (max(given) - min(given)) / largest if len(given) == len(times) else float("inf")
    shift = max((run.leverages[-1] for run in runs if run.leverages), default=0.0) * RUN * recorded.rtol
    if gap <= EVENT_TIME or shift <= EVENT_TIME * largest or not np.isfinite(gap):
        return bounded(CONCLUSIONS, name, gap, EVENT_TIME, sentence)
    if not np.isfinite(shift):
        why = f"how well the state determines it is not known (its neuron is judged by a hull): {sentence}"
        return not_decided(CONCLUSIONS, name, why, gap, EVENT_TIME)
    sentence += f"; a change of the state by {RUN:g} rtol moves it by {shift:.1e}"
    return bounded(CONCLUSIONS, name, gap * largest / shift * EVENT_TIME, EVENT_TIME, sentence)


def _limits(recorded: RecordedRun, runs: Sequence[Again]) -> list[Check]:
    """Is the last mode proved to stay, and to which multipliers does it lead?"""
    surfaces, at = recorded.problem.surfaces, recorded.row(runs[0].rung.rows[-1])
    states = [(at.pattern[:, surfaces.first_sample], at.U)]
    states += [(run.reached[-1].state.side, run.reached[-1].state.U) for run in runs]
    found = [foreseen(recorded.problem, side, U) for side, U in states]
    proved = [finding.proved for finding, _ in found]
    sentence = f"is the last pattern proved to stay for ever: {', '.join('yes' if each else 'no' for each in proved)}"
    frozen = bounded(CONCLUSIONS, "frozen", float(len(set(proved)) - 1), 0.0, sentence)
    multipliers = [None if point is None else point.multipliers for _, point in found]
    known = [each for each in multipliers if each is not None]
    if not known:
        return [
            frozen,
            not_applicable(CONCLUSIONS, "multipliers", "the last pattern has no limit with positive margins"),
        ]
    gaps = [float(np.abs(each - known[0]).max() / np.abs(known[0]).max()) for each in known]
    gap = max(gaps) if len(known) == len(multipliers) else float("inf")
    sentence = "multipliers of the limit of the last pattern, relative, as tolerances tighten"
    return [frozen, bounded(CONCLUSIONS, "multipliers", gap, MULTIPLIERS, sentence)]
