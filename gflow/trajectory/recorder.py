"""The recorder, which turns states of a flow into rows: it computes the series and the pattern, once per row."""

from __future__ import annotations

import numpy as np

from gflow.arrays import Array, Integers, Sides
from gflow.flow.state import Event, FlowState
from gflow.problem.dataset import Dataset
from gflow.problem.problem import Problem
from gflow.problem.span import row_norms
from gflow.trajectory.predictions import Predictions
from gflow.trajectory.rows import EventEntry, Events, Row
from gflow.trajectory.spectrum import spectrum_of

# What is left of W outside the span counts as this at least: beyond, it is rounding beside the rest.
LEAST_OUTSIDE = 1e-60


class Recorder:
    """Turns the states of one problem into rows."""

    def __init__(self, problem: Problem, W_initial: Array, test: Dataset | None = None) -> None:
        """W_initial (m, d): the first layer at the start (b_j v_j for the scalar network); test: samples that each row
        is to predict."""
        self._problem = problem
        network = problem.network
        scalar = network.directions is not None
        self._inner_basis = network.directions if scalar else None
        U = W_initial @ problem.span.B.T
        W_perp = np.zeros_like(W_initial) if scalar else problem.span.outside(W_initial)
        self._outside = row_norms(W_perp)
        self._predictions = None if test is None else Predictions(problem, W_perp, test)
        self._start = U
        self._norms_at_start = row_norms(W_initial)
        self._balance_at_start = self._balance(network.outer, self._norms_at_start)
        groups = {"": np.full(network.width, True)}
        if network.outputs == 1:
            groups |= {"_plus": network.outer > 0.0, "_minus": network.outer < 0.0}
        self._groups = {
            name: (rows, spectrum_of(W_perp[rows], U.shape[1])) for name, rows in groups.items() if rows.any()
        }

    def row(self, state: FlowState, events: int, steps: int, outside: float = 1.0) -> Row:
        """The row of `state` when `events` entries and `steps` accepted steps lie behind it.

        outside: the factor by which the part of W outside the span has shrunk; 1 for a flow.
        """
        network, parameters = self._problem.network, state.parameters
        U = parameters.U if self._inner_basis is None else parameters.U * self._inner_basis @ self._problem.span.B.T
        pattern = self._pattern(state)
        series = self._norms(U, outside) | self._counts(pattern)
        size = np.sqrt(series["weight_norm"] ** 2 + self._trained_outside_inner(state))
        series |= self._margins(state.p, size) | {"events": float(events), "steps": float(steps)}
        if self._predictions is not None:
            series |= self._predictions.series(state, pattern, outside)
        neurons: dict[str, Array] = {}
        if network.trains_outer:
            neurons = self._neurons(U, parameters.outer, outside)
            series |= {"parameter_norm": float(size)} | self._drifts(neurons)
        return Row(
            log1p_time=state.v,
            tau=state.tau,
            inner=parameters.U,
            margins=state.p,
            log_loss=state.log_loss,
            pattern=pattern,
            series=series,
            outer=parameters.outer if network.trains_outer else None,
            output_bias=parameters.output_bias,
            neurons=neurons,
        )

    def entry(self, event: Event) -> EventEntry:
        """The entry of one event; a surface goes by its first sample."""
        sample = int(self._problem.surfaces.first_sample[event.surface])
        return EventEntry(event.v, event.neuron, sample, int(event.kind))

    def entries(self, v: Array, neuron: Integers, surface: Integers, kind: Integers) -> Events:
        """The entries of E events, (E,) each, in the order of time."""
        return Events.from_columns([v, neuron, self._problem.surfaces.first_sample[surface], kind])

    def _pattern(self, state: FlowState) -> Sides:
        """Sides where kinks are followed, else the signs of the pre-activations."""
        if self._problem.network.kinked:
            return self._problem.sample_sides(state.side)
        z = self._problem.preactivations(state.parameters.U)
        return np.where(z < 0.0, -1, 1).astype(np.int8)

    def _trained_outside_inner(self, state: FlowState) -> float:
        """Squared norm of the trained parameters beside W."""
        outer, bias = state.parameters.outer, state.parameters.output_bias
        squared = float(np.sum(outer**2)) if self._problem.network.trains_outer else 0.0
        return squared if bias is None else squared + float(np.sum(bias**2))

    def _norms(self, U: Array, outside: float) -> dict[str, float]:
        # outside W_perp + U B is outside (W_perp + (U / outside) B), and norms are homogeneous.
        scale = 1.0 if outside == 1.0 else max(abs(outside), LEAST_OUTSIDE)
        norms = {name: spectrum.norms(U[rows] / scale) for name, (rows, spectrum) in self._groups.items()}
        ranks = {f"stable_rank{name}": value.stable_rank for name, value in norms.items()}
        return {"weight_norm": scale * norms[""].frobenius, "spectral_norm": scale * norms[""].spectral} | ranks

    @staticmethod
    def _balance(outer: Array, inner_norms: Array) -> Array:
        """sum_k A_kj^2 - |w_j|^2 (m,), constant along the flow of both layers."""
        return np.asarray(np.sum(np.atleast_2d(outer) ** 2, axis=0) - inner_norms**2)

    def _neurons(self, U: Array, outer: Array, outside: float) -> dict[str, Array]:
        """Balancedness, rotation and norm of each neuron (m,); the rotation of a zero row counts as none (1)."""
        norms = np.hypot(outside * self._outside, row_norms(U))
        product = np.sum(self._start * U, axis=1) + outside * self._outside**2
        sizes = norms * self._norms_at_start
        rotation = np.divide(product, sizes, out=np.ones_like(sizes), where=sizes > 0.0)
        return {
            "balancedness": self._balance(outer, norms),
            "rotation": np.clip(rotation, -1.0, 1.0),
            "norm": np.sqrt(np.sum(np.atleast_2d(outer) ** 2, axis=0)) * norms,
        }

    def _drifts(self, neurons: dict[str, Array]) -> dict[str, float]:
        return {
            "balancedness_drift": float(np.abs(neurons["balancedness"] - self._balance_at_start).max()),
            "median_rotation": float(np.median(neurons["rotation"])),
        }

    def _margins(self, p: Array, size: float) -> dict[str, float]:
        """size: norm of the trained parameters."""
        smoothed = self._problem.loss.smoothed_margin(p)
        least, largest = float(p.min()), float(np.abs(p).max())
        scale = float(size) ** self._problem.network.homogeneity
        return {
            "min_margin": least,
            "normalized_margin": least / scale if scale > 0.0 else 0.0,
            "smoothed_margin": smoothed,
            "normalized_smoothed_margin": smoothed / scale if scale > 0.0 else 0.0,
            "margin_spread": (float(p.max()) - least) / largest if largest > 0.0 else 0.0,
        }

    @staticmethod
    def _counts(pattern: Sides) -> dict[str, float]:
        return {
            "active": float((pattern > 0).sum()),
            "inactive": float((pattern < 0).sum()),
            "sliding": float((pattern == 0).sum()),
        }
