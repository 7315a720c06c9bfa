"""The flow integrated again along a rung of the ladder, and its distance from the run at each row.

Everything that an integration needs is read from the stream of items of the flow.  An integration that is ended by its
budget is judged as far as it came.  One that has reached its rows goes on to further rows, for at most `FURTHER_STEPS`
more steps (fewer for large networks, `FURTHER_WORK`), while its budget of events lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gflow.arrays import Array
from gflow.field.branch import Measure, Measures
from gflow.flow.budget import Account
from gflow.flow.items import Advance, Item
from gflow.flow.state import Event, Finish, FlowProgress, FlowRow, FlowState, Outcome
from gflow.flow.steps import steps
from gflow.flow.stopping import Until
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification import error_scales
from gflow.verification.dual_masses import without_masses
from gflow.verification.integrals import Integrals
from gflow.verification.ladder import Rung
from gflow.verification.overshoot import SampledExtremes
from gflow.verification.quadrature import Quadrature
from gflow.verification.timing import Timing

# A step costs about 50 products of m r n numbers; this allows ten seconds for networks of any size.
FURTHER_STEPS, FURTHER_WORK = 1000, 1e9


@dataclass(frozen=True, slots=True)
class Reached:
    """The flow at one of the rows, the events and accepted steps so far, and the distances of theta and p from those of
    the run, in units of their error scales (`error_scales`): |theta|, and max(1, |p|), or more in primal coordinates.

    measure: the engine's measure of its motion there; sums: the integrals of the identities, where they were taken.
    clock: the v at which the flow had this tau; it differs from that of the row at rest, and in the leap at the start.
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
    """The result of an integration: rows, events, and how it ended if that was before its last row.

    leverages: of each event, if it was timed (`timing`).  met: what the extremes were chosen from
    (`overshoot.SampledExtremes`).
    """

    rung: Rung
    reached: tuple[Reached, ...]
    events: tuple[Event, ...]
    stopped: Finish | None
    leverages: tuple[float, ...] = ()
    met: Mapping[str, Array] = field(default_factory=dict)

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


def again(recorded: RecordedRun, rung: Rung, progress: Callback) -> Again:
    """Integrate to the rows of the rung, and further while that is cheap; progress may raise to stop it."""
    rows = rung.rows + rung.further
    v, reader = recorded.log1p_time[list(rows)], _Reader(recorded, rung)
    until, account = Until(float(v[-1]), Outcome.TIME, None), Account(rung.budget)
    flow = steps(recorded.problem, recorded.inner_initial, until, rung.manner, v[:-1], account=account)
    progress(LadderProgress(rung.name, 0, len(rows)))
    for item in flow:
        reader.take(item)
        if reader.enough:
            break
        progress(LadderProgress(rung.name, len(reader.reached), len(rows)))
    return reader.again


class _Reader:
    """The reader of the flow for one rung, which gathers the results of the integration item by item."""

    def __init__(self, recorded: RecordedRun, rung: Rung) -> None:
        self._recorded, self._rung, self._rows = recorded, rung, rung.rows + rung.further
        self._v = recorded.log1p_time[list(self._rows)]
        self._quadrature = Quadrature(recorded.problem, not without_masses(recorded.problem)) if rung.taped else None
        self._timing = Timing(recorded.outside_norms) if rung.timed else None
        self._extremes = SampledExtremes(recorded.problem)
        self._primal = recorded.primal or rung.manner.engine == "primal"
        self._events, self._most = list[Event](), np.inf
        self._stopped: Finish | None = None
        self._measure: Measure
        self.reached, self.enough = list[Reached](), False

    @property
    def again(self) -> Again:
        """The result of the integration."""
        leverages = () if self._timing is None else tuple(self._timing.leverages)
        return Again(
            self._rung, tuple(self.reached), tuple(self._events), self._stopped, leverages, self._extremes.met()
        )

    def take(self, item: Item) -> None:
        """Take the next item of the flow; afterwards `enough` says whether the flow may stop."""
        match item:
            case Advance():
                self._advance(item)
            case Event():
                self._events.append(item)
                if self._timing is not None:
                    self._timing.event(item)
            case Measure():
                self._measure = item  # the flow is measured before each row
                self._extremes.update(item)
            case Measures():
                self._extremes.update(item)
            case FlowRow():
                self._row(item)
            case FlowProgress():
                self.enough = item.steps > self._most
            case Finish():
                self._stopped = item if len(self.reached) < len(self._rung.rows) else None

    def _advance(self, item: Advance) -> None:
        for reader in (self._quadrature, self._timing):
            if reader is not None:
                reader.advance(item)

    def _row(self, item: FlowRow) -> None:
        if item.state.v == 0.0 and self._quadrature is not None:
            self._quadrature.leap(item.checkpoint.state)
        if len(self.reached) == self._v.size or item.state.v != self._v[len(self.reached)]:
            return
        row, sums = self._rows[len(self.reached)], None if self._quadrature is None else self._quadrature.read()
        gaps, clock = _gaps(self._recorded, row, item.state, self._primal), (item.clock, item.checkpoint.resting)
        at = (len(self._events), item.steps, *gaps, self._measure, sums, *clock, self._extremes.values())
        self.reached.append(Reached(row, item.state, *at))
        self._extremes.at_a_row()
        if len(self.reached) == len(self._rung.rows):
            self._most = item.steps + _cheap(self._recorded)


def _cheap(recorded: RecordedRun) -> int:
    """Steps that an integration may take beyond the rows that it has to reach."""
    network, n = recorded.problem.network, recorded.problem.samples
    return int(min(FURTHER_STEPS, FURTHER_WORK / (network.width * recorded.problem.coordinates().shape[-1] * n)))


def _gaps(recorded: RecordedRun, row: int, state: FlowState, primal: bool) -> tuple[float, float]:
    """The gaps of weights and of margins, as in `Reached`; primal: is the primal engine one of the two?"""
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
