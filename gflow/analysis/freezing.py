"""The analyzer of the activation pattern: whether it is frozen for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.continuation import Continuation
from gflow.flow_time import time_text
from gflow.trajectory import Record

# A pattern that has not changed since this share of the run, in log(1 + t), counts as observed to be frozen.
QUIET = 0.5


@dataclass(frozen=True, slots=True)
class FreezingResult:
    """verdict: `proved` (the mode of the last row stays for ever, in the flow from the start), `proved_from_state` (in
    the flow from the computed state of the last row; whether the flow from the start comes to it is not known, since
    the path there is not known to be stable, see `path_stability`), `pending` (it cannot stay), `observed` (nothing is
    pending, and the certificate is not closed), `no` (no certificate could close, and the last change is too recent to
    say that the pattern looks frozen; or there is no pattern that could freeze).

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


def freezing(run: AnalyzedRun) -> FreezingResult:
    """Judge the mode of the last row (MATHEMATICS 7; `gflow.limit.certificate` has the proof)."""
    changed = last_change(run.trajectory)
    sliding = int((run.trajectory.read("pattern", -1) == 0).sum())
    notes = (None, None) if run.notes is None else (run.notes.unsettled, run.notes.conservative)
    continuation = run.continuation
    if continuation is None:
        verdict, summary, reason = _without_theory(run, changed)
        return FreezingResult(
            verdict, summary, changed, sliding, 0, (), 0, reason, None, None, None, None, _from_start(verdict), *notes
        )
    finding = continuation.finding
    first = run.problem.surfaces.first_sample
    proved = continuation.log1p_time if continuation.standing == "proved" else None
    return FreezingResult(
        verdict=_verdict(run, continuation, changed),
        summary=_summary(continuation, changed, run),
        log1p_time=changed,
        sliding=sliding,
        pending=len(finding.pending),
        pending_pairs=tuple((int(j), int(first[h])) for j, h in finding.pending),
        undecided=finding.undecided,
        reason=run.path_stability.reason if finding.proved else finding.reason,
        divergence=finding.divergence,
        slack=finding.tightest,
        ahead=None if finding.proved else len(continuation.events),
        ahead_log1p_time=continuation.last_change,
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


def _quiet(run: AnalyzedRun, changed: float | None) -> bool:
    return changed is None or changed <= QUIET * run.last.v


def _verdict(run: AnalyzedRun, continuation: Continuation, changed: float | None) -> Verdict:
    finding = continuation.finding
    if finding.proved:
        return "proved" if run.path_stability.stable else "proved_from_state"
    if len(finding.pending):
        return "pending"
    return "observed" if finding.hard is not None or _quiet(run, changed) else "no"


def _summary(continuation: Continuation, changed: float | None, run: AnalyzedRun) -> str:
    finding = continuation.finding
    since = "it never changed" if changed is None else f"its last change was at {time_text(changed)}"
    here = time_text(run.last.v)
    if finding.proved:
        path = run.path_stability
        if path.stable:
            seen = f"; the way there is stable: {path.seen}" if path.seen else ""
            return f"the pattern is proved to stay as it is for ever from {here} on; {since}{seen}"
        return (
            f"proved for {path.whose} from the computed state at {here}: its pattern stays as it is for ever; "
            "not proved for the flow from the start, since the way there is not known to be stable: "
            f"{path.reason}; {since}"
        )
    sentence = f"not proved to be frozen: {finding.reason}; {since}{_choices(run)}"
    if continuation.standing != "proved":
        return sentence + continuation.left
    switches = f"{len(continuation.events)} more switches"
    end = "" if continuation.last_change is None else f", the last at {time_text(continuation.last_change)}"
    proof = f"proved to stay from the computed state at {time_text(continuation.log1p_time)} on"
    return f"{sentence}; followed ahead: {switches}{end}, then {proof}"


def _choices(run: AnalyzedRun) -> str:
    """A note on the decisions at kinks, unless another sentence mentions them."""
    return "" if run.notes is None else run.notes.sentence()


def _without_theory(run: AnalyzedRun, changed: float | None) -> tuple[Literal["proved", "observed", "no"], str, str]:
    """Verdict, summary and reason where margins are not linear in the parameters of a mode."""
    network = run.problem.network
    if network.directions is not None:
        invariant = "a_j^2 = b_j^2 is conserved, so that no weight ever changes its sign"
        return "proved", f"the pattern is proved to stay as it is from the start: {invariant}", ""
    if not network.kinked:
        return "no", "the activation is smooth: there is no pattern that could freeze", "no kinks"
    reason = "no certificate is known where the outer layer is trained too, or for several outputs"
    sentence = reason + _choices(run)
    if _quiet(run, changed):
        since = "ever" if changed is None else f"since {time_text(changed)}"
        return "observed", f"the pattern has not changed {since}; {sentence}", reason
    assert changed is not None
    return "no", f"the pattern changed as late as {time_text(changed)} of {time_text(run.last.v)}; {sentence}", reason


def _from_start(verdict: str) -> float | None:
    return 0.0 if verdict == "proved" else None
