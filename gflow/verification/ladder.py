"""The flow integrated again: with tighter tolerances, another method and another engine, to rows of the run.

Tighter tolerances follow the whole run.  The other method and the other engine, which may be explicit and have the
parameters themselves for state, are cross-checks of kinks and fields and stop early: at the last row with log t <=
`SHORT_LOG_TIME` and at most `SHORT_EVENTS` events (at the first row if that has more of them already).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gflow.field.branch import Tolerances
from gflow.flow.choice import Choice
from gflow.flow.dual import dual_engine
from gflow.flow.engine import Engine
from gflow.flow.simulate import simulate
from gflow.flow.state import Event, Finish, FlowState, Outcome, Row
from gflow.flow.stopping import Until, log1p_of_log_time
from gflow.verification.material import Material

Array = NDArray[np.float64]

MOST_ROWS = 10
SHORT_EVENTS, SHORT_LOG_TIME = 60, 6.0
TIGHTER = (10.0, 100.0)
TIGHTEST = 1e-13


@dataclass(frozen=True, slots=True)
class Manner:
    """How the flow of the file was, or is to be, integrated: engine `dual` or `primal`, a method or `auto`."""

    engine: str
    method: str
    tolerances: Tolerances

    @classmethod
    def of(cls, material: Material) -> Manner:
        """As the file says."""
        facts = material.trajectory.facts
        tolerances = Tolerances(float(facts["rtol"]), float(facts["atol"]))
        return cls(str(facts["engine"]), str(facts["method"]), tolerances)

    def tighter(self, factor: float) -> Manner | None:
        """Tolerances so much smaller, not below `TIGHTEST`; None where they would stay as they are."""
        rtol, atol = (max(value / factor, TIGHTEST) for value in (self.tolerances.rtol, self.tolerances.atol))
        rtol, atol = min(rtol, self.tolerances.rtol), min(atol, self.tolerances.atol)
        tolerances = Tolerances(rtol, atol)
        return None if rtol == self.tolerances.rtol else replace(self, tolerances=tolerances)


@dataclass(frozen=True, slots=True)
class Rung:
    """One integration: its name, how it is done, the rows it goes to (increasing), and whether that is all the way."""

    name: str
    manner: Manner
    rows: tuple[int, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Reached:
    """The flow at one of the rows, events so far, and |theta' - theta| / |theta|, max |p' - p| / max(1, |p|)."""

    row: int
    state: FlowState
    events: int
    weight_gap: float
    margin_gap: float


@dataclass(frozen=True, slots=True)
class Again:
    """What an integration came to; stopped: why it ended before its last row, else empty; last_event: its v."""

    rung: Rung
    reached: tuple[Reached, ...]
    last_event: float | None
    stopped: str


@dataclass(frozen=True, slots=True)
class LadderProgress:
    """Which integration is on its way, and how many of its rows are reached."""

    name: str
    done: int
    total: int


Callback = Callable[[LadderProgress], None]


def rungs(material: Material) -> tuple[list[Rung], list[tuple[str, str]]]:
    """The integrations to be done, and (name, why) of those that say nothing about this run."""
    own, whole = Manner.of(material), _spread(_last_row(material))
    found, left = list[Rung](), list[tuple[str, str]]()
    if not whole:
        return [], [("tolerance", "the run has no row after the start that it was not stopped at")]
    previous = own.tolerances.rtol
    for factor in TIGHTER:
        manner, name = own.tighter(factor), f"rtol / {factor:g}"
        if manner is None or manner.tolerances.rtol == previous:
            left.append((name, f"tolerances cannot be tightened below {TIGHTEST:g}"))
            continue
        previous = manner.tolerances.rtol
        found.append(Rung(name, manner, whole, True))
    short = _spread(_short_row(material))
    for name, changed in (("other method", _other_method(own)), ("other engine", _other_engine(material, own))):
        if changed is None:
            left.append((name, "only the primal engine follows this network"))
        elif not short:
            left.append((name, f"the run has no row until log t = {SHORT_LOG_TIME:g}"))
        else:
            found.append(Rung(f"{name}: {getattr(changed, name.removeprefix('other '))}", changed, short, False))
    return found, left


def _other_method(own: Manner) -> Manner:
    """dopri8 of torchdiffeq, since `auto` is DOP853 and Radau; DOP853 where the run had one of torchdiffeq's."""
    return replace(own, method="dopri8" if own.method in ("auto", "DOP853", "RK45", "Radau") else "DOP853")


