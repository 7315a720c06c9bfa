"""The check of event times against the same events in the flow integrated again, with the tightest tolerances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import RUN, STEPS, Check, bounded, not_applicable
from gflow.verification.reintegration import Again

GROUP, NAME = "events", "times"


def event_times(recorded: RecordedRun, runs: Sequence[Again]) -> Check:
    """log(1 + t) of each event that both have (a pair, what it did, and how often it had done so before)."""
    run = next((run for run in runs if run.rung.timed and run.reached), None)
    if not recorded.problem.network.kinked:
        return not_applicable(GROUP, NAME, "there are no kinks")
    if not recorded.trajectory.records_events:
        return not_applicable(GROUP, NAME, "this run does not keep its events (record.events)")
    if run is None:
        return not_applicable(GROUP, NAME, "no integration with tolerances 100 times tighter reached a row")
    if not run.events or not len(recorded.trajectory.events):
        return not_applicable(GROUP, NAME, "no pair ever switched")
    return _judged(recorded, run)


def _judged(recorded: RecordedRun, run: Again) -> Check:
    """The largest gap, over max(1, v) or over what a change of the state by all of itself would do."""
    events, first = recorded.trajectory.events, recorded.problem.surfaces.first_sample
    ours = _places(zip(events.neuron.tolist(), events.sample.tolist(), events.kind.tolist(), strict=True))
    theirs = _places((event.neuron, int(first[event.surface]), int(event.kind)) for event in run.events)
    both = [entry for entry in theirs if entry in ours]
    sentence = f"log(1 + t) of {len(both)} events (of {len(theirs)} in the integration again), over max(1, log(1 + t)) "
    sentence += "or the shift per relative change of the state"
    if not both:
        return not_applicable(GROUP, NAME, f"{sentence}: none is in both")
    at, there = np.array([ours[entry] for entry in both]), np.array([theirs[entry] for entry in both])
    v, again = events.log1p_time[at], np.array([event.v for event in run.events])[there]
    scale = np.maximum(np.maximum(1.0, again), np.array(run.leverages)[there])
    gaps = np.abs(v - again) / scale
    worst = int(np.argmax(gaps))
    sentence += f"; worst is entry {at[worst]}: {v[worst]:.9g} and {again[worst]:.9g}"
    return bounded(GROUP, NAME, float(gaps[worst]), _bound(recorded, run), sentence)


def _bound(recorded: RecordedRun, run: Again) -> float:
    """The relative change of the state at an event that does not count as a disagreement.

    It is the error that steps of the run leave.  Where the rows of both integrations differ by more, it is a multiple
    of that gap, up to the largest gap that rows may have.

    Runs measured at rtol 1e-8 stayed below 0.1 rtol.
    """
    apart = max(max(at.weight_gap, at.margin_gap) for at in run.reached)
    return float(np.clip(STEPS * apart, STEPS * recorded.rtol, RUN * recorded.rtol))


def _places(entries: Iterable[tuple[int, int, int]]) -> dict[tuple[int, int, int, int], int]:
    """The place of each entry, by (neuron, sample, kind) and the number of equal ones before it."""
    found: dict[tuple[int, int, int, int], int] = {}
    seen: Counter[tuple[int, int, int]] = Counter()
    for place, entry in enumerate(entries):
        found[*entry, seen[entry]] = place
        seen[entry] += 1
    return found
