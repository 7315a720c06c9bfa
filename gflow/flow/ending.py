"""The end of a run: its outcome, and the sentence that explains it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gflow.arrays import EPS
from gflow.flow.reason import (
    AtRest,
    BudgetSpent,
    EndReached,
    GuardReached,
    Proved,
    Reason,
    Restart,
    StepFailed,
    TurnedStiff,
)
from gflow.flow.state import FlowState, Outcome
from gflow.flow_time import time_text
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms

# With a rounding of margins above this, the dual variables, and so the flow, are not determined.
UNRESOLVED = 1e-3
# A run ends with an explanation after this many guards in a row that fire without progress of tau, or change no side,
# with no whole step in between.
MOST_STALLED = 1000
# Where a run is slow, samples at least this many times as long as the median one are named.
LONG = 100.0
SLOW = (Outcome.BUDGET, Outcome.EVENTS_ACCUMULATE, Outcome.STEP_UNDERFLOW)
# What a certificate found on the way proves, and what it does not.
FROM_STATE = "this proves the flow from the computed state there; whether the way to it is stable, gflow analyze says"


def outcome_of(reason: Reason, rounding: float, stalled: int) -> Outcome | None:
    """The outcome of the run where a stretch ends; None where the run continues.

    rounding: that of the margins; stalled: guards in a row without progress.
    """
    if rounding > UNRESOLVED:
        return Outcome.PRECISION
    match reason:
        case StepFailed():
            return Outcome.STEP_UNDERFLOW
        case GuardReached() if stalled > MOST_STALLED:
            return Outcome.EVENTS_ACCUMULATE
        case Proved():
            return Outcome.CERTIFIED
        case EndReached(outcome):
            return outcome
        case BudgetSpent():
            return Outcome.BUDGET
        case GuardReached() | AtRest() | Restart() | TurnedStiff():
            return None


def sentence(
    outcome: Outcome, reason: Reason, state: FlowState, rounding: float, last: Sequence[tuple[int, int]]
) -> str:
    """A sentence on how the run ended at this state, with the remedy where there is one.

    rounding: that of the margins; last: the pairs (neuron, surface) that changed there or, where none did, those with a
    guard at zero.
    """
    if outcome is Outcome.PRECISION:
        return precision_sentence(state, rounding)
    text = opening(outcome, state.v, state.log_loss)
    match reason:
        case StepFailed(why):
            return f"{text}: {why}; explicit methods bound the reach: try flow.method=Radau or a larger flow.rtol"
        case BudgetSpent(which):
            return f"{text}: {which}"
        case Proved():
            return f"{text}; {FROM_STATE}"
        case GuardReached():
            hover = "it hovers there within the error of the integrator: try a smaller flow.rtol or flow.method=DOP853"
            return (
                f"{text}: {MOST_STALLED} kinks in a row were reached without progress of time or without "
                f"a change of sides{_last_at(last)}; {hover}"
            )
        case _:
            return text


def opening(outcome: Outcome, v: float, log_loss: float) -> str:
    """The beginning of the sentence, or all of it: what outcome and last state tell, at log(1 + t) = v."""
    match outcome:
        case Outcome.TIME if v < 700.0:
            return f"reached t = {np.expm1(v):.6g}"
        case Outcome.TIME | Outcome.LOG_TIME:
            return f"reached {at_time(v)}"
        case Outcome.LOG_LOSS:
            return f"reached log loss = {log_loss:.6g} at {at_time(v)}"
        case Outcome.CERTIFIED:
            return f"the activation pattern is proved to stay as it is for ever from {at_time(v)} on"
        case Outcome.STATIONARY:
            return f"stationary at {at_time(v)}"
        case _:
            return f"stopped at {at_time(v)}"


def long_samples(problem: Problem) -> str:
    """A remark on samples far longer than the others, where a run stopped short; empty where there are none.

    The margin of a sample that is k times as long relaxes k^2 times as fast.  Every kink disturbs it, and with it all
    that depends on its dual variable, so that the steps after a kink must resolve that relaxation.
    """
    lengths = row_norms(problem.X)
    usual = float(np.median(lengths))
    longest, count = int(np.argmax(lengths)), int((lengths > LONG * usual).sum())
    if not count:
        return ""
    more = f" (and {count - 1} more over {LONG:g} times)" if count > 1 else ""
    return (
        f"; sample {longest} has norm {lengths[longest]:.3g}, {lengths[longest] / usual:.3g} times the median{more}: "
        "its margin moves that much squared faster than the others, and after every kink the steps have to follow it; "
        "normalise the inputs"
    )


def _last_at(pairs: Sequence[tuple[int, int]]) -> str:
    """The first of these pairs, in words; empty where there is none."""
    where = [f"neuron {neuron} surface {surface}" for neuron, surface in pairs[:3]]
    return f", the last at {', '.join(where)}" if where else ""


def precision_sentence(state: FlowState, rounding: float) -> str:
    """The sentence of a run whose margins float64 does not resolve."""
    return (
        f"stopped at {when(state)}: margins are sums of up to {rounding / EPS:.3g}, which float64 "
        f"resolves to {rounding:.1g} only; scale the outer layer, the inputs or the start down"
    )


def when(state: FlowState) -> str:
    """The time of a state, as log t."""
    return at_time(state.v)


def at_time(v: float) -> str:
    """The time log(1 + t) = v, as log t."""
    return time_text(v, digits=6)
