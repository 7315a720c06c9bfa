"""The flow, integrated again to the times of descent, and the comparison of both at each of them.  Loads torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import expm1, log1p

import numpy as np

from gflow.analysis.analyzed_run import AnalyzedRun
from gflow.analysis.foreknown import Foreknown
from gflow.analysis.gradient import point_of
from gflow.arrays import Array
from gflow.assembly import Setup, build_manner
from gflow.comparison.composition import Followed
from gflow.comparison.descent_rows import DescentRows
from gflow.comparison.gaps import Frame
from gflow.comparison.paired_run import PairedRun, StateSeries
from gflow.comparison.patterns import EventColumns
from gflow.comparison.plan import Alive, Counted, Plan
from gflow.comparison.sharpness import sharpness
from gflow.descent_plan.ledger import Ended
from gflow.flow.certified import foreseen, limit_of
from gflow.flow.engine import started
from gflow.flow.items import Item
from gflow.flow.state import Event, Finish, FlowRow, Outcome
from gflow.flow.steps import steps
from gflow.flow.stopping import Until
from gflow.scenario import Scenario
from gflow.trajectory import Trajectory
from gflow.trajectory.recorder import Recorder

# For this number of pairs it takes seconds to follow the flow until its limit is proved; the cost grows faster than it.
MOST_PAIRS_AHEAD = 5000


class FlowAndDescent:
    """One flow, and the runs of descent of a plan, at the times of its table."""

    def __init__(
        self, analyzed: AnalyzedRun, scenario: Scenario, setup: Setup, plan: Plan, known: Foreknown | None = None
    ) -> None:
        """Computes the limit of the flow, for which the flow may be followed far ahead, unless it is known.

        Raises ScenarioError.
        """
        self._analyzed, self._scenario, self._setup = analyzed, scenario, setup
        self._problem, self._plan, self._table = setup.problem, plan, plan.table
        self._limit = _proved_limit(analyzed, known)

    def follow(
        self,
        descent: Trajectory,
        ended: Mapping[int, Ended],
        alive: Alive,
        progress: Counted,
    ) -> Followed:
        """Integrate the flow past all times of the table, and compare at each of them."""
        rows = DescentRows(descent, self._problem, self._plan.runs)
        recorder = Recorder(self._problem, self._setup.W_initial, self._setup.test)
        start, _ = started(self._problem, self._setup.inner)
        frame = Frame(self._problem, start.U, float(np.linalg.norm(self._analyzed.outside_norms)), self._limit)
        runs = [PairedRun(frame, eta) for eta in self._plan.etas]
        at = self._visitors(rows)
        events, last = [], None
        for item in self._flow():
            alive()
            if isinstance(item, Event):
                events.append(item)
            elif isinstance(item, FlowRow) and item.state.v in at:
                place, visitors = at[item.state.v]
                shown = StateSeries.of(recorder.row(item.state, 0, 0).series)
                for run, k in visitors:
                    seen = rows.state(run, k)
                    both = rows.series(run, k), shown
                    runs[run].row(item.state, seen, both, sharpness(point_of(self._problem, seen)))
                    last = item.state
                progress(place + 1, self._table.v.size)
            elif isinstance(item, Finish):
                assert last is not None, "both have their start"
                return Followed(runs, EventColumns.of(events), last, item, rows, ended)
        raise AssertionError("the flow ended without saying how")

    def _flow(self) -> Iterator[Item]:
        """A little further than descent, so that what the flow is about to switch at the end is known."""
        v_end = log1p(expm1(float(self._table.v[-1])) + max(self._plan.etas))
        until, manner = Until(v_end, Outcome.TIME, None), build_manner(self._scenario)
        return steps(self._problem, self._setup.inner, until, manner, self._table.v[1:].tolist())

    def _visitors(self, rows: DescentRows) -> dict[float, tuple[int, list[tuple[int, int]]]]:
        """For each time, its place in the table, and (run, row) of the runs that have it."""
        at: dict[float, tuple[int, list[tuple[int, int]]]] = {
            v: (place, []) for place, v in enumerate(self._table.v.tolist())
        }
        for run, places in enumerate(self._table.places):
            for k, v in enumerate(self._table.v[places[: rows.counts[run]]].tolist()):
                at[v][1].append((run, k))
        return at


def _proved_limit(analyzed: AnalyzedRun, known: Foreknown | None) -> Array | None:
    """U (m, r) of the limit of the flow, where it is proved: by an analysis of the run, by the last mode, or in
    networks of few pairs ahead."""
    if not analyzed.linear_modes:
        return None
    if known is not None:
        point = None if known.side is None else limit_of(analyzed.problem, known.side)
        return None if point is None else point.U
    last = analyzed.last
    if last.side.size <= MOST_PAIRS_AHEAD:
        continuation = analyzed.continuation
        proved = continuation is not None and continuation.standing == "proved"
        return continuation.limit.U if proved and continuation is not None and continuation.limit is not None else None
    finding, limit = foreseen(analyzed.problem, last.side, last.U)
    return limit.U if finding.proved and limit is not None else None
