"""The ladder of integrations that check a run: with tighter tolerances, another method and another engine, to rows of
the run.

Integrations with tighter tolerances follow the whole run.  Those with another method and another engine are
cross-checks of kinks and fields.  They may be explicit, with the parameters themselves as state, and slow; so they have
to go only to the last row with log t <= `SHORT_LOG_TIME` and at most `SHORT_EVENTS` events (the first row if that has
more already).  The other engine then goes on, as far as the last row if that is cheap (`reintegration`).

Every integration has a budget in steps: the steps of the run to the same row times `STEP_FACTOR`.  The short ones have
at most `SHORT_STEPS`, and a budget in events.  Work is counted, not seconds, so that the result does not depend on the
machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gflow.field.branch import Tolerances
from gflow.flow.budget import Budget
from gflow.flow.choice import SWITCHING, TAYLOR
from gflow.flow.dual import has_dual
from gflow.flow.state import Outcome
from gflow.flow.steps import Manner
from gflow.flow_time import log1p_of_log_time
from gflow.trajectory.recorded_run import RecordedRun

MOST_ROWS = 10
SHORT_EVENTS, SHORT_LOG_TIME = 60, 6.0
TIGHTER = (10.0, 100.0)
TIGHTEST = 1e-13

# Steps of a method of order p grow like the tolerance to the power -1 / p: 10 times for the lowest order there is, 2,
# and a tolerance 100 times tighter.  Twice that is allowed, and in addition the steps that every start needs.
STEP_FACTOR, STEPS_TO_START = 20, 200
# Explicit steps with another method cost ten times those of the run: no more of them, where samples of very different
# sizes hold them back.
SHORT_STEPS = 5000
# A short integration should meet at most `SHORT_EVENTS` events; it is allowed some more, as its events may differ.
MOST_EVENTS = 2 * SHORT_EVENTS


@dataclass(frozen=True, slots=True)
class Rung:
    """One integration: its name, how it is done, the rows it goes to (increasing), and whether that is all the way.

    budget: what it may cost; further: rows after these, to which it goes on while that is cheap; taped: are the
    identities integrated along it, and the extremes kept?  timed: is it noted how well the times of its events are
    determined?
    """

    name: str
    manner: Manner
    rows: tuple[int, ...]
    whole: bool
    budget: Budget = Budget()
    taped: bool = False
    timed: bool = False
    further: tuple[int, ...] = ()


def rungs(recorded: RecordedRun) -> tuple[list[Rung], list[tuple[str, str]]]:
    """The integrations to be done, and (name, why) of those that do not apply to this run."""
    own, whole = _manner(recorded), _spread(_last_row(recorded))
    found, left = list[Rung](), list[tuple[str, str]]()
    if not whole:
        return [], [("tolerance", "the run has no row after the start that it was not stopped at")]
    previous = own.tolerances.rtol
    for factor in TIGHTER:
        manner, name = tighter(own, factor), f"rtol / {factor:g}"
        if manner is None or manner.tolerances.rtol == previous:
            left.append((name, f"tolerances cannot be tightened below {TIGHTEST:g}"))
            continue
        previous = manner.tolerances.rtol
        found.append(Rung(name, manner, whole, True, _budget(recorded, whole), taped=not found, timed=bool(found)))
    short = _spread(_short_row(recorded))
    for name, changed in (("other method", _other_method(own)), ("other engine", _other_engine(recorded, own))):
        if changed is None:
            left.append((name, "only the primal engine follows this network"))
        elif not short:
            left.append((name, f"the run has no row until log t = {SHORT_LOG_TIME:g}"))
        else:
            title = f"{name}: {getattr(changed, name.removeprefix('other '))}"
            further = tuple(row for row in whole if row > short[-1]) if name == "other engine" else ()
            budget = _budget(recorded, short, MOST_EVENTS)
            found.append(Rung(title, changed, short, False, budget, further=further))
    return found, left


def _manner(recorded: RecordedRun) -> Manner:
    """The manner of the run; steppers follow one of the Taylor engine: they are another method, and cross no kink by
    its code.
    """
    own = recorded.manner
    return replace(own, method=SWITCHING) if own.method in ("auto", TAYLOR) else own


def tighter(manner: Manner, factor: float) -> Manner | None:
    """The manner with tolerances smaller by this factor, not below `TIGHTEST`; None where that changes nothing."""
    own = manner.tolerances
    rtol, atol = (min(max(value / factor, TIGHTEST), value) for value in (own.rtol, own.atol))
    return None if rtol == own.rtol else replace(manner, tolerances=Tolerances(rtol, atol))


def _budget(recorded: RecordedRun, rows: Sequence[int], events: int | None = None) -> Budget:
    """The budget in steps and events of an integration to these rows."""
    steps = STEPS_TO_START + STEP_FACTOR * int(recorded.trajectory.series["steps"][rows[-1]])
    return Budget(steps=steps if events is None else min(steps, SHORT_STEPS), events=events)


def _other_method(own: Manner) -> Manner:
    """dopri8 of torchdiffeq, where the run had one of scipy's; DOP853 where the run had one of torchdiffeq's."""
    return replace(own, method="dopri8" if own.method in (SWITCHING, "DOP853", "RK45", "Radau") else "DOP853")


def _other_engine(recorded: RecordedRun, own: Manner) -> Manner | None:
    network = recorded.problem.network
    if own.engine == "dual":
        return replace(own, engine="primal")
    return replace(own, engine="dual", method="auto") if has_dual(network) else None


def _last_row(recorded: RecordedRun) -> int:
    """The last row, or the one before it if a limit ended the run: the limit, not the flow, determines that instant."""
    outcome = recorded.trajectory.outcome
    limited = outcome in {each.value for each in Outcome if each.is_limit}
    return recorded.trajectory.n_rows - (2 if limited else 1)


def _short_row(recorded: RecordedRun) -> int:
    """The last row for the short integrations; 0 if there is none."""
    last, v = _last_row(recorded), recorded.log1p_time
    early = v <= log1p_of_log_time(SHORT_LOG_TIME)
    few = early & (recorded.event_counts <= SHORT_EVENTS)
    row = int(np.flatnonzero(few)[-1]) if few.any() else 0
    return min(max(row, 1 if early[1:2].any() else 0), last)


def _spread(last: int) -> tuple[int, ...]:
    """At most `MOST_ROWS` rows from 1 to the last one; none if that is the start."""
    if last < 1:
        return ()
    return tuple(int(row) for row in np.unique(np.linspace(1, last, min(last, MOST_ROWS)).round()))
