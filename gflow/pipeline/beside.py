"""The flow, integrated anew to the times of descent, and what both show side by side.  Loads torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import expm1, log1p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.gradient import Point
from gflow.analysis.subject import Subject
from gflow.build import Setup, build_choice, build_engine
from gflow.comparison.clock import Timetable, first_tenth
from gflow.comparison.course import Course, Sizes, largest
from gflow.comparison.events import SettledPair, settled_at, settled_pairs
from gflow.comparison.gaps import Frame
from gflow.comparison.modified import RTOL
from gflow.comparison.order import fitted_order
from gflow.comparison.patterns import Disagreement, Events
from gflow.comparison.result import Comparison, ModifiedComparison, ModifiedGap, Pair, RunComparison
from gflow.comparison.sharpness import sharpness, stability_threshold, tangent_kernel
from gflow.comparison.verdict import Evidence, follows, order_text, summary, verdict
from gflow.descent import ModifiedFlow
from gflow.flow.certified import foreseen
from gflow.flow.simulate import simulate
from gflow.flow.state import Event, Finish, FlowState, Item, Outcome
from gflow.flow.state import Row as FlowRow
from gflow.flow.stopping import Until
from gflow.pipeline.descent_rows import DescentRows
from gflow.pipeline.descents import Ended, modified_gaps
from gflow.pipeline.plan import Manner
from gflow.scenario import Scenario
from gflow.trajectory import Trajectory
from gflow.trajectory.recorder import Recorder
from gflow.trajectory.rows import installed_version

Array = NDArray[np.float64]
Alive = Callable[[], None]
"""Raises KeyboardInterrupt after an interruption."""
Counted = Callable[[int, int], None]
"""Told what is done, and how much there is."""

# To follow the flow ahead until its limit is proved takes seconds for so many pairs, and grows faster than they do.
MOST_PAIRS_AHEAD = 5000


@dataclass(frozen=True, slots=True)
class Followed:
    """What was seen: courses of the runs, events of the flow, its last state that descent has too, and its end."""

    courses: list[Course]
    events: Events
    last: FlowState
    finish: Finish
    rows: DescentRows
    ended: Mapping[int, Ended]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a comparison is about, beyond its numbers."""

    about: dict[str, Any]  # Any: JSON values
    command: str
    warnings: tuple[str, ...]


