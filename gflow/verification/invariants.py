"""The check of exact relations between stored rows, which hold up to the tolerance of the integrator.

Along the flow dL/dt = -|grad L|^2, so between two rows (Cauchy and Schwarz) |theta_1 - theta_0|^2 <= (t_1 - t_0)
(L_0 - L_1).  The bounds that t and L set on tau are in `rescaled_time`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gflow.arrays import EPS, Array
from gflow.problem.span import row_norms
from gflow.trajectory.recorded_run import RecordedRun
from gflow.verification.check import RUN, STEPS, Check, Worst, bounded, not_applicable
from gflow.verification.rescaled_time import between_rows, log_passed

GROUP = "invariants"
# Of a pre-activation, over |w_j| |x_i|: no more than rounding.
ON_KINK = 64.0 * float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class WeightSeries:
    """Series along the rows: size (T,), |theta|; step (T,), |theta - theta in the row before|, 0 in the first; and
    drift (T,), how far sum_k A_kj^2 - |w_j|^2 is from its value at row 0, over |theta_j|^2, for the worst neuron."""

    size: Array
    step: Array
    drift: Array

    @classmethod
    def of(cls, recorded: RecordedRun) -> WeightSeries:
        """One pass over the rows."""
        sizes, steps, drifts = [], [], []
        before: Array | None = None
        start: Array | None = None
        for at in recorded.each_row():
            trained = [at.U.ravel()] + ([at.outer.ravel()] if recorded.problem.network.trains_outer else [])
            theta = np.concatenate(trained + ([] if at.bias is None else [at.bias]))
            squares = np.sum(np.atleast_2d(at.outer) ** 2, axis=0)
            norms = np.hypot(recorded.outside_norms, row_norms(at.U)) ** 2
            start = squares - norms if start is None else start
            sizes.append(np.hypot(np.linalg.norm(theta), np.linalg.norm(recorded.outside_norms)))
            steps.append(0.0 if before is None else np.linalg.norm(theta - before))
            scale = np.maximum(squares + norms, np.abs(start))
            drift = np.abs(squares - norms - start)
            drifts.append(np.divide(drift, scale, out=np.zeros_like(drift), where=scale > 0.0).max())
            before = theta
        return cls(np.array(sizes), np.array(steps), np.array(drifts))


def invariants(recorded: RecordedRun) -> list[Check]:
    """Loss, energy, clock, margins, norm, balancedness and span."""
    series = WeightSeries.of(recorded)
    return [
        _loss(recorded),
        _energy(recorded, series),
        between_rows(recorded, GROUP),
        _fall(recorded, "smoothed margin", "sup_margin_fall", "the smoothed normalised margin"),
        _fall(recorded, "norm", "sup_norm_fall", "|theta|"),
        _balancedness(recorded, series),
        _span(recorded),
    ]


def _loss(recorded: RecordedRun) -> Check:
    """The loss never rises: between rows, and (running extreme) between accepted steps."""
    rises = np.maximum(recorded.log_loss - np.minimum.accumulate(recorded.log_loss), 0.0)
    largest = float(np.max(np.append(rises, recorded.trajectory.series["sup_loss_rise"])))
    bound = STEPS * recorded.rtol + 16.0 * EPS * float(np.abs(recorded.log_loss).max())
    return bounded(GROUP, "loss", largest, bound, "largest rise of log L, over all rows and accepted steps")


def _energy(recorded: RecordedRun, series: WeightSeries) -> Check:
    """|d theta|^2 <= dt dL, as a logarithm, up to the errors of both sides by rounding and the tolerance."""
    fall = -np.diff(recorded.log_loss)
    margins = np.abs(recorded.log_loss[:-1]) + 1.0
    granted = np.maximum(fall, 0.0) + recorded.rtol * np.minimum(margins, 1.0) + 64.0 * EPS * margins
    log_fall = recorded.log_loss[:-1] + np.log(-np.expm1(-granted))
    moved = np.maximum(series.step[1:] - 64.0 * EPS * series.size[1:], 0.0)
    excess = 2.0 * np.log(np.where(moved > 0.0, moved, 1.0)) - log_passed(recorded, 1.0) - log_fall
    worst = _worst(np.where(moved > 0.0, excess, 0.0))
    bound = RUN * recorded.rtol
    sentence = f"largest log(|d theta|^2 / (dt dL)) between rows, 0 or less along the flow; {worst.place}"
    return bounded(GROUP, "energy", worst.value, bound, sentence)


def _worst(values: Array) -> Worst:
    """The largest of values between rows, and the later row of the two."""
    worst = Worst()
    for row, value in enumerate(values, 1):
        worst.see(float(value), row)
    return worst


def _fall(recorded: RecordedRun, name: str, series: str, what: str) -> Check:
    """The check of the running fall of a quantity that may only rise once L < l(0) / n (Lyu and Li)."""
    if series not in recorded.trajectory.series:
        return not_applicable(GROUP, name, "the network is not homogeneous in what is trained")
    value = float(np.max(recorded.trajectory.series[series]))
    sentence = f"largest relative fall of {what} once L < l(0)/n, over all accepted steps"
    return bounded(GROUP, name, value, STEPS * recorded.rtol, sentence)


def _balancedness(recorded: RecordedRun, series: WeightSeries) -> Check:
    """sum_k A_kj^2 - |w_j|^2 is conserved where both layers are trained and phi is positively homogeneous."""
    network = recorded.problem.network
    if not network.trains_outer or network.smoothing is not None:
        why = "the outer layer is fixed" if not network.trains_outer else "the activation is smooth"
        return not_applicable(GROUP, "balancedness", f"{why}: nothing is balanced")
    worst = Worst()
    for row, drift in enumerate(series.drift):
        worst.see(float(drift), row)
    sentence = f"largest change of |a_j|^2 - |w_j|^2, over |a_j|^2 + |w_j|^2; {worst.place}"
    return bounded(GROUP, "balancedness", worst.value, RUN * recorded.rtol, sentence)


def _span(recorded: RecordedRun) -> Check:
    """The check that the basis is orthonormal and spans every sample, and that row 0 is the stored start."""
    trajectory, directions = recorded.trajectory, recorded.problem.network.directions
    W = trajectory.W_initial
    if directions is not None:
        inner, sizes = trajectory.read("inner", 0), row_norms(W)
        gaps = [np.abs(row_norms(directions) - 1.0).max(), _relative(inner * directions, W, sizes)]
        return bounded(GROUP, "span", float(max(gaps)), 1e-12, "directions of unit length; row 0 against the start")
    B, X, sizes = trajectory.basis, trajectory.X, row_norms(W)
    units = X / row_norms(X)[:, None]
    gaps = [
        np.abs(B @ B.T - np.eye(B.shape[0])).max(),
        np.abs(units - (units @ B.T) @ B).max(),
        # Relative to |w_j|, of which the part in the span may be small: products with it have that rounding error.
        _relative(trajectory.read("inner", 0), W @ B.T, sizes * moved_onto_kinks(units, W)),
    ]
    return bounded(GROUP, "span", float(max(gaps)), 1e-12, "basis orthonormal, samples inside it, row 0 at the start")


def moved_onto_kinks(units: Array, W: Array) -> Array:
    """The factor (m,) by which rounding grows where a neuron that starts on kinks is moved to lie on all of them.

    It is 1 over the least singular value of their normals, which is small where normals are almost parallel.
    units (n, d): the unit samples, which are the normals; W (m, d).
    """
    on_kink = np.abs(W @ units.T) <= ON_KINK * row_norms(W)[:, None]
    factors = np.ones(len(W))
    for j in np.flatnonzero(on_kink.sum(axis=1) > 1):
        sizes = np.linalg.svd(units[on_kink[j]], compute_uv=False)
        factors[j] = 1.0 / min(1.0, float(sizes[sizes > ON_KINK * sizes[0]].min()))
    return factors


def _relative(found: Array, expected: Array, sizes: Array) -> float:
    """Largest entry of the difference, over the size of its neuron (m,); absolute where that is 0."""
    gaps = np.abs(found - expected).max(axis=1)
    return float((gaps / np.where(sizes > 0.0, sizes, 1.0)).max())
