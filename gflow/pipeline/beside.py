"""The flow, integrated anew to the times of descent, and both side by side at each of them.  Loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import expm1, log1p

import numpy as np

from gflow.analysis.subject import Subject
from gflow.arrays import Array
from gflow.assembly import Setup, build_manner
from gflow.comparison.clock import Timetable, first_tenth
from gflow.comparison.course import Course, Sizes, largest
from gflow.comparison.gaps import Frame
from gflow.comparison.modified import RTOL
from gflow.comparison.order import fitted_order
from gflow.comparison.patterns import Events
from gflow.comparison.result import ModifiedComparison, ModifiedGap
from gflow.comparison.sharpness import sharpness
from gflow.comparison.verdict import order_text
from gflow.descent import ModifiedFlow
from gflow.flow.certified import foreseen
from gflow.flow.engine import started
from gflow.flow.items import Item
from gflow.flow.state import Event, Finish, FlowState, Outcome
from gflow.flow.state import Row as FlowRow
from gflow.flow.steps import steps
from gflow.flow.stopping import Until
from gflow.pipeline.composition import Followed, kernel
from gflow.pipeline.descent.checkpoint import Ended
from gflow.pipeline.descent.rows import DescentRows
from gflow.pipeline.descent.runs import modified_gaps
from gflow.scenario import Scenario
from gflow.trajectory import Trajectory
from gflow.trajectory.recorder import Recorder

Alive = Callable[[], None]
"""Raises KeyboardInterrupt after an interruption."""
Counted = Callable[[int, int], None]
"""Told what is done, and how much there is."""

# To follow the flow ahead until its limit is proved takes seconds for so many pairs, and grows faster than they do.
MOST_PAIRS_AHEAD = 5000


class Beside:
    """One flow, and runs of descent at the step sizes `etas` with rows at the times of the table."""

    def __init__(
        self, subject: Subject, scenario: Scenario, setup: Setup, etas: Sequence[float], end: float, table: Timetable
    ) -> None:
        """Raises ScenarioError; works out the limit of the flow, which may mean to follow it far ahead."""
        self._subject, self._scenario, self._setup = subject, scenario, setup
        self._problem, self._etas, self._end, self._table = setup.problem, etas, end, table
        self._limit = _proved_limit(subject)

    def follow(
        self,
        descent: Trajectory,
        ended: Mapping[int, Ended],
        alive: Alive,
        progress: Counted,
    ) -> Followed:
        """Integrate the flow past all times of the table, and compare at each of them."""
        rows = DescentRows(descent, self._problem, self._etas)
        recorder = Recorder(self._problem, self._setup.W_initial)
        start, _ = started(self._problem, self._setup.inner)
        frame = Frame(self._problem, start.U, float(np.linalg.norm(self._subject.outside)), self._limit)
        courses = [Course(frame, eta) for eta in self._etas]
        at = self._visitors(rows)
        events, last = [], None
        for item in self._flow():
            alive()
            if isinstance(item, Event):
                events.append(item)
            elif isinstance(item, FlowRow) and item.state.v in at:
                place, visitors = at[item.state.v]
                sizes = _sizes(recorder, item.state)
                for run, k in visitors:
                    seen = rows.state(run, k)
                    courses[run].row(item.state, seen, (rows.sizes(run, k), sizes), self._sharpness(seen))
                    last = item.state
                progress(place + 1, self._table.v.size)
            elif isinstance(item, Finish):
                assert last is not None, "both have their start"
                return Followed(courses, Events.of(events), last, item, rows, ended)
        raise AssertionError("the flow ended without saying how")

    def _flow(self) -> Iterator[Item]:
        """A little further than descent, so that what the flow is about to switch at the end is known."""
        v_end = log1p(expm1(float(self._table.v[-1])) + max(self._etas))
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

    def _sharpness(self, state: FlowState) -> float:
        return sharpness(kernel(self._problem, state), self._problem.loss, state.p)

    def modified(
        self,
        seen: Followed,
        flows: Sequence[ModifiedFlow],
        alive: Alive,
        progress: Counted,
    ) -> ModifiedComparison:
        """Each run beside the flow of L + (eta / 4) |grad L|^2 of its own step size."""
        gaps = []
        for run, flow in enumerate(flows):
            progress(run, len(flows))
            v, inner = seen.rows.all(run, "log1p_time", 1), seen.rows.all(run, "inner", 1)
            found = modified_gaps(self._setup, flow, np.expm1(v), inner, alive) if v.size else []
            top = largest(v, found, first_tenth(self._end))
            gaps.append(None if top is None else top[0])
        order = fitted_order(self._etas, gaps, RTOL)
        pairs = tuple(ModifiedGap(eta, gap) for eta, gap in zip(self._etas, gaps, strict=True))
        said = f"beside the flow of L + (eta / 4) |grad L|^2{order_text(order)}"
        return ModifiedComparison(pairs, order.slope, order.interval, order.points, said)


def _proved_limit(subject: Subject) -> Array | None:
    """U (m, r) of the limit of the flow, where it is proved: by the last mode, or in networks of few pairs ahead."""
    if not subject.linear_modes:
        return None
    last = subject.last
    if last.side.size <= MOST_PAIRS_AHEAD:
        prospect = subject.prospect
        known = prospect is not None and prospect.standing == "proved"
        return prospect.limit.U if known and prospect is not None and prospect.limit is not None else None
    finding, limit = foreseen(subject.problem, last.side, last.U)
    return limit.U if finding.proved and limit is not None else None


def _sizes(recorder: Recorder, state: FlowState) -> Sizes:
    series = recorder.row(state, 0, 0).series
    return Sizes(series["stable_rank"], series["normalized_margin"])
