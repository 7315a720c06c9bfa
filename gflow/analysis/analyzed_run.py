"""The run that an analyzer is given: a trajectory, its problem, the states in its rows, and what is known of its
limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from gflow.analysis.continuation import Continuation, Standing, continuation_of
from gflow.analysis.path_stability import PathStability, PathTaken, path_stability_of
from gflow.analysis.progress import Tell, untold
from gflow.field.transition import EventKind
from gflow.flow.state import Event, FlowState, Notes
from gflow.limit.limit_point import LimitPoint
from gflow.trajectory import Record
from gflow.trajectory.recorded_run import RecordedRun, problem_of


@dataclass(frozen=True)
class AnalyzedRun(RecordedRun):
    """A trajectory with its problem, rebuilt from the file alone.  Rows count from 0; -1 is the last."""

    tell: Tell = untold

    @classmethod
    def of(cls, trajectory: Record, tell: Tell = untold) -> Self:
        """Rebuild the problem; its span coordinates are those of the file.  tell: called while the flow is followed."""
        return cls(trajectory, problem_of(trajectory), tell)

    @property
    def linear_modes(self) -> bool:
        """Are the margins linear in the trained parameters within a mode (fixed outer layer, no smooth activation)?"""
        network = self.problem.network
        return not network.trains_outer and network.outputs == 1 and network.smoothing is None

    @property
    def homogeneous(self) -> bool:
        """Is the network homogeneous in its trained parameters (no smooth activation, no output bias)?"""
        return self.problem.network.homogeneous

    @cached_property
    def last(self) -> FlowState:
        """The flow at the last row."""
        return self.state(-1)

    def extreme(self, name: str) -> tuple[float, float] | None:
        """(value, log(1 + t) where) of a running extreme over all accepted steps and events (`layout.EXTREMES`).

        Those of `layout.UNTIL` are times themselves.  None where this run does not keep it.
        """
        series = self.trajectory.series
        if name not in series:
            return None
        read = self.trajectory.read
        value = float(read(f"series/{name}", -1))
        return value, float(read(f"series/{name}_at", -1)) if f"{name}_at" in series else value

    @property
    def limit(self) -> LimitPoint | None:
        """The limit of the flow, proved or expected; None where it is not known."""
        return None if self.continuation is None else self.continuation.limit

    @cached_property
    def continuation(self) -> Continuation | None:
        """What lies ahead of the last row: pending switches, the certificate, the limit of the flow.

        None where margins are not linear in the trained parameters (`linear_modes`): no such theory is known then.
        """
        if not self.linear_modes:
            return None
        return continuation_of(self.problem, self.last, self.manner.tolerances, self.tell)

    @property
    def standing(self) -> Standing:
        """How well the limit of the flow is known: as in the continuation, which is about the flow from the last row,
        but `proved` only where the path from the start to that row is stable too."""
        standing = "none" if self.continuation is None else self.continuation.standing
        return "proved_from_state" if standing == "proved" and not self.path_stability.stable else standing

    @cached_property
    def notes(self) -> Notes | None:
        """Notes on the decisions at kinks until the last row; None where the file does not keep them."""
        if not self.trajectory.resumable:
            return None
        saved = self.trajectory.resume_at(-1)
        return Notes(int(saved["unsettled"]), int(saved["conservative"]))

    @cached_property
    def path_stability(self) -> PathStability:
        """Is the path from the start to the proof of the continuation stable?  Follows the flow several times more."""
        continuation = self.continuation
        assert continuation is not None and (continuation.finding.proved or continuation.standing == "proved"), (
            "there is no proof"
        )
        return path_stability_of(self.problem, self._taken(continuation), self.tell)

    def _taken(self, continuation: Continuation) -> PathTaken:
        """The way of the run and, where the proof lies ahead, the way to it."""
        ahead = continuation.followed
        end = self.last if ahead is None else ahead.end
        return PathTaken(
            W=self.trajectory.W_initial,
            tolerances=self.manner.tolerances,
            notes=(self.notes or Notes()) + (Notes() if ahead is None else ahead.notes),
            events=self._events(() if ahead is None else ahead.events),
            side=end.side,
            p=end.p,
            steps=int(self.trajectory.read("series/steps", -1)) + (0 if ahead is None else ahead.steps),
            tau=end.tau,
        )

    def _events(self, ahead: Sequence[Event]) -> list[Event] | None:
        """The events of the run and those ahead of it; None where the run does not keep its events."""
        if not self.trajectory.records_events:
            return None
        kept, surface_of = self.trajectory.events, self.problem.surfaces.of_sample
        entries = zip(kept.log1p_time, kept.neuron, surface_of[kept.sample], kept.kind, strict=True)
        return [Event(float(v), int(j), int(h), EventKind(int(kind))) for v, j, h, kind in entries] + list(ahead)