def _other_engine(material: Material, own: Manner) -> Manner | None:
    network = material.problem.network
    if own.engine == "dual":
        return replace(own, engine="primal")
    applies = network.outputs == 1 and not network.trains_outer and network.smoothing is None
    return replace(own, engine="dual", method="auto") if applies and network.directions is None else None


def _last_row(material: Material) -> int:
    """The last row, or the one before it if a limit ended the run there: that instant is not the flow's alone."""
    outcome = material.trajectory.outcome
    limited = outcome is not None and Outcome(outcome).is_limit
    return material.trajectory.n_rows - (2 if limited else 1)


def _short_row(material: Material) -> int:
    """The last row for the short integrations; 0 if there is none."""
    last, v = _last_row(material), material.v
    early = v <= log1p_of_log_time(SHORT_LOG_TIME)
    few = early & (material.event_counts <= SHORT_EVENTS)
    row = int(np.flatnonzero(few)[-1]) if few.any() else 0
    return min(max(row, 1 if early[1:2].any() else 0), last)


def _spread(last: int) -> tuple[int, ...]:
    """At most `MOST_ROWS` rows from 1 to the last one; none if that is the start."""
    if last < 1:
        return ()
    return tuple(int(row) for row in np.unique(np.linspace(1, last, min(last, MOST_ROWS)).round()))


def again(material: Material, rung: Rung, progress: Callback) -> Again:
    """Integrate to the rows of the rung; progress may raise to stop it."""
    manner = rung.manner
    engine = _engine(material, manner)
    v = material.v[list(rung.rows)]
    reached, count, last_event, stopped = list[Reached](), 0, None, ""
    progress(LadderProgress(rung.name, 0, len(rung.rows)))
    for said in simulate(engine, Until(float(v[-1]), Outcome.TIME, None), iter(v[:-1]), Choice(manner.method)):
        if isinstance(said, Event):
            count, last_event = count + 1, said.v
        elif isinstance(said, Row) and len(reached) < v.size and said.state.v == v[len(reached)]:
            reached.append(_compared(material, rung.rows[len(reached)], said.state, count))
        elif isinstance(said, Finish) and len(reached) < v.size:
            stopped = said.sentence
        progress(LadderProgress(rung.name, len(reached), len(rung.rows)))
    return Again(rung, tuple(reached), last_event, stopped)


def _engine(material: Material, manner: Manner) -> Engine:
    """From the start in the file."""
    trajectory = material.trajectory
    inner = trajectory.W_initial if trajectory.directions is None else trajectory.read("inner", 0)
    if manner.engine == "dual":
        return dual_engine(material.problem, inner, manner.tolerances)
    from gflow.flow.primal import primal_engine, use_one_thread  # loads torch

    use_one_thread()
    return primal_engine(material.problem, inner, manner.tolerances)


def _compared(material: Material, row: int, state: FlowState, events: int) -> Reached:
    at = material.snapshot(row)
    parts = [(at.U, state.parameters.U)]
    if material.problem.network.trains_outer:
        parts.append((at.outer, state.parameters.outer))
    if at.bias is not None and state.parameters.output_bias is not None:
        parts.append((at.bias, state.parameters.output_bias))
    size = _norm([material.outside_norms, *(stored for stored, _ in parts)])
    gap = _norm([stored - found for stored, found in parts])
    margins = float(np.abs(at.p - state.p).max()) / max(1.0, float(np.abs(at.p).max()))
    return Reached(row, state, events, gap / size if size > 0.0 else gap, margins)


def _norm(parts: Sequence[Array]) -> float:
    return float(np.hypot.reduce([np.linalg.norm(part) for part in parts]))


def all_again(material: Material, chosen: Sequence[Rung], progress: Callback) -> Iterator[Again]:
    """One integration after the other."""
    return (again(material, rung, progress) for rung in chosen)
