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
from gflow.flow.stopping import Until, log1p_of_log_time
from gflow.verification import kept
from gflow.verification.bends import Course
from gflow.verification.masses import without_masses
from gflow.verification.material import Material
from gflow.verification.sums import Sums
from gflow.verification.tape import Tape
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
    over what an error of rtol is relative to (`kept`): |theta|, and max(1, |p|), or more in primal coordinates.

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
    sums: Sums | None
    clock: float
    resting: bool
    extremes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Again:
    """What an integration came to: rows, events, and how it ended if that was before its last row.

    leverages: of each event, if it was timed (`timing`).  met: what the extremes were chosen from (`bends.Course`).
    """

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
        found.append(Rung(name, manner, whole, True, _budget(material, whole), taped=not found, timed=bool(found)))
    short = _spread(_short_row(material))
    for name, changed in (("other method", _other_method(own)), ("other engine", _other_engine(material, own))):
        if changed is None:
            left.append((name, "only the primal engine follows this network"))
        elif not short:
            left.append((name, f"the run has no row until log t = {SHORT_LOG_TIME:g}"))
        else:
            told = f"{name}: {getattr(changed, name.removeprefix('other '))}"
            further = tuple(row for row in whole if row > short[-1]) if name == "other engine" else ()
            budget = _budget(material, short, MOST_EVENTS)
            found.append(Rung(told, changed, short, False, budget, further=further))
    return found, left


def _cheap(material: Material) -> int:
    """Steps that an integration may take beyond the rows that it has to reach."""
    network, n = material.problem.network, material.problem.samples
    return int(min(FURTHER_STEPS, FURTHER_WORK / (network.width * material.problem.coordinates().shape[-1] * n)))


def _budget(material: Material, rows: Sequence[int], events: int | None = None) -> Budget:
    """In steps and events, for an integration to these rows."""
    steps = int(material.trajectory.series["steps"][rows[-1]])
    return Budget(steps=STEPS_TO_START + STEP_FACTOR * steps, events=events)


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
    limited = outcome in {each.value for each in Outcome if each.is_limit}
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
    """Integrate to the rows of the rung, and further while that is cheap; progress may raise to stop it."""
    rows = rung.rows + rung.further
    v, found = material.v[list(rows)], _Reader(material, rung)
    until, account = Until(float(v[-1]), Outcome.TIME, None), Account(rung.budget)
    engine, choice = engine_of(material, rung.manner), Choice(rung.manner.method)
    progress(LadderProgress(rung.name, 0, len(rows)))
    for said in flow_items(engine, until, iter(v[:-1]), choice, account=account):
        found.take(said)
        if found.enough:
            break
        progress(LadderProgress(rung.name, len(found.reached), len(rows)))
    return found.again


class _Reader:
    """What a rung wants to know of the flow, gathered from what it hands over."""

    def __init__(self, material: Material, rung: Rung) -> None:
        self._material, self._rung, self._rows = material, rung, rung.rows + rung.further
        self._v = material.v[list(self._rows)]
        self._tape = Tape(material.problem, not without_masses(material.problem)) if rung.taped else None
        self._timing = Timing(material.outside_norms) if rung.timed else None
        self._extremes = Course(material.problem)
        self._primal = material.primal or rung.manner.engine == "primal"
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
        gaps, clock = _gaps(self._material, row, said.state, self._primal), (said.clock, said.checkpoint.resting)
        at = (len(self._events), said.steps, *gaps, self._measure, sums, *clock, self._extremes.values())
        self.reached.append(Reached(row, said.state, *at))
        self._extremes.at_a_row()
        if len(self.reached) == len(self._rung.rows):
            self._most = said.steps + _cheap(self._material)


def engine_of(material: Material, manner: Manner) -> Engine:
    """From the start in the file."""
    trajectory = material.trajectory
    inner = trajectory.W_initial if trajectory.directions is None else trajectory.read("inner", 0)
    if manner.engine == "dual":
        return dual_engine(material.problem, inner, manner.tolerances)
    from gflow.flow.primal import primal_engine, use_one_thread  # loads torch

    use_one_thread()
    return primal_engine(material.problem, inner, manner.tolerances)


def _gaps(material: Material, row: int, state: FlowState, primal: bool) -> tuple[float, float]:
    """Of weights and of margins, as in `Reached`; primal: is that engine one of the two?"""
    at = material.snapshot(row)
    parts = [(at.U, state.parameters.U)]
    if material.problem.network.trains_outer:
        parts.append((at.outer, state.parameters.outer))
    if at.bias is not None and state.parameters.output_bias is not None:
        parts.append((at.bias, state.parameters.output_bias))
    size, gap = kept.of_weights(material, at, primal), _norm([stored - found for stored, found in parts])
    margins = float((np.abs(at.p - state.p) / kept.of_margins(material, at, primal)).max())
    return gap / size if size > 0.0 else gap, margins


def _norm(parts: Sequence[Array]) -> float:
    return float(np.hypot.reduce([np.linalg.norm(part) for part in parts]))


def all_again(material: Material, chosen: Sequence[Rung], progress: Callback) -> Iterator[Again]:
    """One integration after the other."""
    return (again(material, rung, progress) for rung in chosen)
