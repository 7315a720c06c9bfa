"""What an analyzer looks at: a trajectory, the problem it is the flow of, and the states in its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gflow.analysis.progress import Tell, untold
from gflow.analysis.prospect import Prospect, Standing, prospect_of
from gflow.analysis.way import Taken, Way, way_of
from gflow.arrays import Array
from gflow.field.branch import Tolerances
from gflow.field.transition import EventKind
from gflow.flow.state import Event, FlowState, Notes
from gflow.limit.point import LimitPoint
from gflow.problem.activation import Huberized, Smoothing, SmoothLeaky
from gflow.problem.loss import LOSSES
from gflow.problem.network import Network
from gflow.problem.parameters import Parameters
from gflow.problem.problem import Problem
from gflow.problem.span import Span, row_norms
from gflow.problem.surfaces import group_surfaces
from gflow.trajectory import Record

BLOCK_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Subject:
    """A trajectory with its problem, rebuilt from the file alone.  Rows count from 0; -1 is the last."""

    trajectory: Record
    problem: Problem
    tell: Tell = untold

    @classmethod
    def of(cls, trajectory: Record, tell: Tell = untold) -> Subject:
        """Rebuild the problem; its span coordinates are those of the file.  tell: called while the flow is followed."""
        return cls(trajectory, _problem(trajectory), tell)

    @property
    def kinked(self) -> bool:
        """Does the activation have kinks that neurons cross?"""
        return self.problem.network.kinked

    @property
    def linear_modes(self) -> bool:
        """Are the margins linear in the trained parameters within a mode (fixed outer layer, no smooth activation)?"""
        network = self.problem.network
        return not network.trains_outer and network.outputs == 1 and network.smoothing is None

    @property
    def homogeneous(self) -> bool:
        """Is the network homogeneous in its trained parameters (no smooth activation, no output bias)?"""
        return self.problem.network.smoothing is None and self.problem.network.output_bias is None

    @cached_property
    def log1p_time(self) -> Array:
        """(T,) v = log(1 + t)."""
        return self.trajectory.log1p_time

    @cached_property
    def outside(self) -> Array:
        """(m,) |w_j| outside the span of the samples, which never changes."""
        if self.problem.network.directions is not None:
            return np.zeros(self.problem.network.width)
        W = self.trajectory.W_initial
        return row_norms(self.problem.span.outside(W))

    def state(self, row: int) -> FlowState:
        """The flow at a row; its side at a sliding pair is 0."""
        read = self.trajectory.read
        pattern = read("pattern", row)
        outer = self.trajectory.outer_at(row)
        bias = read("output_bias", row) if self.problem.network.output_bias is not None else None
        parameters = Parameters(read("inner", row), outer, bias)
        side = pattern[:, self.problem.surfaces.first_sample]
        v, tau, log_loss = (float(read(name, row)) for name in ("log1p_time", "tau", "log_loss"))
        return FlowState(tau, v, parameters, side, read("margins", row), log_loss, h=0.0)

    @cached_property
    def last(self) -> FlowState:
        """The flow at the last row."""
        return self.state(-1)

    def rows(self, name: str) -> Iterator[tuple[int, Array]]:
        """(row, values) of a dataset along the rows, read in blocks of bounded memory."""
        one = max(int(np.asarray(self.trajectory.read(name, 0)).nbytes), 1)
        length = max(BLOCK_BYTES // one, 1)
        for first in range(0, self.trajectory.n_rows, length):
            block = self.trajectory.read(name, slice(first, first + length))
            yield from ((first + k, values) for k, values in enumerate(block))

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
        return None if self.prospect is None else self.prospect.limit

    @cached_property
    def prospect(self) -> Prospect | None:
        """What lies ahead of the last row: pending switches, the certificate, the limit of the flow.

        None where margins are not linear in the trained parameters (`linear_modes`): no such theory is known then.
        """
        if not self.linear_modes:
            return None
        return prospect_of(self.problem, self.last, self._tolerances, self.tell)

    @property
    def _tolerances(self) -> Tolerances:
        facts = self.trajectory.facts
        return Tolerances(float(facts["rtol"]), float(facts["atol"]))

    @property
    def standing(self) -> Standing:
        """Of the limit of the flow: that of the prospect, which is about the flow from the last row, and `proved` only
        where the way from the start to that row is stable too."""
        standing = "none" if self.prospect is None else self.prospect.standing
        return "proved_from_state" if standing == "proved" and not self.way.stable else standing

    @cached_property
    def notes(self) -> Notes | None:
        """What is to say of the decisions at kinks until the last row; None where the file does not keep it."""
        if not self.trajectory.resumable:
            return None
        saved = self.trajectory.resume_at(-1)
        return Notes(int(saved["unsettled"]), int(saved["conservative"]))

    @cached_property
    def way(self) -> Way:
        """Is the way from the start to the proof of the prospect stable?  Follows the flow again, several times."""
        prospect = self.prospect
        assert prospect is not None and (prospect.finding.proved or prospect.standing == "proved"), "there is no proof"
        return way_of(self.problem, self._taken(prospect), self.tell)

    def _taken(self, prospect: Prospect) -> Taken:
        """The way of the run and, where the proof lies ahead, the way to it."""
        ahead = prospect.way
        end = self.last if ahead is None else ahead.end
        return Taken(
            W=self.trajectory.W_initial,
            tolerances=self._tolerances,
            notes=(self.notes or Notes()) + (Notes() if ahead is None else ahead.notes),
            events=self._events(() if ahead is None else ahead.events),
            side=end.side,
            p=end.p,
            steps=int(self.trajectory.read("series/steps", -1)) + (0 if ahead is None else ahead.steps),
        )

    def _events(self, ahead: Sequence[Event]) -> list[Event] | None:
        """Those of the run and ahead of it; None where the run does not keep them."""
        if not self.trajectory.records_events:
            return None
        kept, surface_of = self.trajectory.events, self.problem.surfaces.of_sample
        entries = zip(kept.log1p_time, kept.neuron, surface_of[kept.sample], kept.kind, strict=True)
        return [Event(float(v), int(j), int(h), EventKind(int(kind))) for v, j, h, kind in entries] + list(ahead)


def _problem(trajectory: Record) -> Problem:
    X, y, basis, directions = trajectory.X, trajectory.y, trajectory.basis, trajectory.directions
    facts = trajectory.facts
    bias = trajectory.output_bias
    network = Network(
        trajectory.outer_at(0),
        float(facts["slope"]),
        trajectory.trains_outer,
        _smoothing(facts),
        directions,
        None if bias is None else bias[0],
    )
    loss = LOSSES[str(facts["loss"])]
    if directions is not None:
        return Problem.of(X, y, network, loss)
    span = Span(C=X @ basis.T, B=basis)
    return Problem(X, y, network, loss, span, group_surfaces(span.C))


def _smoothing(facts: dict[str, str | float | int]) -> Smoothing | None:
    if facts["activation"] == "smooth_leaky_relu":
        return SmoothLeaky(float(facts["slope"]))
    return Huberized(float(facts["bandwidth"])) if "bandwidth" in facts else None
