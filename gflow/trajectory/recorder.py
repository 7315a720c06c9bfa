"""From states of a flow to the rows of the file: the series and the pattern are worked out here, once a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gflow.flow.state import Event, FlowState
from gflow.problem.problem import Problem
from gflow.trajectory.rows import EventEntry, Row
from gflow.trajectory.spectrum import Spectrum

Array = NDArray[np.float64]


class Recorder:
    """Turns the states of one problem into rows.  The homogeneity of the trained parameters is 1."""

    def __init__(self, problem: Problem, W_initial: Array) -> None:
        self._problem = problem
        W_perp = W_initial - (W_initial @ problem.span.B.T) @ problem.span.B
        outer = problem.network.outer
        groups = {"": np.full(outer.size, True), "_plus": outer > 0.0, "_minus": outer < 0.0}
        self._groups = {name: (rows, Spectrum(W_perp[rows])) for name, rows in groups.items() if rows.any()}

    def row(self, state: FlowState, events: int, steps: int) -> Row:
        """The row of `state` when `events` entries and `steps` accepted steps lie behind it."""
        pattern = self._problem.sample_sides(state.side)
        series = self._norms(state.U) | self._counts(pattern)
        series |= self._margins(state.p, series["weight_norm"])
        series |= {"events": float(events), "steps": float(steps)}
        return Row(
            log1p_time=state.v,
            tau=state.tau,
            inner=state.U,
            margins=state.p,
            log_loss=state.log_loss,
            pattern=pattern,
            series=series,
        )

    def entry(self, event: Event) -> EventEntry:
        """The entry of one event; a surface goes by its first sample."""
        sample = int(self._problem.surfaces.first_sample[event.surface])
        return EventEntry(event.v, event.neuron, sample, int(event.kind))

    def _norms(self, U: Array) -> dict[str, float]:
        norms = {name: spectrum.norms(U[rows]) for name, (rows, spectrum) in self._groups.items()}
        ranks = {f"stable_rank{name}": value.stable_rank for name, value in norms.items()}
        return {"weight_norm": norms[""].frobenius, "spectral_norm": norms[""].spectral} | ranks

    def _margins(self, p: Array, weight_norm: float) -> dict[str, float]:
        smoothed = self._problem.loss.smoothed_margin(p)
        least, size = float(p.min()), float(np.abs(p).max())
        return {
            "min_margin": least,
            "normalized_margin": least / weight_norm if weight_norm > 0.0 else 0.0,
            "smoothed_margin": smoothed,
            "normalized_smoothed_margin": smoothed / weight_norm if weight_norm > 0.0 else 0.0,
            "margin_spread": (float(p.max()) - least) / size if size > 0.0 else 0.0,
        }

    @staticmethod
    def _counts(pattern: NDArray[np.int8]) -> dict[str, float]:
        return {
            "active": float((pattern > 0).sum()),
            "inactive": float((pattern < 0).sum()),
            "sliding": float((pattern == 0).sum()),
        }