class Beside:
    """One flow, and runs of descent at the step sizes `etas` with rows at the times of the table."""

    def __init__(
        self, subject: Subject, scenario: Scenario, setup: Setup, etas: Sequence[float], end: float, table: Timetable
    ) -> None:
        """Raises ScenarioError; works out the limit of the flow, which may mean to follow it far ahead."""
        self._subject, self._scenario, self._setup = subject, scenario, setup
        self._problem, self._etas, self._end, self._table = setup.problem, etas, end, table
        self._engine = build_engine(scenario, setup, "cpu")
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
        start = self._engine.start_parameters.U
        frame = Frame(self._problem, start, float(np.linalg.norm(self._subject.outside)), self._limit)
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
        until = Until(v_end, Outcome.TIME, None)
        return simulate(self._engine, until, iter(self._table.v[1:].tolist()), build_choice(self._scenario))

    def _visitors(self, rows: DescentRows) -> dict[float, tuple[int, list[tuple[int, int]]]]:
        """For each time, its place in the table, and (run, row) of the runs that have it."""
        at: dict[float, tuple[int, list[tuple[int, int]]]] = {
            v: (place, []) for place, v in enumerate(self._table.v.tolist())
        }
        for run, places in enumerate(self._table.places):
            for k, v in enumerate(self._table.v[places[: rows.counts[run]]].tolist()):
                at[v][1].append((run, k))
        return at

    def _kernel(self, state: FlowState) -> Array:
        point = Point.of(self._problem, state)
        return tangent_kernel(self._problem, point.push * point.slopes, point.pull, point.hidden)

    def _sharpness(self, state: FlowState) -> float:
        return sharpness(self._kernel(state), self._problem.loss, state.p)

    def found(self, seen: Followed, manner: Manner, labels: Labels) -> Comparison:
        """All of it, as it goes to the file."""
        threshold = None
        if self._subject.linear_modes and self._problem.loss.name == "logistic":
            threshold = stability_threshold(self._kernel(seen.last))
        runs = tuple(self._run(seen, run, manner, threshold) for run in range(len(self._etas)))
        order = fitted_order(self._etas, [_fitted(run) for run in runs], self._scenario.flow.rtol)
        follow = [follows(run.outcome == "diverged", run.max_relative_gap) for run in runs]
        stopped = seen.finish.sentence if seen.finish.outcome.is_limit else ""
        return Comparison(
            gflow=installed_version(),
            trajectory=labels.about,
            horizon_log1p_time=log1p(self._end),
            flow_outcome=seen.finish.outcome.value,
            etas=runs,
            fitted_order=order.slope,
            fitted_order_interval=order.interval,
            fitted_order_points=order.points,
            modified=None,
            events=self._settled(seen),
            warnings=labels.warnings,
            summary=summary(self._etas, follow, order, stopped),
            command=labels.command,
        )

    def _run(self, seen: Followed, run: int, manner: Manner, threshold: float | None) -> RunComparison:
        course, ended, eta = seen.courses[run], seen.ended[run], self._etas[run]
        series, last = course.series(), course.gaps[-1]
        top = course.largest_gap(first_tenth(self._end))
        differs = course.disagreement(seen.events)
        edges = [edge for edge in series.sharpness_times_eta if edge is not None]
        rises = ended.losses.rises if ended.losses is not None else None
        times = [float(t) for t in np.expm1(course.v)]
        evidence = Evidence(
            eta=eta,
            times=times,
            gaps=series.relative_gap,
            edges=series.sharpness_times_eta,
            first=expm1(first_tenth(self._end)),
            diverged=ended.step if ended.diverged else None,
            threshold=threshold,
            loss_rises=rises,
            differs=None if differs is None else (float(np.expm1(differs.v)), differs.neuron, differs.sample),
            agreement=last.agreement,
        )
        return RunComparison(
            eta=eta,
            kind=manner.kind,
            seed=None if manner.batch is None else manner.seed,
            steps=int(round(self._end / eta)),
            outcome="diverged" if ended.diverged else "time",
            max_relative_gap=None if top is None else top[0],
            max_relative_gap_time=None if top is None else float(np.expm1(top[1])),
            max_margin_gap=max(each.margin for each in course.gaps),
            final_direction_angle=last.angle,
            angle_to_limit=last.angle_to_limit,
            pattern_agreement=last.agreement,
            pattern_agreement_all=last.agreement_all,
            first_pattern_disagreement_time=None if differs is None else float(np.expm1(differs.v)),
            first_pattern_disagreement_log1p_time=None if differs is None else differs.v,
            first_pattern_disagreement=None if differs is None else _pair(differs),
            sliding_pairs=course.sliding(),
            sharpness_times_eta=max(edges, default=None),
            stability_threshold=threshold,
            loss_rises=rises,
            largest_loss_rise=ended.losses.largest_rise if ended.losses is not None else None,
            verdict=verdict(evidence),
            series=series,
        )

    def _settled(self, seen: Followed) -> tuple[SettledPair, ...]:
        if not self._subject.kinked:
            return ()
        first = self._problem.surfaces.first_sample
        descents = []
        for run, course in enumerate(seen.courses):
            v = course.v
            sides = seen.rows.all(run, "pattern")[: v.size][:, :, first]
            descents.append(settled_at(v, sides))
        return settled_pairs(seen.events, seen.last.v, seen.last.side == 0, descents, first)

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


def _pair(differs: Disagreement) -> Pair:
    return Pair(differs.neuron, differs.sample, differs.flow, differs.descent)


def _fitted(run: RunComparison) -> float | None:
    """The gap that the order is fitted to; a run that diverged has none."""
    return run.max_relative_gap if run.outcome == "time" else None
