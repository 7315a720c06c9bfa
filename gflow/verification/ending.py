"""The check of the end that a run reports, against its last row and the ends that its scenario asked for."""

from __future__ import annotations

from gflow.assembly import build_until
from gflow.flow.certified import foreseen
from gflow.flow.ending import opening
from gflow.flow.state import Outcome
from gflow.flow.stopping import Until
from gflow.scenario import Scenario
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import RUN, Check, bounded, not_applicable

GROUP, OUTCOME, SENTENCE = "ending", "outcome", "sentence"

# An end on the clock is shown as it was asked for; one on the loss is a root, found to rounding along the engine's own
# loss, from which that of the stored margins differs by what steps of rtol leave.
ROUNDING = 1e-13


def ending(recorded: RecordedRun, scenario: Scenario) -> list[Check]:
    """Does the outcome fit the last row, and the sentence the outcome?  Not applicable to a run without an outcome."""
    stored = recorded.trajectory.outcome
    if stored is None:
        why = "the run has not ended"
        return [not_applicable(GROUP, name, why) for name in (OUTCOME, SENTENCE)]
    if stored not in {outcome.value for outcome in Outcome}:
        why = f"there is no outcome {stored!r}"
        return [Check(GROUP, name, "fail", None, None, why) for name in (OUTCOME, SENTENCE)]
    outcome = Outcome(stored)
    return [_outcome(recorded, scenario, outcome), _sentence(recorded, outcome)]


def _outcome(recorded: RecordedRun, scenario: Scenario, outcome: Outcome) -> Check:
    """Is the last row where a run with this outcome ends, and not behind an end that was to come first?"""
    until = build_until(scenario)
    if not _asked(scenario, until, outcome):
        return Check(GROUP, OUTCOME, "fail", None, None, f"the scenario asks for no end that gives {outcome.value!r}")
    if outcome is Outcome.CERTIFIED and not _proved(recorded):
        return Check(GROUP, OUTCOME, "fail", None, None, "the pattern of the last row is not proved to stay")
    clock, loss = _beyond(recorded, until)
    clock = abs(clock) if outcome in (Outcome.TIME, Outcome.LOG_TIME) else clock
    loss = abs(loss) if outcome is Outcome.LOG_LOSS else loss
    sentence = f"outcome {outcome.value}: the last row off, or behind, the end on the"
    on_clock = bounded(GROUP, OUTCOME, max(clock, 0.0), ROUNDING, f"{sentence} clock, in log(1 + t), relative")
    on_loss = bounded(GROUP, OUTCOME, max(loss, 0.0), RUN * recorded.rtol, f"{sentence} loss, in log L, relative")
    asked, other = (on_loss, on_clock) if outcome is Outcome.LOG_LOSS else (on_clock, on_loss)
    return other if other.verdict == "fail" else asked


def _asked(scenario: Scenario, until: Until, outcome: Outcome) -> bool:
    """Can a run of this scenario end so?  A limit may stop any, a budget only one that has one."""
    match outcome:
        case Outcome.TIME | Outcome.LOG_TIME:
            return until.v_end is not None and until.outcome is outcome
        case Outcome.LOG_LOSS:
            return until.log_loss is not None
        case Outcome.CERTIFIED:
            return until.certified
        case Outcome.BUDGET:
            return scenario.flow.budget is not None
        case _:
            return True


def _beyond(recorded: RecordedRun, until: Until) -> tuple[float, float]:
    """By how much, relatively, the last row exceeds the ends on the clock and on the loss; -inf where there is none."""
    v, log_loss = float(recorded.log1p_time[-1]), float(recorded.log_loss[-1])
    clock = float("-inf") if until.v_end is None else (v - until.v_end) / (1.0 + until.v_end)
    loss = float("-inf") if until.log_loss is None else (until.log_loss - log_loss) / (1.0 + abs(until.log_loss))
    return clock, loss


def _proved(recorded: RecordedRun) -> bool:
    """Has the last row a pattern that is proved to stay?"""
    at = recorded.row(recorded.trajectory.n_rows - 1)
    finding, _ = foreseen(recorded.problem, at.side(recorded.problem), at.U)
    return finding.proved


def _sentence(recorded: RecordedRun, outcome: Outcome) -> Check:
    """Does the stored sentence begin as gflow begins it for this outcome at the last row?"""
    expected = opening(outcome, float(recorded.log1p_time[-1]), float(recorded.log_loss[-1]))
    stored = recorded.trajectory.outcome_sentence or ""
    fits = stored.startswith(expected) and stored[len(expected) :][:1] in ("", ";", ":")
    sentence = f"for this outcome and the last row it has to begin with {expected!r}"
    return bounded(GROUP, SENTENCE, float(not fits), 0.0, sentence if fits else f"it is {stored!r}: {sentence}")
