"""How a run ends: its outcome, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gflow.flow.cut import Cut
from gflow.flow.state import Event, FlowState, Outcome
from gflow.flow.stopping import log_time

# Margins that float64 resolves only to this leave the dual variables, and so the flow, undetermined.
UNRESOLVED = 1e-3
# Guards in a row that fire without progress of tau, or change no side, with no whole step in between, after which a run
# ends with an explanation.
MOST_STALLED = 1000


def outcome_of(cut: Cut, rounding: float, stalled: int) -> Outcome | None:
    """How the run ends at this cut, None where it goes on.

    rounding: of the margins; stalled: guards in a row without progress.
    """
    if rounding > UNRESOLVED:
        return Outcome.PRECISION
    if cut.failure:
        return Outcome.STEP_UNDERFLOW
    if stalled > MOST_STALLED:
        return Outcome.EVENTS_ACCUMULATE
    if cut.certified:
        return Outcome.CERTIFIED
    reached = next((target.end for target in cut.reached if target.end), None)
    return reached or (Outcome.BUDGET if cut.spent else None)


def sentence(outcome: Outcome, cut: Cut, state: FlowState, events: Sequence[Event], rounding: float) -> str:
    """How the run ended at this state, with the remedy where there is one.  rounding: of the margins."""
    reached = when(state)
    match outcome:
        case Outcome.TIME:
            return f"reached t = {np.expm1(state.v):.6g}" if state.v < 700.0 else f"reached {reached}"
        case Outcome.LOG_TIME:
            return f"reached {reached}"
        case Outcome.LOG_LOSS:
            return f"reached log loss = {state.log_loss:.6g} at {reached}"
        case Outcome.CERTIFIED:
            return f"the activation pattern is proved to stay as it is for ever from {reached} on"
        case Outcome.STEP_UNDERFLOW:
            remedy = "explicit methods bound the reach: try flow.method=Radau or a larger flow.rtol"
            return f"stopped at {reached}: {cut.failure}; {remedy}"
        case Outcome.PRECISION:
            return unresolved(state, rounding)
        case Outcome.BUDGET:
            return f"stopped at {reached}: {cut.spent}"
        case Outcome.STATIONARY:
            return f"stationary at {reached}"
        case Outcome.EVENTS_ACCUMULATE:
            hover = "it hovers there within the error of the integrator: try a smaller flow.rtol or flow.method=DOP853"
            return (
                f"stopped at {reached}: {MOST_STALLED} kinks in a row were reached without progress of time or without "
                f"a change of sides{_last_at(cut, events)}; {hover}"
            )


def _last_at(cut: Cut, events: Sequence[Event]) -> str:
    """Which pairs changed last or, where none did, which are at a kink or the end of a slide; empty where none is."""
    pairs = [(e.neuron, e.surface) for e in events] or cut.firing()
    where = [f"neuron {neuron} surface {surface}" for neuron, surface in pairs[:3]]
    return f", the last at {', '.join(where)}" if where else ""


def unresolved(state: FlowState, rounding: float) -> str:
    """The sentence of a run whose margins float64 does not resolve."""
    return (
        f"stopped at {when(state)}: margins are sums of up to {rounding / np.finfo(float).eps:.3g}, which float64 "
        f"resolves to {rounding:.1g} only; scale the outer layer, the inputs or the start down"
    )


def when(state: FlowState) -> str:
    """The time of a state, as log t."""
    log_t = log_time(state.v)
    return "t = 0" if log_t is None else f"log t = {log_t:.6g}"
