"""The flow integrated again: with tighter tolerances, another method and another engine, to rows of the run.

Tighter tolerances follow the whole run.  The other method and the other engine, which may be explicit and have the
parameters themselves for state, are cross-checks of kinks and fields and have to go a part of the way only: to the last
row with log t <= `SHORT_LOG_TIME` and at most `SHORT_EVENTS` events (the first row if that has more of them already).
The other engine then goes on, to the last row where that is cheap: as long as it takes no more than `FURTHER_STEPS`
steps more, or fewer for large networks (`FURTHER_WORK`), and its budget of events lasts.

Every integration has a budget in steps, those of the run to the same row times `STEP_FACTOR`, and the short ones one
in events: work, not seconds, so that what comes out does not depend on the machine.  One that ends by its budget is
judged as far as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Measure, Tolerances
from gflow.flow.budget import Account, Budget
from gflow.flow.choice import Choice
from gflow.flow.dual import dual_engine
from gflow.flow.engine import Engine
from gflow.flow.items import Advance, Item
from gflow.flow.simulate import flow_items
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow, FlowState, Outcome
from gflow.flow.stopping import Until
from gflow.flow_time import log1p_of_log_time
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification import error_scales
from gflow.verification.dual_masses import without_masses
from gflow.verification.integrals import Integrals
from gflow.verification.overshoot import SampledExtremes
from gflow.verification.quadrature import Quadrature
from gflow.verification.timing import Timing

MOST_ROWS = 10
SHORT_EVENTS, SHORT_LOG_TIME = 60, 6.0
TIGHTER = (10.0, 100.0)
TIGHTEST = 1e-13

# Steps of a method of order p grow like the tolerance to the power -1 / p: 10 times for the lowest order there is, 2,
# and a tolerance 100 times tighter.  Twice that is granted, and what a start costs whatever the run.
STEP_FACTOR, STEPS_TO_START = 20, 200
# A short integration should meet `SHORT_EVENTS` at most; one that sees other events may go on some way.
MOST_EVENTS = 2 * SHORT_EVENTS
# A step costs some 50 products of m r n numbers: ten seconds, whatever the size.
FURTHER_STEPS, FURTHER_WORK = 1000, 1e9


@dataclass(frozen=True, slots=True)
class Manner:
    """How the flow of the file was, or is to be, integrated: engine `dual` or `primal`, a method or `auto`."""

    engine: str
    method: str
    tolerances: Tolerances

    @classmethod
    def of(cls, recorded: RecordedRun) -> Manner:
        """As the file says."""
        facts = recorded.trajectory.facts
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


@dataclass(frozen=True, slots=True)
class Reached:
    """The flow at one of the rows, events and accepted steps so far, and how far theta and p are from those of the run,
    over what an error of rtol is relative to (`error_scales`): |theta|, and max(1, |p|), or more in primal coordinates.

    measure: what the engine says of its motion there; sums: of the identities, where they were integrated.  clock: the
    v at which the flow had this tau, which is not that of the row where the clock leapt at the start, and at rest.
    extremes: the running ones, by the names of `layout.EXTREMES`.
    """

    row: int
    state: FlowState
    events: int
    steps: int
    weight_gap: float
    margin_gap: float
    measure: Measure
    sums: Integrals | None
    clock: float
    resting: bool
    extremes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Again:
    """What an integration came to: rows, events, and how it ended if that was before its last row.

    leverages: of each event, if it was timed (`timing`).  met: what the extremes were chosen from
    (`overshoot.SampledExtremes`)."""

    rung: Rung
    reached: tuple[Reached, ...]
    events: tuple[Event, ...]
    stopped: Finish | None
    leverages: tuple[float, ...] = ()
    met: Mapping[str, Array] = field(default_factory=dict)

    @property
    def last_event(self) -> float | None:
        """log(1 + t) of it; None without events."""
        return self.events[-1].v if self.events else None

    @property
    def spent(self) -> bool:
        """Did its budget end it?"""
        return self.stopped is not None and self.stopped.outcome is Outcome.BUDGET


@dataclass(frozen=True, slots=True)
class LadderProgress:
    """Which integration is on its way, and how many of its rows are reached."""

    name: str
    done: int
    total: int


Callback = Callable[[LadderProgress], None]


def rungs(recorded: RecordedRun) -> tuple[list[Rung], list[tuple[str, str]]]:
    """The integrations to be done, and (name, why) of those that say nothing about this run."""
    own, whole = Manner.of(recorded), _spread(_last_row(recorded))
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
        found.append(Rung(name, manner, whole, True, _budget(recorded, whole), taped=not found, timed=bool(found)))
    short = _spread(_short_row(recorded))
    for name, changed in (("other method", _other_method(own)), ("other engine", _other_engine(recorded, own))):
        if changed is None:
            left.append((name, "only the primal engine follows this network"))
        elif not short:
            left.append((name, f"the run has no row until log t = {SHORT_LOG_TIME:g}"))
        else:
            told = f"{name}: {getattr(changed, name.removeprefix('other '))}"
            further = tuple(row for row in whole if row > short[-1]) if name == "other engine" else ()
            budget = _budget(recorded, short, MOST_EVENTS)
            found.append(Rung(told, changed, short, False, budget, further=further))
    return found, left


def _cheap(recorded: RecordedRun) -> int:
    """Steps that an integration may take beyond the rows that it has to reach."""
    network, n = recorded.problem.network, recorded.problem.samples
    return int(min(FURTHER_STEPS, FURTHER_WORK / (network.width * recorded.problem.coordinates().shape[-1] * n)))


def _budget(recorded: RecordedRun, rows: Sequence[int], events: int | None = None) -> Budget:
    """In steps and events, for an integration to these rows."""
    steps = int(recorded.trajectory.series["steps"][rows[-1]])
    return Budget(steps=STEPS_TO_START + STEP_FACTOR * steps, events=events)


def _other_method(own: Manner) -> Manner:
    """dopri8 of torchdiffeq, since `auto` is DOP853 and Radau; DOP853 where the run had one of torchdiffeq's."""
    return replace(own, method="dopri8" if own.method in ("auto", "DOP853", "RK45", "Radau") else "DOP853")


