"""One run of descent beside the flow, row by row: its series, and the numbers read off them at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from gflow.arrays import Array, Index
from gflow.comparison.gaps import Frame, Gap, gap
from gflow.comparison.patterns import (
    Disagreement,
    EventColumns,
    SlidingShares,
    SlidingTally,
    genuine,
    opposed_pairs,
)
from gflow.comparison.result import Numbers, RunSeries
from gflow.flow.state import FlowState


@dataclass(frozen=True, slots=True)
class StateSeries:
    """What is shown of one state of both, as in the series of a trajectory; None where there are no test samples."""

    stable_rank: float
    normalized_margin: float
    test_accuracy: float | None
    test_log_loss: float | None

    @classmethod
    def of(cls, series: Mapping[str, float]) -> Self:
        """Those among all series of a row."""
        tested = (series.get("test_accuracy"), series.get("test_log_loss"))
        return cls(series["stable_rank"], series["normalized_margin"], *tested)


@dataclass(frozen=True, slots=True)
class _Row:
    v: float
    gap: Gap
    descent: StateSeries
    flow: StateSeries
    log_loss: float
    log_loss_flow: float
    log_g_ratio: float
    sharpness: float


class PairedRun:
    """The rows of one run so far; flow and descent are states of one time, in the order of time."""

    def __init__(self, frame: Frame, eta: float) -> None:
        self._frame, self._eta = frame, eta
        self._rows: list[_Row] = []
        self._opposed: list[Index] = []
        self._sliding = SlidingTally(frame.problem)

    def row(self, flow: FlowState, descent: FlowState, both: tuple[StateSeries, StateSeries], sharpness: float) -> None:
        """Take one row; both: of descent, then of the flow; sharpness: of descent."""
        problem = self._frame.problem
        log_g = problem.loss.log_slope(descent.p)
        self._rows.append(
            _Row(
                v=flow.v,
                gap=gap(self._frame, flow, descent),
                descent=both[0],
                flow=both[1],
                log_loss=descent.log_loss,
                log_loss_flow=flow.log_loss,
                log_g_ratio=float(np.ptp(log_g)),
                sharpness=self._eta * sharpness,
            )
        )
        self._opposed.append(opposed_pairs(problem, flow, descent))
        if problem.network.kinked:
            self._sliding.row(flow, descent)

    @property
    def gaps(self) -> list[Gap]:
        """The gap at every row."""
        return [row.gap for row in self._rows]

    @property
    def v(self) -> Array:
        """(T,) log(1 + t)."""
        return np.array([row.v for row in self._rows])

    def largest_gap(self, v_first: float) -> tuple[float, float] | None:
        """The largest relative gap from v_first on, and log(1 + t) there; None without one."""
        return largest(self.v, [row.gap.relative for row in self._rows], v_first)

    def disagreement(self, events: EventColumns) -> Disagreement | None:
        """The first pair that is on opposite sides and is not being switched by the flow (`genuine`)."""
        problem = self._frame.problem
        for row, pairs in zip(self._rows, self._opposed, strict=True):
            if row.v == 0.0 or not len(pairs):
                continue
            found = genuine(pairs, row.v, self._eta, events, problem.surfaces.count)
            if len(found):
                neuron, surface, side = (int(value) for value in found[0])
                return Disagreement(row.v, neuron, int(problem.surfaces.first_sample[surface]), side, -side)
        return None

    def sliding(self) -> SlidingShares:
        """The shares of the sides that descent has where pairs slide in the flow."""
        return self._sliding.shares()

    def series(self) -> RunSeries:
        """The quantities of all rows, as columns."""
        rows = self._rows
        gaps = self.gaps
        return RunSeries(
            log1p_time=finite([row.v for row in rows]),
            relative_gap=finite([each.relative for each in gaps]),
            margin_gap=finite([each.margin for each in gaps]),
            direction_angle=finite([each.angle for each in gaps]),
            pattern_agreement=finite([each.agreement for each in gaps]),
            pattern_agreement_all=finite([each.agreement_all for each in gaps]),
            stable_rank=finite([row.descent.stable_rank for row in rows]),
            stable_rank_flow=finite([row.flow.stable_rank for row in rows]),
            min_normalized_margin=finite([row.descent.normalized_margin for row in rows]),
            min_normalized_margin_flow=finite([row.flow.normalized_margin for row in rows]),
            log_loss=finite([row.log_loss for row in rows]),
            log_loss_flow=finite([row.log_loss_flow for row in rows]),
            log_g_ratio=finite([row.log_g_ratio for row in rows]),
            sharpness_times_eta=finite([row.sharpness for row in rows]),
            angle_to_limit=None if self._frame.limit is None else finite([each.angle_to_limit for each in gaps]),
            **self._predictions(),
        )

    def _predictions(self) -> dict[str, Numbers]:
        """Of the test samples, where there are some."""
        rows = self._rows
        if rows[0].flow.test_accuracy is None:
            return {}
        return {
            "test_accuracy": finite([row.descent.test_accuracy for row in rows]),
            "test_accuracy_flow": finite([row.flow.test_accuracy for row in rows]),
            "test_log_loss": finite([row.descent.test_log_loss for row in rows]),
            "test_log_loss_flow": finite([row.flow.test_log_loss for row in rows]),
        }


def largest(v: Array, values: Sequence[float | None], v_first: float) -> tuple[float, float] | None:
    """The largest of the values (T,) at v >= v_first, and the v where it is first met; None where there is none."""
    chosen = [(value, -at) for at, value in zip(v, values, strict=True) if value is not None and at >= v_first]
    if not chosen:
        return None
    value, at = max(chosen)
    return float(value), -float(at)


def finite(values: Sequence[float | None]) -> Numbers:
    """The values as JSON can hold them: None for those that are not finite."""
    return tuple(None if value is None or not np.isfinite(value) else float(value) for value in values)
