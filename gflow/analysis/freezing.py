"""Is the activation pattern frozen for ever?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gflow.analysis.analyzed_run import Subject
from gflow.analysis.continuation import Prospect
from gflow.analysis.times import time_text
from gflow.trajectory import Record

# A pattern that has not changed since this share of the run, in log(1 + t), counts as observed to be frozen.
QUIET = 0.5


@dataclass(frozen=True, slots=True)
class FreezingResult:
    """verdict: `proved` (the mode of the last row stays for ever, in the flow from the start), `proved_from_state` (in
    the flow from the computed state of the last row; that the flow from the start comes to it is not known, since the
    way there is not known to be stable, see `path_stability`), `pending` (it cannot stay), `observed` (nothing is pending, and the
    certificate is not closed), `no` (no certificate could close, and the last change is too recent to say that the
    pattern looks frozen; or there is no pattern that could freeze).

    log1p_time: of the last mode change, None if there was none; sliding: pairs that slide in the last row; pending,
    pending_pairs (neuron, first sample of the surface), undecided: see `Finding`; reason: why not proved, or from the
    state only, else empty;
    divergence: bound of KL(q_inf || q) from the last row on; slack: least bound of a rate or share over its limit;
    ahead: switches between the last row and the proof (None where the way ahead was not followed); ahead_log1p_time:
    of the last of them; proved_log1p_time: from when on the pattern is proved to stay (None: not proved; the proof is
    that of the flow from the computed state there).  unsettled, conservative: decisions at kinks until the last row
    that the policy took among several solutions, and that are not exact (None: the file does not keep them).
    """

    verdict: Literal["proved", "proved_from_state", "observed", "pending", "no"]
    summary: str
    log1p_time: float | None
    sliding: int
    pending: int
    pending_pairs: tuple[tuple[int, int], ...]
    undecided: int
    reason: str
    divergence: float | None
    slack: float | None
    ahead: int | None
    ahead_log1p_time: float | None
    proved_log1p_time: float | None
    unsettled: int | None = None
    conservative: int | None = None


Verdict = Literal["proved", "proved_from_state", "observed", "pending", "no"]


def freezing(subject: Subject) -> FreezingResult:
    """Judge the mode of the last row (MATHEMATICS 7; `gflow.limit.certificate` has the proof)."""
    changed = last_change(subject.trajectory)
    sliding = int((subject.trajectory.read("pattern", -1) == 0).sum())
    notes = (None, None) if subject.notes is None else (subject.notes.unsettled, subject.notes.conservative)
    prospect = subject.prospect
    if prospect is None:
        verdict, summary, reason = _without_theory(subject, changed)
        return FreezingResult(
            verdict, summary, changed, sliding, 0, (), 0, reason, None, None, None, None, _from_start(verdict), *notes
        )
    finding = prospect.finding
    first = subject.problem.surfaces.first_sample
    proved = prospect.log1p_time if prospect.standing == "proved" else None
    return FreezingResult(
        verdict=_verdict(subject, prospect, changed),
        summary=_summary(prospect, changed, subject),
        log1p_time=changed,
        sliding=sliding,
        pending=len(finding.pending),
        pending_pairs=tuple((int(j), int(first[h])) for j, h in finding.pending),
        undecided=finding.undecided,
        reason=subject.way.reason if finding.proved else finding.reason,
        divergence=finding.divergence,
        slack=finding.tightest,
        ahead=None if finding.proved else len(prospect.events),
        ahead_log1p_time=prospect.last_change,
        proved_log1p_time=proved,
        unsettled=notes[0],
        conservative=notes[1],
    )


def last_change(trajectory: Record) -> float | None:
    """log(1 + t) of the last mode change: of the last event, or of the first row with the last pattern."""
    if trajectory.records_events:
        times = trajectory.events.log1p_time
        return float(times[-1]) if len(times) else None
    last = trajectory.read("pattern", -1)
    row = trajectory.n_rows - 1
    while row > 0 and np.array_equal(trajectory.read("pattern", row - 1), last):
        row -= 1
    return float(trajectory.read("log1p_time", row)) if row else None


def _quiet(subject: Subject, changed: float | None) -> bool:
    return changed is None or changed <= QUIET * subject.last.v


def _verdict(subject: Subject, prospect: Prospect, changed: float | None) -> Verdict:
    finding = prospect.finding
    if finding.proved:
        return "proved" if subject.way.stable else "proved_from_state"
    if len(finding.pending):
        return "pending"
    return "observed" if finding.hard is not None or _quiet(subject, changed) else "no"


def _summary(prospect: Prospect, changed: float | None, subject: Subject) -> str:
    finding = prospect.finding
    since = "it never changed" if changed is None else f"its last change was at {time_text(changed)}"
    here = time_text(subject.last.v)
    if finding.proved and subject.way.stable:
        seen = f"; the way there is stable: {subject.way.seen}" if subject.way.seen else ""
        return f"the pattern is proved to stay as it is for ever from {here} on; {since}{seen}"
    if finding.proved:
        return (
            f"proved for {subject.way.whose} from the computed state at {here}: its pattern stays as it is for ever; "
            "not proved for the flow from the start, since the way there is not known to be stable: "
            f"{subject.way.reason}; {since}"
        )
    said = f"not proved to be frozen: {finding.reason}; {since}{_choices(subject)}"
    if prospect.standing != "proved":
        return said + prospect.left
    switches = f"{len(prospect.events)} more switches"
    end = "" if prospect.last_change is None else f", the last at {time_text(prospect.last_change)}"
    proof = f"proved to stay from the computed state at {time_text(prospect.log1p_time)} on"
    return f"{said}; followed ahead: {switches}{end}, then {proof}"


def _choices(subject: Subject) -> str:
    """What is to say of decisions at kinks, where nothing else says it."""
    return "" if subject.notes is None else subject.notes.sentence()


def _without_theory(subject: Subject, changed: float | None) -> tuple[Literal["proved", "observed", "no"], str, str]:
    """Verdict, summary and reason where margins are not linear in the parameters of a mode."""
    network = subject.problem.network
    if network.directions is not None:
        invariant = "a_j^2 = b_j^2 is conserved, so that no weight ever changes its sign"
        return "proved", f"the pattern is proved to stay as it is from the start: {invariant}", ""
    if not network.kinked:
        return "no", "the activation is smooth: there is no pattern that could freeze", "no kinks"
    reason = "no certificate is known where the outer layer is trained too, or for several outputs"
    said = reason + _choices(subject)
    if _quiet(subject, changed):
        since = "ever" if changed is None else f"since {time_text(changed)}"
        return "observed", f"the pattern has not changed {since}; {said}", reason
    assert changed is not None
    return "no", f"the pattern changed as late as {time_text(changed)} of {time_text(subject.last.v)}; {said}", reason


def _from_start(verdict: str) -> float | None:
    return 0.0 if verdict == "proved" else None