def _other_engine(recorded: RecordedRun, own: Manner) -> Manner | None:
    network = recorded.problem.network
    if own.engine == "dual":
        return replace(own, engine="primal")
    applies = network.outputs == 1 and not network.trains_outer and network.smoothing is None
    return replace(own, engine="dual", method="auto") if applies and network.directions is None else None


def _last_row(recorded: RecordedRun) -> int:
    """The last row, or the one before it if a limit ended the run there: that instant is not the flow's alone."""
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


def again(recorded: RecordedRun, rung: Rung, progress: Callback) -> Again:
    """Integrate to the rows of the rung, and further while that is cheap; progress may raise to stop it."""
    rows = rung.rows + rung.further
    v, found = recorded.log1p_time[list(rows)], _Reader(recorded, rung)
    until, account = Until(float(v[-1]), Outcome.TIME, None), Account(rung.budget)
    engine, choice = engine_of(recorded, rung.manner), Choice(rung.manner.method)
    progress(LadderProgress(rung.name, 0, len(rows)))
    for said in flow_items(engine, until, iter(v[:-1]), choice, account=account):
        found.take(said)
        if found.enough:
            break
        progress(LadderProgress(rung.name, len(found.reached), len(rows)))
    return found.again


class _Reader:
    """What a rung wants to know of the flow, gathered from what it hands over."""

    def __init__(self, recorded: RecordedRun, rung: Rung) -> None:
        self._recorded, self._rung, self._rows = recorded, rung, rung.rows + rung.further
        self._v = recorded.log1p_time[list(self._rows)]
        self._tape = Quadrature(recorded.problem, not without_masses(recorded.problem)) if rung.taped else None
        self._timing = Timing(recorded.outside_norms) if rung.timed else None
        self._extremes = SampledExtremes(recorded.problem)
        self._primal = recorded.primal or rung.manner.engine == "primal"
        self._events, self._most = list[Event](), np.inf
        self._stopped: Finish | None = None
        self._measure: Measure
        self.reached, self.enough = list[Reached](), False

    @property
    def again(self) -> Again:
        """What the integration came to."""
        leverages = () if self._timing is None else tuple(self._timing.leverages)
        return Again(
            self._rung, tuple(self.reached), tuple(self._events), self._stopped, leverages, self._extremes.met()
        )

    def take(self, said: Item) -> None:
        """The next item of the flow; `enough` tells whether more of it is wanted."""
        match said:
            case Advance():
                for reader in (self._tape, self._timing):
                    if reader is not None:
                        reader.advance(said)
            case Event():
                self._events.append(said)
                if self._timing is not None:
                    self._timing.event(said)
            case Measure():
                self._measure = said  # the flow is measured before each row
                self._extremes.update(said)
            case FlowRow():
                self._row(said)
            case FlowProgress():
                self.enough = said.steps > self._most
            case Finish():
                self._stopped = said if len(self.reached) < len(self._rung.rows) else None

    def _row(self, said: FlowRow) -> None:
        if said.state.v == 0.0 and self._tape is not None:
            self._tape.leap(said.checkpoint.state)
        if len(self.reached) == self._v.size or said.state.v != self._v[len(self.reached)]:
            return
        row, sums = self._rows[len(self.reached)], None if self._tape is None else self._tape.read()
        gaps, clock = _gaps(self._recorded, row, said.state, self._primal), (said.clock, said.checkpoint.resting)
        at = (len(self._events), said.steps, *gaps, self._measure, sums, *clock, self._extremes.values())
        self.reached.append(Reached(row, said.state, *at))
        self._extremes.at_a_row()
        if len(self.reached) == len(self._rung.rows):
            self._most = said.steps + _cheap(self._recorded)


def engine_of(recorded: RecordedRun, manner: Manner) -> Engine:
    """From the start in the file."""
    trajectory = recorded.trajectory
    inner = trajectory.W_initial if trajectory.directions is None else trajectory.read("inner", 0)
    if manner.engine == "dual":
        return dual_engine(recorded.problem, inner, manner.tolerances)
    from gflow.flow.primal import primal_engine, use_one_thread  # loads torch

    use_one_thread()
    return primal_engine(recorded.problem, inner, manner.tolerances)


def _gaps(recorded: RecordedRun, row: int, state: FlowState, primal: bool) -> tuple[float, float]:
    """Of weights and of margins, as in `Reached`; primal: is that engine one of the two?"""
    at = recorded.row(row)
    parts = [(at.U, state.parameters.U)]
    if recorded.problem.network.trains_outer:
        parts.append((at.outer, state.parameters.outer))
    if at.bias is not None and state.parameters.output_bias is not None:
        parts.append((at.bias, state.parameters.output_bias))
    size, gap = error_scales.of_weights(recorded, at, primal), _norm([stored - found for stored, found in parts])
    margins = float((np.abs(at.p - state.p) / error_scales.of_margins(recorded, at, primal)).max())
    return gap / size if size > 0.0 else gap, margins


def _norm(parts: Sequence[Array]) -> float:
    return float(np.hypot.reduce([np.linalg.norm(part) for part in parts]))


def all_again(recorded: RecordedRun, chosen: Sequence[Rung], progress: Callback) -> Iterator[Again]:
    """One integration after the other."""
    return (again(recorded, rung, progress) for rung in chosen)
